//! `count: auto`: so many requests that every split they count for sees the shift it is to see.
//!
//! What a request comes to on an edge is not known before the run. It is taken to be one decision, but for what
//! the scenario itself says: a caller `name@version` gets the share that another split gives that version, and
//! what is sent before a check's time does not count for it. Whatever else keeps requests away leaves the check
//! weak, and that is told.

use std::time::Duration;

use wavetank_control::diagnostic::Span;

use super::fields::Findings;
use super::model::Traffic;
use crate::check::power::decisions_for;
use crate::check::{Check, Event, Scope};
use crate::traffic::{Load, Spacing};

/// Requests that are chosen at most.
const COUNT_MAX: u64 = 1_000_000;
/// Counts are multiples of this.
const ROUND: u64 = 500;
/// Standard deviations that a random number is allowed to stay behind its mean.
const DEVIATIONS: f64 = 5.0;

/// Streams that leave their count open, by their number.
pub(super) type Open = Vec<(usize, Span)>;

/// Chooses the counts of these streams; `alpha` is the size of each statistical test.
pub(super) fn choose(open: &Open, traffic: &mut [Traffic], checks: &[Check], alpha: f64, findings: &mut Findings) {
    for (number, span) in open {
        let Some(stream) = traffic.get_mut(*number) else { continue };
        let counts = |check: &&Check| check.scope.traffic.as_deref().is_none_or(|own| own == stream.name);
        let mut most = None;
        for (check, arms) in checks.iter().filter(counts).filter_map(|check| Some((check, check.demand.as_split()?.0)))
        {
            let count = decisions_for(arms, check.detect, alpha).map(|decisions| {
                let share = share_of_caller(check, checks, stream);
                requests(stream, &check.scope, thinned(decisions, share)).next_multiple_of(ROUND)
            });
            match count.filter(|count| *count <= COUNT_MAX) {
                Some(count) => most = Some(most.unwrap_or(0).max(count)),
                None => {
                    let Check { detect, scope, .. } = check;
                    let why = format!("to see {detect} points on `{scope}` takes more than {COUNT_MAX} requests");
                    findings.wrong(span, why);
                }
            }
        }
        if most.is_none() && !findings.is_at(span) {
            findings.wrong(span, "`count: auto` follows from a `split`, and none counts this traffic");
        }
        stream.count = most;
    }
}

/// The share of the stream's requests that the check's caller gets, where it is one version of a service and
/// another split says how much that version gets; else all.
fn share_of_caller(check: &Check, checks: &[Check], stream: &Traffic) -> f64 {
    let source = check.scope.edge.as_ref().map(|edge| &edge.source);
    let version = source.and_then(|source| Some((source.name_and_namespace()?, source.version()?)));
    let Some((service, version)) = version else { return 1.0 };
    let leads_there = |other: &&Check| {
        let edge = other.scope.edge.as_ref();
        edge.is_some_and(|edge| {
            edge.destination.name_and_namespace() == Some(service) && edge.destination.version().is_none()
        }) && other.scope.traffic.as_deref().is_none_or(|own| own == stream.name)
    };
    let given = checks.iter().filter(leads_there).filter_map(|other| Some(other.demand.as_split()?.0));
    let percent = given.flatten().find(|arm| *arm.version == *version).map(|arm| arm.percent);
    percent.filter(|percent| *percent > 0.0).map_or(1.0, |percent| percent / 100.0)
}

/// Requests of which each is one of `decisions` with probability `share`, so that they hardly ever are too few.
fn thinned(decisions: u64, share: f64) -> u64 {
    if share >= 1.0 {
        return decisions;
    }
    // n·share − d·√(n·share·(1−share)) = decisions, solved for the root of the mean.
    let spread = DEVIATIONS * (1.0 - share).sqrt();
    let root = (spread + (spread * spread + 4.0 * decisions as f64).sqrt()) / 2.0;
    (root * root / share).ceil() as u64
}

/// Requests of the stream so that `needed` of them are in the time that a check is about, or all that fit into it.
fn requests(stream: &Traffic, scope: &Scope, needed: u64) -> u64 {
    let Load::Open { rate, spacing } = stream.load else { return needed };
    let step = scope.step.as_ref();
    let after = scope.after.as_ref().map_or(Duration::ZERO, |after| match after.event {
        Event::At(at) => at.saturating_add(after.plus),
        _ => after.plus,
    });
    let begins = [scope.between.map(|(from, _)| from), step.map(|step| step.start), Some(after)];
    let ends = [scope.between.map(|(_, to)| to), step.map(|step| step.end)];
    let from = begins.into_iter().flatten().max().unwrap_or_default().saturating_sub(stream.at);
    let until = ends.into_iter().flatten().min().map(|end| end.saturating_sub(stream.at));
    let spread = |mean: f64| if spacing == Spacing::Poisson { DEVIATIONS * mean.sqrt() } else { 1.0 };
    let at_most = |time: Duration| {
        let mean = rate * time.as_secs_f64();
        if time.is_zero() { 0 } else { (mean + spread(mean)).ceil() as u64 }
    };
    let count = at_most(from).saturating_add(needed);
    until.map_or(count, |until| count.min(at_most(until)))
}

#[cfg(test)]
mod tests {
    use wavetank_control::config::SourceFile;

    use super::super::{Manifests, Scenario, parse};

    struct Nothing;

    impl Manifests for Nothing {
        fn read(&self, path: &str) -> Result<Vec<SourceFile>, String> {
            Err(format!("no {path}"))
        }
    }

    fn read(rest: &str) -> Result<Scenario, String> {
        let text = format!("scenario: s\n{rest}");
        let told = |found: Vec<wavetank_control::diagnostic::Diagnostic>| {
            found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        parse(&SourceFile::new("s.yaml", text), &Nothing).map_err(told)
    }

    fn count(rest: &str) -> u64 {
        read(rest).unwrap().traffic[0].count.unwrap()
    }

    const AUTO: &str = "traffic: {name: a, request: GET go/, count: auto}\n";
    const SPLIT: &str = "expect: [{edge: a -> go, split: {v1: 70, v2: 30}}]\n";

    #[test]
    fn the_count_follows_from_what_is_to_be_seen_and_how_surely() {
        assert_eq!(count(&format!("{AUTO}{SPLIT}")), 2000);
        assert_eq!(count(&format!("detect: 5\n{AUTO}{SPLIT}")), 5000);
        assert_eq!(count(&format!("false_failure: 0.001\n{AUTO}{SPLIT}")), 1500);
        let own = SPLIT.replace("}}", "}, detect: 4pt}");
        assert_eq!(count(&format!("{AUTO}{own}")), 7500);
        // Two checks share the budget, and the blunter one decides.
        let two = "expect: [{edge: a -> go, split: {v1: 70, v2: 30}}, {edge: a -> lua, split: {v1: 50, v2: 50}, detect: 5}]\n";
        assert_eq!(count(&format!("{AUTO}{two}")), 5500);
    }

    #[test]
    fn the_terse_form_has_it_too() {
        assert_eq!(count(&format!("traffic: auto GET ingress/env\n{SPLIT}")), 2000);
    }

    #[test]
    fn other_traffic_does_not_count() {
        let other =
            "traffic:\n  - {name: a, request: GET go/, count: auto}\n  - {name: b, request: GET go/, count: 9}\n";
        let named =
            |name: &str| format!("{other}expect: [{{edge: a -> go, traffic: {name}, split: {{v1: 70, v2: 30}}}}]\n");
        assert_eq!(count(&named("a")), 2000);
        let why = read(&named("b")).unwrap_err();
        assert!(why.starts_with("s.yaml:3:40: error[MS0101]: `count: auto` follows from a `split`"), "{why}");
    }

    #[test]
    fn a_caller_that_gets_a_share_gets_enough() {
        let node = "expect:\n  - {edge: b -> node, split: {v1: 20, v2: 80}}\n  - {edge: node@v1 -> go, split: {v1: 70, v2: 30}}\n";
        // 1900 decisions or more, as two tests share the budget, at a fifth of the requests.
        let count = count(&format!("{AUTO}{node}"));
        assert!((10_500..=12_000).contains(&count), "{count}");
    }

    #[test]
    fn what_is_sent_before_or_after_a_check_does_not_count_for_it() {
        let timed = |more: &str| format!("{AUTO}expect: [{{edge: a -> go, split: {{v1: 70, v2: 30}}, {more}}}]\n");
        assert_eq!(count(&timed("after: 10s")), 3500, "1000 requests before it, with what chance adds");
        assert_eq!(count(&timed("between: [10s, 100s]")), 3500);
        assert_eq!(count(&timed("between: [0s, 5s]")), 1000, "no more fit");
    }

    #[test]
    fn what_would_take_for_ever_is_told() {
        let why = read(&format!("detect: 0.1\n{AUTO}{SPLIT}")).unwrap_err();
        assert!(why.contains("s.yaml:3:45") && why.contains("takes more than 1000000 requests"), "{why}");
        let why = read(&format!("detect: 51\n{AUTO}{SPLIT}")).unwrap_err();
        assert!(why.contains("s.yaml:2:9") && why.contains("not a number of points"), "{why}");
        let why = read("traffic: {request: GET go/, count: auto}\nnever: {edge: a -> b}\n").unwrap_err();
        assert!(why.contains("s.yaml:2:36") && why.contains("none counts this traffic"), "{why}");
    }
}
