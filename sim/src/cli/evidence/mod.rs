//! What a run showed, counted from its log for the HTML page.
//!
//! - [`edges`]: who called whom, and how long it took
//! - [`faults`]: where in it faults were
//! - [`time`]: steps, faults, requests and configuration over time
//! - [`chances`]: the distribution behind each split
//! - [`requests`]: a choice of requests, hop by hop
//! - [`lines`]: the lines that decided

mod chances;
mod edges;
mod faults;
mod lines;
mod requests;
mod time;

#[cfg(test)]
mod tests;

use std::time::Duration;

use wavetank_platform::Instant;
use wavetank_reports::html::{Evidence, Timeline};

use crate::check::judge::share_of_budget;
use crate::observe::{Failure, Hop, Party, Service};
use crate::scenario::Scenario;
use crate::target::RunOutcome;

/// Everything the page shows of a run, judged at `alpha`, with `requests_max` requests in full.
pub(super) fn of_run(scenario: &Scenario, outcome: &RunOutcome, alpha: f64, requests_max: usize) -> Evidence {
    let log = &outcome.log;
    let alpha = share_of_budget(&scenario.checks, alpha);
    let (graph, faulted) = faults::marked(edges::graph(log), outcome);
    let over_time = chances::over_time(&scenario.checks, log, alpha);
    Evidence {
        graph,
        faulted,
        timeline: Timeline { splits: over_time, ..time::timeline(outcome) },
        splits: chances::splits(&scenario.checks, log, alpha),
        latencies: edges::latencies(log),
        requests: requests::chosen(scenario, outcome, requests_max),
        requests_total: log.calls().count() as u64,
        manifests: lines::manifests(scenario, outcome),
    }
}

/// The caller as it is named where it is a destination.
fn caller(party: &Party) -> String {
    Service::new(party.name.clone(), party.namespace.clone()).to_string()
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Milliseconds from `start` to `at`; negative before it.
fn since(start: Instant, at: Instant) -> f64 {
    millis(at.since_start()) - millis(start.since_start())
}

/// Whether an answer counts as failed: a 5xx, or none.
fn is_failed(status: u16, failure: Option<Failure>) -> bool {
    status >= 500 || failure.is_some()
}

fn hop_failed(hop: &Hop) -> bool {
    is_failed(hop.status, hop.failure)
}
