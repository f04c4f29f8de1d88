//! Where a route leads: its Services, the pods it may reach, and the shares of their versions.

use std::collections::BTreeMap;

use wavetank_control::config::destination_rule::DestinationRuleSpec;
use wavetank_control::config::traffic_policy::PolicyComponents;
use wavetank_control::config::virtual_service::{HttpRouteSpec, RouteDestinationSpec};
use wavetank_control::config::{Spec, host_name};

use super::plan::{DOMAIN, World, short};
use crate::world::cast::Service;

/// Label that the format tells versions apart by.
const VERSION: &str = "version";

/// Percent of the decisions by version.
pub(super) type Shares = Vec<(String, f64)>;

/// The Services a route leads to, each once. Errs where one is not known or has no pods.
pub(super) fn services<'a>(
    rule: &HttpRouteSpec,
    namespace: &str,
    world: &World<'a>,
) -> Result<Vec<&'a Service>, String> {
    let mut found: Vec<&Service> = Vec::new();
    for arm in &rule.route {
        let host = &arm.host.value;
        let service = world.service(host, namespace).ok_or_else(|| format!("`{host}` is no Service of this world"))?;
        if weight(arm, rule) > 0 && pods(arm, namespace, world, service) == 0 {
            let of = arm.subset.as_ref().map_or(String::new(), |subset| format!("subset {} of ", subset.value));
            return Err(format!("no pod is in {of}{}", short(service)));
        }
        if !found.contains(&service) {
            found.push(service);
        }
    }
    if found.is_empty() { Err("it leads nowhere".to_owned()) } else { Ok(found) }
}

fn weight(arm: &RouteDestinationSpec, rule: &HttpRouteSpec) -> u32 {
    arm.weight.as_ref().map_or(if rule.route.len() == 1 { 100 } else { 0 }, |weight| weight.value)
}

fn pods(arm: &RouteDestinationSpec, namespace: &str, world: &World<'_>, service: &Service) -> usize {
    let labels = labels(arm, namespace, world).cloned().unwrap_or_default();
    let has = |own: &BTreeMap<String, String>| labels.iter().all(|(key, value)| own.get(key) == Some(value));
    world.cast.pods_behind(service).filter(|pod| has(&pod.labels)).count()
}

/// The DestinationRules for a host.
fn rules<'w>(full: &'w str, world: &'w World<'_>) -> impl Iterator<Item = &'w DestinationRuleSpec> {
    world.documents.iter().filter_map(move |document| match &document.spec {
        Spec::DestinationRule(rule) => {
            let host = host_name::full_name(&rule.host.value, &document.metadata.namespace, DOMAIN);
            host_name::covers(&host, full).then_some(rule)
        }
        _ => None,
    })
}

/// The labels of an arm's subset; `None` where it names none, or one that is not defined.
fn labels<'w>(
    arm: &RouteDestinationSpec,
    namespace: &str,
    world: &'w World<'_>,
) -> Option<&'w BTreeMap<String, String>> {
    let subset = arm.subset.as_ref()?;
    let full = host_name::full_name(&arm.host.value, namespace, DOMAIN);
    world.documents.iter().find_map(|document| {
        let Spec::DestinationRule(rule) = &document.spec else { return None };
        let host = host_name::full_name(&rule.host.value, &document.metadata.namespace, DOMAIN);
        let own = rule.subsets.iter().find(|own| own.name.value == subset.value)?;
        host_name::covers(&host, &full).then_some(&own.labels)
    })
}

/// The version that an arm's subset asks for, where it asks for nothing else.
pub(super) fn only_version<'w>(arm: &RouteDestinationSpec, namespace: &str, world: &'w World<'_>) -> Option<&'w str> {
    let labels = labels(arm, namespace, world)?;
    labels.get(VERSION).filter(|_| labels.len() == 1).map(String::as_str)
}

/// Whether a DestinationRule for one of these has a policy that `is` says.
pub(super) fn any_policy(services: &[&Service], world: &World<'_>, is: impl Fn(&PolicyComponents) -> bool) -> bool {
    services.iter().any(|service| {
        let full = service.fqdn();
        rules(&full, world).any(|rule| {
            let mut policies = rule.policy.iter().chain(rule.subsets.iter().filter_map(|own| own.policy.as_ref()));
            policies.any(|own| is(&own.components) || own.port_level.iter().any(|port| is(&port.components)))
        })
    })
}

/// The label `version` of an arm's pods, where that alone tells them apart.
fn version(arm: &RouteDestinationSpec, namespace: &str, world: &World<'_>) -> Result<String, String> {
    let Some(subset) = &arm.subset else {
        return Err(format!("a weight leads to all versions of {}", arm.host.value));
    };
    let labels = labels(arm, namespace, world);
    let others: Vec<&str> =
        labels.into_iter().flat_map(BTreeMap::keys).map(String::as_str).filter(|key| *key != VERSION).collect();
    match (labels.and_then(|labels| labels.get(VERSION)), others.as_slice()) {
        (Some(version), []) => Ok(version.clone()),
        (_, [other, ..]) => {
            Err(format!("subset {} is told by label `{other}`, not by `{VERSION}` alone", subset.value))
        }
        (None, []) => Err(format!("subset {} has no label `{VERSION}`", subset.value)),
    }
}

/// The shares of the versions; `None` where nothing is shared out. Errs where the format cannot say them.
pub(super) fn split(
    rule: &HttpRouteSpec,
    namespace: &str,
    world: &World<'_>,
    services: &[&Service],
) -> Result<Option<Shares>, String> {
    if rule.route.len() < 2 {
        return Ok(None);
    }
    if services.len() > 1 {
        return Err("it is between several Services".to_owned());
    }
    let mut weights: Vec<(String, u64)> = Vec::new();
    for arm in &rule.route {
        let version = version(arm, namespace, world)?;
        let weight = u64::from(weight(arm, rule));
        match weights.iter_mut().find(|(own, _)| *own == version) {
            Some((_, sum)) => *sum += weight,
            None => weights.push((version, weight)),
        }
    }
    Ok(Some(percents(weights)))
}

/// Weights as percent, to a hundredth; the largest takes what rounding leaves, so that they add up to 100.
fn percents(weights: Vec<(String, u64)>) -> Shares {
    let sum = weights.iter().map(|(_, weight)| weight).sum::<u64>().max(1);
    let mut hundredths: Vec<(String, u64)> =
        weights.into_iter().map(|(version, weight)| (version, (weight * 10_000 + sum / 2) / sum)).collect();
    let given: u64 = hundredths.iter().map(|(_, own)| own).sum();
    if let Some((_, largest)) = hundredths.iter_mut().max_by_key(|(_, own)| *own) {
        *largest = (*largest + 10_000).saturating_sub(given);
    }
    hundredths.into_iter().map(|(version, own)| (version, own as f64 / 100.0)).collect()
}

/// What the requests of a route may reach, by name and version.
pub(super) fn reached(rule: &HttpRouteSpec, namespace: &str, world: &World<'_>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for arm in rule.route.iter().filter(|arm| weight(arm, rule) > 0) {
        let Some(service) = world.service(&arm.host.value, namespace) else { continue };
        let name = match labels(arm, namespace, world).and_then(|labels| labels.get(VERSION)) {
            Some(version) => format!("{}@{version}", short(service)),
            None => short(service),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_become_percentages_that_add_up() {
        for (weights, wanted) in [
            (&[9, 1][..], &[90.0, 10.0][..]),
            (&[70, 30], &[70.0, 30.0]),
            (&[1, 1, 1], &[33.33, 33.33, 33.34]),
            (&[2, 1], &[66.67, 33.33]),
            (&[100, 0], &[100.0, 0.0]),
        ] {
            let named = weights.iter().enumerate().map(|(at, weight)| (format!("v{at}"), *weight)).collect();
            let shares: Vec<f64> = percents(named).into_iter().map(|(_, share)| share).collect();
            assert_eq!(shares, wanted);
        }
    }
}
