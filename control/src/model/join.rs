//! Joins Pods, EndpointSlices and Services: which address serves which port, and as whom.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::config::document::{Document, Spec};
use crate::config::endpoint_slice::{EndpointSlice, SERVICE_NAME_LABEL, SliceEndpoint};
use crate::config::pod::Pod;
use crate::config::service::{ServicePortSpec, ServiceSpec};
use crate::config::{ConfigSet, Kind, MeshConfig, Stored};
use crate::dialect::Dialect;

use super::{ClusterIp, Endpoint, Protocol, Service, ServicePort, Workload, WorkloadRef};

/// Pods that have an address, by it; of two with one address the later counts.
pub(super) fn workloads(set: &ConfigSet) -> BTreeMap<IpAddr, Workload> {
    let pods = set.of_kind(Kind::Pod).into_iter();
    pods.filter_map(|stored| match &stored.document.spec {
        Spec::Pod(pod) => workload(&stored.document, pod),
        _ => None,
    })
    .map(|workload| (workload.address, workload))
    .collect()
}

fn workload(document: &Document, pod: &Pod) -> Option<Workload> {
    let metadata = &document.metadata;
    let proxy = pod.spec.containers.iter().any(|container| container.name == "istio-proxy");
    let injected = metadata.annotations.contains_key("sidecar.istio.io/status");
    let tls_mode = metadata.labels.get("security.istio.io/tlsMode").is_some_and(|mode| mode == "istio");
    let owner = metadata.owner.as_ref().map(|owner| match owner.kind.as_str() {
        "ReplicaSet" => owner.name.rsplit_once('-').map_or(owner.name.as_str(), |(name, _)| name),
        _ => owner.name.as_str(),
    });
    Some(Workload {
        pod: WorkloadRef { namespace: metadata.namespace.clone(), name: metadata.name.value.clone() },
        address: pod.address?,
        labels: metadata.labels.clone(),
        service_account: pod.spec.service_account.clone(),
        owner: owner.unwrap_or(&metadata.name.value).to_owned(),
        node: pod.spec.node.clone(),
        has_sidecar: proxy || injected || tls_mode,
        span: metadata.span.clone(),
    })
}

/// An EndpointSlice and the object it comes from.
type Slice<'s> = (&'s Document, &'s EndpointSlice);

/// Services by full name, each port with its endpoints.
pub(super) fn services(
    set: &ConfigSet,
    workloads: &BTreeMap<IpAddr, Workload>,
    dialect: Dialect,
    mesh: &MeshConfig,
) -> BTreeMap<String, Service> {
    let mut slices: BTreeMap<(&str, &str), Vec<Slice<'_>>> = BTreeMap::new();
    for stored in set.of_kind(Kind::EndpointSlice) {
        let metadata = &stored.document.metadata;
        if let (Spec::EndpointSlice(slice), Some(service)) =
            (&stored.document.spec, metadata.labels.get(SERVICE_NAME_LABEL))
        {
            slices.entry((&metadata.namespace, service)).or_default().push((&stored.document, slice));
        }
    }
    let mut services = BTreeMap::new();
    for stored in set.of_kind(Kind::Service) {
        let Spec::Service(spec) = &stored.document.spec else { continue };
        let metadata = &stored.document.metadata;
        let key = (metadata.namespace.as_str(), metadata.name.value.as_str());
        let own = slices.get(&key).map_or(&[][..], Vec::as_slice);
        let ports = spec.ports.iter().filter_map(|port| service_port(port, own, workloads, dialect)).collect();
        let service = service(stored, spec, set, ports, mesh);
        services.insert(service.hostname.clone(), service);
    }
    services
}

fn service(
    stored: &Stored,
    spec: &ServiceSpec,
    set: &ConfigSet,
    ports: Vec<ServicePort>,
    mesh: &MeshConfig,
) -> Service {
    let metadata = &stored.document.metadata;
    let (name, namespace) = (metadata.name.value.clone(), metadata.namespace.clone());
    let address = spec.cluster_ip.or_else(|| set.cluster_ip(&namespace, &name));
    Service {
        hostname: format!("{name}.{namespace}.svc.{}", mesh.domain),
        cluster_ip: match address {
            _ if spec.headless => ClusterIp::Headless,
            Some(address) => ClusterIp::Assigned(address),
            None => ClusterIp::Unassigned,
        },
        ports,
        selector: spec.selector.clone(),
        labels: metadata.labels.clone(),
        created: stored.created,
        span: metadata.span.clone(),
        name,
        namespace,
    }
}

/// A port with its endpoints; `None` for one that is not TCP.
fn service_port(
    port: &ServicePortSpec,
    slices: &[Slice<'_>],
    workloads: &BTreeMap<IpAddr, Workload>,
    dialect: Dialect,
) -> Option<ServicePort> {
    if port.transport != "TCP" {
        return None;
    }
    let (name, number) = (&port.name.value, port.number.value);
    let protocol = Protocol::of_port(&port.transport, port.app_protocol.as_deref(), name, number, dialect);
    if protocol == Protocol::Udp {
        return None;
    }
    let mut endpoints = Vec::new();
    for (document, slice) in slices {
        for slice_port in slice.ports.iter().filter(|slice_port| slice_port.name == *name) {
            let namespace = &document.metadata.namespace;
            let found = slice.endpoints.iter();
            endpoints.extend(found.flat_map(|found| {
                let addresses = found.addresses.iter();
                addresses.map(|address| endpoint(found, *address, slice_port.number, namespace, workloads))
            }));
        }
    }
    // Two slices may name one endpoint while it moves between them; a ready one counts.
    endpoints.sort_by_key(|endpoint: &Endpoint| (endpoint.address, endpoint.port, !endpoint.ready));
    endpoints.dedup_by_key(|endpoint| (endpoint.address, endpoint.port));
    Some(ServicePort { name: name.clone(), number, protocol, endpoints, span: port.span.clone() })
}

fn endpoint(
    found: &SliceEndpoint,
    address: IpAddr,
    port: u16,
    namespace: &str,
    workloads: &BTreeMap<IpAddr, Workload>,
) -> Endpoint {
    let workload = workloads.get(&address);
    let named = found.pod.as_ref().map(|(of, name)| WorkloadRef {
        namespace: if of.is_empty() { namespace.to_owned() } else { of.clone() },
        name: name.clone(),
    });
    let node = match (found.node.as_str(), workload) {
        ("", Some(workload)) => workload.node.clone(),
        (node, _) => node.to_owned(),
    };
    Endpoint {
        address,
        port,
        ready: found.ready,
        pod: workload.map(|workload| workload.pod.clone()).or(named),
        labels: workload.map(|workload| workload.labels.clone()).unwrap_or_default(),
        service_account: workload.map(|workload| workload.service_account.clone()).unwrap_or_default(),
        has_sidecar: workload.is_some_and(|workload| workload.has_sidecar),
        node,
        span: found.span.clone(),
    }
}
