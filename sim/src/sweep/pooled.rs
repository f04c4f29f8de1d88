//! The splits of a scenario over all seeds of a sweep. Each run is judged at its share of the false-failure
//! rate; the sum of them all once more, at the whole rate: many small runs see what one cannot.

use indexmap::IndexMap;

use crate::check::{Check, Judgement, Sources, pooled_split};
use crate::observe::ObservationLog;

/// Decisions by version, for each split of a scenario.
#[derive(Debug, Clone)]
pub struct Pool<'a> {
    /// The decisions of all runs; `None` when no run came to the time of the check.
    splits: Vec<(&'a Check, Option<Counts>)>,
}

/// Decisions by version.
pub type Counts = IndexMap<String, u64>;

impl<'a> Pool<'a> {
    /// Nothing counted yet of the splits among `checks`.
    pub fn new(checks: &'a [Check]) -> Self {
        let splits = checks.iter().filter(|check| check.demand.as_split().is_some());
        Self { splits: splits.map(|check| (check, None)).collect() }
    }

    /// The decisions of one run, in the shape that [`Pool::add`] takes: `None` of a check whose time the run did not
    /// come to.
    pub fn count(checks: &[Check], log: &ObservationLog) -> Vec<Option<Counts>> {
        let count = |check: &Check| {
            let (_, unit) = check.demand.as_split()?;
            if check.scope.is_skipped(log) {
                return Some(None);
            }
            let mut counts = Counts::new();
            for arm in check.scope.hops(log).flat_map(|hop| unit.decisions(hop)) {
                *counts.entry(arm.to_owned()).or_default() += 1;
            }
            Some(Some(counts))
        };
        checks.iter().filter_map(count).collect()
    }

    /// Adds the decisions of one run.
    pub fn add(&mut self, counts: &[Option<Counts>]) {
        for ((_, sum), own) in self.splits.iter_mut().zip(counts) {
            let Some(own) = own else { continue };
            let sum = sum.get_or_insert_default();
            for (version, count) in own {
                *sum.entry(version.clone()).or_default() += count;
            }
        }
    }

    /// The verdict on each split whose time a run came to, at `alpha` for all of them together, with an error for each
    /// that did not pass.
    pub fn judge(&self, alpha: f64, sources: &Sources) -> Vec<Judgement> {
        let share = alpha / self.splits.len().max(1) as f64;
        let judged = self.splits.iter().filter_map(|(check, counts)| Some((check, counts.as_ref()?)));
        judged.map(|(check, counts)| pooled_split(check, counts, share, sources)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wavetank_platform::Instant;
    use wavetank_reports::{CheckVerdict, Place};

    use super::*;
    use crate::check::{Demand, Scope};

    /// A run that was ended before a check's time says nothing of it; it was inconclusive once, and failed.
    #[test]
    fn a_split_that_no_run_came_to_is_not_judged() {
        let seconds = Duration::from_secs;
        let split = |between| Check {
            asked_at: Place::new("s.yaml", 1, 1),
            width: 1,
            scope: Scope { between: Some(between), ..Scope::default() },
            demand: Demand::Split(Vec::new()),
            detect: 8.0,
        };
        let checks = [split((seconds(0), seconds(10))), split((seconds(30), seconds(40)))];
        let mut log = ObservationLog::default();
        log.end_at(Instant::from_start(seconds(20)));
        let mut pool = Pool::new(&checks);
        pool.add(&Pool::count(&checks, &log));
        let verdicts: Vec<_> = pool.judge(1e-6, &Sources::default()).iter().map(|split| split.result.verdict).collect();
        assert_eq!(verdicts, [CheckVerdict::Inconclusive], "the first has no requests, the second had no time");
    }
}
