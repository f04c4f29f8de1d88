//! `wavetank live`: runs scenarios on this machine.

use std::io::{self, Write};
use std::path::Path;

use wavetank_platform::Platform;

use super::args::{LiveArgs, LiveProxy};
use super::surroundings::Surroundings;
use super::{INTERNAL, PASSED, run};
use crate::scenario::Scenario;
use crate::target::live::{self, app_process};
use crate::target::{LiveOptions, TargetKind};

/// Runs the scenarios that `args` asks for, writes their results, and returns the exit code.
///
/// # Errors
/// When `out` or `err` cannot be written.
pub(super) fn live(
    args: LiveArgs,
    platform: &Platform,
    around: &Surroundings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    let envoy = (args.proxy == LiveProxy::Envoy).then(|| args.envoy.clone().unwrap_or_else(|| "envoy".into()));
    let target = if envoy.is_some() { TargetKind::Envoy } else { TargetKind::Linux };
    let options = LiveOptions { envoy, keep: args.keep.clone() };
    let runner = |scenario: &Scenario, seed| live::run(&options, scenario, seed);
    run::live(&args.into_run(), platform, (&runner, target), around, out, err)
}

/// Is a program of the world; returns when it cannot be.
///
/// # Errors
/// When `err` cannot be written.
pub(super) fn app(file: &Path, err: &mut dyn Write) -> io::Result<u8> {
    match app_process::run(file) {
        Ok(()) => Ok(PASSED),
        Err(error) => {
            writeln!(err, "wavetank: {}: {error}", file.display())?;
            Ok(INTERNAL)
        }
    }
}
