//! What is wrong with the objects together.
//!
//! These are warnings: the mesh runs, and the run shows the 404 or 503 that comes of it.

use crate::config::document::Spec;
use crate::config::gateway_ref::GatewayRef;
use crate::config::host_name::full_name;
use crate::config::{ConfigSet, Document, Kind, MeshConfig};
use crate::diagnostic::{Diagnostic, Severity, Spanned};
use crate::dialect::Dialect;

use super::known::Known;
use super::{claims, gateways, mesh_only, ports, references, rules, served};

/// How much of the mesh a set is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it: what is not there does not exist.
    Whole,
    /// Some files: what is not there may be in the cluster.
    Part,
}

/// Every problem of the objects of a whole mesh together.
pub fn set(set: &ConfigSet, dialect: Dialect, mesh: &MeshConfig) -> Vec<Diagnostic> {
    together(set, dialect, mesh, Extent::Whole)
}

/// Every problem of the objects together, by VirtualService, DestinationRule and Gateway from the oldest.
pub fn together(set: &ConfigSet, dialect: Dialect, mesh: &MeshConfig, extent: Extent) -> Vec<Diagnostic> {
    let known = Known::of(set, mesh);
    let mut found = Vec::new();
    let mut claims = claims::Claims::default();
    let (mut told, mut subsets) = (ports::Told::default(), mesh_only::Subsets::default());
    for stored in set.of_kind(Kind::VirtualService) {
        let Spec::VirtualService(spec) = &stored.document.spec else { continue };
        let scope = Scope { document: &stored.document, known: &known, dialect, mesh, extent };
        references::virtual_service(&scope, spec, &mut found);
        gateways::bindings(&scope, spec, &mut found);
        claims.virtual_service(&scope, spec, &mut found);
        ports::check(&scope, spec, &mut told, &mut found);
        subsets.note(&scope, spec);
    }
    if dialect == Dialect::V1 {
        subsets.report(&mut found);
    }
    let mut earlier = rules::Earlier::default();
    for stored in set.of_kind(Kind::DestinationRule) {
        let Spec::DestinationRule(spec) = &stored.document.spec else { continue };
        let scope = Scope { document: &stored.document, known: &known, dialect, mesh, extent };
        rules::check(&scope, spec, &mut earlier, &mut found);
    }
    for stored in set.of_kind(Kind::Gateway) {
        let Spec::Gateway(spec) = &stored.document.spec else { continue };
        served::check(&Scope { document: &stored.document, known: &known, dialect, mesh, extent }, spec, &mut found);
    }
    gateways::conflicts(set, dialect, &mut found);
    found
}

/// An object and what surrounds it.
pub(super) struct Scope<'s> {
    /// The object.
    pub(super) document: &'s Document,
    /// What it can refer to.
    pub(super) known: &'s Known<'s>,
    /// Which Istio it is read as.
    pub(super) dialect: Dialect,
    /// Mesh-wide names.
    pub(super) mesh: &'s MeshConfig,
    /// How much of the mesh is known.
    pub(super) extent: Extent,
}

impl Scope<'_> {
    /// The object's namespace.
    pub(super) fn namespace(&self) -> &str {
        &self.document.metadata.namespace
    }

    /// `namespace/name` of the object.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.namespace(), self.document.metadata.name.value)
    }

    /// The full name of a host.
    pub(super) fn full(&self, written: &Spanned<String>) -> String {
        full_name(&written.value, self.namespace(), &self.mesh.domain)
    }

    /// What a name in `gateways` means.
    pub(super) fn gateway(&self, written: &str) -> GatewayRef {
        GatewayRef::resolve(written, self.namespace(), &self.mesh.domain, self.dialect)
    }

    /// What is sure only where all of the mesh is known: of a part it is worth knowing and no more, however near the
    /// name of something else is.
    pub(super) fn missing(&self, finding: Diagnostic) -> Diagnostic {
        match self.extent {
            Extent::Whole => finding,
            Extent::Part => Diagnostic { severity: Severity::Note, ..finding },
        }
    }
}
