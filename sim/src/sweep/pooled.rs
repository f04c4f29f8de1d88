//! The splits of a scenario over all seeds of a sweep. Each run is judged at its share of the false-failure
//! rate; the sum of them all once more, at the whole rate: many small runs see what one cannot.

use indexmap::IndexMap;

use crate::check::{Check, Demand, Judgement, Sources, pooled_split};
use crate::observe::ObservationLog;

/// Decisions by version, for each split of a scenario.
#[derive(Debug, Clone)]
pub struct Pool<'a> {
    splits: Vec<(&'a Check, IndexMap<String, u64>)>,
}

impl<'a> Pool<'a> {
    /// Nothing counted yet of the splits among `checks`.
    pub fn new(checks: &'a [Check]) -> Self {
        let splits = checks.iter().filter(|check| matches!(check.demand, Demand::Split(_)));
        Self { splits: splits.map(|check| (check, IndexMap::new())).collect() }
    }

    /// The decisions of one run, in the shape that [`Pool::add`] takes.
    pub fn count(checks: &[Check], log: &ObservationLog) -> Vec<IndexMap<String, u64>> {
        let splits = checks.iter().filter(|check| matches!(check.demand, Demand::Split(_)));
        let count = |check: &Check| {
            let mut counts = IndexMap::new();
            for hop in check.scope.hops(log) {
                *counts.entry(hop.arm().unwrap_or("nowhere").to_owned()).or_default() += 1;
            }
            counts
        };
        splits.map(count).collect()
    }

    /// Adds the decisions of one run.
    pub fn add(&mut self, counts: &[IndexMap<String, u64>]) {
        for ((_, sum), own) in self.splits.iter_mut().zip(counts) {
            for (version, count) in own {
                *sum.entry(version.clone()).or_default() += count;
            }
        }
    }

    /// The verdict on each split, at `alpha` for all of them together, with an error for each that did not pass.
    pub fn judge(&self, alpha: f64, sources: &Sources) -> Vec<Judgement> {
        let share = alpha / self.splits.len().max(1) as f64;
        self.splits.iter().map(|(check, counts)| pooled_split(check, counts, share, sources)).collect()
    }
}
