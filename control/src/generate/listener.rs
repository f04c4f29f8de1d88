//! Outbound listeners of a sidecar: the captured port, and one for each service port behind it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::TrafficDirection;
use envoy_types::pb::envoy::config::listener::v3::{
    Filter, FilterChain, FilterChainMatch, Listener, ListenerFilter, filter, listener_filter,
};
use envoy_types::pb::envoy::extensions::filters::listener::http_inspector::v3::HttpInspector;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::{TcpProxy, tcp_proxy};
use envoy_types::pb::google::protobuf::Any;

use super::access_log::Logs;
use super::cluster::{BLACK_HOLE, PASSTHROUGH, outbound_name, service_origin};
use super::http_manager::{self, Side};
use super::proxy::ProxyIdentity;
use super::{metadata, route, shape};
use crate::dialect::{Dialect, UnknownDestination};
use crate::model::{ClusterIp, Mesh, Protocol, Service, ServicePort};

/// Port that outbound connections are captured to.
pub const OUTBOUND_PORT: u16 = 15_001;

/// All outbound listeners: the captured port first, then HTTP ports, then single addresses.
pub fn outbound(mesh: &Mesh, proxy: &ProxyIdentity) -> Vec<Listener> {
    let logs = &Logs::new(mesh, proxy, Side::Outbound);
    let mut listeners = vec![captured(mesh.dialect, logs)];
    listeners
        .extend(route::http_ports(mesh).iter().filter_map(|(port, services)| http_port(mesh, *port, services, logs)));
    let mut single = BTreeMap::new();
    for service in mesh.services.values() {
        for port in service.ports.iter().filter(|port| !port.protocol.is_http() && port.protocol != Protocol::Udp) {
            for address in addresses(service, port) {
                single.entry((address, port.number)).or_insert((service, port));
            }
        }
    }
    listeners.extend(
        single
            .into_iter()
            .map(|((address, number), (service, port))| single_address(mesh, (address, number), (service, port), logs)),
    );
    for listener in &mut listeners {
        listener.access_log = logs.listener();
    }
    listeners
}

/// Where clients connect to for a port that is not HTTP: the service's address, or without one each pod's.
fn addresses(service: &Service, port: &ServicePort) -> Vec<IpAddr> {
    match service.cluster_ip {
        ClusterIp::Assigned(address) => vec![address],
        ClusterIp::Headless => port.endpoints.iter().map(|endpoint| endpoint.address).collect(),
        ClusterIp::Unassigned => Vec::new(),
    }
}

/// The cluster of connections to addresses that no service has.
fn unknown_destination(dialect: Dialect) -> &'static str {
    match dialect.unknown_destination() {
        UnknownDestination::Refused => BLACK_HOLE,
        UnknownDestination::Allowed => PASSTHROUGH,
    }
}

fn captured(dialect: Dialect, logs: &Logs<'_>) -> Listener {
    let unknown = unknown_destination(dialect);
    Listener {
        name: "virtualOutbound".to_owned(),
        address: shape::address("0.0.0.0", OUTBOUND_PORT),
        filter_chains: vec![
            // A connection to the captured port itself would go round in circles.
            FilterChain {
                name: "virtualOutbound-blackhole".to_owned(),
                filter_chain_match: Some(FilterChainMatch {
                    destination_port: shape::number(OUTBOUND_PORT.into()),
                    ..Default::default()
                }),
                filters: vec![tcp(BLACK_HOLE, BLACK_HOLE, logs)],
                ..Default::default()
            },
            FilterChain {
                name: "virtualOutbound-catchall-tcp".to_owned(),
                filters: vec![tcp(unknown, unknown, logs)],
                ..Default::default()
            },
        ],
        use_original_dst: shape::flag(true),
        traffic_direction: TrafficDirection::Outbound as i32,
        ..Default::default()
    }
}

fn http_port(mesh: &Mesh, port: u16, services: &[(&Service, &ServicePort)], logs: &Logs<'_>) -> Option<Listener> {
    let (service, first) = services.first()?;
    let prefix = format!("outbound_0.0.0.0_{port}");
    let manager =
        http_manager::filter(mesh.dialect, Side::Outbound, &prefix, http_manager::rds(&port.to_string()), logs);
    let mut listener = Listener {
        name: format!("0.0.0.0_{port}"),
        address: shape::address("0.0.0.0", port),
        metadata: metadata::provenance(&first.span, &service_origin(service, first)),
        bind_to_port: shape::flag(false),
        traffic_direction: TrafficDirection::Outbound as i32,
        ..Default::default()
    };
    if mesh.dialect.inspects_http_ports() {
        let unknown = unknown_destination(mesh.dialect);
        let bytes = FilterChain { filters: vec![tcp(unknown, unknown, logs)], ..Default::default() };
        inspect(&mut listener, manager, bytes);
    } else {
        listener.filter_chains = vec![FilterChain { filters: vec![manager], ..Default::default() }];
    }
    Some(listener)
}

/// Gives HTTP to `manager` and all else to `bytes`, by what a client sends first.
fn inspect(listener: &mut Listener, manager: Filter, bytes: FilterChain) {
    listener.filter_chains = vec![FilterChain {
        filter_chain_match: Some(FilterChainMatch {
            transport_protocol: "raw_buffer".to_owned(),
            application_protocols: ["http/1.1", "h2c"].map(str::to_owned).to_vec(),
            ..Default::default()
        }),
        filters: vec![manager],
        ..Default::default()
    }];
    listener.default_filter_chain = Some(bytes);
    let inspector = shape::any(&HttpInspector::default());
    listener.listener_filters = vec![listener_filter("envoy.filters.listener.http_inspector", inspector)];
    // Zero waits for the client's first bytes as long as they take.
    listener.listener_filters_timeout = shape::duration(Duration::ZERO);
}

fn single_address(
    mesh: &Mesh,
    (address, number): (IpAddr, u16),
    (service, port): (&Service, &ServicePort),
    logs: &Logs<'_>,
) -> Listener {
    let cluster = outbound_name(number, None, &service.hostname);
    let bytes = FilterChain { filters: vec![tcp(&cluster, &cluster, logs)], ..Default::default() };
    let mut listener = Listener {
        name: format!("{address}_{number}"),
        address: shape::ip_address(address, number),
        metadata: metadata::provenance(&port.span, &service_origin(service, port)),
        bind_to_port: shape::flag(false),
        traffic_direction: TrafficDirection::Outbound as i32,
        ..Default::default()
    };
    if port.protocol != Protocol::Sniffed || service.cluster_ip == ClusterIp::Headless {
        listener.filter_chains = vec![bytes];
        return listener;
    }
    let prefix = format!("outbound_{address}_{number}");
    let routes = http_manager::rds(&route::sniffed_name(service, port));
    inspect(&mut listener, http_manager::filter(mesh.dialect, Side::Outbound, &prefix, routes, logs), bytes);
    listener
}

/// A TCP proxy to `cluster`.
pub(super) fn tcp(stat_prefix: &str, cluster: &str, logs: &Logs<'_>) -> Filter {
    let proxy = TcpProxy {
        stat_prefix: stat_prefix.to_owned(),
        access_log: logs.tcp(),
        cluster_specifier: Some(tcp_proxy::ClusterSpecifier::Cluster(cluster.to_owned())),
        ..Default::default()
    };
    Filter {
        name: "envoy.filters.network.tcp_proxy".to_owned(),
        config_type: Some(filter::ConfigType::TypedConfig(shape::any(&proxy))),
    }
}

/// A listener filter.
pub(super) fn listener_filter(name: &str, config: Any) -> ListenerFilter {
    ListenerFilter {
        name: name.to_owned(),
        config_type: Some(listener_filter::ConfigType::TypedConfig(config)),
        ..Default::default()
    }
}
