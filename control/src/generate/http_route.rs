//! One VirtualService's routes at one place: sidecars or certain gateways, on one port.

use std::borrow::Cow;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::{DataSource, Metadata};
use envoy_types::pb::envoy::config::route::v3::weighted_cluster::ClusterWeight;
use envoy_types::pb::envoy::config::route::v3::{
    Decorator, DirectResponseAction, Route, RouteAction, RouteMatch, WeightedCluster, route, route_action, route_match,
};

use super::cluster::{outbound_name, service_origin};
use super::proxy::{ProxyIdentity, ProxyKind};
use super::{matcher, metadata, retry, shape};
use crate::dialect::Dialect;
use crate::model::{
    Destination, GatewayRef, HttpMatch, HttpRoute, Labels, Mesh, Service, ServicePort, VirtualService, labels_match,
};

/// Name of the route to a service that no VirtualService speaks for.
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

/// The routes of `service`, which is bound to the place, in order up to the first that takes every request.
pub fn routes(place: Place<'_>, service: &VirtualService) -> Vec<Route> {
    let mut routes = Vec::new();
    for (index, http) in service.http.iter().enumerate() {
        let origin = format!("VirtualService {}/{} http[{index}]", service.namespace, service.name);
        if http.matches.is_empty() {
            let provenance = metadata::provenance(&http.span, &origin);
            routes.push(route(place, service, http, None, matcher::everything(), provenance));
            return routes;
        }
        for (number, block) in http.matches.iter().enumerate().filter(|(_, block)| holds(place, block)) {
            let provenance = metadata::provenance(&block.span, &format!("{origin}.match[{number}]"));
            let matched = matcher::route_match(block);
            routes.push(route(place, service, http, block.name.as_deref(), matched, provenance));
            if routes.last().is_some_and(|route| takes_everything(place.mesh.dialect, route)) {
                return routes;
            }
        }
    }
    routes
}

/// Whether a route takes every request: any path, and no other condition.
pub fn takes_everything(dialect: Dialect, route: &Route) -> bool {
    use route_match::PathSpecifier::{Prefix, SafeRegex};
    route.r#match.as_ref().is_some_and(|matched| {
        let any_path = match &matched.path_specifier {
            Some(Prefix(prefix)) => prefix == "/",
            Some(SafeRegex(regex)) => regex.regex == dialect.regex_of_any_path(),
            _ => false,
        };
        any_path && matched.headers.is_empty() && matched.query_parameters.is_empty()
    })
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
        decorator: Some(Decorator {
            operation: format!("{}:{}/*", service.hostname, port.number),
            ..Default::default()
        }),
        action: Some(route::Action::Route(action)),
        ..Default::default()
    }
}

/// Whether the part of a match block that is known beforehand holds. `gateways` make the conditions on the client
/// count for nothing.
fn holds(place: Place<'_>, block: &HttpMatch) -> bool {
    let placed = if block.gateways.is_empty() {
        let namespace = block.source_namespace.as_ref();
        labels_match(&block.source_labels, &client_labels(place))
            && namespace.is_none_or(|namespace| *namespace == place.proxy.namespace)
    } else {
        block.gateways.iter().any(|gateway| place.gateways.contains(gateway))
    };
    placed && block.port.is_none_or(|port| port == place.port)
}

/// The labels that `sourceLabels` looks at.
fn client_labels(place: Place<'_>) -> Cow<'_, Labels> {
    let is_gateway = place.proxy.kind == ProxyKind::Gateway;
    let by_service = place.mesh.dialect.labels_need_a_service();
    if by_service && (is_gateway || place.mesh.inbound_ports(place.proxy.address).is_empty()) {
        return Cow::Owned(Labels::new());
    }
    Cow::Borrowed(&place.proxy.labels)
}

fn route(
    place: Place<'_>,
    service: &VirtualService,
    http: &HttpRoute,
    match_name: Option<&str>,
    matched: RouteMatch,
    provenance: Option<Metadata>,
) -> Route {
    let name = http.name.as_deref().unwrap_or_default();
    Route {
        name: match_name.map_or_else(|| name.to_owned(), |part| format!("{name}.{part}")),
        decorator: Some(operation(place, service, http, &matched)),
        r#match: Some(matched),
        metadata: provenance,
        action: Some(action(place, http)),
        ..Default::default()
    }
}

/// What a trace calls the route: where it leads and its path, or the VirtualService when it leads to several.
fn operation(place: Place<'_>, service: &VirtualService, http: &HttpRoute, matched: &RouteMatch) -> Decorator {
    use route_match::PathSpecifier::{Path, Prefix, SafeRegex};
    let path = match &matched.path_specifier {
        Some(Prefix(prefix)) => format!("{prefix}*"),
        Some(Path(path)) => path.clone(),
        Some(SafeRegex(regex)) => regex.regex.clone(),
        _ => "/*".to_owned(),
    };
    let (name, port) = match arms(http).as_slice() {
        [only] => (&only.host.name, destination_port(place, only)),
        _ => (&service.name, place.port),
    };
    Decorator { operation: format!("{name}:{port}{path}"), ..Default::default() }
}

/// Destinations that get requests: one of weight 0 beside others is left out.
fn arms(http: &HttpRoute) -> Vec<&Destination> {
    let several = http.destinations.len() > 1;
    http.destinations.iter().filter(|arm| arm.weight > 0 || !several).collect()
}

fn action(place: Place<'_>, http: &HttpRoute) -> route::Action {
    let dialect = place.mesh.dialect;
    let mut action = RouteAction {
        timeout: shape::duration(http.timeout.unwrap_or_default()),
        retry_policy: retry::outbound(dialect, http.retries.as_ref()),
        ..Default::default()
    };
    match arms(http).as_slice() {
        [only] => {
            action.metadata_match = arm_provenance(only);
            action.cluster_specifier = Some(route_action::ClusterSpecifier::Cluster(cluster_name(place, only)));
        }
        // Refused when the VirtualService is read; a proxy would refuse the whole route configuration.
        [] => return nowhere(),
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

/// The port asked for, else at gateways the host's only one, else that which the request came in on.
///
/// Istio looks a sidecar's destinations up among the services of the listener's port, so there a service with one
/// other port is not found.
fn destination_port(place: Place<'_>, arm: &Destination) -> u16 {
    let only = || match place.mesh.service(&arm.host.name)?.ports.as_slice() {
        [only] if place.proxy.kind == ProxyKind::Gateway => Some(only.number),
        _ => None,
    };
    arm.port.or_else(only).unwrap_or(place.port)
}
