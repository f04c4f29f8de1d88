//! Small resources as a server sends them.

use envoy_types::pb::envoy::config::accesslog::v3 as log;
use envoy_types::pb::envoy::config::cluster::v3 as cds;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::endpoint::v3 as eds;
use envoy_types::pb::envoy::config::listener::v3 as lds;
use envoy_types::pb::envoy::config::route::v3 as rds;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use envoy_types::pb::google::protobuf::{Any, Duration};
use prost::Message;

pub(crate) const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
pub(crate) const ASSIGNMENT: &str = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
pub(crate) const LISTENER: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
pub(crate) const ROUTE: &str = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";

/// Wraps a message as xDS carries it.
pub(crate) fn any<M: Message>(type_url: &str, message: &M) -> Any {
    Any { type_url: type_url.to_owned(), value: message.encode_to_vec() }
}

/// A cluster with endpoints from EDS, under its own name.
pub(crate) fn cluster(name: &str, connect_seconds: i64) -> Any {
    let cluster = cds::Cluster {
        name: name.to_owned(),
        cluster_discovery_type: Some(cds::cluster::ClusterDiscoveryType::Type(cds::cluster::DiscoveryType::Eds as i32)),
        eds_cluster_config: Some(cds::cluster::EdsClusterConfig { eds_config: Some(ads()), ..Default::default() }),
        connect_timeout: Some(Duration { seconds: connect_seconds, nanos: 0 }),
        ..Default::default()
    };
    any(CLUSTER, &cluster)
}

/// One endpoint on `10.0.0.1`.
pub(crate) fn assignment(name: &str, port: u32) -> Any {
    let endpoint = eds::LbEndpoint {
        host_identifier: Some(eds::lb_endpoint::HostIdentifier::Endpoint(eds::Endpoint {
            address: Some(address("10.0.0.1", port)),
            ..Default::default()
        })),
        ..Default::default()
    };
    let locality = eds::LocalityLbEndpoints { lb_endpoints: vec![endpoint], ..Default::default() };
    let assignment =
        eds::ClusterLoadAssignment { cluster_name: name.to_owned(), endpoints: vec![locality], ..Default::default() };
    any(ASSIGNMENT, &assignment)
}

/// An HTTP listener with routes from RDS.
pub(crate) fn listener(name: &str, port: u32, routes: &str) -> Any {
    logging_listener(name, port, routes, Vec::new())
}

/// The same, with access logs.
pub(crate) fn logging_listener(name: &str, port: u32, routes: &str, access_log: Vec<log::AccessLog>) -> Any {
    let router = any("type.googleapis.com/envoy.extensions.filters.http.router.v3.Router", &());
    let manager = hcm::HttpConnectionManager {
        stat_prefix: "http".to_owned(),
        access_log,
        route_specifier: Some(hcm::http_connection_manager::RouteSpecifier::Rds(hcm::Rds {
            route_config_name: routes.to_owned(),
            config_source: Some(ads()),
        })),
        http_filters: vec![hcm::HttpFilter {
            name: "envoy.filters.http.router".to_owned(),
            config_type: Some(hcm::http_filter::ConfigType::TypedConfig(router)),
            ..Default::default()
        }],
        ..Default::default()
    };
    let manager = any(
        "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        &manager,
    );
    let filter = lds::Filter {
        name: "envoy.filters.network.http_connection_manager".to_owned(),
        config_type: Some(lds::filter::ConfigType::TypedConfig(manager)),
    };
    let listener = lds::Listener {
        name: name.to_owned(),
        address: Some(address("0.0.0.0", port)),
        filter_chains: vec![lds::FilterChain { filters: vec![filter], ..Default::default() }],
        ..Default::default()
    };
    any(LISTENER, &listener)
}

/// Everything to one cluster.
pub(crate) fn route(name: &str, cluster: &str) -> Any {
    let action = rds::RouteAction {
        cluster_specifier: Some(rds::route_action::ClusterSpecifier::Cluster(cluster.to_owned())),
        ..Default::default()
    };
    let route = rds::Route {
        r#match: Some(rds::RouteMatch {
            path_specifier: Some(rds::route_match::PathSpecifier::Prefix("/".to_owned())),
            ..Default::default()
        }),
        action: Some(rds::route::Action::Route(action)),
        ..Default::default()
    };
    let host = rds::VirtualHost {
        name: "all".to_owned(),
        domains: vec!["*".to_owned()],
        routes: vec![route],
        ..Default::default()
    };
    let config = rds::RouteConfiguration { name: name.to_owned(), virtual_hosts: vec![host], ..Default::default() };
    any(ROUTE, &config)
}

fn ads() -> core::ConfigSource {
    core::ConfigSource {
        resource_api_version: core::ApiVersion::V3 as i32,
        config_source_specifier: Some(core::config_source::ConfigSourceSpecifier::Ads(core::AggregatedConfigSource {})),
        ..Default::default()
    }
}

fn address(ip: &str, port: u32) -> core::Address {
    core::Address {
        address: Some(core::address::Address::SocketAddress(core::SocketAddress {
            address: ip.to_owned(),
            port_specifier: Some(core::socket_address::PortSpecifier::PortValue(port)),
            ..Default::default()
        })),
    }
}
