//! Endpoints of clusters: the ready ones, with the labels of their subset.

use std::collections::BTreeSet;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::core::v3::Locality;
use envoy_types::pb::envoy::config::endpoint::v3::{
    ClusterLoadAssignment, Endpoint as PbEndpoint, LbEndpoint, LocalityLbEndpoints, lb_endpoint,
};

use super::cluster::{OutboundCluster, outbound_clusters};
use super::{metadata, shape};
use crate::model::{Endpoint, Mesh, labels_match};

/// One assignment for each of `clusters` that takes its endpoints from EDS.
pub fn assignments(mesh: &Mesh, namespace: &str, clusters: &[Cluster]) -> Vec<ClusterLoadAssignment> {
    let eds = clusters.iter().filter(|cluster| cluster.eds_cluster_config.is_some());
    let names: BTreeSet<&str> = eds.map(|cluster| cluster.name.as_str()).collect();
    let wanted =
        outbound_clusters(mesh, namespace).into_iter().filter(|cluster| names.contains(cluster.name().as_str()));
    wanted.map(|cluster| assignment(mesh, &cluster)).collect()
}

fn assignment(mesh: &Mesh, cluster: &OutboundCluster<'_>) -> ClusterLoadAssignment {
    let endpoints: Vec<LbEndpoint> = cluster.endpoints().map(|endpoint| lb_endpoint(mesh, endpoint)).collect();
    let locality = LocalityLbEndpoints {
        locality: Some(Locality::default()),
        load_balancing_weight: shape::number(u32::try_from(endpoints.len()).unwrap_or(u32::MAX)),
        lb_endpoints: endpoints,
        ..Default::default()
    };
    let endpoints = if locality.lb_endpoints.is_empty() { Vec::new() } else { vec![locality] };
    ClusterLoadAssignment { cluster_name: cluster.name(), endpoints, ..Default::default() }
}

impl<'m> OutboundCluster<'m> {
    /// The endpoints that take traffic.
    pub fn endpoints(&self) -> impl Iterator<Item = &'m Endpoint> + use<'m> {
        let subset = self.subset;
        let fits = move |endpoint: &&Endpoint| {
            endpoint.ready && subset.is_none_or(|subset| labels_match(&subset.labels, &endpoint.labels))
        };
        self.port.endpoints.iter().filter(fits)
    }
}

fn lb_endpoint(mesh: &Mesh, endpoint: &Endpoint) -> LbEndpoint {
    let host = PbEndpoint { address: shape::ip_address(endpoint.address, endpoint.port), ..Default::default() };
    LbEndpoint {
        metadata: endpoint.pod.as_ref().and_then(|pod| {
            let owner = mesh.workload(endpoint.address).map_or(pod.name.as_str(), |workload| workload.owner.as_str());
            let label = |name: &str| endpoint.labels.get(name).map_or("", String::as_str);
            let canonical = [owner, &pod.namespace, label("app"), label("version"), "Kubernetes"].join(";");
            metadata::endpoint(&canonical, endpoint.has_sidecar)
        }),
        load_balancing_weight: shape::number(1),
        host_identifier: Some(lb_endpoint::HostIdentifier::Endpoint(host)),
        ..Default::default()
    }
}
