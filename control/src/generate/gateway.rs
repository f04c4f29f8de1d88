//! Listeners and route configurations of a gateway proxy, from the Gateways that select it.
//!
//! A port that no Gateway opens has no listener, so connecting is refused. A Gateway that no VirtualService
//! is bound to has a listener whose every answer is 404.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::config::core::v3::TrafficDirection;
use envoy_types::pb::envoy::config::listener::v3::{FilterChain, Listener};
use envoy_types::pb::envoy::config::route::v3::{Route, RouteConfiguration, VirtualHost};
use indexmap::IndexMap;

use super::http_manager::{self, Side};
use super::http_route::{self, Place};
use super::proxy::ProxyIdentity;
use super::route::virtual_service_origin;
use super::{metadata, shape};
use crate::model::{Gateway, GatewayRef, Host, Mesh, Server, VirtualService};

/// One server and its Gateway.
type Bound<'m> = (&'m Gateway, usize, &'m Server);

/// Listeners and route configurations of `proxy`.
pub fn listeners_and_routes(mesh: &Mesh, proxy: &ProxyIdentity) -> (Vec<Listener>, Vec<RouteConfiguration>) {
    let mut ports: BTreeMap<u16, Vec<Bound<'_>>> = BTreeMap::new();
    for gateway in mesh.gateways_of(&proxy.labels) {
        for (index, server) in gateway.servers.iter().enumerate().filter(|(_, server)| server.protocol.is_http()) {
            ports.entry(server.port).or_default().push((gateway, index, server));
        }
    }
    ports
        .into_iter()
        .filter_map(|(port, servers)| {
            let bound = listening_port(mesh, proxy, port);
            Some((listener(mesh, bound, servers.first()?), routes(mesh, proxy, port, bound, &servers)))
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

fn listener(mesh: &Mesh, port: u16, (gateway, index, server): &Bound<'_>) -> Listener {
    let origin = format!("Gateway {}/{} servers[{index}]", gateway.namespace, gateway.name);
    let prefix = format!("outbound_0.0.0.0_{port}");
    let routes = http_manager::rds(&configuration_name(port));
    Listener {
        name: format!("0.0.0.0_{port}"),
        address: shape::address("0.0.0.0", port),
        filter_chains: vec![FilterChain {
            filters: vec![http_manager::filter(mesh.dialect, Side::Gateway, &prefix, routes)],
            ..Default::default()
        }],
        metadata: metadata::provenance(&server.span, &origin),
        traffic_direction: TrafficDirection::Outbound as i32,
        ..Default::default()
    }
}

fn configuration_name(port: u16) -> String {
    format!("http.{port}")
}

/// What is routed on one host: VirtualServices with the gateways that bind them to it, oldest first.
type HostRoutes<'m> = IndexMap<String, IndexMap<u64, (&'m VirtualService, &'m Host, Vec<GatewayRef>)>>;

fn routes(mesh: &Mesh, proxy: &ProxyIdentity, port: u16, bound: u16, servers: &[Bound<'_>]) -> RouteConfiguration {
    let hosts = bind(mesh, servers);
    let mut virtual_hosts: Vec<VirtualHost> = hosts
        .iter()
        .filter_map(|(host, services)| {
            let (_, (first, written, _)) = services.first()?;
            let all: Vec<Route> = services
                .values()
                .flat_map(|(service, _, gateways)| http_route::routes(Place { mesh, proxy, gateways, port }, service))
                .collect();
            // A route that takes everything would hide those of younger VirtualServices.
            let (last, first_routes): (Vec<_>, Vec<_>) = all.into_iter().partition(http_route::takes_everything);
            Some(VirtualHost {
                name: format!("{host}:{port}"),
                domains: mesh.dialect.gateway_domains(host, port),
                routes: [first_routes, last].concat(),
                include_request_attempt_count: mesh.dialect.sends_attempt_count(),
                metadata: metadata::provenance(&written.span, &virtual_service_origin(first)),
                ..Default::default()
            })
        })
        .collect();
    if virtual_hosts.is_empty() {
        let (gateway, index, server) = servers[0];
        let origin = format!("Gateway {}/{} servers[{index}]", gateway.namespace, gateway.name);
        virtual_hosts.push(VirtualHost {
            name: format!("blackhole:{bound}"),
            domains: vec!["*".to_owned()],
            metadata: metadata::provenance(&server.span, &origin),
            ..Default::default()
        });
    }
    RouteConfiguration {
        name: configuration_name(bound),
        virtual_hosts,
        validate_clusters: shape::flag(false),
        ..Default::default()
    }
}

fn bind<'m>(mesh: &'m Mesh, servers: &[Bound<'m>]) -> HostRoutes<'m> {
    let mut hosts = HostRoutes::new();
    for service in &mesh.virtual_services {
        for (gateway, _, server) in servers {
            let bound = GatewayRef::Gateway { namespace: gateway.namespace.clone(), name: gateway.name.clone() };
            let own = service.http.iter().flat_map(|http| &http.matches).flat_map(|block| &block.gateways);
            if !service.gateways.iter().chain(own).any(|named| *named == bound) {
                continue;
            }
            for host in &service.hosts {
                let covered = server
                    .hosts
                    .iter()
                    .filter_map(|server_host| server_host.intersection(&service.namespace, &host.name));
                for name in covered {
                    let bindings = hosts.entry(name).or_default();
                    let (_, _, gateways) = bindings.entry(service.created).or_insert((service, host, Vec::new()));
                    if !gateways.contains(&bound) {
                        gateways.push(bound.clone());
                    }
                }
            }
        }
    }
    hosts
}
