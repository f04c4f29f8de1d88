//! What is wrong with the objects together: references to nothing, and hosts that two VirtualServices claim.
//!
//! These are warnings: the mesh runs, and the run shows the 404 or 503 that comes of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::document::Spec;
use crate::config::gateway_ref::GatewayRef;
use crate::config::host_name::{covers, full_name, specificity};
use crate::config::virtual_service::{RouteDestinationSpec, VirtualServiceSpec};
use crate::config::{ConfigSet, Document, Kind, MeshConfig, suggest};
use crate::diagnostic::{Diagnostic, Span, Spanned};
use crate::dialect::Dialect;

use super::codes;

/// Every problem of the objects together, by VirtualService from the oldest.
pub fn set(set: &ConfigSet, dialect: Dialect, mesh: &MeshConfig) -> Vec<Diagnostic> {
    let known = Known::of(set, mesh);
    let mut found = Vec::new();
    let mut claimed: BTreeMap<String, Span> = BTreeMap::new();
    for stored in set.of_kind(Kind::VirtualService) {
        let document = &stored.document;
        let Spec::VirtualService(spec) = &document.spec else { continue };
        let scope = Scope { namespace: &document.metadata.namespace, known: &known, dialect, mesh };
        scope.gateways(spec, &mut found);
        for destination in spec.http.iter().flat_map(|route| &route.route) {
            scope.destination(destination, &mut found);
        }
        scope.hosts(document, spec, &mut claimed, &mut found);
    }
    for stored in set.of_kind(Kind::DestinationRule) {
        let Spec::DestinationRule(spec) = &stored.document.spec else { continue };
        let scope = Scope { namespace: &stored.document.metadata.namespace, known: &known, dialect, mesh };
        scope.dotted(&spec.host, &mut found);
    }
    found
}

/// What can be referred to.
struct Known<'s> {
    /// Full names of Services.
    services: BTreeSet<String>,
    /// Gateways as (namespace, name).
    gateways: BTreeSet<(&'s str, &'s str)>,
    /// DestinationRules: full host, subsets, and where the rule is.
    rules: Vec<(String, Vec<&'s str>, &'s Span)>,
}

impl<'s> Known<'s> {
    fn of(set: &'s ConfigSet, mesh: &MeshConfig) -> Self {
        let metadata = |kind| set.of_kind(kind).into_iter().map(|stored| &stored.document.metadata);
        let services = metadata(Kind::Service).map(|of| full_name(&of.name.value, &of.namespace, &mesh.domain));
        let gateways = metadata(Kind::Gateway).map(|of| (of.namespace.as_str(), of.name.value.as_str()));
        let mut rules = Vec::new();
        for stored in set.of_kind(Kind::DestinationRule) {
            let of = &stored.document.metadata;
            if let Spec::DestinationRule(spec) = &stored.document.spec {
                let host = full_name(&spec.host.value, &of.namespace, &mesh.domain);
                rules.push((host, spec.subsets.iter().map(|s| s.name.value.as_str()).collect(), &of.name.span));
            }
        }
        Known { services: services.collect(), gateways: gateways.collect(), rules }
    }
}

struct Scope<'s> {
    namespace: &'s str,
    known: &'s Known<'s>,
    dialect: Dialect,
    mesh: &'s MeshConfig,
}

impl Scope<'_> {
    fn full(&self, written: &Spanned<String>) -> String {
        full_name(&written.value, self.namespace, &self.mesh.domain)
    }

    fn gateway(&self, written: &Spanned<String>) -> GatewayRef {
        GatewayRef::resolve(&written.value, self.namespace, &self.mesh.domain, self.dialect)
    }

    fn gateways(&self, spec: &VirtualServiceSpec, found: &mut Vec<Diagnostic>) {
        let matches = spec.http.iter().flat_map(|route| &route.matches);
        for written in spec.gateways.iter().chain(matches.flat_map(|of| &of.gateways)) {
            let GatewayRef::Gateway { namespace, name } = self.gateway(written) else { continue };
            if self.known.gateways.contains(&(namespace.as_str(), name.as_str())) {
                continue;
            }
            let message = format!("no Gateway {namespace}/{name}; the routes do not apply there");
            let finding = Diagnostic::warning(codes::UNKNOWN_GATEWAY, &written.span, message);
            let names = self.known.gateways.iter().filter(|(of, _)| *of == namespace).map(|(_, name)| *name);
            found.push(match suggest::nearest(&name, names) {
                Some(meant) => finding.with_help(format!("did you mean `{meant}`?")),
                None => finding,
            });
        }
    }

    fn destination(&self, spec: &RouteDestinationSpec, found: &mut Vec<Diagnostic>) {
        let host = self.full(&spec.host);
        // Without any Service there is nothing to compare with: the text is checked by itself.
        if !self.known.services.is_empty() && !self.known.services.contains(&host) && !self.dotted(&spec.host, found) {
            let message = format!("no Service `{host}`; requests sent there are answered 503");
            let finding = Diagnostic::warning(codes::UNKNOWN_DESTINATION, &spec.host.span, message);
            let names = self.known.services.iter().map(String::as_str);
            found.push(match suggest::nearest(&host, names) {
                Some(meant) => finding.with_help(format!("did you mean `{meant}`?")),
                None => finding,
            });
        }
        let Some(subset) = &spec.subset else { return };
        let mut rules: Vec<_> = self.known.rules.iter().filter(|(of, ..)| covers(of, &host)).collect();
        if self.dialect.rules_are_global()
            && let Some(first) = rules.iter().map(|(of, ..)| of).min_by(|a, b| specificity(a, b)).cloned()
        {
            // Only rules of the most specific host count, nothing is inherited.
            rules.retain(|(of, ..)| *of == first);
        }
        if rules.iter().any(|(_, subsets, _)| subsets.contains(&subset.value.as_str())) {
            return;
        }
        let message = format!(
            "no DestinationRule defines the subset `{}` of `{host}`; requests sent there are answered 503",
            subset.value
        );
        let mut finding = Diagnostic::warning(codes::UNKNOWN_SUBSET, &subset.span, message);
        for (_, subsets, span) in &rules {
            let names = subsets.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let has = if names.is_empty() { "no subsets".to_owned() } else { names };
            finding = finding.with_related(span, format!("the DestinationRule for this host has {has}"));
        }
        let names = rules.iter().flat_map(|(_, subsets, _)| subsets.iter().copied());
        found.push(match suggest::nearest(&subset.value, names) {
            Some(meant) => finding.with_help(format!("did you mean `{meant}`?")),
            None => finding,
        });
    }

    /// Reports a dotted host that would be a Service if it were shorter or longer. A host with a dot is a full name.
    fn dotted(&self, written: &Spanned<String>, found: &mut Vec<Diagnostic>) -> bool {
        let host = self.full(written);
        if !written.value.contains('.') || self.known.services.contains(&host) {
            return false;
        }
        let meant = [format!("{host}.svc.{}", self.mesh.domain), format!("{host}.{}", self.mesh.domain)];
        let Some(meant) = meant.into_iter().find(|meant| self.known.services.contains(meant)) else { return false };
        let message =
            format!("`{}` has a dot, so it is taken as a full name; it never equals `{meant}`", written.value);
        let finding = Diagnostic::warning(codes::DOTTED_HOST, &written.span, message);
        found.push(finding.with_help(format!("write `{meant}`")));
        true
    }

    /// Hosts that an older VirtualService already routes in the mesh.
    fn hosts(
        &self,
        document: &Document,
        spec: &VirtualServiceSpec,
        claimed: &mut BTreeMap<String, Span>,
        found: &mut Vec<Diagnostic>,
    ) {
        let in_mesh = spec.gateways.is_empty() || spec.gateways.iter().any(|gateway| gateway.value == "mesh");
        for written in &spec.hosts {
            self.dotted(written, found);
            if !in_mesh {
                continue;
            }
            let host = self.full(written);
            if let Some(first) = claimed.get(&host) {
                let message = format!(
                    "an older VirtualService already routes `{host}` in the mesh; {}/{} has no effect there",
                    document.metadata.namespace, document.metadata.name.value
                );
                let finding = Diagnostic::warning(codes::CONFLICTING_HOST, &written.span, message);
                found.push(finding.with_related(first, "the older one is here"));
                continue;
            }
            claimed.insert(host, written.span.clone());
        }
    }
}
