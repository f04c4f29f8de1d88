//! Hosts that two VirtualServices claim: in the mesh the older one has them whole, on a Gateway both are joined.

use std::collections::BTreeMap;

use crate::config::gateway_ref::GatewayRef;
use crate::config::virtual_service::{HttpRouteSpec, VirtualServiceSpec};
use crate::diagnostic::{Diagnostic, Span, Spanned};

use super::set::Scope;
use super::{codes, covering, gateways};

/// Who routes which host.
#[derive(Default)]
pub(super) struct Claims<'s> {
    /// In sidecars, by full host.
    mesh: BTreeMap<String, Vec<Claim<'s>>>,
    /// On a Gateway, by it and the full host: the first route there that takes every request.
    gateways: BTreeMap<(GatewayRef, String), (&'s HttpRouteSpec, String)>,
}

/// A host of a VirtualService.
struct Claim<'s> {
    span: &'s Span,
    /// The VirtualService.
    of: String,
    /// Namespaces whose proxies see it; empty is all.
    seen_by: Vec<String>,
}

impl<'s> Claims<'s> {
    /// Reports the hosts that older VirtualServices have, and notes the others.
    pub(super) fn virtual_service(
        &mut self,
        scope: &Scope<'s>,
        spec: &'s VirtualServiceSpec,
        found: &mut Vec<Diagnostic>,
    ) {
        let seen_by = seen_by(scope, spec);
        let named = gateways::of(scope, spec);
        for written in &spec.hosts {
            let host = scope.full(written);
            if named.contains(&GatewayRef::Mesh) {
                self.in_mesh(scope, written, &host, &seen_by, found);
            }
            for gateway in named.iter().filter(|gateway| gateways::serves(scope, gateway, &host)) {
                self.on_gateway(scope, spec, written, &host, gateway, found);
            }
        }
    }

    fn in_mesh(
        &mut self,
        scope: &Scope<'s>,
        written: &'s Spanned<String>,
        host: &str,
        seen_by: &[String],
        found: &mut Vec<Diagnostic>,
    ) {
        let claims = self.mesh.entry(host.to_owned()).or_default();
        // One that is not seen wherever this one is leaves it some proxies.
        let hides = |older: &&Claim<'_>| {
            older.seen_by.is_empty() || (!seen_by.is_empty() && seen_by.iter().all(|to| older.seen_by.contains(to)))
        };
        let own = scope.name();
        if claims.iter().any(|claim| claim.of == own) {
            // The same host in another spelling.
            return;
        }
        if let Some(older) = claims.iter().find(hides) {
            let message =
                format!("an older VirtualService already routes `{host}` in the mesh; {own} has no effect there");
            let finding = Diagnostic::warning(codes::CONFLICTING_HOST, &written.span, message);
            found.push(finding.with_related(older.span, "the older one is here"));
            return;
        }
        claims.push(Claim { span: &written.span, of: own, seen_by: seen_by.to_vec() });
    }

    /// On a Gateway the routes of all VirtualServices of a host are joined, those that take everything last: of
    /// these only the oldest is ever used.
    fn on_gateway(
        &mut self,
        scope: &Scope<'s>,
        spec: &'s VirtualServiceSpec,
        written: &Spanned<String>,
        host: &str,
        gateway: &GatewayRef,
        found: &mut Vec<Diagnostic>,
    ) {
        let all: Vec<GatewayRef> = gateways::of(scope, spec);
        let Some(last) = spec.http.iter().find(|route| covering::takes_all_on(route, &all, gateway, scope)) else {
            return;
        };
        let GatewayRef::Gateway { namespace, name } = gateway else { return };
        let key = (gateway.clone(), host.to_owned());
        let Some((first, older)) = self.gateways.get(&key) else {
            self.gateways.insert(key, (last, scope.name()));
            return;
        };
        if *older == scope.name() {
            return;
        }
        let message = format!(
            "`{host}` on Gateway {namespace}/{name} also belongs to the older VirtualService {older}; requests that no \
             `match` takes go there, never to this route"
        );
        let finding = Diagnostic::warning(codes::CONFLICTING_HOST, &last.span, message);
        let finding = finding.with_related(&written.span, "the host");
        found.push(finding.with_related(&first.span, "the older route takes them all"));
    }
}

/// Namespaces whose proxies see a VirtualService; empty is all.
fn seen_by(scope: &Scope<'_>, spec: &VirtualServiceSpec) -> Vec<String> {
    let full = |to: &Spanned<String>| if to.value == "." { scope.namespace().to_owned() } else { to.value.clone() };
    let names: Vec<String> = spec.export_to.iter().map(full).collect();
    if names.iter().any(|name| name == "*") { Vec::new() } else { names }
}
