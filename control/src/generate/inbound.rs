//! The inbound listener of a sidecar: one captured port, and filter chains for each port of its workload.
//!
//! A port that takes mutual TLS and plaintext (Istio: `PERMISSIVE`) has two chains, told apart by the TLS
//! inspector; the secure one is for clients whose ALPN says that they are sidecars.

use std::collections::BTreeSet;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::{TrafficDirection, TransportSocket};
use envoy_types::pb::envoy::config::listener::v3::{Filter, FilterChain, FilterChainMatch, Listener};
use envoy_types::pb::envoy::config::route::v3::{
    Decorator, Route, RouteAction, RouteConfiguration, VirtualHost, route, route_action,
};
use envoy_types::pb::envoy::extensions::filters::listener::original_dst::v3::OriginalDst;
use envoy_types::pb::envoy::extensions::filters::listener::tls_inspector::v3::TlsInspector;

use super::access_log::Logs;
use super::cluster::{BLACK_HOLE, INBOUND_PASSTHROUGH, inbound_name, service_origin};
use super::http_manager::{self, Side};
use super::listener::{listener_filter, tcp};
use super::proxy::ProxyIdentity;
use super::{matcher, metadata, retry, shape, tls};
use crate::dialect::InboundTls;
use crate::model::{InboundPort, Mesh};

/// Port that inbound connections are captured to.
pub const INBOUND_PORT: u16 = 15_006;

/// The ports that the workload serves, one for each port number it listens on: that of the oldest Service.
pub fn ports<'m>(mesh: &'m Mesh, proxy: &ProxyIdentity) -> Vec<InboundPort<'m>> {
    let mut seen = BTreeSet::new();
    let mut ports = mesh.inbound_ports(proxy.address);
    ports.sort_by_key(|port| port.service.created);
    ports.retain(|port| seen.insert(port.endpoint.port));
    ports.sort_by_key(|port| port.endpoint.port);
    ports
}

/// `virtualInbound`.
pub fn listener(mesh: &Mesh, proxy: &ProxyIdentity, ports: &[InboundPort<'_>]) -> Listener {
    let logs = &Logs::new(mesh, proxy, Side::Inbound);
    let mut chains = vec![FilterChain {
        // A connection to the captured port itself would go round in circles.
        name: "virtualInbound-blackhole".to_owned(),
        filter_chain_match: matching(Some(INBOUND_PORT), None),
        filters: vec![tcp(BLACK_HOLE, BLACK_HOLE, logs)],
        ..Default::default()
    }];
    chains.extend(ports.iter().flat_map(|port| port_chains(mesh, port, logs)));
    let passthrough = || vec![tcp(INBOUND_PASSTHROUGH, INBOUND_PASSTHROUGH, logs)];
    let mut listener = Listener {
        name: "virtualInbound".to_owned(),
        address: shape::address("0.0.0.0", INBOUND_PORT),
        traffic_direction: TrafficDirection::Inbound as i32,
        // The port that was asked for chooses among this listener's chains; `use_original_dst` would hand the
        // connection to the outbound listener of that port instead.
        listener_filters: vec![listener_filter(
            "envoy.filters.listener.original_dst",
            shape::any(&OriginalDst::default()),
        )],
        ..Default::default()
    };
    if mesh.dialect.inbound_tls() == InboundTls::Permissive {
        chains.push(secure("virtualInbound", None, passthrough(), false));
        let inspector = shape::any(&TlsInspector::default());
        listener.listener_filters.push(listener_filter("envoy.filters.listener.tls_inspector", inspector));
        // Zero waits for the client's first bytes as long as they take.
        listener.listener_filters_timeout = shape::duration(Duration::ZERO);
    }
    chains.push(FilterChain {
        name: "virtualInbound-catchall".to_owned(),
        filters: passthrough(),
        ..Default::default()
    });
    listener.filter_chains = chains;
    listener.access_log = logs.listener();
    listener
}

fn port_chains(mesh: &Mesh, port: &InboundPort<'_>, logs: &Logs<'_>) -> Vec<FilterChain> {
    let number = port.endpoint.port;
    let is_http = port.port.protocol.is_http();
    let name = format!("0.0.0.0_{number}");
    let plain = |transport: Option<&str>| FilterChain {
        name: name.clone(),
        filter_chain_match: matching(Some(number), transport),
        filters: vec![filter(mesh, port, logs)],
        metadata: metadata::provenance(&port.port.span, &service_origin(port.service, port.port)),
        ..Default::default()
    };
    match mesh.dialect.inbound_tls() {
        InboundTls::Plaintext => vec![plain(None)],
        InboundTls::Permissive => {
            let mut mutual = secure(&name, Some(number), vec![filter(mesh, port, logs)], is_http);
            mutual.metadata = metadata::provenance(&port.port.span, &service_origin(port.service, port.port));
            // TLS of the application's own passes a TCP port untouched.
            vec![mutual, plain(is_http.then_some("raw_buffer"))]
        }
    }
}

fn secure(name: &str, port: Option<u16>, filters: Vec<Filter>, is_http: bool) -> FilterChain {
    let mut matched = matching(port, Some("tls")).unwrap_or_default();
    matched.application_protocols = tls::MESH_ALPN.map(str::to_owned).to_vec();
    let socket: TransportSocket = tls::inbound(is_http);
    FilterChain {
        name: format!("{name}-mtls"),
        filter_chain_match: Some(matched),
        filters,
        transport_socket: Some(socket),
        ..Default::default()
    }
}

fn matching(port: Option<u16>, transport: Option<&str>) -> Option<FilterChainMatch> {
    Some(FilterChainMatch {
        destination_port: port.and_then(|port| shape::number(port.into())),
        transport_protocol: transport.unwrap_or_default().to_owned(),
        ..Default::default()
    })
}

fn filter(mesh: &Mesh, port: &InboundPort<'_>, logs: &Logs<'_>) -> Filter {
    let cluster = inbound_name(mesh.dialect, port);
    if !port.port.protocol.is_http() {
        return tcp(&cluster, &cluster, logs);
    }
    let prefix = format!("inbound_0.0.0.0_{}", port.endpoint.port);
    http_manager::filter(mesh.dialect, Side::Inbound, &prefix, http_manager::inline(routes(mesh, port, cluster)), logs)
}

fn routes(mesh: &Mesh, port: &InboundPort<'_>, cluster: String) -> RouteConfiguration {
    let provenance = || metadata::provenance(&port.port.span, &service_origin(port.service, port.port));
    let action = RouteAction {
        timeout: shape::duration(Duration::ZERO),
        retry_policy: retry::inbound(mesh.dialect, port.port.protocol),
        cluster_specifier: Some(route_action::ClusterSpecifier::Cluster(cluster.clone())),
        ..Default::default()
    };
    let route = Route {
        name: "default".to_owned(),
        r#match: Some(matcher::everything()),
        metadata: provenance(),
        decorator: Some(Decorator {
            operation: format!("{}:{}/*", port.service.hostname, port.port.number),
            ..Default::default()
        }),
        action: Some(route::Action::Route(action)),
        ..Default::default()
    };
    let host = VirtualHost {
        name: format!("inbound|http|{}", port.port.number),
        domains: vec!["*".to_owned()],
        routes: vec![route],
        metadata: provenance(),
        ..Default::default()
    };
    RouteConfiguration {
        name: cluster,
        virtual_hosts: vec![host],
        validate_clusters: shape::flag(false),
        ..Default::default()
    }
}
