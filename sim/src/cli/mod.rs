//! The `wavetank` command. Results go to standard output, everything else to standard error; the exit
//! code is the same whatever the output's form.
//!
//! Files, in the order a command meets them:
//! - [`args`]: the command line
//! - [`surroundings`]: a terminal or a pipe, a shell or continuous integration
//! - [`find`]: which scenarios the paths stand for
//! - [`run`]: runs them, side by side
//! - [`interrupt`]: ends it all
//! - [`sweep`]: runs them under many seeds
//! - [`check`], [`lint`], [`classes`]: what is wrong with scenarios and manifests, without running them
//! - [`list`]: lists them
//! - [`explain`]: why requests went where they went
//! - [`schema`]: what editors know of scenarios
//! - [`init`]: a first scenario
//! - [`codes`]: what the codes of messages mean
//! - `shell`: words as a shell takes them

pub mod args;
pub mod check;
pub mod classes;
pub mod codes;
mod evidence;
pub mod explain;
pub mod find;
pub mod init;
pub mod interrupt;
pub mod lint;
pub mod list;
mod live;
mod outcome;
mod output;
mod pages;
mod pool;
mod progress;
pub mod run;
pub mod schema;
mod session;
mod shell;
pub mod surroundings;
pub mod sweep;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::{self, Write};

use clap::Parser;
use wavetank_platform::Platform;
use wavetank_reports::ScenarioResult;

use args::{Command, Verb};
use surroundings::Surroundings;

use crate::engine::Engine;
use crate::scenario::Scenario;
use crate::sweep::Seeds;
use crate::target::{RunError, RunOutcome};

/// Everything passed.
pub const PASSED: u8 = 0;
/// A check failed or was inconclusive.
pub const FAILED: u8 = 1;
/// The command line is wrong, which is clap's own code, or an output cannot be written.
pub const USAGE: u8 = 2;
/// A scenario or manifest is invalid.
pub const INVALID: u8 = 3;
/// No scenario or check matched.
pub const NOTHING: u8 = 4;
/// Two runs of one seed differed.
pub const DIFFERED: u8 = 5;
/// A fault of our own.
pub const INTERNAL: u8 = 70;
/// Ended by the user.
pub const INTERRUPTED: u8 = 130;

/// Seeds of a sweep that names none.
const SWEEP: Seeds = Seeds { first: 1, last: 100 };

/// Judges a run of `scenario` as `wavetank run` does.
pub fn judge(scenario: &Scenario, seed: u64, ran: &RunOutcome) -> ScenarioResult {
    outcome::judged(scenario, seed, scenario.false_failure, &find::Filter::new(None), ran)
}

/// The exit code that two scenarios add up to: our own faults before the user's.
fn worse(a: u8, b: u8) -> u8 {
    let order = [PASSED, FAILED, INVALID, DIFFERED, INTERNAL, INTERRUPTED];
    let rank = |code: u8| order.iter().position(|own| *own == code).unwrap_or(order.len());
    if rank(a) >= rank(b) { a } else { b }
}

/// Runs the command line `args`, the program's name first, and returns the exit code.
///
/// `platform` gives the time runs take and the seeds that are drawn; `target` runs a scenario on an engine with
/// a seed.
pub fn main(
    args: impl IntoIterator<Item = OsString>,
    platform: &Platform,
    target: impl Fn(Engine, &Scenario, u64) -> Result<RunOutcome, RunError> + Sync,
) -> u8 {
    let command = match Command::try_parse_from(args::with_default_verb(args)) {
        Ok(command) => command,
        Err(error) => {
            // clap prints help and version to standard output with code 0, mistakes to standard error with 2.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(USAGE);
        }
    };
    // A live run has to take its network away first.
    if !matches!(command.verb, Verb::Live(_)) {
        interrupt::watch();
    }
    let (mut out, mut err) = (io::stdout().lock(), io::stderr());
    let code = match command.verb {
        Verb::Run(args) => {
            let runner = |scenario: &Scenario, seed| target(args.engine, scenario, seed);
            run::run(&args, platform, &runner, &Surroundings::of_process(), &mut out, &mut err)
        }
        Verb::Sweep(args) => {
            let runner = |scenario: &Scenario, seed| target(args.engine, scenario, seed);
            run::sweep_all(&args, platform, &runner, &Surroundings::of_process(), &mut out, &mut err)
        }
        Verb::Live(args) => live::live(args, platform, &Surroundings::of_process(), &mut out, &mut err),
        Verb::App { file } => live::app(&file, &mut err),
        Verb::Init(args) => init::init(&args, &mut out, &mut err),
        Verb::Schema => schema::schema(&mut out),
        Verb::Explain(args) => {
            let runner = |scenario: &Scenario, seed| target(Engine::Tank, scenario, seed);
            explain::explain(&args, &runner, &mut out, &mut err)
        }
        Verb::Check(args) => check::check(&args, &Surroundings::of_process(), &mut out, &mut err),
        Verb::List(args) => list::list(&args, &mut out, &mut err),
        Verb::Help { word } => pages::help(word.as_deref(), &mut out, &mut err),
        Verb::Completions { shell } => pages::completions(shell, &mut out),
        Verb::Man { command, dir } => pages::man(command.as_deref(), dir.as_deref(), &mut out, &mut err),
        Verb::Fields => out.write_all(wavetank_control::config::supported_table().as_bytes()).map(|()| PASSED),
    };
    match code.and_then(|code| out.flush().map(|()| code)) {
        Ok(code) => code,
        // A reader that closed the pipe has seen what it wanted.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => PASSED,
        Err(error) => {
            // A full disk, a closed terminal: no fault of ours.
            let _ = writeln!(err, "wavetank: cannot write the output: {error}");
            USAGE
        }
    }
}
