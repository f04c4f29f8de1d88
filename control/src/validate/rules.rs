//! What a DestinationRule says of the Service it is for: hosts, ports, pods; and older rules that hide it.

use std::collections::BTreeMap;

use crate::config::destination_rule::{DestinationRuleSpec, SubsetSpec};
use crate::config::traffic_policy::TrafficPolicy;
use crate::diagnostic::{Diagnostic, Span};

use super::codes;
use super::known::{KnownService, Labels, has_all, meant, shown};
use super::references::dotted;
use super::set::Scope;

/// What older rules of each host have: by host, and where only rules of one namespace join, by that.
#[derive(Default)]
pub(super) struct Earlier<'s> {
    /// Names of the oldest.
    hosts: BTreeMap<Key, &'s Span>,
    policies: BTreeMap<Key, &'s Span>,
    subsets: BTreeMap<(Key, &'s str), &'s Span>,
}

/// Rules that join: full host, namespace, namespaces that see it.
type Key = (String, String, Vec<String>);

pub(super) fn check<'s>(
    scope: &Scope<'s>,
    spec: &'s DestinationRuleSpec,
    earlier: &mut Earlier<'s>,
    found: &mut Vec<Diagnostic>,
) {
    let host = scope.full(&spec.host);
    match scope.known.services.get(&host) {
        Some(service) => {
            let pods = scope.known.pods_behind(service);
            for subset in spec.subsets.iter().filter(|_| !pods.is_empty()) {
                self::pods(service, &pods, subset, found);
            }
            for policy in spec.policy.iter().chain(spec.subsets.iter().filter_map(|subset| subset.policy.as_ref())) {
                ports(service, policy, found);
            }
        }
        None if scope.known.services.is_empty() || host.starts_with('*') => {}
        None if dotted(scope, &spec.host, found) => {}
        None => {
            let message = format!("no Service `{host}`; the rule has no effect");
            let finding = Diagnostic::warning(codes::UNKNOWN_HOST, &spec.host.span, message);
            let near = scope.known.nearest_service(&spec.host.value, scope.namespace());
            found.push(scope.missing(meant(finding, near)));
        }
    }
    hidden(scope, host, spec, earlier, found);
}

/// Labels that no pod behind the Service has.
fn pods(service: &KnownService<'_>, pods: &[&Labels], subset: &SubsetSpec, found: &mut Vec<Diagnostic>) {
    if pods.iter().any(|labels| has_all(labels, &subset.labels)) {
        return;
    }
    let (name, labels) = (&subset.name, shown(&subset.labels));
    let message = format!(
        "no pod of Service {}/{} has the labels {labels} of subset `{}`; requests sent there are answered 503",
        service.namespace, service.name, name.value
    );
    let mut finding = Diagnostic::warning(codes::EMPTY_SUBSET, &name.span, message);
    finding = finding.with_related(service.span, format!("the Service selects {}", shown(&service.spec.selector)));
    for (key, value) in &subset.labels {
        let mut values: Vec<_> = pods.iter().filter_map(|labels| labels.get(key)).collect();
        values.sort();
        values.dedup();
        if !values.contains(&value) {
            let values: Vec<_> = values.into_iter().map(|value| format!("`{value}`")).collect();
            let values = if values.is_empty() { "none".to_owned() } else { values.join(", ") };
            finding = finding.with_help(format!("values of `{key}` among its pods: {values}"));
            break;
        }
    }
    found.push(finding);
}

fn ports(service: &KnownService<'_>, policy: &TrafficPolicy, found: &mut Vec<Diagnostic>) {
    for entry in policy.port_level.iter().filter(|entry| !service.has_port(entry.port.value)) {
        let message = format!(
            "Service {}/{} has no port {}; this entry of `portLevelSettings` has no effect",
            service.namespace, service.name, entry.port.value
        );
        let finding = Diagnostic::warning(codes::UNKNOWN_PORT, &entry.port.span, message);
        found.push(finding.with_related(service.span, format!("the Service has {}", service.ports())));
    }
}

/// Of rules for one host the first policy counts, and the first subset of a name.
fn hidden<'s>(
    scope: &Scope<'s>,
    host: String,
    spec: &'s DestinationRuleSpec,
    earlier: &mut Earlier<'s>,
    found: &mut Vec<Diagnostic>,
) {
    let (namespace, seen_by) = match scope.dialect.rules_are_global() {
        true => (String::new(), Vec::new()),
        false => {
            (scope.namespace().to_owned(), spec.export_to.iter().map(|namespace| namespace.value.clone()).collect())
        }
    };
    let key = (host, namespace, seen_by);
    if let Some(policy) = &spec.policy {
        if let Some(first) = earlier.policies.get(&key) {
            let message = format!("an older DestinationRule for `{}` has a policy; this one has no effect", key.0);
            let finding = Diagnostic::warning(codes::HIDDEN_RULE, &policy.span, message);
            found.push(finding.with_related(first, "the policy in force"));
        } else if !spec.subsets.is_empty()
            || scope.dialect.merges_policies_without_subsets()
            || !earlier.hosts.contains_key(&key)
        {
            earlier.policies.insert(key.clone(), &policy.span);
        } else {
            let message = format!(
                "an older DestinationRule for `{}` is in force; of a later one Istio {} takes a policy only along with \
                 subsets, so this one has no effect",
                key.0, scope.dialect
            );
            let finding = Diagnostic::warning(codes::HIDDEN_RULE, &policy.span, message);
            let first = earlier.hosts.get(&key).copied();
            found.push(first.into_iter().fold(finding, |finding, first| finding.with_related(first, "the older one")));
        }
    }
    earlier.hosts.entry(key.clone()).or_insert(&scope.document.metadata.name.span);
    for subset in &spec.subsets {
        let at = (key.clone(), subset.name.value.as_str());
        if let Some(first) = earlier.subsets.get(&at) {
            // Two of one name in one rule are told where the rule is checked by itself.
            if !spec.subsets.iter().any(|own| std::ptr::eq(&own.name.span, *first)) {
                let message = format!(
                    "an older DestinationRule for `{}` has a subset `{}`; this one has no effect",
                    key.0, subset.name.value
                );
                let finding = Diagnostic::warning(codes::HIDDEN_RULE, &subset.name.span, message);
                found.push(finding.with_related(first, "the subset in force"));
            }
        } else {
            earlier.subsets.insert(at, &subset.name.span);
        }
    }
}
