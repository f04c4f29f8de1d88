//! One VirtualService's routes at one place: sidecars or certain gateways, on one port.

use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::{DataSource, Metadata};
use envoy_types::pb::envoy::config::route::v3::weighted_cluster::ClusterWeight;
use envoy_types::pb::envoy::config::route::v3::{
    Decorator, DirectResponseAction, Route, RouteAction, RouteMatch, WeightedCluster, route, route_action,
};

use super::cluster::{outbound_name, service_origin};
use super::proxy::ProxyIdentity;
use super::{matcher, metadata, retry, shape};
use crate::dialect::Dialect;
use crate::model::{
    Destination, GatewayRef, HttpMatch, HttpRoute, Mesh, Service, ServicePort, VirtualService, labels_match,
};

/// Name of a route that has none.
const DEFAULT_NAME: &str = "default";

/// Where routes are made for.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The mesh.
    pub mesh: &'a Mesh,
    /// The proxy that routes.
    pub proxy: &'a ProxyIdentity,
    /// Sidecars, or the gateways that the proxy serves on the port.
    pub gateways: &'a [GatewayRef],
    /// The port that requests arrive on.
    pub port: u16,
}

/// The routes of `service` in order, up to the first that takes every request.
pub fn routes(place: Place<'_>, service: &VirtualService) -> Vec<Route> {
    let mut routes = Vec::new();
    for (index, http) in service.http.iter().enumerate() {
        let origin = format!("VirtualService {}/{} http[{index}]", service.namespace, service.name);
        if http.matches.is_empty() {
            if applies(place, &service.gateways) {
                let provenance = metadata::provenance(&http.span, &origin);
                routes.push(route(place, http, None, matcher::everything(), provenance));
                return routes;
            }
            continue;
        }
        for (number, block) in http.matches.iter().enumerate().filter(|(_, block)| holds(place, service, block)) {
            let matched = matcher::route_match(block);
            let takes_all = matched == matcher::everything();
            let provenance = metadata::provenance(&block.span, &format!("{origin}.match[{number}]"));
            routes.push(route(place, http, block.name.as_deref(), matched, provenance));
            if takes_all {
                return routes;
            }
        }
    }
    routes
}

/// Whether a route takes every request.
pub fn takes_everything(route: &Route) -> bool {
    route.r#match.as_ref().is_some_and(|matched| *matched == matcher::everything())
}

/// The route to a service port that no VirtualService speaks for.
pub fn default_route(dialect: Dialect, service: &Service, port: &ServicePort) -> Route {
    let cluster = outbound_name(port.number, None, &service.hostname);
    let action = RouteAction {
        timeout: shape::duration(Duration::ZERO),
        retry_policy: retry::outbound(dialect, None),
        cluster_specifier: Some(route_action::ClusterSpecifier::Cluster(cluster)),
        ..Default::default()
    };
    Route {
        name: DEFAULT_NAME.to_owned(),
        r#match: Some(matcher::everything()),
        metadata: metadata::provenance(&port.span, &service_origin(service, port)),
        decorator: decorator(&service.hostname, port.number),
        action: Some(route::Action::Route(action)),
        ..Default::default()
    }
}

fn applies(place: Place<'_>, gateways: &[GatewayRef]) -> bool {
    gateways.iter().any(|gateway| place.gateways.contains(gateway))
}

/// Whether the part of a match block that is known beforehand holds.
fn holds(place: Place<'_>, service: &VirtualService, block: &HttpMatch) -> bool {
    let own = !block.gateways.is_empty();
    let gateways = if own { &block.gateways } else { &service.gateways };
    let labels = labels_match(&block.source_labels, &place.proxy.labels)
        || (own && place.mesh.dialect.gateways_override_source_labels());
    applies(place, gateways)
        && labels
        && block.port.is_none_or(|port| port == place.port)
        && block.source_namespace.as_ref().is_none_or(|namespace| *namespace == place.proxy.namespace)
}

fn route(
    place: Place<'_>,
    http: &HttpRoute,
    match_name: Option<&str>,
    matched: RouteMatch,
    provenance: Option<Metadata>,
) -> Route {
    let name = match (http.name.as_deref(), match_name) {
        (Some(name), Some(part)) => format!("{name}.{part}"),
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (None, None) => DEFAULT_NAME.to_owned(),
    };
    let first = http.destinations.first();
    Route {
        name,
        r#match: Some(matched),
        metadata: provenance,
        decorator: first.and_then(|first| decorator(&first.host.name, destination_port(place, first))),
        action: Some(action(place, http)),
        ..Default::default()
    }
}

fn decorator(host: &str, port: u16) -> Option<Decorator> {
    Some(Decorator { operation: format!("{host}:{port}/*"), ..Default::default() })
}

fn action(place: Place<'_>, http: &HttpRoute) -> route::Action {
    let dialect = place.mesh.dialect;
    let mut arms: Vec<&Destination> = http.destinations.iter().collect();
    if arms.len() > 1 && dialect.drops_zero_weights() {
        arms.retain(|arm| arm.weight > 0);
    }
    let mut action = RouteAction {
        timeout: shape::duration(http.timeout.unwrap_or_default()),
        retry_policy: retry::outbound(dialect, http.retries.as_ref()),
        ..Default::default()
    };
    match arms.as_slice() {
        [only] => {
            action.metadata_match = arm_provenance(only);
            action.cluster_specifier = Some(route_action::ClusterSpecifier::Cluster(cluster_name(place, only)));
        }
        // Refused when the VirtualService is read; a proxy would refuse the whole route configuration.
        arms if arms.iter().all(|arm| arm.weight == 0) => return nowhere(),
        arms => {
            let clusters = arms.iter().map(|arm| ClusterWeight {
                name: cluster_name(place, arm),
                weight: shape::number(arm.weight),
                metadata_match: arm_provenance(arm),
                ..Default::default()
            });
            let weighted = WeightedCluster { clusters: clusters.collect(), ..Default::default() };
            action.cluster_specifier = Some(route_action::ClusterSpecifier::WeightedClusters(weighted));
        }
    }
    route::Action::Route(action)
}

fn nowhere() -> route::Action {
    route::Action::DirectResponse(DirectResponseAction {
        status: 503,
        body: Some(DataSource::default()),
        ..Default::default()
    })
}

/// The line of an arm's weight. Envoy looks only for its own key in this metadata and leaves ours alone.
fn arm_provenance(arm: &Destination) -> Option<Metadata> {
    let subset = arm.subset.as_deref().map(|subset| format!(" subset {subset}")).unwrap_or_default();
    metadata::provenance(&arm.weight_span, &format!("destination {}{subset}", arm.host.written))
}

fn cluster_name(place: Place<'_>, arm: &Destination) -> String {
    outbound_name(destination_port(place, arm), arm.subset.as_deref(), &arm.host.name)
}

/// The port asked for, else the host's only one, else that which the request came in on.
fn destination_port(place: Place<'_>, arm: &Destination) -> u16 {
    let only = || match place.mesh.service(&arm.host.name)?.ports.as_slice() {
        [only] => Some(only.number),
        _ => None,
    };
    arm.port.or_else(only).unwrap_or(place.port)
}
