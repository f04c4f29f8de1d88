//! What is wrong with a VirtualService by itself. Istio: `ValidateVirtualService`.

use crate::config::host_name;
use crate::config::string_match::StringMatch;
use crate::config::virtual_service::{HttpRouteSpec, RouteDestinationSpec, VirtualServiceSpec};
use crate::diagnostic::{Diagnostic, Spanned};
use crate::dialect::Dialect;

use super::{codes, names, pattern};

pub(super) fn check(spec: &VirtualServiceSpec, dialect: Dialect, found: &mut Vec<Diagnostic>) {
    if spec.hosts.is_empty() {
        found.push(Diagnostic::error(codes::EMPTY, &spec.span, "a VirtualService needs a host"));
    }
    for host in &spec.hosts {
        names::host(host, true, found);
    }
    overlapping(&spec.hosts, found);
    wildcard_in_mesh(spec, found);
    if spec.http.is_empty() {
        found.push(Diagnostic::error(codes::EMPTY, &spec.span, "a VirtualService needs a route in `http`"));
    }
    for route in &spec.http {
        http_route(route, dialect, found);
    }
    unreachable(&spec.http, found);
}

fn overlapping(hosts: &[Spanned<String>], found: &mut Vec<Diagnostic>) {
    for (index, host) in hosts.iter().enumerate() {
        let name = host.value.to_ascii_lowercase();
        let earlier = hosts[..index].iter().find(|earlier| {
            let earlier = earlier.value.to_ascii_lowercase();
            !earlier.is_empty() && host_name::overlaps(&earlier, &name)
        });
        if let Some(earlier) = earlier {
            let message = format!("the host `{}` overlaps `{}`", host.value, earlier.value);
            let overlap = Diagnostic::error(codes::OVERLAPPING_HOSTS, &host.span, message);
            found.push(overlap.with_related(&earlier.span, format!("`{}` is here", earlier.value)));
        }
    }
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
    route.matches.iter().for_each(|spec| pattern::check(spec, found));
    if route.route.is_empty() {
        found.push(Diagnostic::error(codes::EMPTY, &route.span, "an HTTP route needs a destination in `route`"));
    }
    for destination in &route.route {
        names::host(&destination.host, false, found);
    }
    weights(&route.route, dialect, found);
    if let Some(retries) = &route.retries {
        super::retries::check(retries, dialect, found);
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
        (true, 1) if total > 100 => format!("the weight of the only destination is {total}, more than 100"),
        (true, 2..) if total != 100 => format!("the weights are {} = {total}, not 100", sum()),
        (false, 2..) if total == 0 => "all weights are 0".to_owned(),
        (false, _) if total > u64::from(u32::MAX) => format!("the weights add up to {total}, more than {}", u32::MAX),
        _ => return,
    };
    found.push(Diagnostic::error(codes::WEIGHTS, span, problem));
}

/// Routes behind one that takes every request.
fn unreachable(http: &[HttpRouteSpec], found: &mut Vec<Diagnostic>) {
    let Some(last) = http.iter().position(takes_all) else { return };
    for route in &http[last + 1..] {
        let finding = Diagnostic::warning(codes::UNREACHABLE_ROUTE, &route.span, "no request reaches this route");
        found.push(finding.with_related(&http[last].span, "this one takes them all"));
    }
}

fn takes_all(route: &HttpRouteSpec) -> bool {
    let any = |uri: &StringMatch| matches!(uri, StringMatch::Prefix(prefix) if prefix == "/");
    route.matches.is_empty()
        || route.matches.iter().any(|spec| {
            let others = spec.scheme.is_some() || spec.method.is_some() || spec.authority.is_some();
            let maps = !spec.headers.is_empty() || !spec.without_headers.is_empty() || !spec.query_params.is_empty();
            let source = !spec.source_labels.is_empty() || spec.source_namespace.is_some();
            let place = spec.port.is_some() || !spec.gateways.is_empty();
            spec.uri.as_ref().is_none_or(|uri| any(&uri.value)) && !others && !maps && !source && !place
        })
}
