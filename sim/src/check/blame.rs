//! What else went on while a check failed: the faults that the failed requests ran under, those that kept
//! configuration from a proxy, and how near the steps came to their abort.

use std::time::Duration;

use wavetank_platform::Instant;
use wavetank_reports::{Diagnostic, Note, Snippet};

use super::demand::{Demand, Scope, span};
use super::sources::Sources;
use crate::fault::{FaultKind, FaultOutcome};
use crate::observe::{Hop, ObservationLog, Party};
use crate::scenario::Abort;

/// Faults that are told before the rest is left out.
const TOLD_MAX: usize = 2;
/// Who sends configuration.
const CONTROL_PLANE: &str = "control-plane";

/// What a run had besides its requests.
#[derive(Debug, Clone, Copy, Default)]
pub struct Circumstances<'a> {
    /// Its faults, with what became of them.
    pub faults: &'a [FaultOutcome],
    /// When its steps would have been given up.
    pub abort: Option<&'a Abort>,
    /// What was found about the manifests, as messages show it.
    pub findings: &'a [Diagnostic],
    /// Everyone in the world.
    pub parties: &'a [Party],
}

impl Circumstances<'_> {
    /// Notes on what failed `demand`, whose wrong requests are `evidence`.
    pub(super) fn notes(
        &self,
        demand: &Demand,
        scope: &Scope,
        evidence: &[&Hop],
        log: &ObservationLog,
        sources: &Sources,
    ) -> Vec<Note> {
        match demand {
            Demand::InSync(..) => {
                let from = scope.window(log).map_or(Duration::ZERO, |window| window.from);
                let kept = self.faults.iter().filter(|fault| is_of_control(&fault.fault.kind) && end(fault) > from);
                kept.take(TOLD_MAX).map(|fault| note(fault, "meanwhile there was", sources)).collect()
            }
            Demand::Aborted { .. } => self.abort.map(|abort| nearest(abort, log)).into_iter().collect(),
            _ => self.under(evidence, log.start(), sources),
        }
    }

    /// The faults under which most of these requests ran.
    fn under(&self, evidence: &[&Hop], start: Instant, sources: &Sources) -> Vec<Note> {
        let mut counted: Vec<(usize, &FaultOutcome)> = self
            .faults
            .iter()
            .map(|fault| (evidence.iter().filter(|hop| ran_under(hop, fault, start)).count(), fault))
            .collect();
        counted.retain(|(count, _)| *count > 0 && count * 2 >= evidence.len());
        counted.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        let told = counted.into_iter().take(TOLD_MAX);
        let ran = |count| match evidence.len() {
            1 => "it ran under".to_owned(),
            all if all == count => format!("all {all} ran under"),
            all => format!("{count} of these {all} ran under"),
        };
        told.map(|(count, fault)| note(fault, &ran(count), sources)).collect()
    }
}

fn ran_under(hop: &Hop, fault: &FaultOutcome, start: Instant) -> bool {
    hop.at + hop.latency >= start + begin(fault) && hop.at < start + end(fault)
}

fn begin(fault: &FaultOutcome) -> Duration {
    Duration::from_millis(fault.result.from_ms)
}

fn end(fault: &FaultOutcome) -> Duration {
    Duration::from_millis(fault.result.to_ms)
}

/// Whether it keeps the control plane from its proxies.
fn is_of_control(kind: &FaultKind) -> bool {
    let ends = match kind {
        FaultKind::Partition(link) | FaultKind::Link(link, _) => vec![&link.a, &link.b],
        FaultKind::Kill(at) | FaultKind::PowerOff(at) | FaultKind::Delete(at) | FaultKind::Restart(at) => vec![at],
        FaultKind::Slow(..) | FaultKind::Fail { .. } => Vec::new(),
    };
    ends.iter().any(|end| end.name() == Some(CONTROL_PLANE))
}

fn note(fault: &FaultOutcome, what: &str, sources: &Sources) -> Note {
    let result = &fault.result;
    let lasted = format!("from {} to {}", span(begin(fault)), span(end(fault)));
    let place = fault.fault.asked_at.clone();
    let text = sources.text(&place.file);
    Note {
        message: format!("{what} fault `{}` on `{}`", result.kind, result.on),
        snippet: text.and_then(|text| Snippet::of(text, &place, Some(fault.fault.width), lasted)),
        place: Some(place),
    }
}

/// How near the watched edge came to what the abort waits for.
fn nearest(abort: &Abort, log: &ObservationLog) -> Note {
    let hops: Vec<(Instant, bool)> =
        log.hops().filter(|hop| abort.edge.selects(hop)).map(|hop| (hop.at, abort.class.has(hop.status))).collect();
    let (mut from, mut counted) = (0, 0_u64);
    let (mut most, mut worst) = (0, None::<(u64, u64)>);
    for (at, (time, is_counted)) in hops.iter().enumerate() {
        counted += u64::from(*is_counted);
        while hops[from].0 + abort.window < *time {
            counted -= u64::from(hops[from].1);
            from += 1;
        }
        let total = (at + 1 - from) as u64;
        most = most.max(total);
        let is_worse = |(count, of): (u64, u64)| counted * of > count * total;
        if total >= abort.requests_min && worst.is_none_or(is_worse) {
            worst = Some((counted, total));
        }
    }
    let (edge, class, window) = (&abort.edge, abort.class, span(abort.window));
    let message = match worst {
        Some((count, total)) => {
            let share = count as f64 * 100.0 / total as f64;
            let wanted = abort.amount;
            format!(
                "on `{edge}` at most {share:.1}% were {class} in any {window} ({count} of {total}); the abort waits for {wanted}"
            )
        }
        None => format!(
            "on `{edge}` there were at most {most} requests in any {window}; the abort looks at {} or more",
            abort.requests_min
        ),
    };
    Note { message, place: None, snippet: None }
}

#[cfg(test)]
mod tests {
    use wavetank_reports::{FaultResult, Place};

    use super::super::sample::{hop, log, lost};
    use super::*;
    use crate::fault::Fault;

    fn kill(from: u64, to: u64) -> FaultOutcome {
        let at = Duration::from_millis(from);
        let fault = Fault {
            asked_at: Place::new("scenario.yaml", 6, 5),
            width: 4,
            at,
            duration: Some(Duration::from_millis(to - from)),
            may_miss: false,
            kind: FaultKind::Kill("service-go@v2".parse().unwrap()),
        };
        let (kind, on) = ("kill".to_owned(), "service-go@v2".to_owned());
        FaultOutcome { result: FaultResult { kind, on, from_ms: from, to_ms: to, touched: 1 }, fault }
    }

    fn told(faults: &[FaultOutcome], hops: Vec<Hop>) -> Vec<String> {
        let log = log(hops);
        let evidence: Vec<&Hop> = log.hops().collect();
        let around = Circumstances { faults, ..Circumstances::default() };
        let demand = Demand::Attempts("1".parse().unwrap());
        let notes = around.notes(&demand, &Scope::default(), &evidence, &log, &Sources::default());
        notes.into_iter().map(|note| note.message).collect()
    }

    #[test]
    fn requests_that_ran_under_a_fault_name_it() {
        // The hops are at 1 s and take 4 ms.
        let named = ["all 2 ran under fault `kill` on `service-go@v2`"];
        assert_eq!(told(&[kill(900, 1100)], vec![lost("v2"); 2]), named);
        assert_eq!(told(&[kill(1002, 1100)], vec![lost("v2"); 2]), named);
    }

    #[test]
    fn a_fault_before_or_after_is_not_named() {
        assert_eq!(told(&[kill(0, 1000), kill(1005, 2000)], vec![lost("v2")]), [""; 0]);
    }

    #[test]
    fn the_worst_window_of_an_abort_is_told() {
        let at = |ms: u64, status| Hop { at: Instant::from_start(Duration::from_millis(ms)), status, ..hop("v2") };
        let hops = vec![at(0, 200), at(10, 500), at(20, 200), at(2000, 500), at(2010, 500), at(2020, 200)];
        let abort = |requests_min| Abort {
            edge: "service-node -> service-go@v2".parse().unwrap(),
            class: "5xx".parse().unwrap(),
            amount: ">90%".parse().unwrap(),
            window: Duration::from_secs(1),
            requests_min,
            config: Vec::new(),
        };
        let told = |requests_min| nearest(&abort(requests_min), &log(hops.clone())).message;
        let edge = "on `service-node -> service-go@v2`";
        assert_eq!(told(3), format!("{edge} at most 66.7% were 5xx in any 1s (2 of 3); the abort waits for > 90%"));
        assert_eq!(told(4), format!("{edge} there were at most 3 requests in any 1s; the abort looks at 4 or more"));
    }
}
