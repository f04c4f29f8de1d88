//! Why a check came out as it did: which lines of which manifests decided, what would help, and where
//! requests ended that never came to an edge.

use std::collections::BTreeMap;

use wavetank_reports::{Note, Place};

use super::reason::{Reason, service_of};
use super::sources::Sources;
use crate::observe::{Hop, ObservationLog};

/// Lines, and reasons, that are told before the rest is left out.
const TOLD_MAX: usize = 3;

/// The lines that decided these hops, most frequent first.
pub fn decided_by(hops: &[&Hop]) -> Vec<Place> {
    let places = hops.iter().filter_map(|hop| hop.decision.place());
    most_frequent(places).into_iter().map(|(place, _)| place.into()).collect()
}

/// Notes that explain these hops: one for each line and reason, most frequent first.
pub fn notes(hops: &[&Hop], sources: &Sources) -> Vec<Note> {
    let mut by_reason: BTreeMap<Reason, Vec<&Hop>> = BTreeMap::new();
    for hop in hops {
        by_reason.entry(Reason::of(hop, sources)).or_default().push(hop);
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
    let service = service_of(host);
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
    // A gateway's record tells both the edge that leads to it and the one that leaves it: the later edge in
    // the order of names stands for both.
    let mut told: Vec<(Note, String)> = Vec::new();
    for (edge, hops) in by_edge {
        for note in notes(&hops, sources) {
            told.retain(|(other, _)| (&other.message, &other.place) != (&note.message, &note.place));
            told.push((note, edge.clone()));
        }
    }
    told.truncate(TOLD_MAX);
    told.into_iter().map(|(note, edge)| Note { message: format!("on {edge}: {}", note.message), ..note }).collect()
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
