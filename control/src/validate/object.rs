//! What is wrong with one object by itself.

use crate::config::Document;
use crate::config::document::Spec;
use crate::config::endpoint_slice::SERVICE_NAME_LABEL;
use crate::diagnostic::{Diagnostic, Span};
use crate::dialect::Dialect;

use super::{codes, destination_rule, gateway, names, service, virtual_service};

/// Every problem of an object that can be told without the others.
pub fn document(document: &Document, dialect: Dialect) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let namespace = document.metadata.namespace.as_str();
    names::object_name(document.kind, &document.metadata, &mut found);
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
///
/// `unread` is what was found when it was read.
pub fn refused(document: &Document, unread: &[Diagnostic], dialect: Dialect) -> Vec<Diagnostic> {
    let errors: Vec<&Diagnostic> = unread.iter().filter(|unread| unread.is_error()).collect();
    let mut found = self::document(document, dialect);
    found.retain(|found| !errors.iter().any(|error| may_come_of(found, error, document)));
    found
}

/// Whether a finding may be gone once an error of reading is mended.
fn may_come_of(found: &Diagnostic, error: &Diagnostic, document: &Document) -> bool {
    let routes = match &document.spec {
        Spec::VirtualService(spec) => spec.http.as_slice(),
        _ => &[],
    };
    let within = |span: &Span| span.contains(&error.span);
    match found.code {
        // What is asked for may be what could not be read.
        codes::EMPTY | codes::RETRIES | codes::NAME => within(&found.span),
        codes::WEIGHTS => {
            let lists = routes.iter().filter_map(|route| route.route_span.as_ref());
            lists.filter(|list| list.contains(&found.span)).any(within)
        }
        codes::UNREACHABLE_ROUTE => {
            // The earlier match, or the route without one, may ask for more than could be read of it.
            let taker = found.related.first().map(|related| &related.span);
            let route = taker.and_then(|taker| routes.iter().find(|route| route.span == *taker));
            match route {
                Some(route) => {
                    route.match_span.as_ref().is_some_and(within) || (within(&route.span) && is_match(error))
                }
                None => taker.is_some_and(within),
            }
        }
        _ => false,
    }
}

/// Whether an unknown field may be a misspelt `match`.
fn is_match(error: &Diagnostic) -> bool {
    let meant = error.help.as_deref();
    error.code == crate::config::codes::UNKNOWN_FIELD && meant.is_none_or(|meant| meant.contains("`match`"))
}

fn slice(document: &Document, found: &mut Vec<Diagnostic>) {
    if !document.metadata.labels.contains_key(SERVICE_NAME_LABEL) {
        let message = format!("no label `{SERVICE_NAME_LABEL}`, so the slice belongs to no Service");
        found.push(Diagnostic::warning(codes::SLICE_WITHOUT_SERVICE, &document.metadata.span, message));
    }
}

/// Istio's own kinds in an apiVersion that has a successor; in dialect 1.0 there is only the old one.
fn old_api_version(document: &Document, dialect: Dialect, found: &mut Vec<Diagnostic>) {
    let written = &document.api_version;
    if let Some(newest) = document.kind.api_versions().first().filter(|newest| **newest != written.value)
        && document.kind.is_of_istio()
        && dialect == Dialect::V1
    {
        let message = format!("apiVersion {} is old; use {newest}", written.value);
        found.push(Diagnostic::note(codes::OLD_API_VERSION, &written.span, message));
    }
}
