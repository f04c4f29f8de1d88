//! What is wrong with a DestinationRule by itself. Istio: `ValidateDestinationRule`.

use std::collections::BTreeMap;

use crate::config::destination_rule::DestinationRuleSpec;
use crate::config::traffic_policy::{PolicyComponents, TrafficPolicy};
use crate::diagnostic::{Diagnostic, Span};
use crate::dialect::Dialect;

use super::host::{self, Role};
use super::{codes, export, names};

/// Most entries of `portLevelSettings`.
const PORT_ENTRIES_MAX: usize = 4096;

pub(super) fn check(spec: &DestinationRuleSpec, namespace: &str, dialect: Dialect, found: &mut Vec<Diagnostic>) {
    host::check(&spec.host, Role::Rule, dialect, found);
    let mut by_name: BTreeMap<&str, &Span> = BTreeMap::new();
    for subset in &spec.subsets {
        let name = subset.name.value.as_str();
        if !names::is_dns_label(name) {
            found.push(Diagnostic::error(codes::NAME, &subset.name.span, format!("`{name}` is no name of a subset")));
        }
        if let Some(first) = by_name.insert(name, &subset.name.span) {
            let message = format!("two subsets are named `{name}`");
            // Istio 1.0 does not look, and uses the first.
            let twice = match dialect {
                Dialect::V1_0 => Diagnostic::warning(codes::DUPLICATE_NAME, &subset.name.span, message),
                Dialect::V1 => Diagnostic::error(codes::DUPLICATE_NAME, &subset.name.span, message),
            };
            found.push(twice.with_related(first, "the first is here"));
        }
    }
    export::check(&spec.export_to, namespace, found);
    for policy in spec.policy.iter().chain(spec.subsets.iter().filter_map(|subset| subset.policy.as_ref())) {
        traffic_policy(policy, found);
    }
}

fn traffic_policy(policy: &TrafficPolicy, found: &mut Vec<Diagnostic>) {
    components(&policy.components, found);
    if policy.port_level.len() > PORT_ENTRIES_MAX {
        let message = format!("more than {PORT_ENTRIES_MAX} entries of `portLevelSettings`");
        found.push(Diagnostic::error(codes::EMPTY, &policy.span, message));
    }
    for entry in &policy.port_level {
        components(&entry.components, found);
    }
}

fn components(components: &PolicyComponents, found: &mut Vec<Diagnostic>) {
    let timeout = components.connection_pool.as_ref().and_then(|pool| pool.connect_timeout.as_ref());
    if let Some(timeout) = timeout.filter(|timeout| timeout.value.is_zero()) {
        found.push(Diagnostic::error(codes::RETRIES, &timeout.span, "`connectTimeout` is at least 1ms"));
    }
}
