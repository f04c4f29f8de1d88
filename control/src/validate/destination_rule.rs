//! What is wrong with a DestinationRule by itself. Istio: `ValidateDestinationRule`.

use std::collections::BTreeMap;

use crate::config::destination_rule::DestinationRuleSpec;
use crate::config::traffic_policy::{OutlierDetection, PolicyComponents, TrafficPolicy};
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
        traffic_policy(policy, dialect, found);
    }
}

fn traffic_policy(policy: &TrafficPolicy, dialect: Dialect, found: &mut Vec<Diagnostic>) {
    components(&policy.components, dialect, found);
    if policy.port_level.len() > PORT_ENTRIES_MAX {
        let message = format!("more than {PORT_ENTRIES_MAX} entries of `portLevelSettings`");
        found.push(Diagnostic::error(codes::EMPTY, &policy.span, message));
    }
    for entry in &policy.port_level {
        components(&entry.components, dialect, found);
    }
}

fn components(components: &PolicyComponents, dialect: Dialect, found: &mut Vec<Diagnostic>) {
    let timeout = components.connection_pool.as_ref().and_then(|pool| pool.connect_timeout.as_ref());
    if let Some(timeout) = timeout.filter(|timeout| timeout.value.is_zero()) {
        found.push(Diagnostic::error(codes::RETRIES, &timeout.span, "`connectTimeout` is at least 1ms"));
    }
    if let Some(detection) = &components.outlier_detection {
        outlier_detection(detection, dialect, found);
    }
}

/// Istio: `validateOutlierDetection`.
fn outlier_detection(detection: &OutlierDetection, dialect: Dialect, found: &mut Vec<Diagnostic>) {
    for (name, time) in [("interval", &detection.interval), ("baseEjectionTime", &detection.base_ejection_time)] {
        if let Some(time) = time.as_ref().filter(|time| time.value.is_zero()) {
            let message = format!("`{name}` of `outlierDetection` is 0, and at least 1ms");
            found.push(Diagnostic::error(codes::OUTLIER_DETECTION, &time.span, message));
        }
    }
    if let Some(failures) = &detection.consecutive_local_origin_failures
        && !detection.split_external_local_origin_errors
    {
        let message = "`consecutiveLocalOriginFailures` counts nothing without `splitExternalLocalOriginErrors: true`";
        found.push(Diagnostic::error(codes::OUTLIER_DETECTION, &failures.span, message));
    }
    if let Some(errors) = detection.consecutive_errors.as_ref().filter(|_| !dialect.counts_consecutive_errors()) {
        let message = "today's Istio does nothing with `consecutiveErrors`; Envoy's own threshold holds, 5 answers \
                       with 5xx in a row";
        let finding = Diagnostic::warning(codes::NO_EJECTION, &errors.span, message);
        let count = errors.value;
        let help =
            format!("write `consecutive5xxErrors: {count}`, or `consecutiveGatewayErrors: {count}` as 1.0 meant it");
        found.push(finding.with_help(help));
    }
}
