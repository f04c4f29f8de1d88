//! Runs scenarios and reports them.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use wavetank_platform::Platform;
use wavetank_reports::terminal::{self, Detail, Paint};
use wavetank_reports::{RunReport, ScenarioResult, ScenarioVerdict, json};

use super::args::{RunArgs, Seed};
use super::find::{Filter, find};
use super::{DIFFERED, FAILED, INTERNAL, INVALID, NOTHING, PASSED, USAGE, outcome};
use crate::scenario::{Scenario, load};
use crate::target::{RunError, RunOutcome};

/// Runs one scenario with a seed.
pub type Runner<'a> = dyn Fn(&Scenario, u64) -> Result<RunOutcome, RunError> + 'a;

/// Seed where neither the command nor the scenario gives one.
const SEED: u64 = 1;
/// Name and version of this tool, as reports have it.
const TOOL: &str = concat!("wavetank ", env!("CARGO_PKG_VERSION"));

/// Runs the scenarios that `args` asks for, writes their results, and returns the exit code.
///
/// # Errors
/// When `out` or `err` cannot be written.
pub fn run(
    args: &RunArgs,
    platform: &Platform,
    runner: &Runner<'_>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    let files = match find(&args.paths) {
        Ok(files) => files,
        Err(error) => {
            writeln!(err, "wavetank: {error}")?;
            return Ok(USAGE);
        }
    };
    let session = Session { args, platform, runner, filter: Filter::new(args.filter.as_deref()) };
    let (mut results, mut exit) = (Vec::new(), PASSED);
    let mut verified = String::new();
    for file in &files {
        let Some(done) = session.one(file, err)? else { continue };
        exit = worse(exit, done.exit);
        verified.push_str(&done.verified);
        results.push(done.result);
    }
    if results.is_empty() {
        writeln!(err, "wavetank: no scenario matched")?;
        return Ok(NOTHING);
    }
    let report = RunReport::new(TOOL, results);
    write_report(args, &report, &verified, exit, out, err)
}

fn write_report(
    args: &RunArgs,
    report: &RunReport,
    verified: &str,
    exit: u8,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    let detail = match (args.quiet, args.verbose) {
        (true, _) => Detail::Quiet,
        (_, true) => Detail::Verbose,
        _ => Detail::Normal,
    };
    match args.json.as_deref() {
        Some(file) if file == Path::new("-") => {
            out.write_all(json::render(report).as_bytes())?;
            return Ok(exit);
        }
        Some(file) => {
            if let Err(error) = fs::write(file, json::render(report)) {
                writeln!(err, "wavetank: cannot write {}: {error}", file.display())?;
                return Ok(INTERNAL);
            }
        }
        None => {}
    }
    out.write_all(terminal::render(report, detail, paint(args.no_color), exit).as_bytes())?;
    if !args.quiet {
        out.write_all(verified.as_bytes())?;
    }
    Ok(exit)
}

/// Colour only towards a person: `--no-color`, then `CLICOLOR_FORCE`, then `NO_COLOR`, then the terminal
/// decides.
fn paint(never: bool) -> Paint {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
    let coloured = !never && (is_set("CLICOLOR_FORCE") || (!is_set("NO_COLOR") && io::stdout().is_terminal()));
    if coloured { Paint::Ansi } else { Paint::Plain }
}

/// The exit code that two scenarios add up to: our own faults before the user's.
fn worse(a: u8, b: u8) -> u8 {
    let order = [PASSED, FAILED, INVALID, DIFFERED, INTERNAL];
    let rank = |code: u8| order.iter().position(|own| *own == code).unwrap_or(order.len());
    if rank(a) >= rank(b) { a } else { b }
}

struct Session<'a> {
    args: &'a RunArgs,
    platform: &'a Platform,
    runner: &'a Runner<'a>,
    filter: Filter,
}

struct Done {
    result: ScenarioResult,
    exit: u8,
    /// What `--verify` found, when it found no difference.
    verified: String,
}

impl Session<'_> {
    /// Runs one file; `None` when the filter drops all of it.
    fn one(&self, file: &Path, err: &mut dyn Write) -> io::Result<Option<Done>> {
        let scenario = match load(file) {
            Ok(scenario) => scenario,
            Err(wrong) => {
                let result = outcome::invalid(&wrong, self.seed(None));
                return Ok(Some(Done { result, exit: INVALID, verified: String::new() }));
            }
        };
        if !scenario.checks.iter().any(|check| self.filter.keeps(&outcome::words(&scenario, check))) {
            return Ok(None);
        }
        let seed = self.seed(scenario.seed);
        let begin = self.platform.clock.now();
        let ran = self.guarded(&scenario, seed);
        let elapsed = self.platform.clock.now() - begin;
        let ran = match ran {
            Ok(ran) => ran,
            Err(error) => {
                let exit = match &error {
                    RunError::Manifests(_) | RunError::Scenario(_) => INVALID,
                    RunError::NotConverged(_) => FAILED,
                    RunError::Internal(why) => {
                        writeln!(err, "wavetank: a fault of its own in {} with seed {seed}: {why}", scenario.file)?;
                        writeln!(err, "wavetank: please report it with the scenario, its manifests and the seed")?;
                        INTERNAL
                    }
                };
                let result = outcome::broken(&scenario, seed, &error);
                return Ok(Some(Done { result, exit, verified: String::new() }));
            }
        };
        let alpha = self.args.false_failure.unwrap_or(scenario.false_failure);
        let mut result = outcome::judged(&scenario, seed, alpha, &self.filter, &ran);
        result.elapsed = Some(format!("{:.2}s", elapsed.as_secs_f64()));
        let exit = if result.verdict == ScenarioVerdict::Pass { PASSED } else { FAILED };
        let mut done = Done { result, exit, verified: String::new() };
        if self.args.verify {
            self.verify(&scenario, seed, &ran, &mut done, err)?;
        }
        Ok(Some(done))
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
    fn verify(
        &self,
        scenario: &Scenario,
        seed: u64,
        first: &RunOutcome,
        done: &mut Done,
        err: &mut dyn Write,
    ) -> io::Result<()> {
        let file = &scenario.file;
        let second = match self.guarded(scenario, seed) {
            Ok(second) => second,
            Err(error) => {
                done.exit = worse(done.exit, DIFFERED);
                return writeln!(err, "wavetank: {file}: the second run with seed {seed} failed: {error}");
            }
        };
        if let Some((line, ours, theirs)) = first.log.first_difference(&second.log) {
            done.exit = worse(done.exit, DIFFERED);
            writeln!(err, "wavetank: {file}: two runs with seed {seed} differ, first in line {line} of the log")?;
            writeln!(err, "  first:  {}", ours.as_deref().unwrap_or("(ended)"))?;
            return writeln!(err, "  second: {}", theirs.as_deref().unwrap_or("(ended)"));
        }
        let (ours, theirs) = (&first.packets_hash, &second.packets_hash);
        if ours != theirs || first.log.decisions_hash() != second.log.decisions_hash() {
            done.exit = worse(done.exit, DIFFERED);
            writeln!(err, "wavetank: {file}: two runs with seed {seed} made equal decisions over different packets")?;
            return writeln!(err, "  first:  {ours}\n  second: {theirs}");
        }
        let decisions = done.result.decisions_hash.as_deref().unwrap_or("-");
        done.verified = format!(" SAME  {file}  two runs, decisions {decisions}  packets {ours}\n");
        Ok(())
    }

    fn seed(&self, own: Option<u64>) -> u64 {
        match self.args.seed {
            Some(Seed::Given(seed)) => seed,
            // Short enough to be typed again.
            Some(Seed::Random) => self.platform.entropy.stream_named("seed").next_u64() >> 32,
            None => own.unwrap_or(SEED),
        }
    }
}
