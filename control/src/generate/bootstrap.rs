//! One proxy's resources as a static Envoy bootstrap, for `envoy --mode validate`.
//!
//! Routes and endpoints stand in place of their names, since a validating Envoy fetches nothing.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::config::bootstrap::v3::{Bootstrap, bootstrap::StaticResources};
use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{ClusterDiscoveryType, DiscoveryType};
use envoy_types::pb::envoy::config::core::v3::{Http2ProtocolOptions, Node};
use envoy_types::pb::envoy::config::endpoint::v3::{
    ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints, lb_endpoint,
};
use envoy_types::pb::envoy::config::listener::v3::{Filter, Listener, filter};
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, http_connection_manager::RouteSpecifier,
};
use envoy_types::pb::envoy::extensions::upstreams::http::v3 as http;
use prost::{Message, Name};

use super::resources::Resources;
use super::{metadata, shape, upstream_protocol};

/// A bootstrap that holds all of `resources`, for the node `node_id`.
///
/// Its `encode_to_vec` is a binary bootstrap, which Envoy reads from a file named `*.pb`.
pub fn static_bootstrap(resources: &Resources, node_id: &str) -> Bootstrap {
    let routes: BTreeMap<&str, &RouteConfiguration> =
        resources.routes.iter().map(|routes| (routes.name.as_str(), routes)).collect();
    let endpoints: BTreeMap<&str, &ClusterLoadAssignment> =
        resources.endpoints.iter().map(|assignment| (assignment.cluster_name.as_str(), assignment)).collect();
    let mut clusters: Vec<Cluster> =
        resources.clusters.iter().map(|cluster| with_endpoints(cluster.clone(), &endpoints)).collect();
    clusters.push(secret_server());
    let listeners = resources.listeners.iter().map(|listener| with_routes(listener.clone(), &routes)).collect();
    Bootstrap {
        node: Some(Node { id: node_id.to_owned(), cluster: "wavetank".to_owned(), ..Default::default() }),
        static_resources: Some(StaticResources { listeners, clusters, ..Default::default() }),
        ..Default::default()
    }
}

fn with_endpoints(mut cluster: Cluster, endpoints: &BTreeMap<&str, &ClusterLoadAssignment>) -> Cluster {
    if cluster.eds_cluster_config.take().is_some() {
        cluster.cluster_discovery_type = Some(ClusterDiscoveryType::Type(DiscoveryType::Static as i32));
        let known = endpoints.get(cluster.name.as_str()).map(|known| (*known).clone());
        let empty = || ClusterLoadAssignment { cluster_name: cluster.name.clone(), ..Default::default() };
        cluster.load_assignment = Some(known.unwrap_or_else(empty));
    }
    cluster
}

fn with_routes(mut listener: Listener, routes: &BTreeMap<&str, &RouteConfiguration>) -> Listener {
    let chains = listener.filter_chains.iter_mut().chain(listener.default_filter_chain.as_mut());
    for filter in chains.flat_map(|chain| chain.filters.iter_mut()) {
        inline_routes(filter, routes);
    }
    listener
}

fn inline_routes(filter: &mut Filter, routes: &BTreeMap<&str, &RouteConfiguration>) {
    let Some(filter::ConfigType::TypedConfig(config)) = &mut filter.config_type else { return };
    if config.type_url != HttpConnectionManager::type_url() {
        return;
    }
    let Ok(mut manager) = HttpConnectionManager::decode(config.value.as_slice()) else { return };
    if let Some(RouteSpecifier::Rds(rds)) = &manager.route_specifier
        && let Some(known) = routes.get(rds.route_config_name.as_str())
    {
        manager.route_specifier = Some(RouteSpecifier::RouteConfig((*known).clone()));
        *config = shape::any(&manager);
    }
}

fn secret_server() -> Cluster {
    let address = shape::address("127.0.0.1", 15_011);
    let endpoint = Endpoint { address, ..Default::default() };
    let host =
        LbEndpoint { host_identifier: Some(lb_endpoint::HostIdentifier::Endpoint(endpoint)), ..Default::default() };
    let explicit = http::http_protocol_options::ExplicitHttpConfig {
        protocol_config: Some(http::http_protocol_options::explicit_http_config::ProtocolConfig::Http2ProtocolOptions(
            Http2ProtocolOptions::default(),
        )),
    };
    let options = http::HttpProtocolOptions {
        upstream_protocol_options: Some(http::http_protocol_options::UpstreamProtocolOptions::ExplicitHttpConfig(
            explicit,
        )),
        ..Default::default()
    };
    Cluster {
        name: shape::SDS_CLUSTER.to_owned(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Static as i32)),
        typed_extension_protocol_options: metadata::typed(upstream_protocol::NAME, shape::any(&options)),
        load_assignment: Some(ClusterLoadAssignment {
            cluster_name: shape::SDS_CLUSTER.to_owned(),
            endpoints: vec![LocalityLbEndpoints { lb_endpoints: vec![host], ..Default::default() }],
            ..Default::default()
        }),
        ..Default::default()
    }
}
