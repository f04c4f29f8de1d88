//! A run as a result to report.

use std::io::{self, Write};

use wavetank_platform::Instant;
use wavetank_reports::terminal::{self, Detail, Paint};
use wavetank_reports::{CheckResult, CheckVerdict, Diagnostic, Place, RunReport, ScenarioResult, ScenarioVerdict};

use super::find::Filter;
use super::shell::quoted;
use crate::check::{self, Circumstances, Sources};
use crate::explain::Book;
use crate::fault::FaultOutcome;
use crate::invariant;
use crate::observe::flow::flow;
use crate::observe::{ObservationLog, Party};
use crate::routes;
use crate::scenario::{Invalid, Scenario, message};
use crate::target::{RunError, RunOutcome, TargetKind};

/// What a check is told by, for `-k`.
pub(super) fn words(scenario: &Scenario, check: &check::Check) -> String {
    format!("{} {} {} {}", scenario.file, scenario.name, check.demand.kind(), check.scope)
}

/// What each check and each row of routes is told by, for `-k`; and its part that is its own.
pub(super) fn told_by(scenario: &Scenario) -> impl Iterator<Item = (String, String)> {
    let checks = scenario.checks.iter().map(|check| (words(scenario, check), check.scope.to_string()));
    let of_row = |row: &routes::Row| {
        let scope = format!("routes/{}", row.number);
        (format!("{} {} {scope}", scenario.file, scenario.name), scope)
    };
    checks.chain(scenario.routes.iter().map(of_row))
}

/// Whether the filter leaves anything of a scenario to judge.
pub(super) fn keeps_any(scenario: &Scenario, filter: &Filter) -> bool {
    told_by(scenario).any(|(words, _)| filter.keeps(&words))
}

/// Judges a run. Checks that the filter drops still take their share of the budget of false failures, so
/// that a filter changes no verdict.
pub(super) fn judged(
    scenario: &Scenario,
    seed: u64,
    alpha: f64,
    filter: &Filter,
    outcome: &RunOutcome,
) -> ScenarioResult {
    let mut sources = scenario.sources.clone();
    for (file, text) in &outcome.world_files {
        sources.insert(file.clone(), text.clone());
    }
    let mut checks: Vec<CheckResult> = Vec::new();
    let mut diagnostics: Vec<Diagnostic> = outcome.diagnostics.iter().map(|found| message(found, &sources)).collect();
    let parties: Vec<Party> = outcome.book.parties.values().cloned().collect();
    let around = Circumstances {
        faults: &outcome.faults,
        abort: scenario.abort.as_ref(),
        findings: &diagnostics,
        parties: &parties,
    };
    let judgements = check::judge(&scenario.checks, &outcome.log, &around, alpha, &sources);
    let rows = routes::judge(&scenario.routes, &outcome.log, &outcome.book, &sources);
    let withheld = |check: &check::Check| not_given(outcome.target, check);
    let split = (outcome.target != TargetKind::Tank).then_some("what could have been chosen is not known here");
    let withheld_row = |row: &routes::Row| split.filter(|_| row.is_of_several());
    let withheld: Vec<_> =
        scenario.checks.iter().map(withheld).chain(scenario.routes.iter().map(withheld_row)).collect();
    let all = judgements.into_iter().chain(rows).zip(withheld).map(|(judgement, why)| match why {
        Some(why) => check::Judgement { diagnostic: None, example: None, result: not_judged(judgement.result, why) },
        None => judgement,
    });
    for ((told_by, scope), judgement) in told_by(scenario).zip(all) {
        if !filter.keeps(&told_by) {
            continue;
        }
        diagnostics.extend(judgement.diagnostic.map(|found| {
            let again = format!("{} -k {}", again(&scenario.file, seed, outcome.target), quoted(&scope));
            let see = judgement.example.filter(|_| outcome.target == TargetKind::Tank).map(|request| {
                let file = quoted(&scenario.file);
                format!("wavetank explain {file} r{request} --seed {seed}   wavetank help {}", found.code)
            });
            Diagnostic { again: judgement.result.verdict.is_failure().then_some(again), see, ..found }
        }));
        checks.push(judgement.result);
    }
    let missed = check::missed_faults(&outcome.faults, &sources).into_iter();
    diagnostics
        .extend(missed.map(|found| Diagnostic { again: Some(again(&scenario.file, seed, outcome.target)), ..found }));
    let broken = invariant::broken(&outcome.log, &outcome.book);
    diagnostics.extend(broken.iter().map(|own| of_invariant(own, scenario, seed, outcome.target)));
    for check in &mut checks {
        check.decided_by.iter_mut().for_each(|place| show(place, scenario));
    }
    diagnostics.iter_mut().for_each(|found| show_all(found, scenario));
    ScenarioResult {
        verdict: match ScenarioResult::verdict_of(&checks) {
            _ if outcome.faults.iter().any(FaultOutcome::missed) || !broken.is_empty() => ScenarioVerdict::Fail,
            verdict => verdict,
        },
        faults: outcome.faults.iter().map(|fault| fault.result.clone()).collect(),
        decisions_hash: Some(outcome.log.decisions_hash()),
        packets_hash: Some(outcome.packets_hash.clone()),
        simulated_ms: u64::try_from(outcome.simulated.as_millis()).unwrap_or(u64::MAX),
        checks,
        diagnostics,
        flow: flow(&outcome.log, &scenario.split_edges()),
        target: outcome.target.to_string(),
        ..empty(&scenario.file, &scenario.name, &scenario.compat.to_string(), seed)
    }
}

/// Why a check cannot be judged where a scenario ran; `None`: it can.
fn not_given(target: TargetKind, check: &check::Check) -> Option<&'static str> {
    let why = match check.demand {
        check::Demand::Latency(..) => "latencies here are this machine's, not those of the scenario's network",
        check::Demand::InFlight(..) => "how many requests are under way depends on this machine's latencies",
        _ => return None,
    };
    (target != TargetKind::Tank).then_some(why)
}

fn not_judged(result: CheckResult, why: &str) -> CheckResult {
    let message = why.to_owned();
    CheckResult { verdict: CheckVerdict::NotJudged, message, observed: String::new(), power: None, ..result }
}

/// A scenario that a target cannot run: none of its checks is judged.
pub(super) fn beyond(scenario: &Scenario, seed: u64, filter: &Filter, target: TargetKind, why: &str) -> ScenarioResult {
    let around = Circumstances { faults: &[], abort: None, findings: &[], parties: &[] };
    let log = ObservationLog::new(Instant::START, Vec::new());
    let judgements = check::judge(&scenario.checks, &log, &around, scenario.false_failure, &scenario.sources);
    let rows = routes::judge(&scenario.routes, &log, &Book::default(), &scenario.sources);
    let all = told_by(scenario).zip(judgements.into_iter().chain(rows)).filter(|((words, _), _)| filter.keeps(words));
    ScenarioResult {
        verdict: ScenarioVerdict::Inconclusive,
        target: target.to_string(),
        checks: all.map(|(_, judgement)| not_judged(judgement.result, why)).collect(),
        ..empty(&scenario.file, &scenario.name, &scenario.compat.to_string(), seed)
    }
}

fn of_invariant(broken: &invariant::Broken, scenario: &Scenario, seed: u64, target: TargetKind) -> Diagnostic {
    let place = Place::new(scenario.file.clone(), 1, 1);
    let times = if broken.times == 1 { String::new() } else { format!(" ({} times)", broken.times) };
    let found = Diagnostic::error("MS1100", place, format!("broken: {}{times}: {}", broken.name, broken.how));
    let found = found.with_help("this is not about your manifests: it is a fault of wavetank; please report it");
    Diagnostic { again: Some(again(&scenario.file, seed, target)), ..found }
}

/// The command that runs a scenario again.
fn again(file: &str, seed: u64, target: TargetKind) -> String {
    let verb = match target {
        TargetKind::Tank => "run",
        TargetKind::Linux => "live",
        TargetKind::Envoy => "live --proxy envoy",
    };
    format!("wavetank {verb} {} --seed {seed}", quoted(file))
}

/// A scenario that did not come to its end.
pub(super) fn broken(scenario: &Scenario, seed: u64, error: &RunError, target: TargetKind) -> ScenarioResult {
    let place = Place::new(scenario.file.clone(), 1, 1);
    let (verdict, mut diagnostics): (_, Vec<Diagnostic>) = match error {
        RunError::Manifests(found) => {
            (ScenarioVerdict::Invalid, found.iter().map(|found| message(found, &scenario.sources)).collect())
        }
        RunError::Scenario(why) => (ScenarioVerdict::Invalid, vec![Diagnostic::error("MS0500", place, why.clone())]),
        RunError::NotConverged(_) => {
            (ScenarioVerdict::Fail, vec![Diagnostic::error("MS0501", place, error.to_string())])
        }
        RunError::Beyond(_) | RunError::Interrupted | RunError::Internal(_) => {
            (ScenarioVerdict::Fail, vec![Diagnostic::error("MS0502", place, error.to_string())])
        }
    };
    if !matches!(error, RunError::Manifests(_)) {
        diagnostics.iter_mut().for_each(|found| found.again = Some(again(&scenario.file, seed, target)));
    }
    diagnostics.iter_mut().for_each(|found| show_all(found, scenario));
    let empty = empty(&scenario.file, &scenario.name, &scenario.compat.to_string(), seed);
    ScenarioResult { verdict, diagnostics, target: target.to_string(), ..empty }
}

/// Names of files in a run are seen from the scenario's folder; people get them as paths.
fn show(place: &mut Place, scenario: &Scenario) {
    place.file = scenario.shown(&place.file);
}

fn show_all(found: &mut Diagnostic, scenario: &Scenario) {
    show(&mut found.place, scenario);
    found.related.iter_mut().filter_map(|note| note.place.as_mut()).for_each(|place| show(place, scenario));
}

/// A scenario file that is wrong.
pub(super) fn invalid(invalid: &Invalid, seed: u64) -> ScenarioResult {
    let tell = |sources: &Sources| invalid.diagnostics.iter().map(|found| message(found, sources)).collect();
    ScenarioResult { diagnostics: tell(&invalid.sources), ..empty(&invalid.file, "not a valid scenario", "", seed) }
}

/// Writes a result that is not one of a run as its text; `exit` is the exit code of the command.
pub(super) fn tell(result: &ScenarioResult, exit: u8, out: &mut dyn Write) -> io::Result<()> {
    let report = RunReport::new("wavetank", vec![result.clone()]);
    out.write_all(terminal::render(&report, Detail::Normal, Paint::Plain, exit).as_bytes())
}

fn empty(file: &str, name: &str, compat: &str, seed: u64) -> ScenarioResult {
    ScenarioResult {
        file: file.to_owned(),
        name: name.to_owned(),
        compat: compat.to_owned(),
        target: TargetKind::Tank.to_string(),
        seed,
        verdict: ScenarioVerdict::Invalid,
        decisions_hash: None,
        packets_hash: None,
        simulated_ms: 0,
        checks: Vec::new(),
        faults: Vec::new(),
        diagnostics: Vec::new(),
        flow: Vec::new(),
        elapsed: None,
    }
}
