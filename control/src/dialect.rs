//! The two dialects and every point where they part.
//!
//! Istio 1.0.3 (the release *Istio in Practice* teaches) and today's Istio give different outcomes for the
//! same YAML. Each such divergence that reaches xDS is one function or constant here and nowhere else: the
//! generator asks, the proxy never knows. `table` renders them all as `docs/divergences.md`.

mod manifests;
mod table;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

pub use table::markdown;

/// Which Istio a mesh behaves like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Dialect {
    /// Istio 1.0.3; written `compat: "1.0"`.
    V1_0,
    /// Today's Istio; written `compat: "v1"`.
    #[default]
    V1,
}

/// A load balancing policy chosen when nobody asked for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultBalancer {
    /// In turn.
    RoundRobin,
    /// The less busy of two drawn at random.
    LeastRequest,
}

/// Retries that a route has without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefaultRetries {
    /// Tries after the first.
    pub attempts: u32,
    /// Envoy's `retry_on`.
    pub retry_on: &'static str,
}

/// Circuit breaker thresholds written when a DestinationRule names none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefaultBreakers {
    /// `max_connections`, `max_pending_requests`, `max_requests` and `max_retries` alike.
    pub each: u32,
    /// Envoy's `track_remaining`.
    pub track_remaining: bool,
}

/// What a sidecar accepts on its way in when no policy says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InboundTls {
    /// Plaintext alone.
    Plaintext,
    /// Mutual TLS with the mesh's identities, and plaintext.
    Permissive,
}

/// Where a call goes whose destination no service has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownDestination {
    /// Nowhere: no virtual host (404), or `BlackHoleCluster`.
    Refused,
    /// To the address it was opened to, through `PassthroughCluster`.
    Allowed,
}

/// What a proxy does with `x-forwarded-client-cert`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardClientCert {
    /// Dropped.
    Sanitize,
    /// The peer's subject, DNS and URI names are appended.
    AppendForward,
    /// Replaced by the peer's subject, DNS and URI names.
    SanitizeSet,
}

/// Envoy's `retry_on` of every `retries:` block in 1.0.3, whatever the block says.
pub const RETRY_ON_1_0: &str = "5xx,connect-failure,refused-stream";
/// Envoy's `retry_on` of a v1 route without a `retryOn` of its own. `retriable-status-codes` comes with an
/// empty list, so 503 alone is not retried.
pub const RETRY_ON_V1: &str = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes";
/// Envoy's `retry_on` of a v1 inbound route.
pub const INBOUND_RETRY_ON_V1: &str = "reset-before-request";

impl Dialect {
    /// Both dialects, older first.
    pub const ALL: [Self; 2] = [Self::V1_0, Self::V1];

    /// The name a user writes after `compat:`.
    pub const fn name(self) -> &'static str {
        self.pick("1.0", "v1")
    }

    const fn pick<T: Copy>(self, v1_0: T, v1: T) -> T {
        match self {
            Self::V1_0 => v1_0,
            Self::V1 => v1,
        }
    }

    /// Balancing of a cluster whose DestinationRule names no policy.
    pub const fn default_balancer(self) -> DefaultBalancer {
        self.pick(DefaultBalancer::RoundRobin, DefaultBalancer::LeastRequest)
    }

    /// Retries of an outbound or gateway route without a `retries:` block; `None`: a request is tried once.
    pub const fn default_retries(self) -> Option<DefaultRetries> {
        self.pick(None, Some(DefaultRetries { attempts: 2, retry_on: RETRY_ON_V1 }))
    }

    /// Retries of an inbound route; `None`: a request is tried once.
    pub const fn inbound_retries(self) -> Option<DefaultRetries> {
        self.pick(None, Some(DefaultRetries { attempts: 2, retry_on: INBOUND_RETRY_ON_V1 }))
    }

    /// `retry_on` of a `retries:` block: what the block asks for counts in v1 only.
    pub fn retry_on(self, asked: Option<&str>) -> &str {
        match (self, asked) {
            (Self::V1_0, _) => RETRY_ON_1_0,
            (Self::V1, Some(asked)) if !asked.is_empty() => asked,
            (Self::V1, _) => RETRY_ON_V1,
        }
    }

    /// Whether a retry avoids hosts that were tried before: `previous_hosts` with 5 draws.
    pub const fn retries_avoid_previous_hosts(self) -> bool {
        self.pick(false, true)
    }

    /// Breakers of a cluster whose DestinationRule sets none; `None`: Envoy's own (1024, 1024, 1024, 3).
    pub const fn default_breakers(self) -> Option<DefaultBreakers> {
        self.pick(None, Some(DefaultBreakers { each: u32::MAX, track_remaining: true }))
    }

    /// `connect_timeout` of a cluster whose DestinationRule sets none.
    pub const fn connect_timeout(self) -> Duration {
        self.pick(Duration::from_secs(1), Duration::from_secs(10))
    }

    /// Whether a sidecar speaks mutual TLS to every endpoint that can, without a DestinationRule.
    pub const fn auto_mtls(self) -> bool {
        self.pick(false, true)
    }

    /// What a sidecar accepts on its way in.
    pub const fn inbound_tls(self) -> InboundTls {
        self.pick(InboundTls::Plaintext, InboundTls::Permissive)
    }

    /// Server name in TLS to the subset of a service that `ISTIO_MUTUAL` asks for.
    pub fn mutual_sni(self, port: u16, subset: &str, fqdn: &str) -> String {
        match self {
            Self::V1_0 => format!("outbound|{port}|{subset}|{fqdn}"),
            Self::V1 => format!("outbound_.{port}_.{subset}_.{fqdn}"),
        }
    }

    /// ALPN of a sidecar's own mutual TLS, before `h2` of an HTTP/2 cluster.
    pub const fn mutual_alpn(self) -> &'static [&'static str] {
        self.pick(&["istio"], &["istio-peer-exchange", "istio"])
    }

    /// The `server` header of inbound and gateway listeners; `None`: Envoy's own (`envoy`).
    pub const fn server_name(self) -> Option<&'static str> {
        self.pick(None, Some("istio-envoy"))
    }

    /// `x-forwarded-client-cert` on inbound listeners.
    pub const fn inbound_client_cert(self) -> ForwardClientCert {
        self.pick(ForwardClientCert::Sanitize, ForwardClientCert::AppendForward)
    }

    /// `x-forwarded-client-cert` at gateways.
    pub const fn gateway_client_cert(self) -> ForwardClientCert {
        self.pick(ForwardClientCert::Sanitize, ForwardClientCert::SanitizeSet)
    }

    /// Whether listeners normalize paths (RFC 3986 dot segments; slashes stay).
    pub const fn normalizes_paths(self) -> bool {
        self.pick(false, true)
    }

    /// Name of the cluster that a sidecar sends its own workload's requests to.
    pub fn inbound_cluster(self, port: u16, fqdn: &str) -> String {
        match self {
            Self::V1_0 => format!("inbound|{port}||{fqdn}"),
            Self::V1 => format!("inbound|{port}||"),
        }
    }

    /// Whether a sidecar reaches its workload on the loopback; otherwise on the address the client asked for.
    pub const fn inbound_to_loopback(self) -> bool {
        self.pick(true, false)
    }

    /// Whether the port in a request's authority counts for nothing; otherwise it is the listener's or none.
    pub const fn ignores_port_of_authority(self) -> bool {
        self.pick(false, true)
    }

    /// Domains of the virtual host of `name` on `port`.
    pub fn domains(self, name: &str, port: u16) -> Vec<String> {
        let name = if name.contains(':') { format!("[{name}]") } else { name.to_owned() };
        if name == "*" || self.ignores_port_of_authority() {
            return vec![name];
        }
        vec![name.clone(), format!("{name}:{port}")]
    }

    /// Whether a service is known by its full name with a dot at the end.
    pub const fn knows_absolute_names(self) -> bool {
        self.pick(false, true)
    }

    /// Whether a headless service is known by `<pod>.<name>` too.
    pub const fn knows_pods_of_headless_services(self) -> bool {
        self.pick(false, true)
    }

    /// Whether the Gateways of a proxy are as one: a VirtualService bound to any of them is looked at on every port
    /// that has its host. Otherwise it is on the servers of its own Gateways.
    pub const fn merges_gateways(self) -> bool {
        self.pick(true, false)
    }

    /// Whether a gateway serves a VirtualService's host as it is where its server has a narrower one.
    pub const fn serves_whole_hosts(self) -> bool {
        self.pick(true, false)
    }

    /// Whether a gateway listens where its Service sends a server's port; otherwise on the port itself.
    pub const fn translates_gateway_ports(self) -> bool {
        self.pick(false, true)
    }

    /// Whether `sourceLabels` sees a sidecar's labels only where a Service selects its pod, and never a gateway's.
    pub const fn labels_need_a_service(self) -> bool {
        self.pick(true, false)
    }

    /// The regular expression that is known to take every path, as the prefix `/` does.
    pub const fn regex_of_any_path(self) -> &'static str {
        self.pick("*", ".*")
    }

    /// Where a call goes whose destination no service has.
    pub const fn unknown_destination(self) -> UnknownDestination {
        self.pick(UnknownDestination::Refused, UnknownDestination::Allowed)
    }

    /// Whether the arms of a split must add up to 100; otherwise weights are relative.
    pub const fn weights_are_percent(self) -> bool {
        self.pick(true, false)
    }

    /// Whether the proxy tells the application which attempt a request is (`x-envoy-attempt-count`).
    pub const fn sends_attempt_count(self) -> bool {
        self.pick(false, true)
    }

    /// Whether the one count of `outlierDetection.consecutiveErrors` is looked at: for 502, 503 and 504, and then
    /// no other 5xx counts.
    pub const fn counts_consecutive_errors(self) -> bool {
        self.pick(true, false)
    }

    /// Whether endpoints are ejected for a success rate far below that of the others, as Envoy does unasked.
    pub const fn ejects_by_success_rate(self) -> bool {
        self.pick(true, false)
    }

    /// Whether one endpoint may be ejected whatever share of all it is.
    pub const fn always_ejects_one(self) -> bool {
        self.pick(true, false)
    }

    /// How long an ejection lasts at most; `None`: Envoy's own, 300 s or the base. 1.0's knew no bound.
    pub const fn ejection_time_max(self) -> Option<Duration> {
        self.pick(Some(Duration::from_secs(365 * 24 * 3600)), None)
    }

    /// The text of an access log's line when none is asked for; 1.0 has another for TCP.
    pub const fn access_log_text(self, is_http: bool) -> &'static str {
        match (self, is_http) {
            (Self::V1_0, true) => {
                "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%%PROTOCOL%\" %RESPONSE_CODE% \
                 %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \
                 \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \
                 \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% \
                 %DOWNSTREAM_REMOTE_ADDRESS%\n"
            }
            (Self::V1_0, false) => {
                "[%START_TIME%] %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% \"%UPSTREAM_HOST%\" \
                 %UPSTREAM_CLUSTER% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS%\n"
            }
            (Self::V1, _) => {
                "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% \
                 %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% \
                 \"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% \
                 %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \
                 \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER_RAW% \
                 %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% \
                 %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n"
            }
        }
    }

    /// Healthy share below which a cluster with outlier detection ignores health, in percent; `None`:
    /// Envoy's own, 50.
    pub const fn outlier_panic_percent(self) -> Option<f64> {
        self.pick(None, Some(0.0))
    }

    /// Whether what is not HTTP on a sidecar's HTTP port goes where it was opened to; otherwise it is a bad request.
    pub const fn inspects_http_ports(self) -> bool {
        self.pick(false, true)
    }

    /// Whether a port with an unknown name is looked into for HTTP; otherwise it is TCP.
    pub const fn sniffs_unnamed_ports(self) -> bool {
        self.pick(false, true)
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A `compat:` that names no dialect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown dialect {0:?}: expected \"1.0\" or \"v1\"")]
pub struct UnknownDialect(pub String);

impl FromStr for Dialect {
    type Err = UnknownDialect;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|d| d.name() == text).ok_or_else(|| UnknownDialect(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialect_is_read_by_the_name_it_shows() {
        for dialect in Dialect::ALL {
            assert_eq!(dialect.to_string().parse(), Ok(dialect));
        }
        assert!("1".parse::<Dialect>().is_err());
    }

    #[test]
    fn a_retries_block_is_read_by_todays_dialect_alone() {
        assert_eq!(Dialect::V1_0.retry_on(Some("503")), "5xx,connect-failure,refused-stream");
        assert_eq!(Dialect::V1.retry_on(Some("503")), "503");
        assert_eq!(Dialect::V1.retry_on(None), RETRY_ON_V1);
    }
}
