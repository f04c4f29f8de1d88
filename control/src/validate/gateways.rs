//! Gateways and what is bound to them: hosts that no server serves, and servers that cannot share a port.

use std::collections::BTreeMap;

use crate::config::document::{Document, Spec};
use crate::config::gateway::{GatewaySpec, ServerSpec};
use crate::config::gateway_ref::GatewayRef;
use crate::config::host_name::overlaps;
use crate::config::virtual_service::VirtualServiceSpec;
use crate::config::{ConfigSet, Kind};
use crate::diagnostic::{Diagnostic, Spanned};
use crate::dialect::Dialect;

use super::codes;
use super::known::has_all;
use super::set::Scope;

/// Where a VirtualService applies. A match's own `gateways` only narrow that.
pub(super) fn of(scope: &Scope<'_>, spec: &VirtualServiceSpec) -> Vec<GatewayRef> {
    let mut named: Vec<GatewayRef> = spec.gateways.iter().map(|written| scope.gateway(&written.value)).collect();
    if spec.gateways.is_empty() {
        named.push(GatewayRef::Mesh);
    }
    named.sort();
    named.dedup();
    named
}

/// Whether a Gateway is known and has a server for a full host.
pub(super) fn serves(scope: &Scope<'_>, gateway: &GatewayRef, host: &str) -> bool {
    known(scope, gateway)
        .is_some_and(|(document, spec)| hosts(spec).any(|written| fits(scope, document, &written.value, host)))
}

/// A Gateway that is there.
pub(super) fn known<'s>(scope: &Scope<'s>, gateway: &GatewayRef) -> Option<(&'s Document, &'s GatewaySpec)> {
    let GatewayRef::Gateway { namespace, name } = gateway else { return None };
    scope.known.gateways.get(&(namespace.as_str(), name.as_str())).copied()
}

fn hosts(spec: &GatewaySpec) -> impl Iterator<Item = &Spanned<String>> {
    spec.servers.iter().flat_map(|server| &server.hosts)
}

/// Whether a host of a server, `host` or `namespace/host`, has a name in common with a VirtualService's host.
fn fits(scope: &Scope<'_>, gateway: &Document, written: &str, host: &str) -> bool {
    let (namespace, name) = written.split_once('/').unwrap_or(("*", written));
    let namespace = if namespace == "." { &gateway.metadata.namespace } else { namespace };
    (namespace == "*" || namespace == scope.namespace()) && overlaps(&name.to_ascii_lowercase(), host)
}

/// Reports a Gateway that serves none of the hosts, and a host that none of the Gateways serves.
pub(super) fn bindings(scope: &Scope<'_>, spec: &VirtualServiceSpec, found: &mut Vec<Diagnostic>) {
    let full: Vec<String> = spec.hosts.iter().map(|host| scope.full(host)).collect();
    let mut served = true;
    for written in &spec.gateways {
        let gateway = scope.gateway(&written.value);
        let Some((document, of)) = known(scope, &gateway) else { continue };
        if of.servers.is_empty() || full.iter().any(|host| serves(scope, &gateway, host)) {
            continue;
        }
        served = false;
        let (namespace, name) = (&document.metadata.namespace, &document.metadata.name.value);
        let message = format!(
            "Gateway {namespace}/{name} serves none of the hosts of {}; requests for them are answered 404 there",
            scope.name()
        );
        let mut finding = Diagnostic::warning(codes::UNSERVED_HOST, &written.span, message);
        let other = hosts(of).find(|host| host.value.contains('/') && fits_elsewhere(&host.value, &full));
        for host in hosts(of).take(3) {
            finding = finding.with_related(&host.span, format!("it serves `{}`", host.value));
        }
        if let Some(other) = other {
            finding = finding.with_help(format!(
                "`{}` is for VirtualServices of another namespace than {}",
                other.value,
                scope.namespace()
            ));
        }
        found.push(finding);
    }
    if served {
        unserved_hosts(scope, spec, &full, found);
    }
}

/// Whether only the namespace before the slash keeps the hosts from being served.
fn fits_elsewhere(written: &str, full: &[String]) -> bool {
    let name = written.split_once('/').map_or(written, |(_, name)| name).to_ascii_lowercase();
    full.iter().any(|host| overlaps(&name, host))
}

/// A host is for another place when there is one that is not known here, or the mesh.
fn unserved_hosts(scope: &Scope<'_>, spec: &VirtualServiceSpec, full: &[String], found: &mut Vec<Diagnostic>) {
    let named = of(scope, spec);
    if named.iter().any(|gateway| known(scope, gateway).is_none_or(|(_, spec)| spec.servers.is_empty())) {
        return;
    }
    for (written, host) in spec.hosts.iter().zip(full) {
        if named.iter().any(|gateway| serves(scope, gateway, host)) {
            continue;
        }
        let message = format!("no Gateway of {} serves `{host}`; requests for it are answered 404", scope.name());
        let mut finding = Diagnostic::warning(codes::UNSERVED_HOST, &written.span, message);
        let all = named.iter().filter_map(|gateway| known(scope, gateway)).flat_map(|(_, spec)| hosts(spec));
        for host in all.take(3) {
            finding = finding.with_related(&host.span, format!("served is `{}`", host.value));
        }
        found.push(finding);
    }
}

/// Servers of one port and of proxies in common whose protocols differ. Istio 1.0 takes only the first; today's takes
/// every kind of HTTP together.
pub(super) fn conflicts(set: &ConfigSet, dialect: Dialect, found: &mut Vec<Diagnostic>) {
    if dialect.shares_port_among_http() {
        return;
    }
    let mut earlier: BTreeMap<u16, Vec<(&Document, &GatewaySpec, &ServerSpec)>> = BTreeMap::new();
    for stored in set.of_kind(Kind::Gateway) {
        let Spec::Gateway(spec) = &stored.document.spec else { continue };
        for server in &spec.servers {
            let same = earlier.entry(server.port.value).or_default();
            // Whoever has all labels of the one has those of the other: some proxy serves both.
            let joins = |other: &GatewaySpec| {
                has_all(&other.selector, &spec.selector) || has_all(&spec.selector, &other.selector)
            };
            let first = same.iter().find(|(_, other, _)| joins(other));
            if let Some((document, _, first)) = first.filter(|(.., first)| !alike(first, server)) {
                let message = format!(
                    "port {} already speaks {} by Gateway {}/{}; Istio {dialect} leaves this {} server out",
                    server.port.value,
                    first.protocol,
                    document.metadata.namespace,
                    document.metadata.name.value,
                    server.protocol
                );
                let finding = Diagnostic::warning(codes::CONFLICTING_GATEWAYS, &server.port.span, message);
                found.push(finding.with_related(&first.port.span, "the first is here"));
                continue;
            }
            same.push((&stored.document, spec, server));
        }
    }
}

fn alike(a: &ServerSpec, b: &ServerSpec) -> bool {
    a.protocol.eq_ignore_ascii_case(&b.protocol)
}
