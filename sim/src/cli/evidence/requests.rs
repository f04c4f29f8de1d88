//! A choice of requests, hop by hop: those that failed, the slowest, and one for each way that requests took.

use std::collections::{BTreeMap, BTreeSet};

use wavetank_reports::html::{Bar, Waterfall};

use super::{caller, hop_failed, is_failed, millis, since};
use crate::observe::{Call, Hop, ObservationLog, Tls};
use crate::scenario::Scenario;

/// The slowest ones that are shown.
const SLOWEST: usize = 20;
/// Hops of one request, and of all that are shown, at most: they are most of a page's size.
const HOPS_MAX: usize = 60;
const HOPS_SHOWN: usize = 1500;

/// At most `most` requests in the order of their start.
pub(super) fn chosen(scenario: &Scenario, log: &ObservationLog, most: usize) -> Vec<Waterfall> {
    let calls: Vec<&Call> = log.calls().collect();
    let mut hops: BTreeMap<&str, Vec<&Hop>> = BTreeMap::new();
    for hop in log.hops() {
        hops.entry(&hop.request).or_default().push(hop);
    }
    let hops_of = |call: &Call| hops.get(&*call.request).map_or(&[][..], Vec::as_slice);
    // By the way they took: the first, and how many there are.
    let mut ways: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for (at, call) in calls.iter().enumerate() {
        ways.entry(way(call, hops_of(call))).or_insert((at, 0)).1 += 1;
    }
    let mut why: BTreeMap<usize, String> = BTreeMap::new();
    let mut firsts: Vec<(usize, usize)> = ways.into_values().collect();
    firsts.sort_by_key(|(at, count)| (std::cmp::Reverse(*count), *at));
    let mut room = HOPS_SHOWN;
    for (at, count) in firsts.into_iter().take(most / 2) {
        take_room(&mut room, hops_of(calls[at])).then(|| why.insert(at, format!("{count} of this way")));
    }
    let mut slowest: Vec<usize> = (0..calls.len()).collect();
    slowest.sort_by_key(|at| (std::cmp::Reverse(calls[*at].latency), *at));
    slowest.truncate(SLOWEST.min(most / 4));
    let failed = (0..calls.len()).filter(|at| is_failed(calls[*at].status, calls[*at].failure));
    for (at, word) in slowest.into_iter().map(|at| (at, "slow")).chain(failed.map(|at| (at, "failed"))) {
        let known = why.len();
        match why.get_mut(&at) {
            Some(words) => *words = format!("{word}, {words}"),
            None if known < most && take_room(&mut room, hops_of(calls[at])) => {
                why.insert(at, word.to_owned());
            }
            None => {}
        }
    }
    let show = |(at, why): (usize, String)| waterfall(scenario, log, at, calls[at], hops_of(calls[at]), why);
    why.into_iter().map(show).collect()
}

/// Whether there is room for these hops, which is then taken.
fn take_room(room: &mut usize, hops: &[&Hop]) -> bool {
    let left = room.checked_sub(hops.len().min(HOPS_MAX));
    *room = left.unwrap_or(*room);
    left.is_some()
}

/// What makes two requests equal: what was asked, which hops they took, what decided, how they ended.
fn way(call: &Call, hops: &[&Hop]) -> String {
    let mut way = format!("{} {} {}", call.traffic, call.target, call.status);
    let steps: BTreeSet<String> = hops
        .iter()
        .map(|hop| {
            let decided = hop.decision.place().map(ToString::to_string).unwrap_or_default();
            let arm = hop.arm().unwrap_or("");
            format!("{}>{}@{arm} {} {:?} {decided}", caller(&hop.source), hop.destination, hop.status, hop.flags)
        })
        .collect();
    steps.iter().for_each(|step| {
        way.push('|');
        way.push_str(step);
    });
    way
}

fn waterfall(
    scenario: &Scenario,
    log: &ObservationLog,
    at: usize,
    call: &Call,
    hops: &[&Hop],
    why: String,
) -> Waterfall {
    let mut bars = Vec::new();
    let mut left: Vec<&Hop> = hops.iter().take(HOPS_MAX).copied().collect();
    nest(scenario, call, &caller(&call.source), 0, &mut left, &mut bars);
    // What nobody's hop leads to.
    for hop in std::mem::take(&mut left) {
        bars.push(bar(scenario, call, hop, 0));
    }
    Waterfall {
        number: at as u64 + 1,
        target: format!("{} → {}", call.target, call.destination),
        at_ms: since(log.start(), call.at),
        took_ms: millis(call.latency),
        answer: answer(call.status, call.failure),
        failed: is_failed(call.status, call.failure),
        why,
        bars,
    }
}

/// Puts the hops that `source` made, each followed by those that its destination made.
fn nest(scenario: &Scenario, call: &Call, source: &str, depth: usize, left: &mut Vec<&Hop>, bars: &mut Vec<Bar>) {
    while let Some(at) = left.iter().position(|hop| caller(&hop.source) == source) {
        let hop = left.remove(at);
        bars.push(bar(scenario, call, hop, depth));
        nest(scenario, call, &hop.destination.to_string(), depth + 1, left, bars);
    }
}

fn bar(scenario: &Scenario, call: &Call, hop: &Hop, depth: usize) -> Bar {
    let version = hop.arm().map(|version| format!(" {version}")).unwrap_or_default();
    let mut notes = vec![answer(hop.status, hop.failure)];
    notes.extend(hop.flags.iter().map(ToString::to_string));
    notes.push(match &hop.tls {
        Some(Tls::Mutual { .. }) => "mTLS".to_owned(),
        Some(Tls::Simple) => "TLS".to_owned(),
        Some(Tls::Plaintext) => "plaintext".to_owned(),
        None => "no connection".to_owned(),
    });
    if hop.attempts > 1 {
        notes.push(format!("{} attempts", hop.attempts));
    }
    if !hop.details.is_empty() && &*hop.details != "via_upstream" {
        notes.push(hop.details.to_string());
    }
    let decided = hop.decision.place().map(|place| format!("{}:{}", scenario.shown(&place.file), place.line));
    Bar {
        depth,
        label: format!("{} → {}{version}", caller(&hop.source), hop.destination),
        from_ms: since(call.at, hop.at).max(0.0),
        took_ms: millis(hop.latency),
        note: notes.join(" · "),
        decided,
        failed: hop_failed(hop),
    }
}

fn answer(status: u16, failure: Option<crate::observe::Failure>) -> String {
    match (status, failure) {
        (_, Some(failure)) => failure.to_string(),
        (0, None) => "done".to_owned(),
        (status, None) => status.to_string(),
    }
}
