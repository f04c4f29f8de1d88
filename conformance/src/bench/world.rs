//! The configuration of a row, as xDS messages: one listener, its routes, its cluster.

use std::net::SocketAddr;
use std::time::Duration;

use envoy_types::pb::envoy::config::accesslog::v3 as log;
use envoy_types::pb::envoy::config::cluster::v3 as cds;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::listener::v3 as lds;
use envoy_types::pb::envoy::config::route::v3 as rds;
use envoy_types::pb::envoy::extensions::access_loggers::file::v3::{FileAccessLog, file_access_log};
use envoy_types::pb::envoy::extensions::filters::http::router::v3::Router;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3 as tcp;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as tls;
use envoy_types::pb::envoy::r#type::matcher::v3::{StringMatcher, string_matcher::MatchPattern};
use envoy_types::pb::google::protobuf::{Any, BoolValue};
use wavetank_control::Dialect;

use super::ads::Resources;
use super::pki::{CERTIFICATE, ORIGIN_NAME, ROOTS};
use crate::foreign::shapes::{
    ads, any, duration, number, prefix, route, set_header, speaking_http2, static_cluster, text_format, to_cluster,
    virtual_host,
};

/// Name of the listener, the route configuration and the cluster of every row.
pub const NAME: &str = "bench";
/// Name of the smaller cluster of a split.
const CANARY: &str = "bench-canary";

/// What is served, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One route, HTTP.
    Plain {
        /// The cluster speaks HTTP/2.
        http2_up: bool,
    },
    /// One route, TLS with a client certificate before it.
    Secure,
    /// A sidecar's: virtual hosts, header matches, splits, retries, an access log.
    Sidecar {
        /// Virtual hosts.
        hosts: usize,
        /// mTLS on both legs.
        mutual: bool,
    },
    /// As many virtual hosts, and as many exact paths in the one that is asked for.
    Lookup(usize),
    /// Bytes.
    Tcp,
}

impl Shape {
    /// Whether callers speak mTLS.
    pub fn is_secure(self) -> bool {
        matches!(self, Self::Secure | Self::Sidecar { mutual: true, .. })
    }
}

/// Where a row's configuration leads.
#[derive(Debug, Clone, Copy)]
pub struct Places {
    /// Where the proxy listens.
    pub listen: SocketAddr,
    /// What its cluster connects to.
    pub origin: SocketAddr,
}

/// What differs between the two uses of Envoy.
#[derive(Debug, Clone)]
pub struct Manner {
    /// No request ids, no dynamic statistics, no headers of its own, no timeouts.
    pub lean: bool,
    /// File of the access log, where the row has one.
    pub log: String,
}

/// The resources of a row.
pub fn resources(shape: Shape, places: Places, manner: &Manner) -> Resources {
    let clusters = clusters(shape, places.origin);
    let mut resources = Resources::new();
    let mut add = |name: &str, resource: Any| {
        resources.entry(resource.type_url.clone()).or_default().insert(name.to_owned(), resource);
    };
    for cluster in &clusters {
        add(&cluster.name, any(cluster));
    }
    add(NAME, any(&listener(shape, places.listen, manner)));
    if shape != Shape::Tcp {
        add(NAME, any(&routes(shape, manner, "")));
    }
    resources
}

/// The listener.
pub fn listener(shape: Shape, listen: SocketAddr, manner: &Manner) -> lds::Listener {
    let filter = match shape {
        Shape::Tcp => any(&tcp::TcpProxy {
            stat_prefix: NAME.to_owned(),
            cluster_specifier: Some(tcp::tcp_proxy::ClusterSpecifier::Cluster(NAME.to_owned())),
            ..Default::default()
        }),
        _ => any(&manager(shape, manner)),
    };
    let config_type = Some(lds::filter::ConfigType::TypedConfig(filter));
    let chain = lds::FilterChain {
        name: NAME.to_owned(),
        filters: vec![lds::Filter { name: NAME.to_owned(), config_type }],
        transport_socket: shape.is_secure().then(downstream_tls),
        ..Default::default()
    };
    lds::Listener {
        name: NAME.to_owned(),
        address: crate::foreign::shapes::address(listen),
        filter_chains: vec![chain],
        ..Default::default()
    }
}

/// The same with its routes in it.
pub fn inlined(shape: Shape, listen: SocketAddr, manner: &Manner) -> lds::Listener {
    let mut listener = listener(shape, listen, manner);
    let routes = hcm::http_connection_manager::RouteSpecifier::RouteConfig(routes(shape, manner, ""));
    let manager = hcm::HttpConnectionManager { route_specifier: Some(routes), ..manager(shape, manner) };
    for chain in &mut listener.filter_chains {
        for filter in &mut chain.filters {
            filter.config_type = Some(lds::filter::ConfigType::TypedConfig(any(&manager)));
        }
    }
    listener
}

fn manager(shape: Shape, manner: &Manner) -> hcm::HttpConnectionManager {
    let router = Router {
        dynamic_stats: manner.lean.then_some(BoolValue { value: false }),
        suppress_envoy_headers: manner.lean,
        ..Default::default()
    };
    let router = hcm::HttpFilter {
        name: "router".to_owned(),
        config_type: Some(hcm::http_filter::ConfigType::TypedConfig(any(&router))),
        ..Default::default()
    };
    let logs = matches!(shape, Shape::Sidecar { .. });
    let off = || manner.lean.then(Duration::default).and_then(duration);
    hcm::HttpConnectionManager {
        stat_prefix: NAME.to_owned(),
        route_specifier: Some(hcm::http_connection_manager::RouteSpecifier::Rds(hcm::Rds {
            route_config_name: NAME.to_owned(),
            config_source: ads(),
        })),
        http_filters: vec![router],
        generate_request_id: Some(BoolValue { value: !manner.lean }),
        stream_idle_timeout: off(),
        access_log: if logs { vec![access_log(&manner.log)] } else { Vec::new() },
        ..Default::default()
    }
}

fn access_log(path: &str) -> log::AccessLog {
    let config = FileAccessLog {
        path: path.to_owned(),
        access_log_format: Some(file_access_log::AccessLogFormat::LogFormat(text_format(
            Dialect::V1.access_log_text(true),
        ))),
    };
    log::AccessLog {
        name: "envoy.access_loggers.file".to_owned(),
        config_type: Some(log::access_log::ConfigType::TypedConfig(any(&config))),
        ..Default::default()
    }
}

/// The routes. `mark` is put into one virtual host, so that two marks make two versions.
pub fn routes(shape: Shape, manner: &Manner, mark: &str) -> rds::RouteConfiguration {
    let action = |action: rds::RouteAction| {
        let timeout = if manner.lean { duration(Duration::ZERO) } else { action.timeout };
        rds::route::Action::Route(rds::RouteAction { timeout, ..action })
    };
    let virtual_hosts = match shape {
        Shape::Sidecar { hosts, .. } => (0..hosts).map(|number| sidecar_host(number, mark, &action)).collect(),
        Shape::Lookup(count) => (0..count)
            .map(|number| {
                let paths = if number + 1 == count { count } else { 1 };
                let exact = |path| {
                    let exact = rds::route_match::PathSpecifier::Path(format!("/{path}"));
                    route("", crate::foreign::shapes::path(exact), action(to_cluster(NAME)))
                };
                virtual_host(&host_name(number), &[&host_name(number)], (0..paths).map(exact).collect())
            })
            .collect(),
        _ => vec![virtual_host("all", &["*"], vec![route("", prefix("/"), action(to_cluster(NAME)))])],
    };
    rds::RouteConfiguration { name: NAME.to_owned(), virtual_hosts, ..Default::default() }
}

/// Domain of a virtual host.
pub fn host_name(number: usize) -> String {
    format!("svc-{number}.default.svc.cluster.local")
}

/// Five routes, each on another value of a header; the last one is taken by the load.
fn sidecar_host(
    number: usize,
    mark: &str,
    action: &impl Fn(rds::RouteAction) -> rds::route::Action,
) -> rds::VirtualHost {
    let one = |version: usize| {
        let value =
            StringMatcher { match_pattern: Some(MatchPattern::Exact(format!("v{version}"))), ..Default::default() };
        let header = rds::HeaderMatcher {
            name: "x-version".to_owned(),
            header_match_specifier: Some(rds::header_matcher::HeaderMatchSpecifier::StringMatch(value)),
            ..Default::default()
        };
        let matches = rds::RouteMatch { headers: vec![header], ..prefix("/") };
        route(&format!("route-{version}"), matches, action(split()))
    };
    let name = host_name(number);
    let short = format!("svc-{number}");
    let added = if number == 0 { format!("1{mark}") } else { "1".to_owned() };
    rds::VirtualHost {
        request_headers_to_add: vec![set_header("x-added", &added)],
        ..virtual_host(&format!("{name}:80"), &[&name, &short, &format!("{name}:80")], (0..5).map(one).collect())
    }
}

fn split() -> rds::RouteAction {
    let arm = |name: &str, weight| rds::weighted_cluster::ClusterWeight {
        name: name.to_owned(),
        weight: number(weight),
        ..Default::default()
    };
    let weighted = rds::WeightedCluster { clusters: vec![arm(NAME, 90), arm(CANARY, 10)], ..Default::default() };
    let policy = rds::RetryPolicy {
        retry_on: "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes".to_owned(),
        retriable_status_codes: vec![503],
        num_retries: number(2),
        ..Default::default()
    };
    rds::RouteAction {
        cluster_specifier: Some(rds::route_action::ClusterSpecifier::WeightedClusters(weighted)),
        retry_policy: Some(policy),
        ..to_cluster(NAME)
    }
}

/// The clusters, with their endpoint in them.
pub fn clusters(shape: Shape, origin: SocketAddr) -> Vec<cds::Cluster> {
    let one = |name: &str| {
        let mut cluster = static_cluster(name, origin);
        if shape == (Shape::Plain { http2_up: true }) {
            cluster = speaking_http2(cluster);
        }
        if matches!(shape, Shape::Sidecar { mutual: true, .. }) {
            cluster.transport_socket = Some(upstream_tls());
        }
        cluster
    };
    let names: &[&str] = if matches!(shape, Shape::Sidecar { .. }) { &[NAME, CANARY] } else { &[NAME] };
    names.iter().map(|name| cds::Cluster { circuit_breakers: wide(), ..one(name) }).collect()
}

/// Thresholds that no row reaches.
fn wide() -> Option<cds::CircuitBreakers> {
    let many = number(1_000_000);
    let thresholds = cds::circuit_breakers::Thresholds {
        max_connections: many,
        max_pending_requests: many,
        max_requests: many,
        ..Default::default()
    };
    Some(cds::CircuitBreakers { thresholds: vec![thresholds], ..Default::default() })
}

fn downstream_tls() -> core::TransportSocket {
    socket(any(&tls::DownstreamTlsContext {
        common_tls_context: Some(common_tls()),
        require_client_certificate: Some(BoolValue { value: true }),
        disable_stateful_session_resumption: true,
        session_ticket_keys_type: Some(
            tls::downstream_tls_context::SessionTicketKeysType::DisableStatelessSessionResumption(true),
        ),
        ..Default::default()
    }))
}

fn upstream_tls() -> core::TransportSocket {
    socket(any(&tls::UpstreamTlsContext {
        common_tls_context: Some(common_tls()),
        sni: ORIGIN_NAME.to_owned(),
        ..Default::default()
    }))
}

fn socket(config: Any) -> core::TransportSocket {
    let config_type = Some(core::transport_socket::ConfigType::TypedConfig(config));
    core::TransportSocket { name: "envoy.transport_sockets.tls".to_owned(), config_type }
}

/// TLS 1.3 with the same certificate, roots and key exchange for everyone.
fn common_tls() -> tls::CommonTlsContext {
    let secret = |name: &str| tls::SdsSecretConfig { name: name.to_owned(), sds_config: None };
    let version = tls::tls_parameters::TlsProtocol::TlSv13 as i32;
    tls::CommonTlsContext {
        tls_params: Some(tls::TlsParameters {
            tls_minimum_protocol_version: 0,
            tls_maximum_protocol_version: version,
            ecdh_curves: vec!["X25519".to_owned()],
            ..Default::default()
        }),
        tls_certificate_sds_secret_configs: vec![secret(CERTIFICATE)],
        alpn_protocols: vec!["http/1.1".to_owned()],
        validation_context_type: Some(
            tls::common_tls_context::ValidationContextType::ValidationContextSdsSecretConfig(secret(ROOTS)),
        ),
        ..Default::default()
    }
}
