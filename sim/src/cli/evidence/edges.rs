//! Who called whom, and how long it took.

use std::collections::BTreeMap;

use wavetank_reports::html::{GraphEdge, Latencies, TlsCounts};

use super::{caller, hop_failed, millis};
use crate::observe::{Hop, ObservationLog, Tls};

/// Points of a curve at most.
const POINTS_MAX: usize = 160;

/// One edge for every pair of caller and callee.
pub(super) fn graph(log: &ObservationLog) -> Vec<GraphEdge> {
    let mut edges: BTreeMap<(String, String), (GraphEdge, BTreeMap<String, u64>)> = BTreeMap::new();
    for hop in log.hops() {
        let (from, to) = (caller(&hop.source), hop.destination.to_string());
        let (edge, arms) = edges.entry((from.clone(), to.clone())).or_default();
        edge.from = from;
        edge.to = to;
        edge.requests += 1;
        edge.errors += u64::from(hop_failed(hop));
        count_tls(&mut edge.tls, hop);
        if let Some(version) = hop.arm() {
            *arms.entry(version.to_owned()).or_default() += 1;
        }
    }
    edges.into_values().map(|(edge, arms)| GraphEdge { arms: arms.into_iter().collect(), ..edge }).collect()
}

fn count_tls(counts: &mut TlsCounts, hop: &Hop) {
    let count = match &hop.tls {
        Some(Tls::Mutual { .. }) => &mut counts.mutual,
        Some(Tls::Simple) => &mut counts.simple,
        Some(Tls::Plaintext) => &mut counts.plaintext,
        None => &mut counts.none,
    };
    *count += 1;
}

/// The distribution of every edge, the slowest by its median first.
pub(super) fn latencies(log: &ObservationLog) -> Vec<Latencies> {
    let mut edges: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for hop in log.hops() {
        let edge = format!("{} → {}", caller(&hop.source), hop.destination);
        edges.entry(edge).or_default().push(millis(hop.latency));
    }
    let mut all: Vec<Latencies> = edges.into_iter().map(|(edge, samples)| distribution(edge, samples)).collect();
    all.sort_by(|a, b| b.quantiles[0].total_cmp(&a.quantiles[0]));
    all
}

fn distribution(edge: String, mut samples: Vec<f64>) -> Latencies {
    samples.sort_by(f64::total_cmp);
    let n = samples.len();
    // The smallest latency that so great a share does not exceed.
    let at = |share: f64| samples[((share * n as f64).ceil() as usize).clamp(1, n) - 1];
    let points = n.min(POINTS_MAX);
    let point = |index: usize| {
        let rank = (index + 1) * n / points;
        (samples[rank - 1], rank as f64 / n as f64)
    };
    Latencies {
        curve: (0..points).map(point).collect(),
        quantiles: [at(0.5), at(0.9), at(0.99), at(0.999), at(1.0)],
        n: n as u64,
        edge,
    }
}
