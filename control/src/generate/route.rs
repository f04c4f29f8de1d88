//! Route configurations of a sidecar: one for each HTTP port, with a virtual host for each service.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::Metadata;
use envoy_types::pb::envoy::config::route::v3::{
    Route, RouteAction, RouteConfiguration, VirtualHost, route, route_action,
};

use super::cluster::{PASSTHROUGH, service_origin};
use super::http_route::{self, Place};
use super::proxy::ProxyIdentity;
use super::{matcher, metadata, shape};
use crate::config::host_name::specificity;
use crate::dialect::{Dialect, UnknownDestination};
use crate::model::{GatewayRef, Host, Mesh, Protocol, Service, ServicePort, VirtualService};

/// Port whose virtual hosts include those of VirtualServices for hosts that no service has.
const FOREIGN_HOSTS_PORT: u16 = 80;

/// HTTP service ports by number.
pub(super) type HttpPorts<'m> = BTreeMap<u16, Vec<(&'m Service, &'m ServicePort)>>;

/// All HTTP service ports, each with its services in the order of their names.
pub(super) fn http_ports(mesh: &Mesh) -> HttpPorts<'_> {
    let mut ports = HttpPorts::new();
    for service in mesh.services.values() {
        for port in service.ports.iter().filter(|port| port.protocol.is_http()) {
            ports.entry(port.number).or_default().push((service, port));
        }
    }
    ports
}

/// Name of the route configuration of a port whose protocol is found out by looking.
pub(super) fn sniffed_name(service: &Service, port: &ServicePort) -> String {
    format!("{}:{}", service.hostname, port.number)
}

/// All route configurations of a sidecar.
pub fn outbound(mesh: &Mesh, proxy: &ProxyIdentity) -> Vec<RouteConfiguration> {
    let mut configurations: Vec<_> = http_ports(mesh)
        .into_iter()
        .map(|(port, services)| {
            let foreign = if port == FOREIGN_HOSTS_PORT { foreign_hosts(mesh, proxy) } else { Vec::new() };
            configuration(mesh, proxy, &port.to_string(), port, &services, &foreign)
        })
        .collect();
    for service in mesh.services.values().filter(|service| service.cluster_ip.address().is_some()) {
        for port in service.ports.iter().filter(|port| port.protocol == Protocol::Sniffed) {
            let name = sniffed_name(service, port);
            configurations.push(configuration(mesh, proxy, &name, port.number, &[(service, port)], &[]));
        }
    }
    configurations
}

fn configuration(
    mesh: &Mesh,
    proxy: &ProxyIdentity,
    name: &str,
    port: u16,
    services: &[(&Service, &ServicePort)],
    foreign: &[(&VirtualService, &Host)],
) -> RouteConfiguration {
    let mut hosts = VirtualHosts::default();
    let place = Place { mesh, proxy, gateways: &[GatewayRef::Mesh], port };
    for (service, service_port) in services {
        let (routes, provenance) = service_routes(place, service, service_port);
        let mut names = service.names_seen_from(&proxy.namespace);
        names.extend(service.cluster_ip.address().map(|address| address.to_string()));
        hosts.add(mesh.dialect, &service.hostname, port, names, routes, provenance);
    }
    for (virtual_service, host) in foreign {
        let routes = http_route::routes(place, virtual_service);
        let provenance = metadata::provenance(&host.span, &virtual_service_origin(virtual_service));
        hosts.add(mesh.dialect, &host.name, port, vec![host.name.clone()], routes, provenance);
    }
    hosts.list.extend(catch_all(mesh.dialect));
    RouteConfiguration {
        name: name.to_owned(),
        virtual_hosts: hosts.list,
        validate_clusters: shape::flag(false),
        ..Default::default()
    }
}

fn service_routes(place: Place<'_>, service: &Service, port: &ServicePort) -> (Vec<Route>, Option<Metadata>) {
    match virtual_service(place.mesh, place.proxy, &service.hostname) {
        Some(found) => {
            let provenance = metadata::provenance(&found.span, &virtual_service_origin(found));
            (http_route::routes(place, found), provenance)
        }
        None => {
            let routes = vec![http_route::default_route(place.mesh.dialect, service, port)];
            (routes, metadata::provenance(&port.span, &service_origin(service, port)))
        }
    }
}

pub(super) fn virtual_service_origin(service: &VirtualService) -> String {
    format!("VirtualService {}/{}", service.namespace, service.name)
}

/// The VirtualService that sidecars route `host` by: the one with the most specific host, then the oldest.
fn virtual_service<'m>(mesh: &'m Mesh, proxy: &ProxyIdentity, host: &str) -> Option<&'m VirtualService> {
    let fitting = for_sidecars(mesh, proxy).flat_map(|service| service.hosts.iter().map(move |name| (service, name)));
    let fitting = fitting.filter(|(_, name)| name.covers(host));
    fitting.min_by(|(_, a), (_, b)| specificity(&a.name, &b.name)).map(|(service, _)| service)
}

fn for_sidecars<'m>(mesh: &'m Mesh, proxy: &ProxyIdentity) -> impl Iterator<Item = &'m VirtualService> {
    let at_mesh = |service: &&VirtualService| {
        let own = service.http.iter().flat_map(|http| &http.matches).flat_map(|block| &block.gateways);
        service.gateways.iter().chain(own).any(|gateway| *gateway == GatewayRef::Mesh)
    };
    mesh.virtual_services.iter().filter(|service| service.is_visible_in(&proxy.namespace)).filter(at_mesh)
}

/// Hosts of VirtualServices that stand for no service, oldest first.
fn foreign_hosts<'m>(mesh: &'m Mesh, proxy: &ProxyIdentity) -> Vec<(&'m VirtualService, &'m Host)> {
    let hosts = for_sidecars(mesh, proxy).flat_map(|service| service.hosts.iter().map(move |host| (service, host)));
    hosts.filter(|(_, host)| !mesh.services.keys().any(|service| host.covers(service))).collect()
}

/// Virtual hosts without a domain in common, which Envoy would refuse.
#[derive(Default)]
struct VirtualHosts {
    list: Vec<VirtualHost>,
    taken: BTreeSet<String>,
}

impl VirtualHosts {
    fn add(
        &mut self,
        dialect: Dialect,
        name: &str,
        port: u16,
        names: Vec<String>,
        routes: Vec<Route>,
        provenance: Option<Metadata>,
    ) {
        let domains: Vec<String> = names.iter().flat_map(|name| domains(name, port)).collect();
        let domains: Vec<String> = domains.into_iter().filter(|domain| self.taken.insert(domain.clone())).collect();
        if domains.is_empty() {
            return;
        }
        self.list.push(VirtualHost {
            name: format!("{name}:{port}"),
            domains,
            routes,
            include_request_attempt_count: dialect.sends_attempt_count(),
            metadata: provenance,
            ..Default::default()
        });
    }
}

/// A name as the authority of a request spells it: without and with its port.
fn domains(name: &str, port: u16) -> Vec<String> {
    if name == "*" {
        return vec![name.to_owned()];
    }
    let name = if name.contains(':') { format!("[{name}]") } else { name.to_owned() };
    vec![name.clone(), format!("{name}:{port}")]
}

/// The virtual host of requests that no service takes; `None`: they get 404.
fn catch_all(dialect: Dialect) -> Option<VirtualHost> {
    match dialect.unknown_destination() {
        UnknownDestination::Refused => None,
        UnknownDestination::Allowed => {
            let action = RouteAction {
                timeout: shape::duration(Duration::ZERO),
                cluster_specifier: Some(route_action::ClusterSpecifier::Cluster(PASSTHROUGH.to_owned())),
                ..Default::default()
            };
            Some(VirtualHost {
                name: "allow_any".to_owned(),
                domains: vec!["*".to_owned()],
                routes: vec![Route {
                    name: "allow_any".to_owned(),
                    r#match: Some(matcher::everything()),
                    action: Some(route::Action::Route(action)),
                    ..Default::default()
                }],
                include_request_attempt_count: dialect.sends_attempt_count(),
                ..Default::default()
            })
        }
    }
}
