//! The mesh in force, and what it means to a node.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::config::listener::v3::filter::ConfigType;
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_action::ClusterSpecifier;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, http_connection_manager::RouteSpecifier,
};
use prost::{Message, Name};
use tonic::Status;

use crate::ads::{Resource, ResourceType, Snapshot, Source};
use crate::ca::Identity;
use crate::dialect::Dialect;
use crate::generate::{ProxyIdentity, Resources, own, shared};
use crate::model::{Mesh, MeshConfig};

/// Namespaces whose common part is kept; nodes may claim any.
const NAMESPACES_MAX: usize = 1024;

/// The present mesh and its generation.
pub(super) struct MeshSource {
    current: Mutex<Current>,
}

struct Current {
    generation: u64,
    mesh: Arc<Mesh>,
    /// What all proxies of a namespace have alike, packed once for each.
    shared: BTreeMap<String, Snapshot>,
}

impl MeshSource {
    /// An empty mesh, of generation 0.
    pub(super) fn new(dialect: Dialect, config: MeshConfig) -> Self {
        let mut mesh = Mesh::default();
        (mesh.dialect, mesh.config) = (dialect, config);
        Self { current: Mutex::new(Current { generation: 0, mesh: Arc::new(mesh), shared: BTreeMap::new() }) }
    }

    /// Puts a mesh in force.
    pub(super) fn set(&self, generation: u64, mesh: Mesh) {
        *self.lock() = Current { generation, mesh: Arc::new(mesh), shared: BTreeMap::new() };
    }

    /// The mesh in force.
    pub(super) fn mesh(&self) -> Arc<Mesh> {
        self.lock().mesh.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for MeshSource {
    fn snapshot(&self, node: &Node, peer: Option<&Identity>) -> Result<Snapshot, Status> {
        let mut current = self.lock();
        let Current { generation, mesh, shared: packed } = &mut *current;
        let proxy =
            ProxyIdentity::from_node(node, mesh).map_err(|error| Status::invalid_argument(error.to_string()))?;
        if let Some(peer) = peer
            && (peer.namespace != proxy.namespace || peer.service_account != proxy.service_account)
        {
            let claimed = Identity::new(&peer.trust_domain, &proxy.namespace, &proxy.service_account);
            return Err(Status::permission_denied(format!("node claims {claimed}, but its certificate says {peer}")));
        }
        let namespace = proxy.namespace.clone();
        let alike = || pack(Snapshot::new(*generation), &shared(mesh, &proxy.namespace));
        if packed.len() >= NAMESPACES_MAX {
            packed.clear();
        }
        let alike = packed.entry(namespace).or_insert_with(alike).clone();
        Ok(pack(alike, &own(mesh, &proxy)))
    }
}

/// `snapshot` and `resources` as they are sent, with what leads to what.
fn pack(mut snapshot: Snapshot, resources: &Resources) -> Snapshot {
    for cluster in &resources.clusters {
        let endpoints = cluster.eds_cluster_config.iter().map(|eds| match eds.service_name.as_str() {
            "" => cluster.name.clone(),
            name => name.to_owned(),
        });
        let endpoints = endpoints.collect();
        snapshot.insert(ResourceType::Cluster, Resource::pack(&cluster.name, cluster, endpoints));
    }
    for assignment in &resources.endpoints {
        let resource = Resource::pack(&assignment.cluster_name, assignment, Vec::new());
        snapshot.insert(ResourceType::Endpoint, resource);
    }
    for listener in &resources.listeners {
        let resource = Resource::pack(&listener.name, listener, routes_of(listener));
        snapshot.insert(ResourceType::Listener, resource);
    }
    for routes in &resources.routes {
        snapshot.insert(ResourceType::Route, Resource::pack(&routes.name, routes, clusters_of(routes)));
    }
    snapshot
}

fn routes_of(listener: &Listener) -> Vec<String> {
    let chains = listener.filter_chains.iter().chain(listener.default_filter_chain.as_ref());
    let filters = chains.flat_map(|chain| &chain.filters);
    let names = filters.filter_map(|filter| {
        let Some(ConfigType::TypedConfig(config)) = &filter.config_type else { return None };
        if config.type_url != HttpConnectionManager::type_url() {
            return None;
        }
        match HttpConnectionManager::decode(config.value.as_slice()).ok()?.route_specifier? {
            RouteSpecifier::Rds(rds) => Some(rds.route_config_name),
            _ => None,
        }
    });
    names.collect()
}

fn clusters_of(routes: &RouteConfiguration) -> Vec<String> {
    let mut names = Vec::new();
    for route in routes.virtual_hosts.iter().flat_map(|host| &host.routes) {
        let Some(Action::Route(action)) = &route.action else { continue };
        match &action.cluster_specifier {
            Some(ClusterSpecifier::Cluster(name)) => names.push(name.clone()),
            Some(ClusterSpecifier::WeightedClusters(weighted)) => {
                names.extend(weighted.clusters.iter().map(|arm| arm.name.clone()));
            }
            _ => {}
        }
    }
    names.sort();
    names.dedup();
    names
}
