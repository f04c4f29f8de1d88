//! What a VirtualService refers to: Gateways, Services and their ports, subsets.

use crate::config::gateway_ref::GatewayRef;
use crate::config::suggest;
use crate::config::virtual_service::{RouteDestinationSpec, VirtualServiceSpec};
use crate::diagnostic::{Diagnostic, Spanned};

use super::in_force::KnownRule;
use super::known::meant;
use super::set::{Extent, Scope};
use super::{codes, gateways};

pub(super) fn virtual_service(scope: &Scope<'_>, spec: &VirtualServiceSpec, found: &mut Vec<Diagnostic>) {
    for written in &spec.gateways {
        gateway(scope, written, found);
    }
    let bound = gateways::of(scope, spec);
    for written in spec.http.iter().flat_map(|route| &route.matches).flat_map(|block| &block.gateways) {
        if !bound.contains(&scope.gateway(&written.value)) {
            unbound(scope, spec, written, found);
        }
    }
    let clients = clients(scope, spec);
    for destination in spec.http.iter().flat_map(|route| &route.route) {
        self::destination(scope, &clients, destination, found);
    }
    let in_mesh = spec.gateways.is_empty() || spec.gateways.iter().any(|gateway| gateway.value == "mesh");
    for host in &spec.hosts {
        if !dotted(scope, host, found) && in_mesh {
            own_host(scope, host, found);
        }
    }
}

fn gateway(scope: &Scope<'_>, written: &Spanned<String>, found: &mut Vec<Diagnostic>) {
    let GatewayRef::Gateway { namespace, name } = scope.gateway(&written.value) else { return };
    let gateways = &scope.known.gateways;
    if gateways.contains_key(&(namespace.as_str(), name.as_str())) {
        return;
    }
    let message = format!("no Gateway {namespace}/{name}; the routes do not apply there");
    let mut finding = Diagnostic::warning(codes::UNKNOWN_GATEWAY, &written.span, message);
    // `mesh` is no Gateway, and is mistyped like one.
    let names = || gateways.keys().filter(|(of, _)| *of == namespace).map(|(_, name)| *name);
    let near = suggest::nearest_name(&name, names().chain(["mesh"]));
    let elsewhere = gateways.iter().find(|((_, other), _)| *other == name);
    match (near, elsewhere) {
        (Some(near), _) => {
            finding = meant(finding, Some(near));
            if let Some((document, _)) = gateways.get(&(namespace.as_str(), near)) {
                finding = finding.with_related(&document.metadata.name.span, format!("Gateway {namespace}/{near}"));
            }
        }
        (None, Some(((of, _), (document, _)))) => {
            let slash = scope.dialect.namespaces_before_slash();
            let full = format!("{name}.{of}.svc.{}", scope.mesh.domain);
            finding = finding.with_help(format!("write `{}`", if slash { format!("{of}/{name}") } else { full }));
            finding = finding.with_related(&document.metadata.name.span, format!("a Gateway {name} is in {of}"));
        }
        (None, None) => {}
    }
    found.push(scope.missing(finding));
}

/// A match names a Gateway, or the mesh, that its VirtualService is not bound to.
fn unbound(scope: &Scope<'_>, spec: &VirtualServiceSpec, written: &Spanned<String>, found: &mut Vec<Diagnostic>) {
    let message =
        format!("{} is not bound to `{}`, so no request there comes to this match", scope.name(), written.value);
    let finding = Diagnostic::warning(codes::UNBOUND_MATCH, &written.span, message);
    let near = suggest::nearest_name(&written.value, spec.gateways.iter().map(|gateway| gateway.value.as_str()));
    found.push(match near {
        Some(near) => meant(finding, Some(near)),
        None if spec.gateways.is_empty() => {
            finding.with_help(format!("name it in the VirtualService's `gateways` too: `[mesh, {}]`", written.value))
        }
        None => finding.with_help("name it in the VirtualService's `gateways` too"),
    });
}

fn destination(scope: &Scope<'_>, clients: &[&str], spec: &RouteDestinationSpec, found: &mut Vec<Diagnostic>) {
    let host = scope.full(&spec.host);
    let services = &scope.known.services;
    match services.get(&host) {
        Some(service) => {
            if let Some(port) = spec.port.as_ref().filter(|port| !service.has_port(port.value)) {
                let message = format!("`{host}` has no port {}; requests sent there are answered 503", port.value);
                let finding = Diagnostic::warning(codes::UNKNOWN_PORT, &port.span, message);
                let ports = format!("the Service has {}", service.ports());
                found.push(finding.with_related(service.span, ports));
            }
        }
        // Without any Service there is nothing to compare with: the text is checked by itself.
        None if services.is_empty() || host.starts_with('*') || dotted(scope, &spec.host, found) => {}
        None => {
            let message = format!("no Service `{host}`; requests sent there are answered 503");
            let finding = Diagnostic::warning(codes::UNKNOWN_DESTINATION, &spec.host.span, message);
            let near = scope.known.nearest_service(&spec.host.value, scope.namespace());
            found.push(scope.missing(meant(finding, near)));
        }
    }
    if let Some(name) = &spec.subset {
        subset(scope, clients, &host, name, found);
    }
}

/// Namespaces of the proxies that route by a VirtualService, as far as they are known: its own in the mesh, and
/// those of its Gateways' pods.
fn clients<'s>(scope: &Scope<'s>, spec: &VirtualServiceSpec) -> Vec<&'s str> {
    let mut clients = Vec::new();
    for gateway in gateways::of(scope, spec) {
        match (gateways::known(scope, &gateway), &gateway) {
            (_, GatewayRef::Mesh) => clients.push(scope.document.metadata.namespace.as_str()),
            (Some((_, of)), _) => clients.extend(scope.known.namespaces_of_pods(&of.selector)),
            (None, _) => {}
        }
    }
    if clients.is_empty() {
        clients.push(scope.mesh.root_namespace.as_str());
    }
    clients
}

fn subset(scope: &Scope<'_>, clients: &[&str], host: &str, name: &Spanned<String>, found: &mut Vec<Diagnostic>) {
    let covering = scope.known.rules_covering(host);
    let used = scope.known.rules_used(&covering, host, clients, scope);
    let has = |rule: &&KnownRule<'_>| rule.spec.subsets.iter().any(|subset| subset.name.value == name.value);
    if used.iter().any(has) {
        return;
    }
    let elsewhere = covering.iter().any(has);
    // A rule for this very host may be in the cluster.
    let sure = scope.extent == Extent::Whole || used.iter().any(|rule| !rule.is_wildcard());
    if !sure && !elsewhere {
        return;
    }
    let which = if elsewhere { "DestinationRule that is used here" } else { "DestinationRule" };
    let message =
        format!("no {which} defines the subset `{}` of `{host}`; requests sent there are answered 503", name.value);
    let mut finding = Diagnostic::warning(codes::UNKNOWN_SUBSET, &name.span, message);
    for rule in &covering {
        let names = rule.spec.subsets.iter().map(|subset| format!("`{}`", subset.name.value));
        let names = names.collect::<Vec<_>>().join(", ");
        let names = if names.is_empty() { "no subsets".to_owned() } else { names };
        let related = if used.iter().any(|used| std::ptr::eq(*used, *rule)) {
            format!("the DestinationRule for this host has {names}")
        } else {
            format!("this DestinationRule has {names}, and clients in {} do not use it", clients.join(", "))
        };
        finding = finding.with_related(rule.span, related);
    }
    if covering.is_empty() {
        finding = finding.with_help(format!("no DestinationRule is for `{host}`; one has to define the subset"));
    } else if elsewhere {
        finding = finding.with_help(if scope.dialect.rules_are_global() {
            "only the rules of the most specific host are used"
        } else {
            "a client uses the rules of its own namespace, else the Service's, else the root's; there only those of the \
             most specific host, if they are exported to it"
        });
    } else {
        let names = used.iter().flat_map(|rule| &rule.spec.subsets).map(|subset| subset.name.value.as_str());
        finding = meant(finding, suggest::nearest_name(&name.value, names));
    }
    found.push(if sure { finding } else { scope.missing(finding) });
}

/// Reports a dotted host that would be a Service if it were shorter or longer. A host with a dot is a full name.
pub(super) fn dotted(scope: &Scope<'_>, written: &Spanned<String>, found: &mut Vec<Diagnostic>) -> bool {
    let (host, services) = (scope.full(written), &scope.known.services);
    if !written.value.contains('.') || services.contains_key(&host) {
        return false;
    }
    let domain = &scope.mesh.domain;
    let full = [format!("{host}.svc.{domain}"), format!("{host}.{domain}")];
    let Some((meant, service)) = full.iter().find_map(|full| services.get_key_value(full)) else { return false };
    let message = format!("`{}` has a dot, so it is taken as a full name; it never equals `{meant}`", written.value);
    let finding = Diagnostic::warning(codes::DOTTED_HOST, &written.span, message);
    let short = service.namespace == scope.namespace();
    let short = if short { format!("`{}` or ", service.name) } else { String::new() };
    found.push(finding.with_help(format!("write {short}`{meant}`")).with_related(service.span, "the Service"));
    true
}

/// Reports a short host of the mesh that is no Service: no DNS knows the name, so no request carries it.
fn own_host(scope: &Scope<'_>, written: &Spanned<String>, found: &mut Vec<Diagnostic>) {
    let (host, services) = (scope.full(written), &scope.known.services);
    if written.value.contains(['.', '*', ':']) || services.is_empty() || services.contains_key(&host) {
        return;
    }
    let message = format!("no Service `{host}` has this host; in the mesh nobody calls it by that name");
    let finding = Diagnostic::warning(codes::UNKNOWN_HOST, &written.span, message);
    let near = scope.known.nearest_service(&written.value, scope.namespace());
    found.push(scope.missing(meant(finding, near)));
}
