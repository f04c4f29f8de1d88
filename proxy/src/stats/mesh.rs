//! Istio's standard metrics: which labels a request is counted under.
//!
//! Who is on the other side: its principal and namespace by its certificate; of an endpoint, its workload by the
//! metadata that the control plane gives it, which tells no app and no version. Of a caller no more is known: proxies
//! send each other no metadata here, and without it Istio's labels are `unknown` too. Istio: *Standard Metrics*.

use super::key::{Key, Seen};
use super::worker::Traffic;
use crate::bootstrap::Bootstrap;
use crate::record::{Direction, Protocol};
use crate::snapshot::cluster::ServiceName;

const UNKNOWN: &str = "unknown";
/// Parts of an endpoint's `workload`, at least.
const PARTS: usize = 5;

/// The namespace in a principal: `spiffe://cluster.local/ns/shop/sa/web`.
fn namespace_of(principal: &str) -> Option<&str> {
    let (_, rest) = principal.split_once("/ns/")?;
    rest.split('/').next().filter(|namespace| !namespace.is_empty())
}

/// The workload whose proxy this is, as its node metadata says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    name: String,
    namespace: String,
    app: String,
    version: String,
    canonical_service: String,
    canonical_revision: String,
    cluster: String,
    principal: String,
}

impl Workload {
    /// What `bootstrap` says; `unknown` where it says nothing.
    pub fn of(bootstrap: &Bootstrap) -> Self {
        let metadata = &bootstrap.node.metadata;
        let text = |key: &str| metadata.get(key).and_then(|value| value.as_str());
        let label = |key: &str| metadata.get("LABELS").and_then(|labels| labels.get(key)).and_then(|v| v.as_str());
        let or_unknown = |found: Option<&str>| found.unwrap_or(UNKNOWN).to_owned();
        Self {
            name: or_unknown(text("WORKLOAD_NAME")),
            namespace: or_unknown(text("NAMESPACE")),
            app: or_unknown(label("app")),
            version: or_unknown(label("version")),
            canonical_service: or_unknown(
                label("service.istio.io/canonical-name").or(label("app")).or(text("WORKLOAD_NAME")),
            ),
            canonical_revision: label("service.istio.io/canonical-revision")
                .or(label("version"))
                .unwrap_or("latest")
                .to_owned(),
            cluster: or_unknown(text("CLUSTER_ID")),
            principal: or_unknown(bootstrap.ca.as_ref().map(|ca| ca.identity.as_str())),
        }
    }

    /// One that is known by its certificate, and by what its endpoint's metadata says of it: name, namespace, canonical
    /// service, canonical revision and cluster. The certificate is believed first.
    fn other(principal: Option<&str>, endpoint: Option<&str>) -> Self {
        let parts: Vec<&str> = endpoint.unwrap_or_default().split(';').collect();
        // What is shorter is not Istio's.
        let part = |at: usize| parts.get(at).filter(|part| parts.len() >= PARTS && !part.is_empty()).copied();
        let or_unknown = |found: Option<&str>| found.unwrap_or(UNKNOWN).to_owned();
        Self {
            name: or_unknown(part(0)),
            namespace: or_unknown(principal.and_then(namespace_of).or(part(1))),
            app: UNKNOWN.to_owned(),
            version: UNKNOWN.to_owned(),
            canonical_service: or_unknown(part(2)),
            canonical_revision: part(3).unwrap_or("latest").to_owned(),
            cluster: or_unknown(part(4)),
            principal: or_unknown(principal),
        }
    }

    fn labels(self, side: Side, labels: &mut Labels) {
        let fields = [
            ("workload", self.name),
            ("canonical_service", self.canonical_service),
            ("canonical_revision", self.canonical_revision),
            ("workload_namespace", self.namespace),
            ("principal", self.principal),
            ("app", self.app),
            ("version", self.version),
            ("cluster", self.cluster),
        ];
        labels.extend(fields.map(|(name, value)| (format!("{}_{name}", side.prefix()), value)));
    }
}

#[derive(Clone, Copy)]
enum Side {
    Source,
    Destination,
}

impl Side {
    fn prefix(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
        }
    }
}

/// Names and values of labels.
pub(crate) type Labels = Vec<(String, String)>;

/// A Service; empty: not known.
struct Service<'a> {
    host: &'a str,
    name: &'a str,
    namespace: &'a str,
}

impl<'a> Service<'a> {
    /// What a cluster's metadata says, else what its name tells: `outbound|80|v1|web.shop.svc.cluster.local`.
    fn of(cluster: &'a str, told: Option<&'a ServiceName>) -> Self {
        if let Some(ServiceName { host, name, namespace }) = told {
            return Self { host, name, namespace };
        }
        let mut parts = cluster.split('|');
        let host = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some("outbound"), Some(_), Some(_), Some(host)) if !host.is_empty() => host,
            // `PassthroughCluster` and `BlackHoleCluster` are names of services to Istio.
            (Some(name), None, ..) => return Self { host: "", name, namespace: "" },
            _ => return Self { host: "", name: "", namespace: "" },
        };
        let mut labels = host.splitn(4, '.');
        match (labels.next(), labels.next(), labels.next()) {
            (Some(name), Some(namespace), Some("svc")) => Self { host, name, namespace },
            _ => Self { host, name: host, namespace: "" },
        }
    }

    /// The labels of a request that was made here, to `destination`.
    fn asked_for(self, destination: &'a Workload) -> Self {
        let or_unknown = |text: &'a str| if text.is_empty() { UNKNOWN } else { text };
        let namespace = if self.namespace.is_empty() { &destination.namespace } else { self.namespace };
        Self { host: or_unknown(self.host), name: or_unknown(self.name), namespace }
    }

    /// The labels of a request that came to `own`.
    fn served_by(self, own: &'a Workload) -> Self {
        let or_own = |text: &'a str| if text.is_empty() { own.canonical_service.as_str() } else { text };
        Self { host: or_own(self.host), name: or_own(self.name), namespace: &own.namespace }
    }
}

/// The labels of requests, or connections, that differ in nothing else. `service` is what the metadata of their cluster
/// says.
pub(crate) fn labels(key: &Key, own: &Workload, service: Option<&ServiceName>) -> Labels {
    let seen = key.seen();
    let is_source = seen.direction != Direction::Inbound;
    let mut labels = vec![("reporter".to_owned(), if is_source { "source" } else { "destination" }.to_owned())];
    let peer = if is_source { seen.upstream } else { seen.downstream };
    // A principal is what was shown on this connection: without mutual TLS, nobody has shown any.
    let mut own = own.clone();
    if peer.is_none() {
        UNKNOWN.clone_into(&mut own.principal);
    }
    let other = Workload::other(peer, seen.workload.filter(|_| is_source));
    let (source, destination) = if is_source { (own, other) } else { (other, own) };
    let service = Service::of(seen.cluster, service);
    let service = if is_source { service.asked_for(&destination) } else { service.served_by(&destination) };
    let service = [
        ("destination_service", service.host),
        ("destination_service_name", service.name),
        ("destination_service_namespace", service.namespace),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    source.labels(Side::Source, &mut labels);
    destination.labels(Side::Destination, &mut labels);
    labels.extend(service);
    let mut more = |name: &str, value: &str| labels.push((name.to_owned(), value.to_owned()));
    more("request_protocol", protocol(&seen));
    if seen.protocol != Protocol::Tcp {
        more("response_code", &seen.status.to_string());
        let status = seen.grpc.and_then(|grpc| grpc.status);
        more("grpc_response_status", &status.map(|status| status.to_string()).unwrap_or_default());
    }
    more("response_flags", &seen.flags.to_string());
    more("connection_security_policy", security_policy(&seen));
    labels
}

fn protocol(seen: &Seen<'_>) -> &'static str {
    match seen.protocol {
        Protocol::Tcp => "tcp",
        _ if seen.grpc.is_some() => "grpc",
        Protocol::Http1 | Protocol::Http2 => "http",
    }
}

/// Known where the connection ended here; a caller's proxy leaves it to its peer.
fn security_policy(seen: &Seen<'_>) -> &'static str {
    match (seen.direction, seen.downstream) {
        (Direction::Outbound | Direction::Gateway, _) => UNKNOWN,
        (Direction::Inbound, Some(_)) => "mutual_tls",
        (Direction::Inbound, None) => "none",
    }
}

/// Whether `key` is of HTTP requests, not of TCP connections.
pub(crate) fn is_http(key: &Key) -> bool {
    key.seen().protocol != Protocol::Tcp
}

/// Body bytes of all, as Istio's TCP metrics have them.
pub(crate) fn bytes(traffic: &Traffic) -> (u64, u64) {
    (traffic.sent.sum() as u64, traffic.received.sum() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Grpc;
    use crate::stats::key::FlagSet;

    fn own() -> Workload {
        let json = r#"{
            "node": {"id": "n", "metadata": {"WORKLOAD_NAME": "web-v1", "NAMESPACE": "shop", "LABELS": {"app": "web"}}},
            "xds": {"host": "h", "port": 1},
            "ca": {"host": "h", "port": 1, "serverName": "s", "rootsPem": "", "token": "t",
                   "identity": "spiffe://cluster.local/ns/shop/sa/web"}
        }"#;
        Workload::of(&serde_json::from_str(json).expect("a bootstrap"))
    }

    fn seen(direction: Direction) -> Seen<'static> {
        Seen {
            direction,
            protocol: Protocol::Http1,
            status: 503,
            flags: FlagSet::default(),
            cluster: "outbound|80|v1|db.data.svc.cluster.local",
            downstream: None,
            upstream: Some("spiffe://cluster.local/ns/data/sa/db"),
            workload: Some("db-v1;elsewhere;db;v1;Kubernetes"),
            grpc: None,
        }
    }

    fn value<'a>(labels: &'a Labels, name: &str) -> &'a str {
        &labels.iter().find(|(key, _)| key == name).unwrap_or_else(|| panic!("no {name} in {labels:?}")).1
    }

    #[test]
    fn a_callers_proxy_reports_itself_and_the_service_asked_for() {
        let labels = labels(&Key::keep(&seen(Direction::Outbound)), &own(), None);
        for (name, expected) in [
            ("reporter", "source"),
            ("source_workload", "web-v1"),
            ("source_workload_namespace", "shop"),
            ("source_principal", "spiffe://cluster.local/ns/shop/sa/web"),
            ("destination_principal", "spiffe://cluster.local/ns/data/sa/db"),
            ("destination_service", "db.data.svc.cluster.local"),
            ("destination_service_name", "db"),
            ("destination_service_namespace", "data"),
            ("destination_workload", "db-v1"),
            ("destination_workload_namespace", "data"),
            ("destination_canonical_service", "db"),
            ("destination_canonical_revision", "v1"),
            ("destination_cluster", "Kubernetes"),
            ("destination_app", "unknown"),
            ("destination_version", "unknown"),
            ("request_protocol", "http"),
            ("response_code", "503"),
            ("response_flags", "-"),
            ("connection_security_policy", "unknown"),
        ] {
            assert_eq!(value(&labels, name), expected, "{name}");
        }
    }

    #[test]
    fn a_called_proxy_reports_who_called_and_how() {
        let caller = "spiffe://cluster.local/ns/x/sa/y";
        let mutual =
            Seen { downstream: Some(caller), upstream: None, cluster: "inbound|80||", ..seen(Direction::Inbound) };
        let said = labels(&Key::keep(&mutual), &own(), None);
        assert_eq!((value(&said, "reporter"), value(&said, "source_principal")), ("destination", caller));
        assert_eq!(value(&said, "connection_security_policy"), "mutual_tls");
        assert_eq!((value(&said, "destination_workload"), value(&said, "source_workload")), ("web-v1", "unknown"));
        assert_eq!((value(&said, "source_workload_namespace"), value(&said, "source_cluster")), ("x", "unknown"));
        let service = |labels| {
            ["", "_name", "_namespace"].map(|part| value(labels, &format!("destination_service{part}")).to_owned())
        };
        assert_eq!(service(&said), ["web", "web", "shop"]);
        let told = ServiceName { host: "www.shop".into(), name: "www".into(), namespace: "other".into() };
        let said = labels(&Key::keep(&mutual), &own(), Some(&told));
        assert_eq!(service(&said), ["www.shop", "www", "shop"]);
        let plain = labels(&Key::keep(&Seen { downstream: None, ..mutual }), &own(), None);
        assert_eq!(value(&plain, "connection_security_policy"), "none");
        assert_eq!((value(&plain, "source_principal"), value(&plain, "destination_principal")), ("unknown", "unknown"));
    }

    #[test]
    fn without_a_certificate_an_endpoints_metadata_tells_whose_it_is() {
        let plain = Seen { upstream: None, cluster: "outbound|443||db.example", ..seen(Direction::Outbound) };
        let said = labels(&Key::keep(&plain), &own(), None);
        for (name, expected) in [
            ("destination_workload", "db-v1"),
            ("destination_workload_namespace", "elsewhere"),
            ("destination_principal", "unknown"),
            ("destination_service_name", "db.example"),
            ("destination_service_namespace", "elsewhere"),
        ] {
            assert_eq!(value(&said, name), expected, "{name}");
        }
        for odd in [None, Some(""), Some("db-v1;data;db;v1"), Some(";;;;")] {
            let said = labels(&Key::keep(&Seen { workload: odd, ..plain }), &own(), None);
            assert_eq!(value(&said, "destination_workload"), "unknown", "{odd:?}");
            assert_eq!(value(&said, "destination_canonical_revision"), "latest", "{odd:?}");
        }
    }

    #[test]
    fn a_grpc_call_has_its_own_status() {
        let status = |grpc| {
            let said = labels(&Key::keep(&Seen { grpc, ..seen(Direction::Outbound) }), &own(), None);
            (value(&said, "request_protocol").to_owned(), value(&said, "grpc_response_status").to_owned())
        };
        assert_eq!(status(None), ("http".to_owned(), String::new()));
        assert_eq!(status(Some(Grpc { status: None })), ("grpc".to_owned(), String::new()));
        assert_eq!(status(Some(Grpc { status: Some(14) })), ("grpc".to_owned(), "14".to_owned()));
    }

    #[test]
    fn tcp_has_no_response_code() {
        let tcp = labels(&Key::keep(&Seen { protocol: Protocol::Tcp, ..seen(Direction::Outbound) }), &own(), None);
        assert_eq!(value(&tcp, "request_protocol"), "tcp");
        assert!(!tcp.iter().any(|(name, _)| name == "response_code"));
    }
}
