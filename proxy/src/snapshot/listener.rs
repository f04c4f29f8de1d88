//! Listeners, filter chains, and what a chain does with a connection.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::edge::Http2Settings;
use super::route::RouteConfig;
use super::tls::DownstreamTls;
use crate::access_log::AccessLogs;
use crate::record::{Direction, Provenance};

/// `envoy.config.listener.v3.Listener`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Listener {
    /// Name, unique in a proxy.
    pub name: Arc<str>,
    /// Address to bind; for a listener that does not bind, the original destination it serves.
    pub address: SocketAddr,
    /// False: takes over connections from another listener by original destination only.
    pub bind_to_port: bool,
    /// Hands a redirected connection to the listener of its original destination
    /// (exact address first, then the wildcard address of that port).
    pub use_original_dst: bool,
    /// Reads the first bytes for SNI, ALPN and whether they are TLS at all.
    pub inspect_tls: bool,
    /// Reads the first bytes for HTTP.
    pub inspect_http: bool,
    /// Destination ports that `inspect_tls` leaves alone (`filter_disabled`).
    pub inspect_tls_except: PortRule,
    /// Destination ports that `inspect_http` leaves alone (`filter_disabled`).
    pub inspect_http_except: PortRule,
    /// Bound on the inspection; `None` is Envoy's 15 s.
    pub inspect_timeout: Option<Duration>,
    /// When the time is up: go on with what is known (true) or close (false).
    pub continue_on_inspect_timeout: bool,
    /// Side of the workload, from `traffic_direction`; a listener without one is a gateway's.
    pub direction: Direction,
    /// In the order given; the most specific match wins, not the first.
    pub filter_chains: Vec<FilterChain>,
    /// When no chain matches; `None`: the connection is closed.
    pub default_filter_chain: Option<FilterChain>,
    /// Line that brought the listener.
    pub provenance: Option<Provenance>,
    /// Logs of all its connections.
    pub access_logs: AccessLogs,
}

impl Listener {
    /// A listener that binds `address` and has no filter chain, with Envoy's defaults for the rest.
    pub fn new(name: impl Into<Arc<str>>, address: SocketAddr) -> Self {
        Self {
            name: name.into(),
            address,
            bind_to_port: true,
            use_original_dst: false,
            inspect_tls: false,
            inspect_http: false,
            inspect_tls_except: PortRule::Any(false),
            inspect_http_except: PortRule::Any(false),
            inspect_timeout: None,
            continue_on_inspect_timeout: false,
            direction: Direction::Gateway,
            filter_chains: Vec::new(),
            default_filter_chain: None,
            provenance: None,
            access_logs: AccessLogs::default(),
        }
    }
}

impl Listener {
    /// Whether the first bytes of a connection to this destination port are read for TLS.
    pub fn inspects_tls(&self, port: u16) -> bool {
        self.inspect_tls && !self.inspect_tls_except.holds(port)
    }

    /// Whether the first bytes of a connection to this destination port are read for HTTP.
    pub fn inspects_http(&self, port: u16) -> bool {
        self.inspect_http && !self.inspect_http_except.holds(port)
    }
}

/// `ListenerFilterChainMatchPredicate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum PortRule {
    /// All ports, or none.
    Any(bool),
    /// From the first port up to, and without, the second.
    Range(u32, u32),
    /// The ports that the rule does not hold for.
    Not(Box<PortRule>),
    /// Those that all rules hold for.
    All(Vec<PortRule>),
    /// Those that one of the rules holds for.
    OneOf(Vec<PortRule>),
}

impl PortRule {
    /// Whether it holds for `port`.
    pub fn holds(&self, port: u16) -> bool {
        match self {
            Self::Any(all) => *all,
            Self::Range(start, end) => (*start..*end).contains(&port.into()),
            Self::Not(rule) => !rule.holds(port),
            Self::All(rules) => rules.iter().all(|rule| rule.holds(port)),
            Self::OneOf(rules) => rules.iter().any(|rule| rule.holds(port)),
        }
    }
}

/// `FilterChain`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FilterChain {
    /// Name; may be empty.
    pub name: Arc<str>,
    /// What a connection must be for this chain.
    pub matches: FilterChainMatch,
    /// TLS termination; `None` leaves the bytes as they are.
    pub tls: Option<Arc<DownstreamTls>>,
    /// What happens to the connection.
    pub handler: Handler,
}

/// `FilterChainMatch`. An empty list or `None` matches anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FilterChainMatch {
    /// Original destination port.
    pub destination_port: Option<u16>,
    /// Original destination address, as prefixes.
    pub prefix_ranges: Vec<Cidr>,
    /// SNI: exact names and `*.suffix`, lower case.
    pub server_names: Vec<Arc<str>>,
    /// `tls` or `raw_buffer`; `None` matches both.
    pub transport_protocol: Option<TransportProtocol>,
    /// ALPN, or `http/1.1`, `h2c` as found by the HTTP inspector.
    pub application_protocols: Vec<Arc<str>>,
    /// The peer's address, as prefixes.
    pub source_prefix_ranges: Vec<Cidr>,
}

/// What the first bytes were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum TransportProtocol {
    /// A TLS ClientHello.
    Tls,
    /// Anything else.
    RawBuffer,
}

/// An address prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Cidr {
    /// Any address in the range.
    pub address: IpAddr,
    /// Leading bits that count: 0–32 for IPv4, 0–128 for IPv6; more counts as all.
    pub prefix_len: u8,
}

impl Cidr {
    /// Whether `address` is in the range. An IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(range), IpAddr::V4(ip)) => {
                let host_bits = 32u32.saturating_sub(self.prefix_len.into());
                u64::from(range.to_bits()) >> host_bits == u64::from(ip.to_bits()) >> host_bits
            }
            (IpAddr::V6(range), IpAddr::V6(ip)) => {
                let host_bits = 128u32.saturating_sub(self.prefix_len.into());
                let top = |bits: u128| bits.checked_shr(host_bits).unwrap_or(0);
                top(range.to_bits()) == top(ip.to_bits())
            }
            _ => false,
        }
    }
}

/// The terminal network filter of a chain.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Handler {
    /// `envoy.filters.network.http_connection_manager`.
    Http(Arc<HttpManager>),
    /// `envoy.filters.network.tcp_proxy`.
    Tcp(Arc<TcpProxy>),
}

/// `HttpConnectionManager`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HttpManager {
    /// Statistics prefix.
    pub stat_prefix: Arc<str>,
    /// Where routes come from.
    pub routes: RouteSource,
    /// Which codec.
    pub codec: Codec,
    /// `server` response header; Envoy's default is `envoy`.
    pub server_name: Arc<str>,
    /// What happens to a `server` header of the upstream's.
    pub server_header: ServerHeader,
    /// True at the edge: the peer's address is the client's, and its claims are not believed.
    pub use_remote_address: bool,
    /// Trusted hops of `x-forwarded-for`, counted from the right.
    pub xff_trusted_hops: u32,
    /// Peers whose `x-envoy-*` headers are believed (`internal_address_config`).
    pub internal_addresses: Vec<Cidr>,
    /// Makes an `x-request-id` where there is none.
    pub generate_request_id: bool,
    /// Keeps a client's `x-request-id` also at the edge.
    pub preserve_external_request_id: bool,
    /// Sends `x-request-id` on the response too.
    pub always_set_request_id_in_response: bool,
    /// `x-forwarded-client-cert`.
    pub forward_client_cert: ForwardClientCert,
    /// Fields of the certificate in `x-forwarded-client-cert` beside By and Hash.
    pub client_cert_details: ClientCertDetails,
    /// Removes dot segments from paths.
    pub normalize_path: bool,
    /// Joins runs of slashes in paths.
    pub merge_slashes: bool,
    /// What happens to `%2f` and `%5c` in paths.
    pub escaped_slashes: EscapedSlashes,
    /// Removes any port of the authority before routing and upstream (`strip_any_host_port`).
    pub strip_any_host_port: bool,
    /// Leaves `x-forwarded-for` as the peer sent it also at the edge.
    pub skip_xff_append: bool,
    /// Sends no `x-envoy-upstream-service-time` and no `x-envoy-expected-rq-timeout-ms`
    /// (the router filter's `suppress_envoy_headers`).
    pub suppress_envoy_headers: bool,
    /// Downstream connection without a request is closed after this; `None`: 1 h; zero: never.
    pub idle_timeout: Option<Duration>,
    /// A stream without progress ends after this; `None`: 5 min; zero: never.
    pub stream_idle_timeout: Option<Duration>,
    /// A whole request must be received within this; `None`: no bound.
    pub request_timeout: Option<Duration>,
    /// A request's head must be received within this; `None`: at the edge
    /// [`HEADERS_TIMEOUT`](super::edge::HEADERS_TIMEOUT),
    /// elsewhere no bound; zero: no bound.
    pub request_headers_timeout: Option<Duration>,
    /// Bytes of a request's head, at most (`max_request_headers_kb`).
    pub head_bytes_max: usize,
    /// Headers of a request, at most (`max_headers_count`).
    pub headers_max: usize,
    /// A connection is asked to leave with its so many-th request; `None`: no bound.
    pub requests_per_connection_max: Option<u32>,
    /// What HTTP/2 callers may do at once, as far as it is configured.
    pub http2: Http2Settings,
    /// Passes `expect: 100-continue` on, and tells the caller to go on when the upstream does. False: says so
    /// when the upstream takes the body.
    pub proxy_100_continue: bool,
    /// `upgrade` tokens let through, lower case, e.g. `websocket`.
    pub upgrades: Vec<Arc<str>>,
    /// HTTP filters before the router, in order. Names of filters that do nothing here are not kept.
    pub filters: Vec<HttpFilter>,
    /// Logs of its requests.
    pub access_logs: AccessLogs,
    /// Logs of its requests' attempts (the router's `upstream_log`).
    pub upstream_logs: AccessLogs,
}

impl HttpManager {
    /// A connection manager with these routes and Envoy's defaults for the rest.
    pub fn new(stat_prefix: impl Into<Arc<str>>, routes: RouteSource) -> Self {
        Self {
            stat_prefix: stat_prefix.into(),
            routes,
            codec: Codec::Auto,
            server_name: "envoy".into(),
            server_header: ServerHeader::Overwrite,
            use_remote_address: false,
            xff_trusted_hops: 0,
            internal_addresses: Vec::new(),
            generate_request_id: true,
            preserve_external_request_id: false,
            always_set_request_id_in_response: false,
            forward_client_cert: ForwardClientCert::Sanitize,
            client_cert_details: ClientCertDetails::default(),
            normalize_path: false,
            merge_slashes: false,
            escaped_slashes: EscapedSlashes::Strict,
            strip_any_host_port: false,
            skip_xff_append: false,
            suppress_envoy_headers: false,
            idle_timeout: None,
            stream_idle_timeout: None,
            request_timeout: None,
            request_headers_timeout: None,
            head_bytes_max: 60 * 1024,
            headers_max: 100,
            requests_per_connection_max: None,
            http2: Http2Settings::default(),
            proxy_100_continue: false,
            upgrades: Vec::new(),
            filters: Vec::new(),
            access_logs: AccessLogs::default(),
            upstream_logs: AccessLogs::default(),
        }
    }
}

/// `path_with_escaped_slashes_action`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum EscapedSlashes {
    /// Nothing is said of them: they are refused with 400, and so are escapes of escapes, broken escapes and
    /// escaped NULs, none of which two readers are sure to read alike. Envoy keeps them all.
    Strict,
    /// They stay as they are.
    Keep,
    /// The request is refused with 400.
    Reject,
    /// They become slashes and the client is redirected there with 307.
    UnescapeAndRedirect,
    /// They become slashes.
    UnescapeAndForward,
}

/// An HTTP filter before the router. Kinds are added as the proxy learns them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum HttpFilter {}

/// Where an HTTP connection manager finds its routes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum RouteSource {
    /// By this name, from RDS.
    Rds(Arc<str>),
    /// Written in the listener.
    Inline(Arc<RouteConfig>),
}

/// Codec of the downstream side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Codec {
    /// By ALPN, else by the HTTP/2 preface.
    Auto,
    /// HTTP/1 only.
    Http1,
    /// HTTP/2 only.
    Http2,
}

/// `server_header_transformation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum ServerHeader {
    /// Ours replaces the upstream's.
    Overwrite,
    /// Ours where the upstream sent none.
    AppendIfAbsent,
    /// The upstream's, or none.
    PassThrough,
}

/// `forward_client_cert_details`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum ForwardClientCert {
    /// Remove the header.
    Sanitize,
    /// Keep it on mTLS connections.
    ForwardOnly,
    /// Keep it and append ours, on mTLS connections.
    AppendForward,
    /// Replace it by ours, on mTLS connections.
    SanitizeSet,
    /// Keep it always.
    AlwaysForwardOnly,
}

/// `set_current_client_cert_details`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ClientCertDetails {
    /// `Subject`.
    pub subject: bool,
    /// `URI` SANs.
    pub uri: bool,
    /// `DNS` SANs.
    pub dns: bool,
}

/// `TcpProxy`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TcpProxy {
    /// Statistics prefix.
    pub stat_prefix: Arc<str>,
    /// Clusters with weights; one entry when there is no split. Weights are relative.
    pub clusters: Vec<(Arc<str>, u32)>,
    /// Connections without bytes are closed after this; `None`: 1 h; zero: never.
    pub idle_timeout: Option<Duration>,
    /// Attempts to connect; at least 1.
    pub connect_attempts_max: u32,
    /// Logs of its connections.
    pub access_logs: AccessLogs,
}
