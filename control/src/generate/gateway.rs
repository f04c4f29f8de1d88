//! Listeners and route configurations of a gateway proxy, from the Gateways that select it.
//!
//! A port that no Gateway opens has no listener, so connecting is refused. A Gateway that no VirtualService
//! is bound to has a listener whose every answer is 404.

use std::collections::{BTreeMap, BTreeSet};

use envoy_types::pb::envoy::config::core::v3::{Metadata, TrafficDirection};
use envoy_types::pb::envoy::config::listener::v3::{FilterChain, Listener};
use envoy_types::pb::envoy::config::route::v3::{RouteConfiguration, VirtualHost};
use indexmap::IndexMap;

use super::access_log::Logs;
use super::http_manager::{self, Side};
use super::http_route::{self, Place};
use super::proxy::ProxyIdentity;
use super::virtual_host::virtual_service_origin;
use super::{metadata, shape};
use crate::model::{Gateway, GatewayRef, Host, Mesh, Server, VirtualService};

/// One server, its Gateway, and its place there.
type Bound<'m> = (&'m Gateway, usize, &'m Server);

/// Listeners and route configurations of `proxy`.
pub fn listeners_and_routes(mesh: &Mesh, proxy: &ProxyIdentity) -> (Vec<Listener>, Vec<RouteConfiguration>) {
    let mut ports: BTreeMap<u16, Vec<Bound<'_>>> = BTreeMap::new();
    for gateway in mesh.gateways_of(&proxy.labels) {
        for (index, server) in gateway.servers.iter().enumerate().filter(|(_, server)| server.protocol.is_http()) {
            ports.entry(listening_port(mesh, proxy, server.port)).or_default().push((gateway, index, server));
        }
    }
    ports
        .into_iter()
        .filter_map(|(port, mut servers)| {
            let spoken = servers.first()?.2.protocol;
            servers.retain(|(.., server)| mesh.dialect.shares_port_among_http() || server.protocol == spoken);
            Some((listener(mesh, proxy, port, servers.first()?), routes(mesh, proxy, port, &servers)))
        })
        .unzip()
}

/// The port that the proxy's pod listens on for a server's port: where its Service sends it, else the same.
fn listening_port(mesh: &Mesh, proxy: &ProxyIdentity, port: u16) -> u16 {
    if !mesh.dialect.translates_gateway_ports() {
        return port;
    }
    let ports = mesh.inbound_ports(proxy.address);
    ports.iter().find(|inbound| inbound.port.number == port).map_or(port, |inbound| inbound.endpoint.port)
}

fn listener(mesh: &Mesh, proxy: &ProxyIdentity, port: u16, server: &Bound<'_>) -> Listener {
    let logs = &Logs::new(mesh, proxy, Side::Gateway);
    let prefix = format!("outbound_0.0.0.0_{port}");
    let routes = http_manager::rds(&configuration_name(port));
    Listener {
        name: format!("0.0.0.0_{port}"),
        address: shape::address("0.0.0.0", port),
        filter_chains: vec![FilterChain {
            filters: vec![http_manager::filter(mesh.dialect, Side::Gateway, &prefix, routes, logs)],
            ..Default::default()
        }],
        metadata: server_provenance(server),
        traffic_direction: TrafficDirection::Outbound as i32,
        access_log: logs.listener(),
        ..Default::default()
    }
}

fn server_provenance((gateway, index, server): &Bound<'_>) -> Option<Metadata> {
    let origin = format!("Gateway {}/{} servers[{index}]", gateway.namespace, gateway.name);
    metadata::provenance(&server.span, &origin)
}

fn configuration_name(port: u16) -> String {
    format!("http.{port}")
}

fn routes(mesh: &Mesh, proxy: &ProxyIdentity, port: u16, servers: &[Bound<'_>]) -> RouteConfiguration {
    let mut hosts: IndexMap<String, VirtualHost> = IndexMap::new();
    for found in bindings(mesh, proxy, servers) {
        let Binding { service, written, host, gateways, port } = found;
        let routes = http_route::routes(Place { mesh, proxy, gateways: &gateways, port }, service);
        if routes.is_empty() {
            continue;
        }
        let of_host = hosts.entry(host).or_insert_with_key(|host| VirtualHost {
            name: format!("{host}:{port}"),
            domains: mesh.dialect.domains(host, port),
            include_request_attempt_count: mesh.dialect.sends_attempt_count(),
            metadata: metadata::provenance(&written.span, &virtual_service_origin(service)),
            ..Default::default()
        });
        of_host.routes.extend(routes);
    }
    let mut virtual_hosts: Vec<VirtualHost> = hosts.into_values().collect();
    for host in &mut virtual_hosts {
        // A route that takes everything would hide those of younger VirtualServices.
        host.routes.sort_by_key(|route| http_route::takes_everything(mesh.dialect, route));
    }
    if let (true, Some(first)) = (virtual_hosts.is_empty(), servers.first()) {
        virtual_hosts.push(VirtualHost {
            name: format!("blackhole:{}", first.2.port),
            domains: vec!["*".to_owned()],
            metadata: server_provenance(first),
            ..Default::default()
        });
    }
    RouteConfiguration {
        name: configuration_name(port),
        virtual_hosts,
        validate_clusters: shape::flag(false),
        ignore_port_in_host_matching: mesh.dialect.ignores_port_of_authority(),
        ..Default::default()
    }
}

/// A VirtualService at work on a host of a port.
struct Binding<'m> {
    service: &'m VirtualService,
    /// The host as the VirtualService has it.
    written: &'m Host,
    /// The host that is served.
    host: String,
    /// What a match block's `gateways` are compared with.
    gateways: Vec<GatewayRef>,
    /// The server's port.
    port: u16,
}

/// Every VirtualService on every host it has on the servers of one port, each once, in the order its routes stand.
fn bindings<'m>(mesh: &'m Mesh, proxy: &ProxyIdentity, servers: &[Bound<'m>]) -> Vec<Binding<'m>> {
    let reference =
        |gateway: &Gateway| GatewayRef::Gateway { namespace: gateway.namespace.clone(), name: gateway.name.clone() };
    if mesh.dialect.merges_gateways() {
        let gateways: Vec<GatewayRef> = mesh.gateways_of(&proxy.labels).map(reference).collect();
        return on_servers(mesh, proxy, servers, &gateways);
    }
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for server in servers {
        let gateway = reference(server.0);
        let found = on_servers(mesh, proxy, &[*server], std::slice::from_ref(&gateway));
        all.extend(found.into_iter().filter(|of| seen.insert((gateway.clone(), of.service.created, of.host.clone()))));
    }
    all
}

fn on_servers<'m>(
    mesh: &'m Mesh,
    proxy: &ProxyIdentity,
    servers: &[Bound<'m>],
    gateways: &[GatewayRef],
) -> Vec<Binding<'m>> {
    let Some(port) = servers.first().map(|(_, _, server)| server.port) else { return Vec::new() };
    let server_hosts: Vec<_> = servers.iter().flat_map(|(_, _, server)| &server.hosts).collect();
    let mut found = Vec::new();
    for service in mesh.virtual_services_of(gateways, &proxy.namespace) {
        let mut served = BTreeSet::new();
        for written in &service.hosts {
            let narrower = server_hosts.iter().filter_map(|of| of.intersection(&service.namespace, &written.name));
            let hosts =
                narrower.map(|host| if mesh.dialect.serves_whole_hosts() { written.name.clone() } else { host });
            for host in hosts.filter(|host| served.insert(host.clone())) {
                found.push(Binding { service, written, host, gateways: gateways.to_vec(), port });
            }
        }
    }
    found
}
