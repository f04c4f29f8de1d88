//! Judges every check of a run.

use indexmap::IndexMap;
use wavetank_reports::{CheckResult, CheckVerdict, Diagnostic, Note, Snippet};

use super::blame::Circumstances;
use super::demand::{Check, Demand, Pattern};
use super::explain;
use super::finding::Finding;
use super::sources::Sources;
use super::split::Sharpness;
use super::window::Missing;
use super::{ejected, exact, never, reason, remark, split, timeline};
use crate::observe::ObservationLog;

/// A check with its verdict, and what to say about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The verdict.
    pub result: CheckResult,
    /// An error when it failed or was inconclusive, a warning when it is weak.
    pub diagnostic: Option<Diagnostic>,
    /// A request that shows why it failed: its place among the calls of the run, from 1.
    pub example: Option<usize>,
}

/// Judges `checks` on `log`; `alpha` is the probability that a proper run fails any of them.
///
/// `around` is what else went on, and `sources` gives the text of the files that messages point into. The
/// judgements are in the order of the checks.
pub fn judge(
    checks: &[Check],
    log: &ObservationLog,
    around: &Circumstances<'_>,
    alpha: f64,
    sources: &Sources,
) -> Vec<Judgement> {
    let share = share_of_budget(checks, alpha);
    let mut told: Vec<Told> = Vec::new();
    let judge_one = |check| {
        let mut finding = find(check, log, share);
        if finding.verdict == CheckVerdict::Inconclusive
            && let Some(why) = remark::at_another_time(check, log)
        {
            (finding.message, finding.label) = (why.clone(), why);
        }
        let diagnostic = diagnose(check, &finding, log, around, sources);
        let is_reason = finding.evidence.iter().all(|hop| reason::is_told(hop));
        let diagnostic = diagnostic.map(|found| tell_once(check, found, is_reason, &mut told));
        let example = finding.evidence.first().filter(|_| finding.verdict.is_failure());
        let example = example.and_then(|hop| log.calls().position(|call| call.request == hop.request));
        Judgement { diagnostic, example: example.map(|at| at + 1), result: result(check, finding) }
    };
    checks.iter().map(judge_one).collect()
}

/// The size of each statistical test, when all `checks` together may fail a proper run with `alpha`.
pub fn share_of_budget(checks: &[Check], alpha: f64) -> f64 {
    let tests: usize = checks.iter().map(statistical_tests).sum();
    alpha / tests.max(1) as f64
}

/// An explanation that was given, and the line of the check it was given for.
type Told = (Vec<Note>, u32);

/// An explanation that was given for one check is referred to by the others; `is_reason` says that it tells why, and
/// not only where it was decided.
fn tell_once(check: &Check, mut found: Diagnostic, is_reason: bool, told: &mut Vec<Told>) -> Diagnostic {
    if found.related.is_empty() {
        return found;
    }
    match told.iter().find(|(notes, _)| *notes == found.related) {
        Some((_, line)) => {
            let alike = if is_reason { "for the same reason" } else { "decided at the same lines" };
            let message = format!("{alike} as the check in line {line}");
            found.related = vec![Note { message, place: None, snippet: None }];
            found.help = None;
        }
        None => told.push((found.related.clone(), check.asked_at.line)),
    }
    found
}

/// How many tests share the budget of false failures for this check.
fn statistical_tests(check: &Check) -> usize {
    check.demand.as_split().map_or(0, |(arms, _)| split::tests(arms))
}

fn find<'a>(check: &'a Check, log: &'a ObservationLog, alpha: f64) -> Finding<'a> {
    match (&check.demand, check.scope.window(log)) {
        (Demand::Aborted { .. } | Demand::InSync(..), _) | (_, Ok(_)) => {}
        (demand, Err(Missing::Never(why))) => return Finding::inconclusive(demand.kind().to_owned(), why),
        (demand, Err(Missing::Skipped(why))) => {
            let summary = demand.kind().to_owned();
            return Finding { verdict: CheckVerdict::NotJudged, message: why, ..Finding::pass(summary) };
        }
    }
    if let Some((arms, unit)) = check.demand.as_split() {
        return split::judge(arms, check.scope.hops(log).collect(), unit, Sharpness { alpha, detect: check.detect });
    }
    match &check.demand {
        Demand::Body(mode, text) => timeline::body(*mode, text, &check.scope, log),
        Demand::InSync(of, within) => timeline::in_sync(of, *within, &check.scope, log),
        Demand::Aborted { step, within } => timeline::aborted(step.as_ref(), *within, log),
        Demand::Ejected(wanted) => ejected::judge(wanted, &check.scope, log),
        Demand::Never(Pattern { ejected: Some(of), .. }) => ejected::never(of, &check.scope, log),
        Demand::Never(pattern) => never::judge(pattern, &check.scope, log),
        demand => exact::judge(demand, check.scope.hops(log).collect()),
    }
}

/// Judges a split on decisions that were counted over many runs; `alpha` is the size of each of its tests.
///
/// A check that is no split passes.
pub fn pooled_split(check: &Check, counts: &IndexMap<String, u64>, alpha: f64, sources: &Sources) -> Judgement {
    let Some((arms, _)) = check.demand.as_split() else {
        let result = result(check, Finding::pass(String::new()));
        return Judgement { result, diagnostic: None, example: None };
    };
    let mut all: split::Counts<'_> = arms.iter().map(|arm| (&*arm.version, 0)).collect();
    for (version, count) in counts {
        *all.entry(version).or_default() += count;
    }
    let finding = split::judge_counts(arms, &all, Sharpness { alpha, detect: check.detect });
    let diagnostic = finding.verdict.is_failure().then(|| {
        let message = format!("all seeds together: {}", headline(check, &finding));
        Diagnostic { message, ..bare(check, &finding, sources) }
    });
    Judgement { diagnostic, result: result(check, finding), example: None }
}

fn result(check: &Check, finding: Finding<'_>) -> CheckResult {
    let message = on_edge(check, &finding);
    CheckResult {
        kind: check.demand.kind().to_owned(),
        edge: check.scope.to_string(),
        verdict: finding.verdict,
        expected: finding.expected,
        observed: finding.observed,
        allowed: finding.allowed,
        decided_by: explain::decided_by(&finding.evidence),
        message,
        power: finding.power,
        summary: finding.summary,
        asked_at: check.asked_at.clone(),
    }
}

fn diagnose(
    check: &Check,
    finding: &Finding<'_>,
    log: &ObservationLog,
    around: &Circumstances<'_>,
    sources: &Sources,
) -> Option<Diagnostic> {
    if let Some((message, help)) = &finding.weak {
        let warning = Diagnostic::warning("MS0401", check.asked_at.clone(), message);
        return Some(warning.with_snippet(snippet(check, "", sources)).with_help(help));
    }
    if !finding.verdict.is_failure() {
        return None;
    }
    let mut found = bare(check, finding, sources);
    found.related = if finding.evidence.is_empty() && finding.verdict == CheckVerdict::Inconclusive {
        explain::where_it_stopped(log, sources)
    } else {
        explain::notes(&finding.evidence, sources)
    };
    if finding.verdict == CheckVerdict::Fail {
        found.related.extend(around.notes(&check.demand, &check.scope, &finding.evidence, log, sources));
    }
    found.help = explain::help(&finding.evidence);
    remark::of_default_route(check, finding, around, sources, &mut found);
    found.related.extend(remark::missing_versions(check, finding, around));
    Some(found)
}

/// The error of a check that failed, with its line and nothing else.
fn bare(check: &Check, finding: &Finding<'_>, sources: &Sources) -> Diagnostic {
    let code = if finding.verdict == CheckVerdict::Inconclusive { "MS1000" } else { code(&check.demand) };
    let error = Diagnostic::error(code, check.asked_at.clone(), headline(check, finding));
    error.with_snippet(snippet(check, &finding.label, sources))
}

fn snippet(check: &Check, label: &str, sources: &Sources) -> Option<Snippet> {
    Snippet::of(sources.text(&check.asked_at.file)?, &check.asked_at, Some(check.width), label)
}

fn headline(check: &Check, finding: &Finding<'_>) -> String {
    let kind = check.demand.kind();
    if finding.verdict == CheckVerdict::Inconclusive {
        return format!("{kind} on `{}` cannot be judged: {}", check.scope, finding.message);
    }
    on_edge(check, finding)
}

/// The finding's sentence with the check's edge in it.
fn on_edge(check: &Check, finding: &Finding<'_>) -> String {
    finding.message.replace("{edge}", &format!("`{}`", check.scope))
}

/// The stable code of a failed check.
fn code(demand: &Demand) -> &'static str {
    match demand {
        Demand::Split(_) | Demand::AttemptSplit(_) => "MS1001",
        Demand::Status(..) => "MS1002",
        Demand::Tls(_) | Demand::Peer(_) => "MS1003",
        Demand::Attempts(_) => "MS1004",
        Demand::Reaches(_) => "MS1005",
        Demand::Never(_) => "MS1006",
        Demand::Flag(..) => "MS1007",
        Demand::Connect(_) => "MS1008",
        Demand::Latency(..) => "MS1009",
        Demand::Body(..) => "MS1011",
        Demand::InFlight(_) => "MS1012",
        Demand::InSync(..) => "MS1013",
        Demand::Aborted { .. } => "MS1014",
        Demand::Ejected(_) => "MS1015",
    }
}

#[cfg(test)]
mod tests {
    use wavetank_reports::terminal::{self, Detail, Paint};
    use wavetank_reports::{Place, RunReport, ScenarioResult};

    use super::super::demand::{Arm, Scope};
    use super::super::sample::{hop, hops_to, log, lost, with_calls};
    use super::*;
    use crate::observe::{Decision, Party, Service};

    const MANIFEST: &str = concat!(
        "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n",
        "    - route:\n        - destination:\n            host: service-go\n          weight: 70\n",
        "        - destination:\n            host: service-go\n          weight: 30\n"
    );
    const SERVICE: &str = "apiVersion: v1\nkind: Service\nspec: {}\n";
    const SCENARIO: &str = "expect:\n  - edge: service-node -> service-go\n    split: {v1: 70, v2: 30}\n";

    fn sources() -> Sources {
        let mut sources = Sources::default();
        sources.insert("canary.yaml", MANIFEST);
        sources.insert("service.yaml", SERVICE);
        sources.insert("scenario.yaml", SCENARIO);
        sources
    }

    fn check(demand: Demand) -> Check {
        let edge = Some("service-node -> service-go".parse().unwrap());
        let scope = Scope { edge, ..Scope::default() };
        Check { asked_at: Place::new("scenario.yaml", 3, 5), width: 23, scope, demand, detect: 8.0 }
    }

    fn canary() -> Check {
        let arm = |version: &str, percent| Arm { version: version.into(), percent };
        check(Demand::Split(vec![arm("v1", 70.0), arm("v2", 30.0)]))
    }

    fn judge_one(check: &Check, log: &ObservationLog) -> Judgement {
        judge(std::slice::from_ref(check), log, &Circumstances::default(), 1e-6, &sources()).remove(0)
    }

    /// What the terminal shows of these checks on this log.
    fn shown(checks: &[Check], log: &ObservationLog) -> String {
        let judged = judge(checks, log, &Circumstances::default(), 1e-6, &sources());
        let results: Vec<CheckResult> = judged.iter().map(|own| own.result.clone()).collect();
        let scenario = ScenarioResult {
            file: "scenario.yaml".to_owned(),
            name: "example".to_owned(),
            compat: "v1".to_owned(),
            target: "tank".to_owned(),
            seed: 1,
            verdict: ScenarioResult::verdict_of(&results),
            decisions_hash: None,
            packets_hash: None,
            simulated_ms: 0,
            checks: results,
            faults: Vec::new(),
            diagnostics: judged.into_iter().filter_map(|own| own.diagnostic).collect(),
            flow: Vec::new(),
            elapsed: None,
        };
        terminal::render(&RunReport::new("wavetank", vec![scenario]), Detail::Normal, Paint::Plain, 1)
    }

    #[test]
    fn a_wrong_split_names_the_line_that_decided() {
        insta::assert_snapshot!(shown(&[canary()], &log(hops_to(&[("v1", 1003), ("v2", 997)]))));
    }

    #[test]
    fn a_split_by_the_default_route_says_that_no_virtual_service_matched() {
        let mut hops = hops_to(&[("v1", 1003), ("v2", 997)]);
        for hop in &mut hops {
            let cluster = Some("outbound|80||service-go.default.svc.cluster.local".into());
            hop.decision = Decision {
                route: Some("default".into()),
                route_from: Some(crate::observe::Place { file: "service.yaml".into(), line: 3, column: 1 }),
                arm_from: None,
                cluster,
                ..hop.decision.clone()
            };
        }
        insta::assert_snapshot!(shown(&[canary()], &log(hops)));
    }

    #[test]
    fn a_missing_subset_is_explained_by_name_and_line() {
        let status = check(Demand::Status("200".parse().unwrap(), "all".parse().unwrap()));
        let hops = [vec![lost("v1"); 1400], vec![lost("v2"); 600]].concat();
        insta::assert_snapshot!(shown(&[canary(), status], &log(hops)));
    }

    #[test]
    fn an_edge_without_requests_says_where_they_stopped() {
        let stopped = Decision {
            arm_from: None,
            route_from: None,
            cluster: None,
            virtual_host: None,
            virtual_host_from: None,
            cluster_from: None,
            ..lost("v1").decision
        };
        let refused = crate::observe::Hop {
            source: Party::client(),
            destination: Service::host("ingress"),
            status: 404,
            flags: vec!["NR".into()],
            decision: stopped,
            ..lost("v1")
        };
        insta::assert_snapshot!(shown(&[canary()], &log(vec![refused; 50])));
    }

    #[test]
    fn never_counts_every_opportunity() {
        let never = |pattern| check(Demand::Never(pattern));
        let nobody = Pattern::default();
        let judged = |check: Check, log: &ObservationLog| {
            let found = judge_one(&check, log).result;
            (found.verdict, found.observed, found.power)
        };
        let leak = Some("a 0.23% leak would show".to_owned());
        let quiet = with_calls(2000, "{}", Vec::new());
        assert_eq!(judged(never(nobody.clone()), &quiet), (CheckVerdict::Pass, "0 of 2000".to_owned(), leak));
        let loud = with_calls(2000, "{}", vec![hop("v1")]);
        assert_eq!(judged(never(nobody.clone()), &loud).0, CheckVerdict::Fail);
        assert_eq!(judged(never(nobody), &log(Vec::new())).0, CheckVerdict::Inconclusive);

        let v2 = Pattern { reaches: Some("service-go@v2".parse().unwrap()), ..Pattern::default() };
        assert_eq!(judged(never(v2.clone()), &log(hops_to(&[("v1", 40)]))).0, CheckVerdict::Pass);
        assert_eq!(judged(never(v2), &log(hops_to(&[("v1", 40), ("v2", 1)]))).1, "1 of 41");

        let swallowed = Pattern { body_has: Some(r#""upstream":[]"#.into()), ..Pattern::default() };
        let anywhere = Check { scope: Scope::default(), ..never(swallowed) };
        assert_eq!(judged(anywhere.clone(), &with_calls(9, "{}", Vec::new())).0, CheckVerdict::Pass);
        assert_eq!(judged(anywhere, &with_calls(9, r#"{"upstream":[]}"#, Vec::new())).1, "9 of 9");
    }

    #[test]
    fn the_sentence_of_a_result_names_its_edge() {
        let found = judge_one(&canary(), &log(hops_to(&[("v1", 1003), ("v2", 997)])));
        assert!(found.result.message.starts_with("traffic split on `service-node -> service-go` is 50.15/49.85"));
    }

    #[test]
    fn the_budget_is_shared_by_the_statistical_tests() {
        // 1298 of 2000 is the edge of the region for one test; for two it lies inside.
        let hops = hops_to(&[("v1", 1297), ("v2", 703)]);
        let verdict = |checks: &[Check]| {
            judge(checks, &log(hops.clone()), &Circumstances::default(), 1e-6, &sources())[0].result.verdict
        };
        assert_eq!(verdict(&[canary()]), CheckVerdict::Fail);
        assert_eq!(verdict(&[canary(), canary(), canary(), canary()]), CheckVerdict::Pass);
    }

    #[test]
    fn hops_outside_the_span_of_time_do_not_count() {
        let seconds = std::time::Duration::from_secs;
        let mut check = check(Demand::Status("200".parse().unwrap(), "all".parse().unwrap()));
        check.scope.between = Some((seconds(1), seconds(2)));
        let verdict = |check: &Check| judge_one(check, &log(vec![hop("v1")])).result.verdict;
        assert_eq!(verdict(&check), CheckVerdict::Pass);
        check.scope.between = Some((seconds(0), seconds(1)));
        assert_eq!(verdict(&check), CheckVerdict::Inconclusive);
    }
}
