//! A choice of requests, hop by hop: those that failed, the slowest, and one for each way that requests took.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use wavetank_proxy::record::{Direction, Record};
use wavetank_reports::html::{Bar, Try, Waterfall};

use super::{caller, hop_failed, is_failed, millis, since};
use crate::observe::{Call, Hop, Party, Tls};
use crate::scenario::Scenario;
use crate::target::RunOutcome;

/// The slowest ones that are shown.
const SLOWEST: usize = 20;
/// Hops of one request, and hops and tries of all that are shown, at most: they are most of a page's size.
const HOPS_MAX: usize = 60;
const HOPS_SHOWN: usize = 1500;

/// At most `most` requests in the order of their start.
pub(super) fn chosen(scenario: &Scenario, outcome: &RunOutcome, most: usize) -> Vec<Waterfall> {
    let log = &outcome.log;
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
    let told = Told { scenario, outcome, retried: retried(outcome, why.keys().map(|at| calls[*at])) };
    why.into_iter().map(|(at, why)| told.waterfall(at, calls[at], hops_of(calls[at]), why)).collect()
}

/// The callers' records of hops of `calls` that took more than one try, by their requests.
fn retried<'a>(outcome: &'a RunOutcome, calls: impl Iterator<Item = &'a Call>) -> BTreeMap<&'a str, Vec<&'a Record>> {
    let mut found: BTreeMap<&str, Vec<&Record>> = calls.map(|call| (&*call.request, Vec::new())).collect();
    for record in &outcome.book.records {
        let is_callers = record.direction != Direction::Inbound && record.attempts.len() > 1;
        if let Some(own) = record.request_id.as_deref().filter(|_| is_callers).and_then(|id| found.get_mut(id)) {
            own.push(record);
        }
    }
    found
}

/// Whether there is room for these hops and their tries, which is then taken.
fn take_room(room: &mut usize, hops: &[&Hop]) -> bool {
    let tries = |hop: &&Hop| if hop.attempts > 1 { hop.attempts as usize } else { 0 };
    let wanted = hops.iter().take(HOPS_MAX).map(|hop| 1 + tries(hop)).sum();
    let left = room.checked_sub(wanted);
    *room = left.unwrap_or(*room);
    left.is_some()
}

/// What makes two requests equal: what was asked, which hops they took in how many tries, what decided,
/// how they ended.
fn way(call: &Call, hops: &[&Hop]) -> String {
    let mut way = format!("{} {} {}", call.traffic, call.target, call.status);
    let steps: BTreeSet<String> = hops
        .iter()
        .map(|hop| {
            let decided = hop.decision.place().map(ToString::to_string).unwrap_or_default();
            let arm = hop.arm().unwrap_or("");
            let (from, to) = (caller(&hop.source), &hop.destination);
            format!("{from}>{to}@{arm} {} {:?} {} {decided}", hop.status, hop.flags, hop.attempts)
        })
        .collect();
    steps.iter().for_each(|step| {
        way.push('|');
        way.push_str(step);
    });
    way
}

/// What the chosen requests are told from.
struct Told<'a> {
    scenario: &'a Scenario,
    outcome: &'a RunOutcome,
    retried: BTreeMap<&'a str, Vec<&'a Record>>,
}

impl Told<'_> {
    fn waterfall(&self, at: usize, call: &Call, hops: &[&Hop], why: String) -> Waterfall {
        let mut bars = Vec::new();
        let mut left: Vec<&Hop> = hops.iter().take(HOPS_MAX).copied().collect();
        self.nest(call, &caller(&call.source), 0, &mut left, &mut bars);
        // What nobody's hop leads to.
        for hop in std::mem::take(&mut left) {
            bars.push(self.bar(call, hop, 0));
        }
        // A row of a decision table is sent to an address that nobody has; its hop names what was asked for.
        let is_address = call.destination.name.parse::<IpAddr>().is_ok();
        let asked = hops.first().filter(|_| is_address).map_or(&call.destination, |hop| &hop.destination);
        Waterfall {
            number: at as u64 + 1,
            target: format!("{} → {}", call.target, asked),
            at_ms: since(self.outcome.log.start(), call.at),
            took_ms: millis(call.latency),
            answer: answer(call.status, call.failure),
            failed: is_failed(call.status, call.failure),
            why,
            bars,
        }
    }

    /// Puts the hops that `source` made, each followed by those that its destination made.
    fn nest(&self, call: &Call, source: &str, depth: usize, left: &mut Vec<&Hop>, bars: &mut Vec<Bar>) {
        while let Some(at) = left.iter().position(|hop| caller(&hop.source) == source) {
            let hop = left.remove(at);
            bars.push(self.bar(call, hop, depth));
            self.nest(call, &hop.destination.to_string(), depth + 1, left, bars);
        }
    }

    fn bar(&self, call: &Call, hop: &Hop, depth: usize) -> Bar {
        let version = hop.arm().map(|version| format!(" {version}")).unwrap_or_default();
        let shown = |file: &str, line: u32| format!("{}:{line}", self.scenario.shown(file));
        Bar {
            depth,
            label: format!("{} → {}{version}", caller(&hop.source), hop.destination),
            from_ms: since(call.at, hop.at).max(0.0),
            took_ms: millis(hop.latency),
            note: note(hop),
            decided: hop.decision.place().map(|place| shown(&place.file, place.line)),
            failed: hop_failed(hop),
            tries: self.tries(call, hop),
        }
    }

    fn tries(&self, call: &Call, hop: &Hop) -> Vec<Try> {
        let records = self.retried.get(&*hop.request).map_or(&[][..], Vec::as_slice);
        // The record that the hop was made of began when it did, and made as many tries.
        let own = records.iter().find(|own| own.start == hop.at && own.attempts.len() == hop.attempts as usize);
        let attempts = own.map_or(&[][..], |own| own.attempts.as_slice());
        let one = |attempt: &wavetank_proxy::record::Attempt| {
            let party = attempt.endpoint.map(|at| self.outcome.book.parties.get(&at.ip()).map(Party::to_string));
            let result = match (attempt.status, &attempt.failure) {
                (Some(status), _) => status.to_string(),
                (None, Some(failure)) => failure.to_string(),
                (None, None) => "no response".to_owned(),
            };
            let pod = party.unwrap_or_else(|| Some("no endpoint".to_owned())).unwrap_or_default();
            Try {
                label: format!("try {}: {pod} {result}", attempt.number),
                from_ms: since(call.at, attempt.start).max(0.0),
                took_ms: millis(attempt.duration),
                failed: attempt.status.is_none_or(|status| status >= 500),
            }
        };
        attempts.iter().map(one).collect()
    }
}

/// What there is to say of a hop besides its time.
fn note(hop: &Hop) -> String {
    let mut notes = vec![answer(hop.status, hop.failure)];
    notes.extend(hop.flags.iter().map(ToString::to_string));
    notes.push(match &hop.tls {
        Some(Tls::Mutual { .. }) => "mTLS".to_owned(),
        Some(Tls::Simple) => "TLS".to_owned(),
        Some(Tls::Plaintext) => "plaintext".to_owned(),
        None => "no connection".to_owned(),
    });
    if hop.attempts > 1 {
        notes.push(format!("{} tries", hop.attempts));
    }
    if !hop.details.is_empty() && &*hop.details != "via_upstream" {
        notes.push(hop.details.to_string());
    }
    notes.join(" · ")
}

fn answer(status: u16, failure: Option<crate::observe::Failure>) -> String {
    match (status, failure) {
        (_, Some(failure)) => failure.to_string(),
        (0, None) => "done".to_owned(),
        (status, None) => status.to_string(),
    }
}
