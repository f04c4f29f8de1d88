//! Listeners, routes and clusters as xDS messages; each value is what a row needs, and nothing else is set.

use std::time::Duration;

use envoy_types::pb::envoy::config::accesslog::v3 as log;
use envoy_types::pb::envoy::config::cluster::v3 as cds;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::listener::v3 as lds;
use envoy_types::pb::envoy::config::route::v3 as rds;
use envoy_types::pb::envoy::extensions::access_loggers::stream::v3::{
    StderrAccessLog, stderr_access_log::AccessLogFormat,
};
use envoy_types::pb::envoy::extensions::filters::http::router::v3::Router;
use envoy_types::pb::envoy::extensions::filters::listener::tls_inspector::v3::TlsInspector;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3 as tcp;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as tls;
use envoy_types::pb::envoy::r#type::matcher::v3::{StringMatcher, string_matcher::MatchPattern};
use envoy_types::pb::google::protobuf::{Any, BoolValue};

use crate::foreign::shapes::{address, any, duration, number, text_format};
use crate::live::loopback;

/// What an access log line begins with.
pub const LOG_MARK: &str = "row\t";

/// The line, in the order of [`super::outcome::Line`].
const LOG_FORMAT: &str = "row\t%RESPONSE_CODE%\t%RESPONSE_FLAGS%\t%RESPONSE_CODE_DETAILS%\t\
%UPSTREAM_REQUEST_ATTEMPT_COUNT%\t%UPSTREAM_CLUSTER%\t%UPSTREAM_HOST%\t%ROUTE_NAME%\t%PROTOCOL%\t%REQ(:METHOD)%\t\
%REQ(:AUTHORITY)%\t%BYTES_RECEIVED%\t%BYTES_SENT%\t%REQUESTED_SERVER_NAME%\t\
%DOWNSTREAM_PEER_URI_SAN%\t%UPSTREAM_PEER_URI_SAN%\t%UPSTREAM_TRANSPORT_FAILURE_REASON%\t%DOWNSTREAM_TRANSPORT_FAILURE_REASON%\n";

/// Milliseconds.
pub fn ms(count: u64) -> Option<envoy_types::pb::google::protobuf::Duration> {
    duration(Duration::from_millis(count))
}

/// A wrapped switch.
pub fn switch(value: bool) -> Option<BoolValue> {
    Some(BoolValue { value })
}

fn access_log() -> Vec<log::AccessLog> {
    vec![stderr_log(LOG_FORMAT)]
}

/// A log of text on standard error.
pub fn stderr_log(format: &str) -> log::AccessLog {
    stderr_format(text_format(format))
}

/// A log on standard error.
pub fn stderr_format(format: core::SubstitutionFormatString) -> log::AccessLog {
    let config = StderrAccessLog { access_log_format: Some(AccessLogFormat::LogFormat(format)) };
    log::AccessLog {
        name: "envoy.access_loggers.stderr".to_owned(),
        config_type: Some(log::access_log::ConfigType::TypedConfig(any(&config))),
        ..Default::default()
    }
}

/// A connection manager over these virtual hosts: no request ids, quick to close.
pub fn manager(hosts: Vec<rds::VirtualHost>) -> hcm::HttpConnectionManager {
    let config = rds::RouteConfiguration { name: "rc".to_owned(), virtual_hosts: hosts, ..Default::default() };
    with_routes(config)
}

/// The same, over a whole route configuration.
pub fn with_routes(config: rds::RouteConfiguration) -> hcm::HttpConnectionManager {
    let config = rds::RouteConfiguration { validate_clusters: switch(false), ..config };
    hcm::HttpConnectionManager {
        stat_prefix: "h".to_owned(),
        route_specifier: Some(hcm::http_connection_manager::RouteSpecifier::RouteConfig(config)),
        http_filters: vec![router(&Router::default())],
        generate_request_id: switch(false),
        access_log: access_log(),
        delayed_close_timeout: ms(50),
        ..Default::default()
    }
}

/// The router as an HTTP filter.
pub fn router(config: &Router) -> hcm::HttpFilter {
    hcm::HttpFilter {
        name: "router".to_owned(),
        config_type: Some(hcm::http_filter::ConfigType::TypedConfig(any(config))),
        ..Default::default()
    }
}

/// A filter chain that ends in HTTP.
pub fn http_chain(name: &str, manager: &hcm::HttpConnectionManager) -> lds::FilterChain {
    chain(name, any(manager))
}

/// A filter chain that ends in a TCP proxy.
pub fn tcp_chain(name: &str, specifier: tcp::tcp_proxy::ClusterSpecifier) -> lds::FilterChain {
    let proxy = tcp::TcpProxy {
        stat_prefix: name.to_owned(),
        cluster_specifier: Some(specifier),
        access_log: access_log(),
        ..Default::default()
    };
    chain(name, any(&proxy))
}

fn chain(name: &str, config: Any) -> lds::FilterChain {
    let config_type = Some(lds::filter::ConfigType::TypedConfig(config));
    lds::FilterChain {
        name: name.to_owned(),
        filters: vec![lds::Filter { name: "last".to_owned(), config_type }],
        ..Default::default()
    }
}

/// A listener on a free port.
pub fn listener(name: &str, chains: Vec<lds::FilterChain>) -> lds::Listener {
    lds::Listener { name: name.to_owned(), address: address(loopback(0)), filter_chains: chains, ..Default::default() }
}

/// The same, looking for TLS first, and with lines of its own for what no filter chain logs.
pub fn inspecting(name: &str, chains: Vec<lds::FilterChain>, logs: bool) -> lds::Listener {
    let inspector = lds::ListenerFilter {
        name: "tls".to_owned(),
        config_type: Some(lds::listener_filter::ConfigType::TypedConfig(any(&TlsInspector::default()))),
        ..Default::default()
    };
    let access_log = if logs { access_log() } else { Vec::new() };
    lds::Listener { listener_filters: vec![inspector], access_log, ..listener(name, chains) }
}

/// TLS of a filter chain: the certificate `server`, callers judged by the roots `mesh`.
pub fn behind_tls(chain: lds::FilterChain, require: bool, san: Option<&str>) -> lds::FilterChain {
    let context = tls::DownstreamTlsContext {
        common_tls_context: Some(common(Some("server"), Some("mesh"), san, &["h2", "http/1.1"])),
        require_client_certificate: switch(require),
        ..Default::default()
    };
    lds::FilterChain { transport_socket: socket(any(&context)), ..chain }
}

/// TLS of a cluster.
pub fn speaking_tls(cluster: cds::Cluster, certificate: Option<&str>, roots: &str, san: Option<&str>) -> cds::Cluster {
    let context = tls::UpstreamTlsContext {
        common_tls_context: Some(common(certificate, Some(roots), san, &[])),
        sni: "srv.test".to_owned(),
        ..Default::default()
    };
    cds::Cluster { transport_socket: socket(any(&context)), ..cluster }
}

fn socket(config: Any) -> Option<core::TransportSocket> {
    let config_type = Some(core::transport_socket::ConfigType::TypedConfig(config));
    Some(core::TransportSocket { name: "envoy.transport_sockets.tls".to_owned(), config_type })
}

fn common(certificate: Option<&str>, roots: Option<&str>, san: Option<&str>, alpn: &[&str]) -> tls::CommonTlsContext {
    let secret = |name: &str| tls::SdsSecretConfig { name: name.to_owned(), sds_config: None };
    let matcher = |san: &str| tls::SubjectAltNameMatcher {
        san_type: tls::subject_alt_name_matcher::SanType::Uri as i32,
        matcher: Some(StringMatcher { match_pattern: Some(MatchPattern::Exact(san.to_owned())), ..Default::default() }),
        ..Default::default()
    };
    let validation = roots.map(|roots| tls::common_tls_context::CombinedCertificateValidationContext {
        default_validation_context: Some(tls::CertificateValidationContext {
            match_typed_subject_alt_names: san.map(matcher).into_iter().collect(),
            ..Default::default()
        }),
        validation_context_sds_secret_config: Some(secret(roots)),
        ..Default::default()
    });
    tls::CommonTlsContext {
        tls_params: Some(tls::TlsParameters {
            tls_minimum_protocol_version: tls::tls_parameters::TlsProtocol::TlSv12 as i32,
            tls_maximum_protocol_version: tls::tls_parameters::TlsProtocol::TlSv13 as i32,
            ..Default::default()
        }),
        tls_certificate_sds_secret_configs: certificate.map(secret).into_iter().collect(),
        validation_context_type: validation
            .map(tls::common_tls_context::ValidationContextType::CombinedValidationContext),
        alpn_protocols: alpn.iter().map(|name| (*name).to_owned()).collect(),
        ..Default::default()
    }
}

/// A cluster of these endpoints, each with its health.
pub fn cluster(name: &str, endpoints: &[(std::net::SocketAddr, core::HealthStatus)]) -> cds::Cluster {
    cds::Cluster {
        name: name.to_owned(),
        cluster_discovery_type: Some(cds::cluster::ClusterDiscoveryType::Type(
            cds::cluster::DiscoveryType::Static as i32,
        )),
        load_assignment: Some(crate::foreign::shapes::assignment(name, endpoints)),
        connect_timeout: ms(500),
        ..Default::default()
    }
}

/// Thresholds of a cluster, each where it is given.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Connections.
    pub connections: Option<u32>,
    /// Requests that wait for a connection.
    pub pending: Option<u32>,
    /// Requests.
    pub requests: Option<u32>,
    /// Retries at once.
    pub retries: Option<u32>,
}

/// A cluster with circuit breakers.
pub fn limited(cluster: cds::Cluster, limits: Limits) -> cds::Cluster {
    let thresholds = cds::circuit_breakers::Thresholds {
        max_connections: limits.connections.and_then(number),
        max_pending_requests: limits.pending.and_then(number),
        max_requests: limits.requests.and_then(number),
        max_retries: limits.retries.and_then(number),
        ..Default::default()
    };
    let breakers = cds::CircuitBreakers { thresholds: vec![thresholds], ..Default::default() };
    cds::Cluster { circuit_breakers: Some(breakers), ..cluster }
}

/// A route to a cluster, without a timeout of its own.
pub fn to(cluster: &str) -> rds::RouteAction {
    rds::RouteAction {
        cluster_specifier: Some(rds::route_action::ClusterSpecifier::Cluster(cluster.to_owned())),
        ..Default::default()
    }
}

/// A route to clusters by weight.
pub fn split(arms: &[(&str, u32)]) -> rds::RouteAction {
    let clusters = arms.iter().map(|(name, weight)| rds::weighted_cluster::ClusterWeight {
        name: (*name).to_owned(),
        weight: number(*weight),
        ..Default::default()
    });
    rds::RouteAction {
        cluster_specifier: Some(rds::route_action::ClusterSpecifier::WeightedClusters(rds::WeightedCluster {
            clusters: clusters.collect(),
            ..Default::default()
        })),
        ..Default::default()
    }
}

/// A retry policy.
pub fn retry(on: &str, count: u32) -> rds::RetryPolicy {
    rds::RetryPolicy { retry_on: on.to_owned(), num_retries: number(count), ..Default::default() }
}

/// The policy that Istio gives a route that has none.
pub fn istio_retry() -> rds::RetryPolicy {
    let predicate = rds::retry_policy::RetryHostPredicate {
        name: "envoy.retry_host_predicates.previous_hosts".to_owned(),
        config_type: Some(rds::retry_policy::retry_host_predicate::ConfigType::TypedConfig(Any {
            type_url: "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                .to_owned(),
            value: Vec::new(),
        })),
    };
    rds::RetryPolicy {
        retriable_status_codes: vec![503],
        retry_host_predicate: vec![predicate],
        host_selection_retry_max_attempts: 5,
        ..retry("connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes", 2)
    }
}

/// With retries.
pub fn retrying(action: rds::RouteAction, policy: rds::RetryPolicy) -> rds::RouteAction {
    rds::RouteAction { retry_policy: Some(policy), ..action }
}
