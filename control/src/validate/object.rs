//! What is wrong with one object by itself.

use crate::config::document::Spec;
use crate::config::endpoint_slice::SERVICE_NAME_LABEL;
use crate::config::{Document, Kind};
use crate::diagnostic::Diagnostic;
use crate::dialect::Dialect;

use super::{codes, destination_rule, gateway, names, service, virtual_service};

/// Every problem of an object that can be told without the others.
pub fn document(document: &Document, dialect: Dialect) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let namespace = document.metadata.namespace.as_str();
    names::object_name(&document.metadata, &mut found);
    match &document.spec {
        Spec::Namespace | Spec::ServiceAccount | Spec::Deployment(_) | Spec::Pod(_) => {}
        Spec::EndpointSlice(_) => slice(document, &mut found),
        Spec::Service(spec) => service::check(spec, &mut found),
        Spec::Gateway(spec) => gateway::check(&document.metadata, spec, dialect, &mut found),
        Spec::VirtualService(spec) => virtual_service::check(spec, namespace, dialect, &mut found),
        Spec::DestinationRule(spec) => destination_rule::check(spec, namespace, dialect, &mut found),
    }
    old_api_version(document, dialect, &mut found);
    found
}

/// Problems of an object that was refused when it was read: those that do not come of what could not be read.
pub fn refused(document: &Document, dialect: Dialect) -> Vec<Diagnostic> {
    let consequences = [codes::EMPTY, codes::WEIGHTS, codes::UNREACHABLE_ROUTE, codes::RETRIES, codes::NAME];
    let mut found = self::document(document, dialect);
    found.retain(|found| !consequences.contains(&found.code));
    found
}

fn slice(document: &Document, found: &mut Vec<Diagnostic>) {
    if !document.metadata.labels.contains_key(SERVICE_NAME_LABEL) {
        let message = format!("no label `{SERVICE_NAME_LABEL}`, so the slice belongs to no Service");
        found.push(Diagnostic::warning(codes::SLICE_WITHOUT_SERVICE, &document.metadata.span, message));
    }
}

/// Istio's own kinds in an apiVersion that has a successor; in dialect 1.0 there is only the old one.
fn old_api_version(document: &Document, dialect: Dialect, found: &mut Vec<Diagnostic>) {
    let istio = matches!(document.kind, Kind::Gateway | Kind::VirtualService | Kind::DestinationRule);
    let written = &document.api_version;
    if let Some(newest) = document.kind.api_versions().first().filter(|newest| **newest != written.value)
        && istio
        && dialect == Dialect::V1
    {
        let message = format!("apiVersion {} is old; use {newest}", written.value);
        found.push(Diagnostic::note(codes::OLD_API_VERSION, &written.span, message));
    }
}
