//! Hosts whose subsets are chosen in the mesh, and that a Gateway reaches without them: the split does not hold there.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::gateway_ref::GatewayRef;
use crate::config::virtual_service::VirtualServiceSpec;
use crate::diagnostic::{Diagnostic, Span};

use super::set::Scope;
use super::{codes, gateways};

/// What VirtualServices say of each host.
#[derive(Default)]
pub(super) struct Subsets<'s> {
    /// Hosts that sidecars reach by subsets: the VirtualService, and where the first subset is written.
    mesh: BTreeMap<String, (String, &'s Span)>,
    /// Destinations without a subset of VirtualServices that are for Gateways alone.
    plain: Vec<(String, &'s Span)>,
    /// Hosts of which a Gateway chooses subsets too.
    gateways: BTreeSet<String>,
}

impl<'s> Subsets<'s> {
    pub(super) fn note(&mut self, scope: &Scope<'s>, spec: &'s VirtualServiceSpec) {
        let in_mesh = gateways::of(scope, spec).contains(&GatewayRef::Mesh);
        let own: BTreeSet<String> = spec.hosts.iter().map(|host| scope.full(host)).collect();
        for destination in spec.http.iter().flat_map(|route| &route.route) {
            let host = scope.full(&destination.host);
            match (&destination.subset, in_mesh) {
                (Some(subset), true) if own.contains(&host) => {
                    self.mesh.entry(host).or_insert_with(|| (scope.name(), &subset.span));
                }
                (Some(_), false) => {
                    self.gateways.insert(host);
                }
                (None, false) => self.plain.push((host, &destination.host.span)),
                (_, true) => {}
            }
        }
    }

    pub(super) fn report(self, found: &mut Vec<Diagnostic>) {
        for (host, span) in self.plain.iter().filter(|(host, _)| !self.gateways.contains(host)) {
            let Some((of, subset)) = self.mesh.get(host) else { continue };
            let message = format!(
                "{of} chooses subsets of `{host}` for sidecars alone; what comes in by a Gateway goes to all its pods"
            );
            let finding = Diagnostic::note(codes::MESH_ONLY_SUBSETS, span, message);
            found.push(finding.with_related(subset, "a subset that sidecars choose"));
        }
    }
}
