//! The outcome of a run as plain data.

use serde::Serialize;

use crate::{Diagnostic, Flow, Place, Severity};

/// Everything a run of the tool found out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunReport {
    /// Version of this shape; keys may be added within a version, never renamed or removed.
    pub version: u32,
    /// Name and version of the tool that ran.
    pub tool: String,
    /// One entry per scenario, in the order they ran.
    pub scenarios: Vec<ScenarioResult>,
    /// Of a sweep, what was judged over all seeds of a scenario; one entry per scenario.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sweeps: Vec<SweepResult>,
}

impl RunReport {
    /// A report of `scenarios` by `tool`, in the current shape.
    pub fn new(tool: impl Into<String>, scenarios: Vec<ScenarioResult>) -> Self {
        Self { version: 1, tool: tool.into(), scenarios, sweeps: Vec::new() }
    }
}

/// A scenario under many seeds: what was judged over all of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SweepResult {
    /// Path of the scenario file.
    pub file: String,
    /// What `scenario:` says.
    pub name: String,
    /// First seed.
    pub first_seed: u64,
    /// Last seed that was run.
    pub last_seed: u64,
    /// Runs that were made.
    pub runs: usize,
    /// Of them, those that passed.
    pub passed: usize,
    /// Its splits, on the decisions of all runs together.
    pub pooled: Vec<CheckResult>,
    /// Messages about those that did not pass.
    pub diagnostics: Vec<Diagnostic>,
}

impl SweepResult {
    /// The pooled splits as the result of one more run, for outputs that know only of runs; `None` where nothing was
    /// pooled.
    pub fn as_scenario(&self) -> Option<ScenarioResult> {
        (!self.pooled.is_empty()).then(|| ScenarioResult {
            file: self.file.clone(),
            name: format!("{}, seeds {} to {} together", self.name, self.first_seed, self.last_seed),
            compat: String::new(),
            target: String::new(),
            seed: self.first_seed,
            verdict: ScenarioResult::verdict_of(&self.pooled),
            decisions_hash: None,
            packets_hash: None,
            simulated_ms: 0,
            checks: self.pooled.clone(),
            faults: Vec::new(),
            diagnostics: self.diagnostics.clone(),
            flow: Vec::new(),
            elapsed: None,
        })
    }
}

/// What became of one scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ScenarioVerdict {
    /// Every judged check passed.
    Pass,
    /// A check failed, or had too little to judge by.
    Fail,
    /// Nothing was judged.
    Inconclusive,
    /// The scenario or a manifest is not valid; nothing ran.
    Invalid,
}

/// One scenario, run once.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScenarioResult {
    /// Path of the scenario file, relative to where the tool was started, with `/`.
    pub file: String,
    /// What `scenario:` says.
    pub name: String,
    /// Dialect its manifests were read in: `1.0` or `v1`.
    pub compat: String,
    /// Where it ran: `tank`.
    pub target: String,
    /// Seed of every random stream.
    pub seed: u64,
    /// The verdict over all its checks.
    pub verdict: ScenarioVerdict,
    /// SHA-256 of the observation log, in hex; `None` when nothing ran.
    pub decisions_hash: Option<String>,
    /// SHA-256 of the packets, in hex; `None` when nothing ran.
    pub packets_hash: Option<String>,
    /// Virtual time that passed, in milliseconds.
    pub simulated_ms: u64,
    /// Its checks, in the order of the file.
    pub checks: Vec<CheckResult>,
    /// Its faults, in the order of the file.
    pub faults: Vec<FaultResult>,
    /// Messages about its files and its outcome.
    pub diagnostics: Vec<Diagnostic>,
    /// Who called whom; empty when nothing ran.
    #[serde(skip)]
    pub flow: Vec<Flow>,
    /// Real time the run took, as text. Only the command sets it; nothing that is compared holds it.
    #[serde(skip)]
    pub elapsed: Option<String>,
}

impl ScenarioResult {
    /// The verdict that `checks` add up to: fail if one failed or was inconclusive, inconclusive if none
    /// was judged, else pass.
    pub fn verdict_of(checks: &[CheckResult]) -> ScenarioVerdict {
        if checks.iter().any(|check| check.verdict.is_failure()) {
            ScenarioVerdict::Fail
        } else if checks.iter().any(|check| check.verdict == CheckVerdict::Pass) {
            ScenarioVerdict::Pass
        } else {
            ScenarioVerdict::Inconclusive
        }
    }

    /// Checks that failed or were inconclusive.
    pub fn failures(&self) -> impl Iterator<Item = &CheckResult> {
        self.checks.iter().filter(|check| check.verdict.is_failure())
    }

    /// The error that `check` brought, found by its place.
    pub fn diagnostic_of(&self, check: &CheckResult) -> Option<&Diagnostic> {
        self.diagnostics.iter().find(|found| found.severity == Severity::Error && found.place == check.asked_at)
    }

    /// How many of its diagnostics are warnings.
    pub fn warnings(&self) -> usize {
        self.diagnostics.iter().filter(|found| found.severity == Severity::Warning).count()
    }
}

/// What became of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckVerdict {
    /// As expected.
    Pass,
    /// Not as expected.
    Fail,
    /// Too few samples to judge; counts as a failure.
    Inconclusive,
    /// The target cannot give what the check needs; listed, never passed.
    NotJudged,
}

impl CheckVerdict {
    /// Whether it fails the run.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Fail | Self::Inconclusive)
    }
}

/// One check and its verdict.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckResult {
    /// What is checked: `split`, `status`, `tls`, `attempts`, `reaches`, `never`, …
    pub kind: String,
    /// Where: `service-node -> service-go`, or `*` for the whole run.
    pub edge: String,
    /// The verdict.
    pub verdict: CheckVerdict,
    /// What the scenario asks for: `v1 70%`.
    pub expected: String,
    /// What happened: `v1 1392/2000 = 69.6%`.
    pub observed: String,
    /// What would have been accepted: `1298–1499`.
    pub allowed: String,
    /// The lines of manifests that decided, most frequent first; at most three.
    pub decided_by: Vec<Place>,
    /// The verdict in a sentence.
    pub message: String,
    /// What the check could see: `sees shifts ≥ 7.7 pt`; `None` for an exact check.
    pub power: Option<String>,
    /// The check in the fewest words, as a passing line shows it: `status 200 all`.
    pub summary: String,
    /// Where the scenario asks for it.
    pub asked_at: Place,
}

/// One fault and what it touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FaultResult {
    /// Its kind: `partition`, `kill`, …
    pub kind: String,
    /// What it was put on: an edge, link or selector.
    pub on: String,
    /// Start, in virtual milliseconds.
    pub from_ms: u64,
    /// End, in virtual milliseconds.
    pub to_ms: u64,
    /// Messages or connections it touched.
    pub touched: u64,
}
