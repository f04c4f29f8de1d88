//! What a proxy is told at its start: who it is, where its xDS server and certificate authority are, and
//! its limits. Everything else comes over xDS.
//!
//! The types read from YAML or JSON through serde; field names are camelCase there, durations are text
//! with a unit (`250ms`, `10s`, `24h`), and an unknown field is an error.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::drain::DrainTimes;

/// The whole of a proxy's start-up configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bootstrap {
    /// Who this proxy is.
    pub node: NodeIdentity,
    /// Where its configuration comes from.
    pub xds: XdsServer,
    /// Where its certificate comes from; `None`: it has none, and TLS settings that need one fail.
    #[serde(default)]
    pub ca: Option<CaConfig>,
    /// Time that connections get to end after a stop is asked for. Default 45 s.
    #[serde(default = "default_drain", with = "text_duration")]
    pub drain: Duration,
    /// So long of it the sockets stay open, for callers who have not heard yet. Default 5 s, as Istio's agent.
    #[serde(default = "default_minimum_drain", with = "text_duration")]
    pub minimum_drain: Duration,
    /// Bounds on what peers may make this proxy hold.
    #[serde(default)]
    pub limits: Limits,
    /// Workers of the process, each with a thread of its own; `None`: as many as there are cores.
    #[serde(default)]
    pub concurrency: Option<NonZeroUsize>,
    /// Where the process is watched.
    #[serde(default)]
    pub ports: Ports,
    /// Where the application's metrics are, to be answered behind the proxy's on the agent port; `None`: nowhere.
    #[serde(default)]
    pub app_metrics: Option<AppMetrics>,
}

impl Bootstrap {
    /// A proxy named `node` that is configured by `xds`; no certificate authority, default limits.
    pub fn new(node: NodeIdentity, xds: XdsServer) -> Self {
        let (limits, ports) = (Limits::default(), Ports::default());
        let (drain, minimum_drain) = (default_drain(), default_minimum_drain());
        Self { node, xds, ca: None, drain, minimum_drain, limits, concurrency: None, ports, app_metrics: None }
    }

    /// How long the proxy takes to end. The minimum leaves at least half of it for what is under way.
    pub fn drain_times(&self) -> DrainTimes {
        DrainTimes { minimum: self.minimum_drain.min(self.drain / 2), maximum: self.drain }
    }
}

/// The application's metrics, on the pod's loopback: annotations `prometheus.io/port` and `prometheus.io/path`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AppMetrics {
    /// The port; Istio: 80.
    #[serde(default = "default_metrics_port")]
    pub port: u16,
    /// The path, with a query if need be; Istio: `/metrics`.
    #[serde(default = "default_metrics_path")]
    pub path: String,
}

fn default_metrics_port() -> u16 {
    80
}

fn default_metrics_path() -> String {
    "/metrics".to_owned()
}

impl AppMetrics {
    /// On this port; at Istio's path, where none is given.
    pub fn at(port: u16, path: Option<String>) -> Self {
        Self { port, path: path.unwrap_or_else(default_metrics_path) }
    }

    /// What the environment variable `ISTIO_PROMETHEUS_ANNOTATIONS` says, in which Istio's injector keeps the pod's
    /// annotations: `{"scrape": "true", "port": "9102", "path": "/stats"}`. `None`: the pod is not to be scraped.
    ///
    /// Errs when it is not such text.
    pub fn of_annotations(json: &str) -> Result<Option<Self>, String> {
        let said: Annotations = serde_json::from_str(json).map_err(|error| error.to_string())?;
        if said.scrape.as_deref() == Some("false") {
            return Ok(None);
        }
        let kept = |text: Option<String>| text.filter(|text| !text.is_empty());
        let port = match kept(said.port) {
            Some(port) => port.parse().map_err(|_| format!("`{port}` is not a port"))?,
            None => default_metrics_port(),
        };
        Ok(Some(Self::at(port, kept(said.path))))
    }
}

#[derive(Deserialize)]
struct Annotations {
    #[serde(default)]
    scrape: Option<String>,
    #[serde(default)]
    port: Option<String>,
    #[serde(default)]
    path: Option<String>,
}

/// `envoy.config.core.v3.Node`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeIdentity {
    /// `type~ip~pod.namespace~namespace.svc.cluster.local`, e.g.
    /// `sidecar~10.0.0.3~service-go-v1-0.default~default.svc.cluster.local`.
    pub id: String,
    /// Service cluster, e.g. `service-go.default`.
    #[serde(default)]
    pub cluster: String,
    /// `LABELS`, `NAMESPACE`, `SERVICE_ACCOUNT` and what else the server wants to know.
    #[serde(default)]
    pub metadata: BTreeMap<String, serde_json::Value>,
    /// Where the proxy runs; all empty when unknown.
    #[serde(default)]
    pub locality: Locality,
}

/// `envoy.config.core.v3.Locality`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Locality {
    /// `topology.kubernetes.io/region`.
    pub region: String,
    /// `topology.kubernetes.io/zone`.
    pub zone: String,
    /// `topology.istio.io/subzone`.
    pub sub_zone: String,
}

/// The server that configures this proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct XdsServer {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Protocol variant. Default delta.
    #[serde(default)]
    pub mode: XdsMode,
    /// How the connection is secured. Default plaintext.
    #[serde(default)]
    pub security: XdsSecurity,
}

/// Variant of the aggregated discovery service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum XdsMode {
    /// `DeltaAggregatedResources`: changes only.
    #[default]
    Delta,
    /// `StreamAggregatedResources`: every resource of a type in every response.
    StateOfTheWorld,
}

/// How the connection to the xDS server is secured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum XdsSecurity {
    /// Not at all.
    #[default]
    Plaintext,
    /// TLS with this proxy's identity; the server's certificate must chain to the mesh's roots and carry
    /// this DNS or URI name.
    #[serde(rename_all = "camelCase")]
    Mutual {
        /// Also sent as SNI when it is a DNS name.
        server_name: String,
    },
}

/// The certificate authority and what is asked of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CaConfig {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// DNS or URI name that the server's certificate must carry; sent as SNI when it is a DNS name.
    pub server_name: String,
    /// Certificates, PEM, one of which the server's must chain to.
    pub roots_pem: String,
    /// SPIFFE identity asked for, e.g. `spiffe://cluster.local/ns/default/sa/default`.
    pub identity: String,
    /// Bearer token that proves the identity to the authority.
    pub token: Token,
    /// Type of our key. Default P-256.
    #[serde(default)]
    pub key_type: KeyType,
    /// Validity asked for; the authority may shorten it. Default 24 h.
    #[serde(default = "default_lifetime", with = "text_duration")]
    pub lifetime: Duration,
    /// Share of a certificate's life after which it is renewed, in `(0, 1)`; each renewal comes up to a
    /// tenth of the life earlier, at random. Default 0.8.
    #[serde(default = "default_refresh_at")]
    pub refresh_at: f64,
}

/// A bearer token. Never shown by `Debug`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(pub String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Type of a private key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeyType {
    /// Made from the host's entropy; keys and signatures have fixed lengths. Envoy does not offer it.
    Ed25519,
    /// NIST P-256, as Istio's agents use. Both the key and each signature draw on ring's own random
    /// source, so runs with it do not repeat to the byte.
    #[default]
    EcdsaP256,
}

/// Ports of the process that are not the mesh's. `None`, or `null`: that port is not opened. Other processes
/// may share them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Ports {
    /// Everything there is to see, and to drain. Default `127.0.0.1:15000`.
    pub admin: Option<SocketAddr>,
    /// Health and metrics, for an orchestrator. Default `0.0.0.0:15020`.
    pub agent: Option<SocketAddr>,
    /// Health, for a load balancer. Default `0.0.0.0:15021`.
    pub health: Option<SocketAddr>,
    /// Metrics, for Prometheus. Default `0.0.0.0:15090`.
    pub stats: Option<SocketAddr>,
}

impl Default for Ports {
    /// Istio's.
    fn default() -> Self {
        let everywhere = |port| Some(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)));
        Self {
            admin: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 15000))),
            agent: everywhere(15020),
            health: everywhere(15021),
            stats: everywhere(15090),
        }
    }
}

impl Ports {
    /// None at all.
    pub const NONE: Self = Self { admin: None, agent: None, health: None, stats: None };
}

/// Bounds on what peers may make a proxy hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// Bytes of one xDS response. Default 64 MiB.
    pub xds_message_bytes_max: usize,
    /// Resources of one type. Default 100,000.
    pub xds_resources_max: usize,
    /// Bytes of one answer of the certificate authority. Default 1 MiB.
    pub ca_message_bytes_max: usize,
    /// Open downstream connections. Default 65,536.
    pub connections_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            xds_message_bytes_max: 64 << 20,
            xds_resources_max: 100_000,
            ca_message_bytes_max: 1 << 20,
            connections_max: 65_536,
        }
    }
}

fn default_drain() -> Duration {
    DrainTimes::default().maximum
}

fn default_minimum_drain() -> Duration {
    DrainTimes::default().minimum
}

fn default_lifetime() -> Duration {
    Duration::from_secs(24 * 3600)
}

fn default_refresh_at() -> f64 {
    0.8
}

/// Reads a duration as the bootstrap file has it: `250ms`, `10s`, `5m`, `24h`.
///
/// Errs with what is wrong.
pub fn duration(text: &str) -> Result<Duration, String> {
    text_duration::parse(text).ok_or_else(|| format!("`{text}` is not a duration such as 250ms, 10s or 24h"))
}

/// Durations as a whole number and a unit: `ms`, `s`, `m` or `h`.
mod text_duration {
    use std::time::Duration;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    const UNITS: [(&str, u64); 4] = [("ms", 1), ("h", 3_600_000), ("m", 60_000), ("s", 1000)];

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}ms", duration.as_millis()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::duration(&text).map_err(D::Error::custom)
    }

    pub(super) fn parse(text: &str) -> Option<Duration> {
        let (number, millis) = UNITS.iter().find_map(|(unit, millis)| Some((text.strip_suffix(unit)?, millis)))?;
        number.parse::<u64>().ok()?.checked_mul(*millis).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_say_where_the_application_has_its_metrics() {
        let said = |json: &str| AppMetrics::of_annotations(json).map(|app| app.map(|app| (app.port, app.path)));
        let at = |port, path: &str| Ok(Some((port, path.to_owned())));
        assert_eq!(said(r#"{"scrape": "true", "port": "9102", "path": "/stats"}"#), at(9102, "/stats"));
        assert_eq!(said(r#"{"scrape": "", "port": "", "path": ""}"#), at(80, "/metrics"));
        assert_eq!(said(r#"{"scrape": "false", "port": "9102"}"#), Ok(None));
        assert_eq!(said(r#"{"port": "many"}"#), Err("`many` is not a port".to_owned()));
        assert!(said("scrape").is_err());
    }

    #[test]
    fn the_minimum_leaves_half_of_a_short_drain_for_what_is_under_way() {
        let xds = XdsServer { host: String::new(), port: 1, mode: XdsMode::Delta, security: XdsSecurity::Plaintext };
        let mut bootstrap = Bootstrap::new(NodeIdentity::default(), xds);
        for (drain, minimum) in [(45, 5_000), (10, 5_000), (5, 2_500), (3, 1_500), (0, 0)] {
            bootstrap.drain = Duration::from_secs(drain);
            let times = bootstrap.drain_times();
            assert_eq!(times.maximum, bootstrap.drain);
            assert_eq!(times.minimum, Duration::from_millis(minimum), "{drain}");
        }
    }

    #[test]
    fn reads_a_short_document_with_defaults() {
        let json = r#"{
            "node": {"id": "sidecar~10.0.0.3~go.a~a.svc.cluster.local", "metadata": {"LABELS": {"app": "go"}}},
            "xds": {"host": "istiod.istio-system.svc", "port": 15010},
            "drain": "5s"
        }"#;
        let bootstrap: Bootstrap = serde_json::from_str(json).unwrap();
        assert_eq!(bootstrap.xds.mode, XdsMode::Delta);
        assert_eq!(bootstrap.xds.security, XdsSecurity::Plaintext);
        assert_eq!(bootstrap.drain, Duration::from_secs(5));
        assert_eq!(bootstrap.minimum_drain, Duration::from_secs(5));
        assert_eq!(bootstrap.limits, Limits::default());
        assert_eq!(bootstrap.node.metadata["LABELS"]["app"], "go");
        let again: Bootstrap = serde_json::from_str(&serde_json::to_string(&bootstrap).unwrap()).unwrap();
        assert_eq!(again, bootstrap);
    }

    #[test]
    fn refuses_unknown_fields_and_unitless_durations() {
        let base = |extra: &str| {
            let security = r#"{"mutual": {"serverName": "x"}}"#;
            format!(r#"{{"node": {{"id": "a"}}, "xds": {{"host": "h", "port": 1, "security": {security}}}{extra}}}"#)
        };
        assert!(serde_json::from_str::<Bootstrap>(&base("")).is_ok());
        assert!(serde_json::from_str::<Bootstrap>(&base(r#", "drian": "5s""#)).is_err());
        assert!(serde_json::from_str::<Bootstrap>(&base(r#", "drain": "5""#)).is_err());
    }

    #[test]
    fn tokens_are_not_shown() {
        assert_eq!(format!("{:?}", Token("secret".into())), "Token(..)");
    }
}
