//! Why one hop went as it did: what decided, and what came of it.

use std::collections::BTreeMap;

use wavetank_reports::{Note, Place as ReportPlace, Snippet};

use super::sources::Sources;
use crate::observe::{Failure, Hop, Place};

/// Why one hop went as it did, without what differs from hop to hop.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reason {
    place: Option<Place>,
    decider: Option<String>,
    outcome: Option<String>,
}

impl Reason {
    /// The reason of `hop`.
    pub(super) fn of(hop: &Hop, sources: &Sources) -> Self {
        Self { place: hop.decision.place().cloned(), decider: decider(hop, sources), outcome: outcome(hop) }
    }

    /// The note on `hops`, which have this reason, out of `total`.
    pub(super) fn note(&self, hops: &[&Hop], total: usize, sources: &Sources) -> Note {
        let how_many = match (hops.len(), total) {
            (1, 1) => "the only decision was".to_owned(),
            (count, total) if count == total => format!("all {total} decisions were"),
            (1, total) => format!("1 of {total} decisions was"),
            (count, total) => format!("{count} of {total} decisions were"),
        };
        let made = self.decider.as_ref().map(|decider| format!("{how_many} made by {decider}"));
        let place = self.place.as_ref().map(ReportPlace::from);
        let snippet = place.as_ref().and_then(|place| Snippet::of(sources.text(&place.file)?, place, None, ""));
        let (message, label) = match (&self.outcome, made) {
            (None, Some(made)) => (made, arms(hops)),
            (None, None) => (format!("{how_many} not made by a proxy"), String::new()),
            (Some(outcome), Some(made)) if snippet.is_some() => (outcome.clone(), made),
            (Some(outcome), Some(made)) => (format!("{outcome}; {made}"), String::new()),
            (Some(outcome), None) => (format!("{outcome} ({} of {total} decisions)", hops.len()), String::new()),
        };
        Note { message, place, snippet: snippet.map(|snippet| Snippet { label, ..snippet }) }
    }
}

/// Which versions the hops went to: `to v1 1003, v2 997`; empty when no version is known.
fn arms(hops: &[&Hop]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for version in hops.iter().filter_map(|hop| hop.arm()) {
        *counts.entry(version).or_default() += 1;
    }
    let parts: Vec<String> = counts.iter().map(|(version, count)| format!("{version} {count}")).collect();
    if parts.is_empty() { String::new() } else { format!("to {}", parts.join(", ")) }
}

/// The short name of a Service's host.
pub(super) fn service_of(host: &str) -> &str {
    host.split('.').next().unwrap_or_default()
}

/// What made the decision; `None` when nothing did.
fn decider(hop: &Hop, sources: &Sources) -> Option<String> {
    let decision = &hop.decision;
    if is_default_route(hop, sources) {
        return Some(format!("the default route: no VirtualService matched host `{}`", hop.destination));
    }
    if decision.arm_from.is_some() {
        return Some("this weight".to_owned());
    }
    match (&decision.route, &decision.cluster) {
        // `default` is what Istio calls a route that was given no name.
        (Some(route), _) if !route.is_empty() && **route != *"default" => Some(format!("route `{route}`")),
        (_, Some(_)) => Some("this route".to_owned()),
        (_, None) => decision.virtual_host.as_ref().map(|_| "this virtual host".to_owned()),
    }
}

/// Whether the control plane's own route decided, which it makes for a Service that no VirtualService has.
pub(super) fn is_default_route(hop: &Hop, sources: &Sources) -> bool {
    let decision = &hop.decision;
    match &decision.route_from {
        _ if decision.cluster.is_none() || decision.arm_from.is_some() => false,
        Some(from) => sources.kind_at(&from.file, from.line) == Some("Service"),
        None => true,
    }
}

/// Whether there is a reason to tell, and not only a place that decided.
pub(super) fn is_told(hop: &Hop) -> bool {
    outcome(hop).is_some()
}

/// Flags that say that something failed, but not what.
const VAGUE: [&str; 1] = ["URX"];

/// What came of the decision, where that was not a response of the service: told by the first flag that
/// says what failed.
fn outcome(hop: &Hop) -> Option<String> {
    let decision = &hop.decision;
    let (subset, host) = decision.subset_and_host().unwrap_or_default();
    let service = service_of(host);
    let cluster = decision.cluster.as_deref().unwrap_or("-");
    let pods =
        if subset.is_empty() { format!("of `{service}`") } else { format!("in subset `{subset}` of `{service}`") };
    let telling = hop.flags.iter().find(|flag| !VAGUE.contains(&&***flag));
    let Some(flag) = telling.or(hop.flags.first()) else {
        return hop.failure.map(|failure| format!("no response from `{}`: {}", hop.destination, failure_text(failure)));
    };
    Some(match &**flag {
        "NC" if !subset.is_empty() => {
            format!(
                "503 NC: subset `{subset}` of `{service}` is not defined by any DestinationRule (cluster `{cluster}` does not exist)"
            )
        }
        "NC" => format!("503 NC: cluster `{cluster}` does not exist; no Service has that host and port"),
        "NR" if decision.virtual_host.is_none() => {
            format!("{} NR: no virtual host matched host `{}`", hop.status, hop.destination)
        }
        "NR" => format!("{} NR: no route of the virtual host matched `{}`", hop.status, hop.target),
        "UH" => format!("503 UH: there is no healthy endpoint {pods}"),
        "UF" => format!("503 UF: the connection to an endpoint {pods} failed ({})", hop.details),
        "UO" => format!("503 UO: a circuit breaker of `{cluster}` refused"),
        "UC" => format!("503 UC: an endpoint {pods} closed the connection before it answered"),
        "UT" => format!("504 UT: no answer from `{service}` within the route's timeout"),
        other => format!("{} {other} ({})", hop.status, hop.details),
    })
}

fn failure_text(failure: Failure) -> &'static str {
    match failure {
        Failure::Refused => "connection refused, nothing listens there",
        Failure::Reset => "the connection was reset",
        Failure::Timeout => "no answer in time",
        Failure::Unresolved => "the name does not resolve",
        Failure::Other => "the request failed",
    }
}
