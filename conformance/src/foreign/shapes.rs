//! xDS messages as another control plane writes them.

use std::net::SocketAddr;
use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3 as cds;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::endpoint::v3 as eds;
use envoy_types::pb::envoy::config::listener::v3 as lds;
use envoy_types::pb::envoy::config::route::v3 as rds;
use envoy_types::pb::envoy::extensions::compression::gzip::compressor::v3::Gzip;
use envoy_types::pb::envoy::extensions::filters::http::compressor::v3::Compressor;
use envoy_types::pb::envoy::extensions::filters::http::cors::v3::Cors;
use envoy_types::pb::envoy::extensions::filters::http::grpc_stats::v3::FilterConfig as GrpcStats;
use envoy_types::pb::envoy::extensions::filters::http::router::v3::Router;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3 as tcp;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::{
    ExplicitHttpConfig, UpstreamProtocolOptions, explicit_http_config::ProtocolConfig,
};
use envoy_types::pb::google::protobuf::{Any, BoolValue, Duration as ProtoDuration, UInt32Value};
use prost::{Message, Name};

/// A message with its type.
pub fn any<M: Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}

/// A wrapped number.
pub fn number(value: u32) -> Option<UInt32Value> {
    Some(UInt32Value { value })
}

/// A duration.
pub fn duration(value: Duration) -> Option<ProtoDuration> {
    let seconds = i64::try_from(value.as_secs()).unwrap_or(i64::MAX);
    Some(ProtoDuration { seconds, nanos: value.subsec_nanos().cast_signed() })
}

/// A wrapped `true`.
pub fn yes() -> Option<BoolValue> {
    Some(BoolValue { value: true })
}

/// The same cluster, whose endpoints speak HTTP/2 with prior knowledge.
pub fn speaking_http2(cluster: cds::Cluster) -> cds::Cluster {
    let http2 = ProtocolConfig::Http2ProtocolOptions(core::Http2ProtocolOptions::default());
    let explicit = ExplicitHttpConfig { protocol_config: Some(http2) };
    let options = any(&HttpProtocolOptions {
        upstream_protocol_options: Some(UpstreamProtocolOptions::ExplicitHttpConfig(explicit)),
        ..Default::default()
    });
    let key = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions".to_owned();
    cds::Cluster { typed_extension_protocol_options: [(key, options)].into_iter().collect(), ..cluster }
}

/// A format of text.
pub fn text_format(format: &str) -> core::SubstitutionFormatString {
    let source = core::DataSource {
        specifier: Some(core::data_source::Specifier::InlineString(format.to_owned())),
        ..Default::default()
    };
    core::SubstitutionFormatString {
        format: Some(core::substitution_format_string::Format::TextFormatSource(source)),
        ..Default::default()
    }
}

/// From the stream that everything comes from.
pub fn ads() -> Option<core::ConfigSource> {
    Some(core::ConfigSource {
        resource_api_version: core::ApiVersion::V3 as i32,
        config_source_specifier: Some(core::config_source::ConfigSourceSpecifier::Ads(core::AggregatedConfigSource {})),
        ..Default::default()
    })
}

/// A TCP address, with the switches that some servers always set.
pub fn address(addr: SocketAddr) -> Option<core::Address> {
    let socket = core::SocketAddress {
        protocol: core::socket_address::Protocol::Tcp as i32,
        address: addr.ip().to_string(),
        ipv4_compat: addr.is_ipv6(),
        port_specifier: Some(core::socket_address::PortSpecifier::PortValue(addr.port().into())),
        ..Default::default()
    };
    Some(core::Address { address: Some(core::address::Address::SocketAddress(socket)) })
}

/// Endpoints in one locality, each with its health.
pub fn assignment(name: &str, endpoints: &[(SocketAddr, core::HealthStatus)]) -> eds::ClusterLoadAssignment {
    let endpoint = |(addr, health): &(SocketAddr, core::HealthStatus)| eds::LbEndpoint {
        health_status: *health as i32,
        load_balancing_weight: number(1),
        host_identifier: Some(eds::lb_endpoint::HostIdentifier::Endpoint(eds::Endpoint {
            address: address(*addr),
            hostname: "pod-9".to_owned(),
            ..Default::default()
        })),
        ..Default::default()
    };
    let locality = eds::LocalityLbEndpoints {
        locality: Some(core::Locality { region: "mars".to_owned(), zone: "mars-1".to_owned(), ..Default::default() }),
        load_balancing_weight: number(100),
        lb_endpoints: endpoints.iter().map(endpoint).collect(),
        ..Default::default()
    };
    eds::ClusterLoadAssignment { cluster_name: name.to_owned(), endpoints: vec![locality], ..Default::default() }
}

/// A cluster whose endpoints come under `service_name`; empty: under its own name.
pub fn eds_cluster(name: &str, service_name: &str) -> cds::Cluster {
    cds::Cluster {
        name: name.to_owned(),
        alt_stat_name: name.replace('/', "_"),
        cluster_discovery_type: discovered(cds::cluster::DiscoveryType::Eds),
        eds_cluster_config: Some(cds::cluster::EdsClusterConfig {
            eds_config: ads(),
            service_name: service_name.to_owned(),
        }),
        connect_timeout: duration(Duration::from_secs(2)),
        lb_policy: cds::cluster::LbPolicy::LeastRequest as i32,
        common_lb_config: Some(cds::cluster::CommonLbConfig {
            healthy_panic_threshold: Some(Default::default()),
            ..Default::default()
        }),
        ignore_health_on_host_removal: true,
        ..Default::default()
    }
}

/// A cluster with its endpoints in it.
pub fn static_cluster(name: &str, endpoint: SocketAddr) -> cds::Cluster {
    cds::Cluster {
        name: name.to_owned(),
        cluster_discovery_type: discovered(cds::cluster::DiscoveryType::Static),
        load_assignment: Some(assignment(name, &[(endpoint, core::HealthStatus::Unknown)])),
        connect_timeout: duration(Duration::from_millis(250)),
        dns_lookup_family: cds::cluster::DnsLookupFamily::V4Only as i32,
        ..Default::default()
    }
}

fn discovered(kind: cds::cluster::DiscoveryType) -> Option<cds::cluster::ClusterDiscoveryType> {
    Some(cds::cluster::ClusterDiscoveryType::Type(kind as i32))
}

/// Where a listener's routes are.
pub enum Routes {
    /// In the route configuration of this name.
    Named(&'static str),
    /// Here.
    Inline(Box<rds::RouteConfiguration>),
}

/// A listener with filters before the router that do nothing.
pub fn listener(name: &str, at: SocketAddr, routes: Routes) -> lds::Listener {
    let routes = match routes {
        Routes::Named(name) => hcm::http_connection_manager::RouteSpecifier::Rds(hcm::Rds {
            route_config_name: name.to_owned(),
            config_source: ads(),
        }),
        Routes::Inline(config) => hcm::http_connection_manager::RouteSpecifier::RouteConfig(*config),
    };
    let manager = hcm::HttpConnectionManager {
        stat_prefix: "ingress_http".to_owned(),
        route_specifier: Some(routes),
        http_filters: filters(),
        use_remote_address: yes(),
        normalize_path: yes(),
        merge_slashes: true,
        preserve_external_request_id: true,
        stream_idle_timeout: duration(Duration::from_secs(300)),
        drain_timeout: duration(Duration::from_secs(5)),
        strip_port_mode: Some(hcm::http_connection_manager::StripPortMode::StripAnyHostPort(true)),
        ..Default::default()
    };
    with_filter(name, at, "hcm", any(&manager))
}

/// A listener that passes bytes to a cluster.
pub fn tcp_listener(name: &str, at: SocketAddr, cluster: &str) -> lds::Listener {
    let proxy = tcp::TcpProxy {
        stat_prefix: "raw".to_owned(),
        cluster_specifier: Some(tcp::tcp_proxy::ClusterSpecifier::Cluster(cluster.to_owned())),
        idle_timeout: duration(Duration::from_secs(9001)),
        ..Default::default()
    };
    with_filter(name, at, "tcp-out", any(&proxy))
}

fn with_filter(name: &str, at: SocketAddr, filter: &str, config: Any) -> lds::Listener {
    let config_type = Some(lds::filter::ConfigType::TypedConfig(config));
    let filter = lds::Filter { name: filter.to_owned(), config_type };
    lds::Listener {
        name: name.to_owned(),
        address: address(at),
        per_connection_buffer_limit_bytes: number(32_768),
        filter_chains: vec![lds::FilterChain {
            name: format!("{name}-chain"),
            filters: vec![filter],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// One filter that nobody knows but that may be passed over, one that is off, two that wait for
/// configuration on a route, and the router, under names of the server's choice.
fn filters() -> Vec<hcm::HttpFilter> {
    let unknown = |kind: &str| Any { type_url: format!("type.googleapis.com/{kind}"), value: vec![8, 1] };
    let named = |name: &str, config: Any| hcm::HttpFilter {
        name: name.to_owned(),
        config_type: Some(hcm::http_filter::ConfigType::TypedConfig(config)),
        ..Default::default()
    };
    vec![
        hcm::HttpFilter { is_optional: true, ..named("wasm/tally", unknown("acme.filters.http.tally.v9.Tally")) },
        hcm::HttpFilter { disabled: true, ..named("compress", any(&compressor())) },
        named("cors", any(&Cors {})),
        named("grpc_stats", any(&GrpcStats { emit_filter_state: true, ..Default::default() })),
        named("http-router", any(&Router::default())),
    ]
}

fn compressor() -> Compressor {
    let library = core::TypedExtensionConfig { name: "gzip".to_owned(), typed_config: Some(any(&Gzip::default())) };
    Compressor { compressor_library: Some(library), ..Default::default() }
}

/// A rule on the path.
pub fn path(specifier: rds::route_match::PathSpecifier) -> rds::RouteMatch {
    rds::RouteMatch { path_specifier: Some(specifier), ..Default::default() }
}

/// Every path below `prefix`, by text.
pub fn prefix(prefix: &str) -> rds::RouteMatch {
    path(rds::route_match::PathSpecifier::Prefix(prefix.to_owned()))
}

/// A route to a cluster.
pub fn to_cluster(cluster: &str) -> rds::RouteAction {
    rds::RouteAction {
        cluster_specifier: Some(rds::route_action::ClusterSpecifier::Cluster(cluster.to_owned())),
        timeout: duration(Duration::from_secs(15)),
        ..Default::default()
    }
}

/// A route.
pub fn route(name: &str, matches: rds::RouteMatch, action: rds::route::Action) -> rds::Route {
    rds::Route { name: name.to_owned(), r#match: Some(matches), action: Some(action), ..Default::default() }
}

/// An answer of the proxy's own.
pub fn direct(status: u32, body: &str) -> rds::route::Action {
    rds::route::Action::DirectResponse(rds::DirectResponseAction {
        status,
        body: Some(core::DataSource {
            specifier: Some(core::data_source::Specifier::InlineString(body.to_owned())),
            ..Default::default()
        }),
        ..Default::default()
    })
}

/// A virtual host.
pub fn virtual_host(name: &str, domains: &[&str], routes: Vec<rds::Route>) -> rds::VirtualHost {
    let domains = domains.iter().map(|domain| (*domain).to_owned()).collect();
    rds::VirtualHost { name: name.to_owned(), domains, routes, ..Default::default() }
}

/// A header that is set on the way to an endpoint.
pub fn set_header(name: &str, value: &str) -> core::HeaderValueOption {
    core::HeaderValueOption {
        header: Some(core::HeaderValue { key: name.to_owned(), value: value.to_owned(), ..Default::default() }),
        append_action: core::header_value_option::HeaderAppendAction::OverwriteIfExistsOrAdd as i32,
        ..Default::default()
    }
}
