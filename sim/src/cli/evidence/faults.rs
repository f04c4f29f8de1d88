//! Where in the service graph faults were put.

use std::collections::{BTreeMap, BTreeSet};

use wavetank_reports::html::GraphEdge;

use super::{caller, millis};
use crate::fault::{FaultKind, FaultOutcome, LinkChange};
use crate::observe::{Hop, ObservationLog, Selector};
use crate::target::RunOutcome;

/// Nodes with the faults that were put on them.
pub(super) type Faulted = Vec<(String, Vec<String>)>;

/// `graph` with the faults on its links; and those on its nodes, among them the ones on links that no
/// request crossed.
pub(super) fn marked(mut graph: Vec<GraphEdge>, outcome: &RunOutcome) -> (Vec<GraphEdge>, Faulted) {
    let mut nodes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for outcome_of in &outcome.faults {
        let name = named(outcome_of);
        let place = place(&outcome_of.fault.kind, &outcome.log);
        for edge in graph.iter_mut().filter(|edge| place.edges.contains(&(edge.from.clone(), edge.to.clone()))) {
            edge.faults.push(name.clone());
        }
        for node in place.nodes {
            nodes.entry(node).or_default().push(name.clone());
        }
    }
    (graph, nodes.into_iter().collect())
}

/// What a fault is called on the page: `loss a <-> b 2%`.
pub(super) fn named(fault: &FaultOutcome) -> String {
    let strength = match &fault.fault.kind {
        FaultKind::Link(_, LinkChange::Delay { by, .. }) | FaultKind::Slow(_, by) => format!("{}ms", millis(*by)),
        FaultKind::Link(_, LinkChange::Loss(percent)) => format!("{percent}%"),
        FaultKind::Link(_, LinkChange::Bandwidth(bits)) => format!("{}kbit/s", *bits as f64 / 1000.0),
        FaultKind::Fail { status, percent, .. } if *percent < 100.0 => format!("{status} {percent}%"),
        FaultKind::Fail { status, .. } => status.to_string(),
        FaultKind::Partition(_) | FaultKind::Kill(_) | FaultKind::PowerOff(_) => String::new(),
        FaultKind::Delete(_) | FaultKind::Restart(_) => String::new(),
    };
    format!("{} {} {strength}", fault.result.kind, fault.result.on).trim_end().to_owned()
}

#[derive(Default)]
struct Spot {
    edges: BTreeSet<(String, String)>,
    nodes: BTreeSet<String>,
}

fn place(kind: &FaultKind, log: &ObservationLog) -> Spot {
    match kind {
        FaultKind::Partition(link) | FaultKind::Link(link, _) => on_link(&link.a, &link.b, log),
        FaultKind::Kill(at) | FaultKind::PowerOff(at) | FaultKind::Delete(at) | FaultKind::Restart(at) => {
            on_nodes(&[at], log)
        }
        FaultKind::Slow(at, _) | FaultKind::Fail { at, .. } => on_nodes(&[at], log),
    }
}

/// Answers cross a link against the direction of their requests, so either end may be the caller.
fn on_link(a: &Selector, b: &Selector, log: &ObservationLog) -> Spot {
    let crosses = |hop: &&Hop| (calls(a, hop) && serves(b, hop)) || (calls(b, hop) && serves(a, hop));
    let edges: BTreeSet<_> =
        log.hops().filter(crosses).map(|hop| (caller(&hop.source), hop.destination.to_string())).collect();
    if edges.is_empty() { on_nodes(&[a, b], log) } else { Spot { edges, ..Spot::default() } }
}

fn on_nodes(chosen: &[&Selector], log: &ObservationLog) -> Spot {
    let mut nodes = BTreeSet::new();
    for hop in log.hops() {
        if chosen.iter().any(|own| calls(own, hop)) {
            nodes.insert(caller(&hop.source));
        }
        if chosen.iter().any(|own| serves(own, hop)) {
            nodes.insert(hop.destination.to_string());
        }
    }
    Spot { nodes, ..Spot::default() }
}

fn calls(selector: &Selector, hop: &Hop) -> bool {
    selector.selects_party(&hop.source)
}

fn serves(selector: &Selector, hop: &Hop) -> bool {
    let endpoints = [hop.first_endpoint.as_ref(), hop.endpoint.as_ref()];
    endpoints.into_iter().any(|endpoint| selector.selects_service(&hop.destination, endpoint))
}
