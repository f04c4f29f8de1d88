//! The `wavetank` command. Results go to standard output, everything else to standard error; the exit
//! code is the same whatever the output's form.
//!
//! Files, in the order a command meets them:
//! - [`args`]: the command line
//! - [`find`]: which scenarios the paths stand for
//! - [`run`]: runs them, twice where asked
//! - [`outcome`]: a run as a result to report

pub mod args;
pub mod find;
mod outcome;
pub mod run;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::{self, Write};

use clap::Parser;
use wavetank_platform::Platform;

use args::{Command, Verb};

/// Everything passed.
pub const PASSED: u8 = 0;
/// A check failed or was inconclusive.
pub const FAILED: u8 = 1;
/// The command line is wrong; clap's own.
pub const USAGE: u8 = 2;
/// A scenario or manifest is invalid.
pub const INVALID: u8 = 3;
/// No scenario or check matched.
pub const NOTHING: u8 = 4;
/// Two runs of one seed differed.
pub const DIFFERED: u8 = 5;
/// A fault of our own.
pub const INTERNAL: u8 = 70;

/// Runs the command line `args`, the program's name first, and returns the exit code.
///
/// `platform` gives the time runs take and the seeds that are drawn; `runner` runs a scenario.
pub fn main(args: impl IntoIterator<Item = OsString>, platform: &Platform, runner: &run::Runner<'_>) -> u8 {
    let command = match Command::try_parse_from(args::with_default_verb(args)) {
        Ok(command) => command,
        Err(error) => {
            // clap prints help and version to standard output with code 0, mistakes to standard error with 2.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(USAGE);
        }
    };
    let (mut out, mut err) = (io::stdout().lock(), io::stderr());
    let code = match command.verb {
        Verb::Run(args) => run::run(&args, platform, runner, &mut out, &mut err),
        Verb::Fields => out.write_all(wavetank_control::config::supported_table().as_bytes()).map(|()| PASSED),
    };
    match code.and_then(|code| out.flush().map(|()| code)) {
        Ok(code) => code,
        // A reader that closed the pipe has seen what it wanted.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => PASSED,
        Err(error) => {
            let _ = writeln!(err, "wavetank: cannot write: {error}");
            INTERNAL
        }
    }
}
