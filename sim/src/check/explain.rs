//! Why a check came out as it did: which lines of which manifests decided, and what a flag means there.

use std::collections::BTreeMap;

use wavetank_reports::{Note, Place as ReportPlace, Snippet};

use crate::observe::{Hop, ObservationLog, Place};

/// Lines, and reasons, that are told before the rest is left out.
const TOLD_MAX: usize = 3;

/// The text of the files that messages point into.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    texts: BTreeMap<String, String>,
}

impl Sources {
    /// Keeps `text` as the content of `file`.
    pub fn insert(&mut self, file: impl Into<String>, text: impl Into<String>) {
        self.texts.insert(file.into(), text.into());
    }

    /// The content of `file`, when it is at hand.
    pub fn text(&self, file: &str) -> Option<&str> {
        self.texts.get(file).map(String::as_str)
    }
}

/// The lines that decided these hops, most frequent first.
pub fn decided_by(hops: &[&Hop]) -> Vec<ReportPlace> {
    let places = hops.iter().filter_map(|hop| hop.decision.place());
    most_frequent(places).into_iter().map(|(place, _)| place.into()).collect()
}

/// Notes that explain these hops: one for each line and reason, most frequent first.
pub fn notes(hops: &[&Hop], sources: &Sources) -> Vec<Note> {
    let mut by_reason: BTreeMap<Reason, Vec<&Hop>> = BTreeMap::new();
    for hop in hops {
        by_reason.entry(Reason::of(hop)).or_default().push(hop);
    }
    let mut by_reason: Vec<(Reason, Vec<&Hop>)> = by_reason.into_iter().collect();
    by_reason.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then_with(|| a.0.cmp(&b.0)));
    by_reason.truncate(TOLD_MAX);
    by_reason.into_iter().map(|(reason, own)| reason.note(&own, hops.len(), sources)).collect()
}

/// What would put these hops right, where that is known.
pub fn help(hops: &[&Hop]) -> Option<String> {
    let missing = hops.iter().find(|hop| hop.has_flag("NC"))?;
    let (subset, host) = missing.decision.subset_and_host().filter(|(subset, _)| !subset.is_empty())?;
    let service = short(host);
    Some(format!("add a DestinationRule for host `{service}` that defines subset `{subset}`"))
}

/// Where requests ended that never came to an edge: the failures of the whole run.
pub fn where_it_stopped(log: &ObservationLog, sources: &Sources) -> Vec<Note> {
    let failed: Vec<&Hop> = log.hops().filter(|hop| hop.status == 0 || hop.status >= 400).collect();
    if log.hops().next().is_none() {
        let message = "no request was observed on any edge".to_owned();
        return vec![Note { message, place: None, snippet: None }];
    }
    let edge = |hop: &Hop| format!("`{} -> {}`", hop.source.name, hop.destination);
    let mut by_edge: BTreeMap<String, Vec<&Hop>> = BTreeMap::new();
    for hop in failed {
        by_edge.entry(edge(hop)).or_default().push(hop);
    }
    let mut told = Vec::new();
    for (edge, hops) in by_edge {
        told.extend(
            notes(&hops, sources)
                .into_iter()
                .map(|note| Note { message: format!("on {edge}: {}", note.message), ..note }),
        );
    }
    told.truncate(TOLD_MAX);
    told
}

/// The most frequent values with their counts; ties in the values' own order.
fn most_frequent<T: Ord>(values: impl Iterator<Item = T>) -> Vec<(T, usize)> {
    let mut counts: BTreeMap<T, usize> = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    let mut counts: Vec<(T, usize)> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts.truncate(TOLD_MAX);
    counts
}

/// Why one hop went as it did, without what differs from hop to hop.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Reason {
    place: Option<Place>,
    decider: Option<String>,
    outcome: Option<String>,
}

impl Reason {
    fn of(hop: &Hop) -> Self {
        Self { place: hop.decision.place().cloned(), decider: decider(hop), outcome: outcome(hop) }
    }

    /// The note on `hops`, which have this reason, out of `total`.
    fn note(&self, hops: &[&Hop], total: usize, sources: &Sources) -> Note {
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

fn short(host: &str) -> &str {
    host.split('.').next().unwrap_or_default()
}

/// What made the decision; `None` when nothing did.
fn decider(hop: &Hop) -> Option<String> {
    let decision = &hop.decision;
    if decision.is_default_route() {
        return Some(format!("the default route: no VirtualService matched host `{}`", hop.destination));
    }
    if decision.arm_from.is_some() {
        return Some("this weight".to_owned());
    }
    match (&decision.route, &decision.cluster) {
        (Some(route), _) if !route.is_empty() => Some(format!("route `{route}`")),
        (_, Some(_)) => Some("this route".to_owned()),
        (_, None) => decision.virtual_host.as_ref().map(|_| "this virtual host".to_owned()),
    }
}

/// What came of the decision, where that was not a response of the service: told by the first flag that
/// says why.
fn outcome(hop: &Hop) -> Option<String> {
    let decision = &hop.decision;
    let (subset, host) = decision.subset_and_host().unwrap_or_default();
    let service = short(host);
    let cluster = decision.cluster.as_deref().unwrap_or("-");
    let pods =
        if subset.is_empty() { format!("of `{service}`") } else { format!("in subset `{subset}` of `{service}`") };
    let Some(flag) = hop.flags.first() else {
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

fn failure_text(failure: crate::observe::Failure) -> &'static str {
    use crate::observe::Failure;
    match failure {
        Failure::Refused => "connection refused, nothing listens there",
        Failure::Reset => "the connection was reset",
        Failure::Timeout => "no answer in time",
        Failure::Unresolved => "the name does not resolve",
        Failure::Other => "the request failed",
    }
}
