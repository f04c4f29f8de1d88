//! A scenario, run in each place.

use std::path::{Path, PathBuf};

use wavetank::cli;
use wavetank::scenario::{self, Scenario};
use wavetank::target::live::{self, LiveOptions};
use wavetank::target::{RunError, RunOutcome, TargetKind, tank};
use wavetank_reports::ScenarioResult;

/// Seed of every run.
pub const SEED: u64 = 1;

/// A scenario's run in one place.
#[derive(Debug)]
pub struct Side {
    /// Where.
    pub target: TargetKind,
    /// What came of it.
    pub outcome: RunOutcome,
    /// The verdicts.
    pub result: ScenarioResult,
}

/// Runs a scenario in each place: the tank, this machine, and this machine with the Envoy given.
///
/// Errs with the first run that did not come to its end.
pub fn run(file: &Path, envoy: &Path) -> Result<Vec<Side>, String> {
    let scenario = scenario::load(file).map_err(|invalid| format!("{}: {:?}", file.display(), invalid.diagnostics))?;
    let ours = LiveOptions::default();
    let theirs = LiveOptions { envoy: Some(PathBuf::from(envoy)), ..LiveOptions::default() };
    Ok(vec![
        side(&scenario, TargetKind::Tank, tank::run(&scenario, SEED))?,
        side(&scenario, TargetKind::Linux, live::run(&ours, &scenario, SEED))?,
        side(&scenario, TargetKind::Envoy, live::run(&theirs, &scenario, SEED))?,
    ])
}

fn side(scenario: &Scenario, target: TargetKind, outcome: Result<RunOutcome, RunError>) -> Result<Side, String> {
    let outcome = outcome.map_err(|error| format!("{} on {target}: {error}", scenario.file))?;
    let result = cli::judge(scenario, SEED, &outcome);
    Ok(Side { target, outcome, result })
}
