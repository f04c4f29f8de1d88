//! A run as a result to report.

use wavetank_reports::{CheckResult, Diagnostic, Place, ScenarioResult, ScenarioVerdict};

use super::find::Filter;
use crate::check::{self, Sources};
use crate::observe::flow::flow;
use crate::scenario::{Invalid, Scenario, message};
use crate::target::{RunError, RunOutcome};

/// Where scenarios run.
const TARGET: &str = "tank";

/// What a check is told by, for `-k`.
pub(super) fn words(scenario: &Scenario, check: &check::Check) -> String {
    format!("{} {} {} {}", scenario.file, scenario.name, check.demand.kind(), check.scope)
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
    let judgements = check::judge(&scenario.checks, &outcome.log, alpha, &sources);
    for (check, judgement) in scenario.checks.iter().zip(judgements) {
        if !filter.keeps(&words(scenario, check)) {
            continue;
        }
        diagnostics.extend(judgement.diagnostic.map(|found| {
            let again = format!("wavetank run {} --seed {seed} -k '{}'", scenario.file, check.scope);
            Diagnostic { again: judgement.result.verdict.is_failure().then_some(again), ..found }
        }));
        checks.push(judgement.result);
    }
    for check in &mut checks {
        check.decided_by.iter_mut().for_each(|place| show(place, scenario));
    }
    diagnostics.iter_mut().for_each(|found| show_all(found, scenario));
    ScenarioResult {
        verdict: ScenarioResult::verdict_of(&checks),
        decisions_hash: Some(outcome.log.decisions_hash()),
        packets_hash: Some(outcome.packets_hash.clone()),
        simulated_ms: u64::try_from(outcome.simulated.as_millis()).unwrap_or(u64::MAX),
        checks,
        diagnostics,
        flow: flow(&outcome.log, &scenario.split_edges()),
        ..empty(&scenario.file, &scenario.name, &scenario.compat.to_string(), seed)
    }
}

/// A scenario that did not come to its end.
pub(super) fn broken(scenario: &Scenario, seed: u64, error: &RunError) -> ScenarioResult {
    let place = Place::new(scenario.file.clone(), 1, 1);
    let (verdict, mut diagnostics): (_, Vec<Diagnostic>) = match error {
        RunError::Manifests(found) => {
            (ScenarioVerdict::Invalid, found.iter().map(|found| message(found, &scenario.sources)).collect())
        }
        RunError::Scenario(why) => (ScenarioVerdict::Invalid, vec![Diagnostic::error("MS0500", place, why.clone())]),
        RunError::NotConverged(_) => {
            (ScenarioVerdict::Fail, vec![Diagnostic::error("MS0501", place, error.to_string())])
        }
        RunError::Internal(_) => (ScenarioVerdict::Fail, vec![Diagnostic::error("MS0502", place, error.to_string())]),
    };
    diagnostics.iter_mut().for_each(|found| show_all(found, scenario));
    ScenarioResult { verdict, diagnostics, ..empty(&scenario.file, &scenario.name, &scenario.compat.to_string(), seed) }
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

fn empty(file: &str, name: &str, compat: &str, seed: u64) -> ScenarioResult {
    ScenarioResult {
        file: file.to_owned(),
        name: name.to_owned(),
        compat: compat.to_owned(),
        target: TARGET.to_owned(),
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
