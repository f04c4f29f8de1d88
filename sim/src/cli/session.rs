//! One scenario of a session: loaded, run, judged, and run again where asked.

use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use wavetank_platform::Platform;
use wavetank_reports::html::Evidence;
use wavetank_reports::{ScenarioResult, ScenarioVerdict};

use super::args::RunArgs;
use super::find::{Filter, Tags};
use super::run::Runner;
use super::surroundings::Surroundings;
use super::{DIFFERED, FAILED, INTERNAL, INTERRUPTED, INVALID, PASSED, evidence, outcome, worse};
use crate::scenario::{Scenario, load};
use crate::target::{RunError, RunOutcome, TargetKind};

/// Seed where neither the command nor the scenario gives one.
const SEED: u64 = 1;

/// What all scenarios of one command share.
pub(super) struct Session<'a> {
    pub(super) args: &'a RunArgs,
    pub(super) platform: &'a Platform,
    pub(super) runner: &'a Runner<'a>,
    /// Where `runner` runs.
    pub(super) target: TargetKind,
    pub(super) filter: Filter,
    pub(super) tags: Tags,
    /// The command's seed.
    pub(super) seed: Option<u64>,
    /// Requests of one scenario that a page shows in full.
    pub(super) requests_shown: usize,
}

/// A scenario that was dealt with.
pub(super) struct Done {
    pub(super) result: ScenarioResult,
    pub(super) exit: u8,
    /// What `--verify` found, when it found no difference.
    pub(super) verified: String,
    /// What the tool has to say of itself.
    pub(super) remarks: String,
    /// What a page shows of the run, where one is wanted.
    pub(super) evidence: Option<Evidence>,
}

impl Done {
    fn new(result: ScenarioResult, exit: u8) -> Self {
        Self { result, exit, verified: String::new(), remarks: String::new(), evidence: None }
    }

    fn remark(&mut self, text: std::fmt::Arguments<'_>) {
        // A String takes everything.
        let _ = writeln!(self.remarks, "{text}");
    }
}

impl Session<'_> {
    /// Runs one file; `None` when the filters drop all of it.
    pub(super) fn one(&self, file: &Path) -> Option<Done> {
        let scenario = match load(file) {
            Ok(scenario) => self.as_asked(scenario),
            Err(wrong) => {
                return Some(Done::new(outcome::invalid(&wrong, self.seed_of(None)), INVALID));
            }
        };
        if !self.keeps(&scenario) {
            return None;
        }
        let alpha = self.args.false_failure.unwrap_or(scenario.false_failure);
        let mut evidence = None;
        let mut look = |ran: &RunOutcome| {
            let wanted = self.args.outputs.report.is_some();
            evidence = wanted.then(|| evidence::of_run(&scenario, ran, alpha, self.requests_shown));
        };
        let done = self.under(&scenario, self.seed_of(scenario.seed), alpha, &mut look);
        Some(Done { evidence, ..done })
    }

    /// A scenario with what the command asks for in its place.
    pub(super) fn as_asked(&self, scenario: Scenario) -> Scenario {
        Scenario { until: self.args.until.or(scenario.until), ..scenario }
    }

    /// Whether the filters leave anything of a scenario.
    pub(super) fn keeps(&self, scenario: &Scenario) -> bool {
        self.tags.keep(&scenario.tags) && outcome::keeps_any(scenario, &self.filter)
    }

    /// Whether a line of progress is wanted.
    pub(super) fn shows(&self, around: &Surroundings) -> bool {
        around.shows_progress() && !self.args.outputs.no_progress && !self.args.outputs.quiet
    }

    /// Runs a scenario under a seed and judges it at `alpha`; `look` sees the run.
    pub(super) fn under(&self, scenario: &Scenario, seed: u64, alpha: f64, look: &mut dyn FnMut(&RunOutcome)) -> Done {
        let begin = self.platform.clock.now();
        let ran = self.guarded(scenario, seed);
        let elapsed = self.platform.clock.now() - begin;
        let ran = match ran {
            Ok(ran) => ran,
            Err(RunError::Beyond(why)) => {
                return Done::new(outcome::beyond(scenario, seed, &self.filter, self.target, why), FAILED);
            }
            Err(error) => return broken(scenario, seed, &error, self.target),
        };
        look(&ran);
        let mut result = outcome::judged(scenario, seed, alpha, &self.filter, &ran);
        if let Some(until) = self.args.until {
            for again in result.diagnostics.iter_mut().filter_map(|found| found.again.as_mut()) {
                // A String takes everything.
                let _ = write!(again, " --until {}ms", until.as_millis());
            }
        }
        result.elapsed = Some(format!("{:.2}s", elapsed.as_secs_f64()));
        let exit = if result.verdict == ScenarioVerdict::Pass { PASSED } else { FAILED };
        let mut done = Done::new(result, exit);
        if self.args.verify {
            self.verify(scenario, seed, &ran, &mut done);
        }
        done
    }

    /// A panic in a run is a fault of ours, told as such.
    fn guarded(&self, scenario: &Scenario, seed: u64) -> Result<RunOutcome, RunError> {
        let ran = catch_unwind(AssertUnwindSafe(|| (self.runner)(scenario, seed)));
        ran.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Err(RunError::Internal(text.unwrap_or_else(|| "it panicked".to_owned())))
        })
    }

    /// Runs the scenario again and compares.
    fn verify(&self, scenario: &Scenario, seed: u64, first: &RunOutcome, done: &mut Done) {
        let file = &scenario.file;
        let second = match self.guarded(scenario, seed) {
            Ok(second) => second,
            Err(error) => {
                done.exit = worse(done.exit, DIFFERED);
                return done.remark(format_args!("wavetank: {file}: the second run with seed {seed} failed: {error}"));
            }
        };
        if let Some((line, ours, theirs)) = first.log.first_difference(&second.log) {
            done.exit = worse(done.exit, DIFFERED);
            let ended = "(ended)".to_owned();
            return done.remark(format_args!(
                "wavetank: {file}: two runs with seed {seed} differ, first in line {line} of the log\n  first:  {}\n  second: {}",
                ours.as_ref().unwrap_or(&ended),
                theirs.as_ref().unwrap_or(&ended),
            ));
        }
        let (ours, theirs) = (&first.packets_hash, &second.packets_hash);
        if ours != theirs || first.log.decisions_hash() != second.log.decisions_hash() {
            done.exit = worse(done.exit, DIFFERED);
            return done.remark(format_args!(
                "wavetank: {file}: two runs with seed {seed} made equal decisions over different packets\n  first:  {ours}\n  second: {theirs}"
            ));
        }
        let decisions = done.result.decisions_hash.as_deref().unwrap_or("-");
        done.verified = format!(" SAME  {file}  two runs, decisions {decisions}  packets {ours}\n");
    }

    fn seed_of(&self, own: Option<u64>) -> u64 {
        self.seed.or(own).unwrap_or(SEED)
    }
}

/// A scenario that did not come to its end.
fn broken(scenario: &Scenario, seed: u64, error: &RunError, target: TargetKind) -> Done {
    let exit = match error {
        RunError::Manifests(_) | RunError::Scenario(_) => INVALID,
        RunError::NotConverged(_) => FAILED,
        RunError::Interrupted => INTERRUPTED,
        RunError::Beyond(_) | RunError::Internal(_) => INTERNAL,
    };
    let mut done = Done::new(outcome::broken(scenario, seed, error, target), exit);
    if let RunError::Internal(why) = error {
        done.remark(format_args!("wavetank: a fault of its own in {} with seed {seed}: {why}", scenario.file));
        done.remark(format_args!("wavetank: please report it with the scenario, its manifests and the seed"));
    }
    done
}
