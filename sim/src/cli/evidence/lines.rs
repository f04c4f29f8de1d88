//! The lines that decided, and those that might have.

use std::collections::{BTreeMap, BTreeSet};
use std::ptr;
use std::sync::Arc;

use wavetank_proxy::record::Provenance;
use wavetank_proxy::snapshot::Snapshot;
use wavetank_proxy::snapshot::listener::{Handler, RouteSource};
use wavetank_proxy::snapshot::route::{Action, ClusterChoice, Route, RouteConfig};
use wavetank_reports::html::Manifest;

use crate::explain::Book;
use crate::observe::{ObservationLog, Place};
use crate::scenario::Scenario;
use crate::target::RunOutcome;

/// Lines by their files.
type Lines<'a> = BTreeMap<&'a str, BTreeSet<u32>>;

/// The user's files, with how many hops each line decided.
pub(super) fn manifests(scenario: &Scenario, outcome: &RunOutcome) -> Vec<Manifest> {
    let hits = hits(&outcome.log);
    let given = given(&outcome.book);
    let files = scenario.config.iter().map(|file| {
        let text = scenario.sources.text(&file.name).unwrap_or(&file.text);
        let decided: BTreeMap<u32, u64> = hits.get(&*file.name).cloned().unwrap_or_default();
        let never = given.get(&*file.name).into_iter().flatten().filter(|line| !decided.contains_key(line));
        Manifest {
            file: scenario.shown(&file.name),
            text: text.to_owned(),
            never: never.copied().collect(),
            decided: decided.into_iter().collect(),
        }
    });
    files.collect()
}

fn hits(log: &ObservationLog) -> BTreeMap<&str, BTreeMap<u32, u64>> {
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
    hits
}

/// Lines of hosts, routes, weights and clusters that any proxy had in force at any time.
fn given(book: &Book) -> Lines<'_> {
    let mut lines = Lines::new();
    // Most configurations share most of their parts.
    let mut seen: BTreeSet<*const ()> = BTreeSet::new();
    for snapshot in book.histories.values().flatten().map(|(_, snapshot)| snapshot) {
        for config in route_configs(snapshot) {
            if seen.insert(ptr::from_ref(&**config).cast()) {
                of_routes(config, &mut lines);
            }
        }
        for cluster in snapshot.clusters.values() {
            if seen.insert(ptr::from_ref(&**cluster).cast()) {
                note(cluster.provenance.as_ref(), &mut lines);
            }
        }
    }
    lines
}

fn route_configs(snapshot: &Snapshot) -> impl Iterator<Item = &Arc<RouteConfig>> {
    let chains = snapshot.listeners.values().flat_map(|own| own.filter_chains.iter().chain(&own.default_filter_chain));
    let inline = chains.filter_map(|chain| match &chain.handler {
        Handler::Http(manager) => match &manager.routes {
            RouteSource::Inline(own) => Some(own),
            _ => None,
        },
        Handler::Tcp(_) => None,
    });
    snapshot.routes.values().chain(inline)
}

fn of_routes<'a>(config: &'a RouteConfig, lines: &mut Lines<'a>) {
    for host in config.virtual_hosts() {
        note(host.provenance.as_ref(), lines);
        for route in host.routes() {
            note(route.provenance.as_ref(), lines);
            weights(route).for_each(|from| note(Some(from), lines));
        }
    }
}

fn weights(route: &Route) -> impl Iterator<Item = &Provenance> {
    let arms = match &route.action {
        Action::Forward(forward) => match &forward.cluster {
            ClusterChoice::Weighted(arms) => arms.as_slice(),
            _ => &[],
        },
        _ => &[],
    };
    arms.iter().filter_map(|arm| arm.provenance.as_ref())
}

fn note<'a>(from: Option<&'a Provenance>, lines: &mut Lines<'a>) {
    if let Some(from) = from {
        lines.entry(&from.file).or_default().insert(from.line);
    }
}
