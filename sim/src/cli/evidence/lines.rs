//! The lines that decided.

use std::collections::{BTreeMap, BTreeSet};

use wavetank_reports::html::Manifest;

use crate::observe::{ObservationLog, Place};
use crate::scenario::Scenario;

/// The user's files, with how many hops each line decided.
pub(super) fn manifests(scenario: &Scenario, log: &ObservationLog) -> Vec<Manifest> {
    let mut hits: BTreeMap<&str, BTreeMap<u32, u64>> = BTreeMap::new();
    for hop in log.hops() {
        let decision = &hop.decision;
        let places = [&decision.virtual_host_from, &decision.route_from, &decision.arm_from, &decision.cluster_from];
        // A line decides a hop once, whatever it decided there.
        let places: BTreeSet<&Place> = places.into_iter().flatten().collect();
        for place in places {
            *hits.entry(&place.file).or_default().entry(place.line).or_default() += 1;
        }
    }
    let files = scenario.config.iter().map(|file| {
        let text = scenario.sources.text(&file.name).unwrap_or(&file.text);
        let decided = hits.get(&*file.name).into_iter().flatten().map(|(line, count)| (*line, *count));
        Manifest { file: scenario.shown(&file.name), text: text.to_owned(), decided: decided.collect() }
    });
    files.collect()
}
