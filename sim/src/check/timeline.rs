//! Checks of what happens over time: configuration that arrives, steps that are aborted, requests on their
//! way at once, bodies.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use wavetank_reports::CheckVerdict;

use super::amount::Amount;
use super::demand::{BodyMode, Scope, span};
use super::finding::Finding;
use super::window::in_sync_at;
use crate::observe::{Hop, Mark, ObservationLog, Party, Selector};

/// The proxies of `of` have the newest configuration within `within` of the window's start.
pub(super) fn in_sync<'a>(of: &Selector, within: Duration, scope: &Scope, log: &ObservationLog) -> Finding<'a> {
    let summary = format!("config {of} in sync within {}", span(within));
    if !log.syncs().any(|sync| of.selects_party(&sync.proxy)) {
        return Finding::inconclusive(summary, format!("`{of}` has no proxy"));
    }
    let from = scope.window(log).map_or(Duration::ZERO, |window| window.from);
    let took = in_sync_at(log, of, from).map(|at| at.saturating_sub(from));
    let observed = took.map_or_else(|| "never".to_owned(), |took| format!("after {}", span(took)));
    let finding = Finding {
        expected: format!("within {}", span(within)),
        observed: observed.clone(),
        allowed: format!("0–{}", span(within)),
        ..Finding::pass(format!("{summary}: {observed}"))
    };
    if took.is_some_and(|took| took <= within) {
        return finding;
    }
    let message = match took {
        Some(took) => {
            format!("the proxies of `{of}` took the configuration after {}, not within {}", span(took), span(within))
        }
        None => format!("{} never took the configuration, and was to within {}", behind(of, log), span(within)),
    };
    Finding { verdict: CheckVerdict::Fail, label: format!("in sync {observed}"), message, ..finding }
}

/// The proxies of `of` that do not have the newest configuration at the end.
fn behind(of: &Selector, log: &ObservationLog) -> String {
    let mut standing: BTreeMap<&Party, bool> = BTreeMap::new();
    for sync in log.syncs().filter(|sync| of.selects_party(&sync.proxy)) {
        standing.insert(&sync.proxy, sync.in_sync);
    }
    let behind: Vec<String> =
        standing.iter().filter(|(_, in_sync)| !**in_sync).map(|(proxy, _)| format!("`{proxy}`")).collect();
    if behind.is_empty() { format!("`{of}`") } else { behind.join(", ") }
}

/// The steps were aborted, in this step and in this time.
pub(super) fn aborted<'a>(step: Option<&Arc<str>>, within: Option<Duration>, log: &ObservationLog) -> Finding<'a> {
    let wanted = match (step, within) {
        (Some(step), Some(within)) => format!("aborted in {step} within {}", span(within)),
        (Some(step), None) => format!("aborted in {step}"),
        (None, Some(within)) => format!("aborted within {}", span(within)),
        (None, None) => "aborted".to_owned(),
    };
    let mut begun = Duration::ZERO;
    let mut found = None;
    for (at, mark) in log.marks() {
        match mark {
            Mark::Step(_) => begun = at,
            Mark::Aborted(step) => found = Some((step.clone(), at.saturating_sub(begun))),
            Mark::Converged(_) => {}
        }
    }
    let observed = match &found {
        Some((step, after)) => format!("aborted in {step} after {}", span(*after)),
        None => "not aborted".to_owned(),
    };
    let right = found.is_some_and(|(own, after)| {
        step.is_none_or(|step| *step == own) && within.is_none_or(|within| after <= within)
    });
    let finding = Finding { expected: wanted.clone(), observed: observed.clone(), ..Finding::pass(observed.clone()) };
    if right {
        return finding;
    }
    let message = format!("the steps were {observed}, and were to be {wanted}");
    Finding { verdict: CheckVerdict::Fail, label: observed, message, summary: wanted, ..finding }
}

/// The most requests that are on their way at the same time.
pub(super) fn in_flight(amount: Amount, hops: Vec<&Hop>) -> Finding<'_> {
    let mut changes: Vec<(Duration, i64)> = Vec::with_capacity(hops.len() * 2);
    for hop in &hops {
        let at = hop.at.since_start();
        changes.extend([(at, 1), (at + hop.latency, -1)]);
    }
    // At one time, those that end make room for those that begin.
    changes.sort_unstable();
    let (mut now, mut most) = (0_i64, 0_i64);
    for (_, change) in changes {
        now += change;
        most = most.max(now);
    }
    if hops.is_empty() {
        return Finding::inconclusive(format!("in flight {amount}"), "no request crossed this edge");
    }
    let most = most.unsigned_abs();
    let finding = Finding {
        expected: format!("in flight {amount}"),
        observed: format!("at most {most}"),
        allowed: amount.to_string(),
        ..Finding::pass(format!("in flight {most}, allowed {amount}"))
    };
    if amount.accepts(most, most) {
        return finding;
    }
    let message = format!("on {{edge}} up to {most} requests are in flight, not {amount}");
    Finding { verdict: CheckVerdict::Fail, label: format!("got {most}"), message, ..finding }
}

/// Every body that a client got is as asked.
pub(super) fn body<'a>(mode: BodyMode, text: &str, scope: &'a Scope, log: &'a ObservationLog) -> Finding<'a> {
    let on_edge = |call: &&crate::observe::Call| {
        scope.edge.as_ref().is_none_or(|edge| {
            edge.source.selects_party(&call.source) && edge.destination.selects_service(&call.destination, None)
        })
    };
    let calls: Vec<_> = scope.calls(log).filter(on_edge).collect();
    let summary = format!("body {mode} {}", shortened(text));
    if calls.is_empty() {
        return Finding::inconclusive(summary, "no client sent a request over this edge");
    }
    let right = |body: &str| match mode {
        BodyMode::Is => body.trim_end() == text.trim_end(),
        BodyMode::Has => body.contains(text),
        BodyMode::Lacks => !body.contains(text),
    };
    let wrong: Vec<_> = calls.iter().filter(|call| !right(&call.body)).collect();
    let finding = Finding {
        expected: format!("{mode} {text}"),
        observed: format!("{} of {}", calls.len() - wrong.len(), calls.len()),
        allowed: "all".to_owned(),
        ..Finding::pass(summary.clone())
    };
    let Some(first) = wrong.first() else { return finding };
    Finding {
        verdict: CheckVerdict::Fail,
        message: format!("{} of {} answers on {{edge}} are not: {summary}", wrong.len(), calls.len()),
        label: format!("request {} got {}", first.request, shortened(&first.body)),
        evidence: log.hops().filter(|hop| hop.request == first.request && !hop.flags.is_empty()).collect(),
        ..finding
    }
}

fn shortened(text: &str) -> String {
    const SHOWN_MAX: usize = 80;
    let mut shown: String = text.chars().take(SHOWN_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().count() > SHOWN_MAX {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::super::sample::hop;
    use super::*;

    #[test]
    fn requests_in_flight_are_counted_where_they_overlap() {
        let at = |start: u64, took: u64| Hop {
            at: wavetank_platform::Instant::from_start(Duration::from_millis(start)),
            latency: Duration::from_millis(took),
            ..hop("v1")
        };
        let hops = [at(0, 10), at(5, 10), at(9, 1), at(10, 10), at(30, 1)];
        let verdict = |amount: &str| in_flight(amount.parse().unwrap(), hops.iter().collect()).verdict;
        assert_eq!(verdict("<=3"), CheckVerdict::Pass);
        assert_eq!(verdict("<=2"), CheckVerdict::Fail);
        assert_eq!(verdict("3"), CheckVerdict::Pass);
    }
}
