//! What is wrong with a VirtualService by itself. Istio: `ValidateVirtualService`.

use crate::config::virtual_service::{HttpRouteSpec, RouteDestinationSpec, VirtualServiceSpec};
use crate::diagnostic::{Diagnostic, Spanned};
use crate::dialect::Dialect;

use super::host::{self, Role};
use super::{codes, export, names, overlap, pattern, retries, unreachable};

pub(super) fn check(spec: &VirtualServiceSpec, namespace: &str, dialect: Dialect, found: &mut Vec<Diagnostic>) {
    if spec.hosts.is_empty() {
        let message = match dialect {
            Dialect::V1_0 => "a VirtualService needs a host",
            Dialect::V1 => "a VirtualService without `hosts` is a delegate, and delegates are not supported yet",
        };
        found.push(Diagnostic::error(codes::EMPTY, &spec.span, message));
    }
    for host in &spec.hosts {
        host::check(host, Role::Routed, dialect, found);
    }
    overlap::check(&spec.hosts, found);
    wildcard_in_mesh(spec, found);
    if spec.http.is_empty() {
        found.push(Diagnostic::error(codes::EMPTY, &spec.span, "a VirtualService needs a route in `http`"));
    }
    for route in &spec.http {
        http_route(route, dialect, found);
    }
    unreachable::check(spec, found);
    gateway_names(spec, dialect, found);
    export::check(&spec.export_to, namespace, found);
}

fn wildcard_in_mesh(spec: &VirtualServiceSpec, found: &mut Vec<Diagnostic>) {
    let mesh = spec.gateways.iter().find(|gateway| gateway.value == "mesh");
    if !spec.gateways.is_empty() && mesh.is_none() {
        return;
    }
    for host in spec.hosts.iter().filter(|host| host.value == "*") {
        let message = "the host `*` cannot be routed in all sidecars (gateway `mesh`)";
        let finding = Diagnostic::error(codes::WILDCARD_IN_MESH, &host.span, message);
        found.push(match mesh {
            Some(mesh) => finding.with_related(&mesh.span, "`mesh` is named here"),
            None => finding.with_help("name a Gateway in `gateways`; without any it is `mesh`"),
        });
    }
}

fn http_route(route: &HttpRouteSpec, dialect: Dialect, found: &mut Vec<Diagnostic>) {
    route.matches.iter().for_each(|spec| pattern::check(spec, dialect, found));
    if route.route.is_empty() {
        found.push(Diagnostic::error(codes::EMPTY, &route.span, "an HTTP route needs a destination in `route`"));
    }
    for destination in &route.route {
        host::check(&destination.host, Role::Destination, dialect, found);
        if let Some(subset) = destination.subset.as_ref().filter(|subset| !names::is_dns_label(&subset.value)) {
            let message = format!("`{}` is no name of a subset", subset.value);
            found.push(Diagnostic::error(codes::NAME, &subset.span, message));
        }
    }
    weights(&route.route, dialect, found);
    retries::check(route, dialect, found);
}

/// A name is a DNS name, today also `namespace/name`; a dotted one is today's Istio's older way.
fn gateway_names(spec: &VirtualServiceSpec, dialect: Dialect, found: &mut Vec<Diagnostic>) {
    let matches = spec.http.iter().flat_map(|route| &route.matches);
    for Spanned { value: written, span } in spec.gateways.iter().chain(matches.flat_map(|of| &of.gateways)) {
        let slash = written.split_once('/').filter(|_| dialect.namespaces_before_slash());
        let fine = match slash {
            Some((namespace, name)) => {
                (namespace == "." || names::is_dns_label(namespace)) && names::is_dns_label(name)
            }
            None => written.len() <= 255 && written.split('.').all(names::is_dns_label),
        };
        if !fine {
            found.push(Diagnostic::error(codes::NAME, span, format!("`{written}` is no name of a Gateway")));
        } else if let Some((".", name)) = slash {
            let message = format!("Istio's validation refuses `{written}`: `.` is no namespace there");
            found.push(Diagnostic::warning(codes::NAME, span, message).with_help(format!("write `{name}`")));
        } else if let (None, Some((name, rest)), true) =
            (slash, written.split_once('.'), dialect.namespaces_before_slash())
        {
            let namespace = rest.split('.').next().unwrap_or(rest);
            let message = format!("`{written}` is the old way to name a Gateway");
            let finding = Diagnostic::note(codes::OLD_GATEWAY_NAME, span, message);
            found.push(finding.with_help(format!("write `{namespace}/{name}`")));
        }
    }
}

/// In percent the weights of several destinations add up to 100; relative ones are not all zero.
fn weights(route: &[RouteDestinationSpec], dialect: Dialect, found: &mut Vec<Diagnostic>) {
    let written: Vec<u64> =
        route.iter().map(|spec| spec.weight.as_ref().map_or(0, |weight| u64::from(weight.value))).collect();
    let total: u64 = written.iter().sum();
    let sum = || written.iter().map(u64::to_string).collect::<Vec<_>>().join(" + ");
    let Some(span) = route.iter().find_map(|spec| spec.weight.as_ref()).map(|weight| &weight.span) else {
        if let [_, second, ..] = route {
            let message = "several destinations, and none has a weight";
            found.push(Diagnostic::error(codes::WEIGHTS, &second.span, message));
        }
        return;
    };
    let problem = match (dialect.weights_are_percent(), route.len()) {
        // Istio 1.0 adds up only several.
        (true, 1) if total > 100 => format!("the weight {total} is more than 100"),
        (true, 1) => return,
        (true, _) if total != 100 => format!("the weights are {} = {total}, not 100", sum()),
        (false, 2..) if total == 0 => "all weights are 0".to_owned(),
        (false, _) if total > u64::from(u32::MAX) => format!("the weights add up to {total}, more than {}", u32::MAX),
        _ => return,
    };
    found.push(Diagnostic::error(codes::WEIGHTS, span, problem));
}
