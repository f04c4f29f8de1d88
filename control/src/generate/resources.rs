//! All of one proxy's resources.

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;

use super::proxy::{ProxyIdentity, ProxyKind};
use super::{cluster, endpoint, gateway, inbound, listener, route};
use crate::model::Mesh;

/// What one proxy is given.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resources {
    /// LDS.
    pub listeners: Vec<Listener>,
    /// RDS.
    pub routes: Vec<RouteConfiguration>,
    /// CDS.
    pub clusters: Vec<Cluster>,
    /// EDS: one for each EDS cluster.
    pub endpoints: Vec<ClusterLoadAssignment>,
}

/// What `mesh` means to `proxy`.
pub fn generate(mesh: &Mesh, proxy: &ProxyIdentity) -> Resources {
    let Resources { mut clusters, endpoints, .. } = shared(mesh, &proxy.namespace);
    let own = own(mesh, proxy);
    clusters.extend(own.clusters);
    Resources { clusters, endpoints, ..own }
}

/// The part that all proxies of a namespace have alike: clusters of services, and their endpoints.
pub fn shared(mesh: &Mesh, namespace: &str) -> Resources {
    let clusters = cluster::outbound(mesh, namespace);
    let endpoints = endpoint::assignments(mesh, namespace, &clusters);
    Resources { clusters, endpoints, ..Resources::default() }
}

/// The rest: listeners, routes, and the clusters behind them that are no service's.
pub fn own(mesh: &Mesh, proxy: &ProxyIdentity) -> Resources {
    let mut clusters = cluster::special(mesh.dialect, proxy.kind);
    match proxy.kind {
        ProxyKind::Gateway => {
            let (listeners, routes) = gateway::listeners_and_routes(mesh, proxy);
            Resources { listeners, routes, clusters, endpoints: Vec::new() }
        }
        ProxyKind::Sidecar => {
            let ports = inbound::ports(mesh, proxy);
            clusters.extend(ports.iter().map(|port| cluster::inbound(mesh, port)));
            let mut listeners = listener::outbound(mesh, proxy);
            listeners.push(inbound::listener(mesh, proxy, &ports));
            Resources { listeners, routes: route::outbound(mesh, proxy), clusters, endpoints: Vec::new() }
        }
    }
}
