//! The splits of a scenario over all seeds of a sweep. Each run is judged at its share of the false-failure
//! rate; the sum of them all once more, at the whole rate: many small runs see what one cannot.

use indexmap::IndexMap;
use wavetank_reports::CheckResult;

use crate::check::{Check, pooled_split};
use crate::observe::ObservationLog;

/// Decisions by version, for each split of a scenario.
#[derive(Debug, Clone)]
pub struct Pool<'a> {
    splits: Vec<(&'a Check, IndexMap<String, u64>)>,
}

impl<'a> Pool<'a> {
    /// Nothing counted yet of the splits among `checks`.
    pub fn new(checks: &'a [Check]) -> Self {
        let splits = checks.iter().filter(|check| check.demand.unit().is_some());
        Self { splits: splits.map(|check| (check, IndexMap::new())).collect() }
    }

    /// The decisions of one run, in the shape that [`Pool::add`] takes.
    pub fn count(checks: &[Check], log: &ObservationLog) -> Vec<IndexMap<String, u64>> {
        let count = |check: &Check| {
            let unit = check.demand.unit()?;
            let mut counts = IndexMap::new();
            for arm in check.scope.hops(log).flat_map(|hop| unit.decisions(hop)) {
                *counts.entry(arm.to_owned()).or_default() += 1;
            }
            Some(counts)
        };
        checks.iter().filter_map(count).collect()
    }

    /// Adds the decisions of one run.
    pub fn add(&mut self, counts: &[IndexMap<String, u64>]) {
        for ((_, sum), own) in self.splits.iter_mut().zip(counts) {
            for (version, count) in own {
                *sum.entry(version.clone()).or_default() += count;
            }
        }
    }

    /// The verdict on each split, at `alpha` for all of them together.
    pub fn judge(&self, alpha: f64) -> Vec<CheckResult> {
        let share = alpha / self.splits.len().max(1) as f64;
        self.splits.iter().map(|(check, counts)| pooled_split(check, counts, share)).collect()
    }
}
