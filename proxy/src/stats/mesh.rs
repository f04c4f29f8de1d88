//! Istio's standard metrics: which labels a request is counted under.
//!
//! What a proxy knows of the other side it knows from the connection and from the name of the cluster; it is
//! told nothing of the other workload, whose labels are `unknown`, as they are in Istio without exchange of
//! metadata. Istio: *Standard Metrics*.

use super::key::{Key, Seen};
use super::worker::Traffic;
use crate::bootstrap::Bootstrap;
use crate::record::{Direction, Protocol};

const UNKNOWN: &str = "unknown";

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

    /// One that nothing is known of, but who it is, if it has shown a certificate.
    fn other(principal: Option<&str>) -> Self {
        let unknown = || UNKNOWN.to_owned();
        Self {
            name: unknown(),
            namespace: unknown(),
            app: unknown(),
            version: unknown(),
            canonical_service: unknown(),
            canonical_revision: "latest".to_owned(),
            cluster: unknown(),
            principal: principal.unwrap_or(UNKNOWN).to_owned(),
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

/// A Service, as far as a cluster's name tells: `outbound|80|v1|web.shop.svc.cluster.local`.
struct Service<'a> {
    host: &'a str,
    name: &'a str,
    namespace: &'a str,
}

impl<'a> Service<'a> {
    fn of(cluster: &'a str) -> Self {
        let mut parts = cluster.split('|');
        let host = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some("outbound"), Some(_), Some(_), Some(host)) if !host.is_empty() => host,
            // `PassthroughCluster` and `BlackHoleCluster` are names of services to Istio.
            (Some(name), None, ..) if !name.is_empty() => return Self { host: UNKNOWN, name, namespace: UNKNOWN },
            _ => return Self { host: UNKNOWN, name: UNKNOWN, namespace: UNKNOWN },
        };
        let mut labels = host.splitn(4, '.');
        match (labels.next(), labels.next(), labels.next()) {
            (Some(name), Some(namespace), Some("svc")) => Self { host, name, namespace },
            _ => Self { host, name: host, namespace: UNKNOWN },
        }
    }
}

/// The labels of requests, or connections, that differ in nothing else.
pub(crate) fn labels(key: &Key, own: &Workload) -> Labels {
    let seen = key.seen();
    let is_source = seen.direction != Direction::Inbound;
    let mut labels = vec![("reporter".to_owned(), if is_source { "source" } else { "destination" }.to_owned())];
    let peer = if is_source { seen.upstream } else { seen.downstream };
    // A principal is what was shown on this connection: without mutual TLS, nobody has shown any.
    let mut own = own.clone();
    if peer.is_none() {
        UNKNOWN.clone_into(&mut own.principal);
    }
    let other = Workload::other(peer);
    let (source, destination) = if is_source { (own, other) } else { (other, own) };
    source.labels(Side::Source, &mut labels);
    destination.labels(Side::Destination, &mut labels);
    let service = Service::of(seen.cluster);
    let mut more = |name: &str, value: &str| labels.push((name.to_owned(), value.to_owned()));
    more("destination_service", service.host);
    more("destination_service_name", service.name);
    more("destination_service_namespace", service.namespace);
    more("request_protocol", if seen.protocol == Protocol::Tcp { "tcp" } else { "http" });
    if seen.protocol != Protocol::Tcp {
        more("response_code", &seen.status.to_string());
        more("grpc_response_status", "");
    }
    more("response_flags", &seen.flags.to_string());
    more("connection_security_policy", security_policy(&seen));
    labels
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
        }
    }

    fn value<'a>(labels: &'a Labels, name: &str) -> &'a str {
        &labels.iter().find(|(key, _)| key == name).unwrap_or_else(|| panic!("no {name} in {labels:?}")).1
    }

    #[test]
    fn a_callers_proxy_reports_itself_and_the_service_asked_for() {
        let labels = labels(&Key::keep(&seen(Direction::Outbound)), &own());
        for (name, expected) in [
            ("reporter", "source"),
            ("source_workload", "web-v1"),
            ("source_workload_namespace", "shop"),
            ("source_principal", "spiffe://cluster.local/ns/shop/sa/web"),
            ("destination_principal", "spiffe://cluster.local/ns/data/sa/db"),
            ("destination_service", "db.data.svc.cluster.local"),
            ("destination_service_name", "db"),
            ("destination_service_namespace", "data"),
            ("destination_workload", "unknown"),
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
        let said = labels(&Key::keep(&mutual), &own());
        assert_eq!((value(&said, "reporter"), value(&said, "source_principal")), ("destination", caller));
        assert_eq!(value(&said, "connection_security_policy"), "mutual_tls");
        assert_eq!((value(&said, "destination_workload"), value(&said, "source_workload")), ("web-v1", "unknown"));
        let plain = labels(&Key::keep(&Seen { downstream: None, ..mutual }), &own());
        assert_eq!(value(&plain, "connection_security_policy"), "none");
        assert_eq!((value(&plain, "source_principal"), value(&plain, "destination_principal")), ("unknown", "unknown"));
    }

    #[test]
    fn tcp_has_no_response_code() {
        let tcp = labels(&Key::keep(&Seen { protocol: Protocol::Tcp, ..seen(Direction::Outbound) }), &own());
        assert_eq!(value(&tcp, "request_protocol"), "tcp");
        assert!(!tcp.iter().any(|(name, _)| name == "response_code"));
    }
}
