//! Virtual hosts of a sidecar's port: of VirtualServices first, then of the services that none speaks for.
//!
//! Istio: `BuildSidecarVirtualHostWrapper`. A VirtualService without a route for this proxy speaks for nothing.

use std::collections::{BTreeMap, BTreeSet};

use envoy_types::pb::envoy::config::core::v3::Metadata;
use envoy_types::pb::envoy::config::route::v3::{Route, VirtualHost};

use super::cluster::service_origin;
use super::http_route::{self, Place};
use super::metadata;
use super::proxy::ProxyIdentity;
use crate::config::host_name::specificity;
use crate::dialect::Dialect;
use crate::model::{ClusterIp, GatewayRef, Host, Mesh, Protocol, Service, ServicePort, VirtualService};

/// Port whose virtual hosts include those of VirtualServices that route no service there.
const FOREIGN_HOSTS_PORT: u16 = 80;
/// Where sidecars are.
const IN_MESH: &[GatewayRef] = &[GatewayRef::Mesh];

/// Services with a port of one number, by full name.
type OnPort<'m> = BTreeMap<&'m str, (&'m Service, &'m ServicePort)>;

/// All virtual hosts of a sidecar on `port`, none of which have a domain in common.
pub(super) fn outbound(mesh: &Mesh, proxy: &ProxyIdentity, port: u16) -> Vec<VirtualHost> {
    let on_port: OnPort<'_> = mesh
        .services
        .iter()
        .filter_map(|(name, service)| Some((name.as_str(), (service, service.port(port)?))))
        .collect();
    let place = Place { mesh, proxy, gateways: IN_MESH, port };
    let bound = mesh.virtual_services_of(IN_MESH, &proxy.namespace);
    let mut hosts = VirtualHosts::new(mesh.dialect, port);
    let mut routed = BTreeSet::new();
    for service in &bound {
        let routes = http_route::routes(place, service);
        if routes.is_empty() {
            continue;
        }
        let (foreign, services) = claims(service, &bound, &on_port);
        let http: Vec<_> = services.into_iter().filter(|(_, port)| takes_requests(port.protocol)).collect();
        if http.is_empty() && port != FOREIGN_HOSTS_PORT {
            continue;
        }
        let origin = virtual_service_origin(service);
        for host in foreign {
            hosts.add(&host.name, vec![host.name.clone()], &routes, metadata::provenance(&host.span, &origin));
        }
        for (of, _) in http {
            routed.insert(of.hostname.as_str());
            let names = names(mesh.dialect, of, &proxy.namespace);
            hosts.add(&of.hostname, names, &routes, metadata::provenance(&service.span, &origin));
        }
    }
    for (name, (service, port)) in on_port {
        if takes_requests(port.protocol) && !routed.contains(name) {
            let routes = [http_route::default_route(mesh.dialect, service, port)];
            let provenance = metadata::provenance(&port.span, &service_origin(service, port));
            hosts.add(name, names(mesh.dialect, service, &proxy.namespace), &routes, provenance);
        }
    }
    hosts.list.sort_by(|a, b| a.name.cmp(&b.name));
    hosts.list
}

/// `VirtualService default/go`.
pub(super) fn virtual_service_origin(service: &VirtualService) -> String {
    format!("VirtualService {}/{}", service.namespace, service.name)
}

fn takes_requests(protocol: Protocol) -> bool {
    protocol.is_http() || protocol == Protocol::Sniffed
}

/// The hosts of `service` that no service of the port has, and the services of the port that it routes.
///
/// Of several VirtualServices whose wildcards cover a service the one with the most specific host routes it.
fn claims<'m>(
    service: &'m VirtualService,
    bound: &[&'m VirtualService],
    on_port: &OnPort<'m>,
) -> (Vec<&'m Host>, Vec<(&'m Service, &'m ServicePort)>) {
    let (mut foreign, mut services) = (Vec::new(), Vec::new());
    for host in &service.hosts {
        if !host.is_wildcard() {
            match on_port.get(host.name.as_str()) {
                Some(found) => services.push(*found),
                None => foreign.push(host),
            }
            continue;
        }
        let mut covered = on_port.iter().filter(|(name, _)| host.covers(name)).peekable();
        if covered.peek().is_none() {
            foreign.push(host);
        }
        let own =
            covered.filter(|(name, _)| most_specific(bound, name).is_some_and(|of| of.created == service.created));
        services.extend(own.map(|(_, found)| *found));
    }
    (foreign, services)
}

fn most_specific<'m>(bound: &[&'m VirtualService], name: &str) -> Option<&'m VirtualService> {
    let hosts = bound.iter().flat_map(|service| service.hosts.iter().map(move |host| (*service, host)));
    let covering = hosts.filter(|(_, host)| host.covers(name));
    covering.min_by(|(_, a), (_, b)| specificity(&a.name, &b.name)).map(|(service, _)| service)
}

/// What a client in `namespace` may call a service.
fn names(dialect: Dialect, service: &Service, namespace: &str) -> Vec<String> {
    let mut names = service.names_seen_from(namespace);
    if dialect.knows_absolute_names() {
        names.insert(1, format!("{}.", service.hostname));
    }
    if dialect.knows_pods_of_headless_services() && service.cluster_ip == ClusterIp::Headless {
        let pods: Vec<String> = names.iter().map(|name| format!("*.{name}")).collect();
        names.extend(pods);
    }
    names.extend(service.cluster_ip.address().map(|address| address.to_string()));
    names
}

/// Virtual hosts without a domain in common, which Envoy would refuse. The first to name a domain has it.
struct VirtualHosts {
    dialect: Dialect,
    port: u16,
    list: Vec<VirtualHost>,
    /// Names of the virtual hosts.
    named: BTreeSet<String>,
    /// Their domains.
    taken: BTreeSet<String>,
}

impl VirtualHosts {
    fn new(dialect: Dialect, port: u16) -> Self {
        Self { dialect, port, list: Vec::new(), named: BTreeSet::new(), taken: BTreeSet::new() }
    }

    fn add(&mut self, name: &str, names: Vec<String>, routes: &[Route], provenance: Option<Metadata>) {
        let name = format!("{name}:{}", self.port);
        if !self.named.insert(name.clone()) {
            return;
        }
        let domains = names.iter().flat_map(|name| self.dialect.domains(name, self.port));
        let domains: Vec<String> = domains.filter(|domain| self.taken.insert(domain.clone())).collect();
        if domains.is_empty() {
            return;
        }
        self.list.push(VirtualHost {
            name,
            domains,
            routes: routes.to_vec(),
            include_request_attempt_count: self.dialect.sends_attempt_count(),
            metadata: provenance,
            ..Default::default()
        });
    }
}
