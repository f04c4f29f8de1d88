//! Route configurations of a sidecar: one for each HTTP port, with a virtual host for each service.

use std::collections::BTreeMap;
use std::time::Duration;

use envoy_types::pb::envoy::config::route::v3::{
    Route, RouteAction, RouteConfiguration, VirtualHost, route, route_action,
};

use super::cluster::PASSTHROUGH;
use super::proxy::ProxyIdentity;
use super::{matcher, shape, virtual_host};
use crate::dialect::{Dialect, UnknownDestination};
use crate::model::{Mesh, Protocol, Service, ServicePort};

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
    let mut by_port: BTreeMap<u16, Vec<VirtualHost>> = BTreeMap::new();
    let mut hosts = |port| by_port.entry(port).or_insert_with(|| virtual_host::outbound(mesh, proxy, port)).clone();
    let mut configurations = Vec::new();
    for port in http_ports(mesh).into_keys() {
        let mut hosts = hosts(port);
        hosts.extend(catch_all(mesh.dialect));
        configurations.push(configuration(mesh.dialect, port.to_string(), hosts));
    }
    for service in mesh.services.values().filter(|service| service.cluster_ip.address().is_some()) {
        for port in service.ports.iter().filter(|port| port.protocol == Protocol::Sniffed) {
            // The listener is the service's alone, so any authority is meant for it.
            let name = sniffed_name(service, port);
            let own = hosts(port.number).into_iter().find(|host| host.name == name);
            let own = own.map(|host| VirtualHost { domains: vec!["*".to_owned()], ..host });
            configurations.push(configuration(mesh.dialect, name, own.into_iter().collect()));
        }
    }
    configurations
}

fn configuration(dialect: Dialect, name: String, virtual_hosts: Vec<VirtualHost>) -> RouteConfiguration {
    RouteConfiguration {
        name,
        virtual_hosts,
        validate_clusters: shape::flag(false),
        ignore_port_in_host_matching: dialect.ignores_port_of_authority(),
        ..Default::default()
    }
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
