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

/// The canonical service and revision of an endpoint's workload, by its labels. Where the pod says neither, the injector
/// labels it by what else it says (Istio: *Canonical Service*); a pod without a proxy is not labelled.
fn canonical<'e>(endpoint: &'e Endpoint, owner: &'e str) -> (&'e str, &'e str) {
    const SERVICE: [&str; 3] = ["service.istio.io/canonical-name", "app.kubernetes.io/name", "app"];
    const REVISION: [&str; 3] = ["service.istio.io/canonical-revision", "app.kubernetes.io/version", "version"];
    let first = |names: [&str; 3], else_: &'e str| {
        let (looked_at, else_) = if endpoint.has_sidecar { (&names[..], else_) } else { (&names[..1], "") };
        looked_at.iter().find_map(|name| endpoint.labels.get(*name)).map_or(else_, String::as_str)
    };
    (first(SERVICE, owner), first(REVISION, "latest"))
}

fn lb_endpoint(mesh: &Mesh, endpoint: &Endpoint) -> LbEndpoint {
    let host = PbEndpoint { address: shape::ip_address(endpoint.address, endpoint.port), ..Default::default() };
    LbEndpoint {
        metadata: endpoint.pod.as_ref().and_then(|pod| {
            let owner = mesh.workload(endpoint.address).map_or(pod.name.as_str(), |workload| workload.owner.as_str());
            let (service, revision) = canonical(endpoint, owner);
            let workload = [owner, &pod.namespace, service, revision, "Kubernetes"].join(";");
            metadata::endpoint(&workload, endpoint.has_sidecar)
        }),
        load_balancing_weight: shape::number(1),
        host_identifier: Some(lb_endpoint::HostIdentifier::Endpoint(host)),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn the_injector_names_what_the_pod_does_not() {
        let endpoint = |has_sidecar, labels: &[(&str, &str)]| Endpoint {
            address: Ipv4Addr::LOCALHOST.into(),
            port: 80,
            ready: true,
            pod: None,
            labels: labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            has_sidecar,
            node: String::new(),
            service_account: String::new(),
            span: crate::diagnostic::Span::at("pods.yaml", 1, 1),
        };
        let own =
            [("service.istio.io/canonical-name", "a"), ("service.istio.io/canonical-revision", "1"), ("app", "b")];
        let known = [("app.kubernetes.io/name", "b"), ("app", "c"), ("version", "2")];
        for (has_sidecar, labels, expected) in [
            (true, &own[..], ("a", "1")),
            (true, &known, ("b", "2")),
            (true, &[], ("owner", "latest")),
            (false, &own, ("a", "1")),
            (false, &known, ("", "")),
        ] {
            assert_eq!(canonical(&endpoint(has_sidecar, labels), "owner"), expected, "{labels:?}");
        }
    }
}
