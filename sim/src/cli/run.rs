//! `wavetank run`: runs scenarios, side by side where there are processors for it, and reports them.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;

use clap::CommandFactory;
use wavetank_control::config::suggest;
use wavetank_platform::Platform;
use wavetank_reports::html::Page;
use wavetank_reports::{RunReport, ScenarioResult, SweepResult};

use super::args::{Command, RunArgs, Seed};
use super::find::{Filter, Tags, find};
use super::output::Told;
use super::progress::Progress;
use super::session::{Done, Session};
use super::surroundings::Surroundings;
use super::sweep::sweep;
use super::{INTERRUPTED, NOTHING, PASSED, USAGE, output, pool, worse};
use crate::scenario::load::shown;
use crate::scenario::{Scenario, load};
use crate::sweep::text::total;
use crate::target::{RunError, RunOutcome, TargetKind};

/// Runs one scenario with a seed.
pub type Runner<'a> = dyn Fn(&Scenario, u64) -> Result<RunOutcome, RunError> + Sync + 'a;

/// Requests that a page shows in full: of all scenarios together, and of each at least.
const REQUESTS_SHOWN: usize = 200;
const REQUESTS_SHOWN_MIN: usize = 12;
/// Name and version of this tool, as reports have it.
const TOOL: &str = concat!("wavetank ", env!("CARGO_PKG_VERSION"));

/// Runs the scenarios that `args` asks for, writes their results, and returns the exit code. A scenario with seeds
/// of its own is swept under them, after those without, unless `args` names a seed.
///
/// # Errors
/// When `out` or `err` cannot be written.
pub fn run(
    args: &RunArgs,
    platform: &Platform,
    runner: &Runner<'_>,
    around: &Surroundings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    let is_swept = |file: &PathBuf| {
        let own = || load(file).is_ok_and(|scenario| scenario.seeds.is_some());
        args.seeds.is_some() || (args.seed.is_none() && own())
    };
    run_each(args, platform, (runner, TargetKind::Tank), &is_swept, around, (out, err))
}

/// As [`run`], on this machine: one scenario at a time, each once.
///
/// # Errors
/// When `out` or `err` cannot be written.
pub fn live(
    args: &RunArgs,
    platform: &Platform,
    (runner, target): (&Runner<'_>, TargetKind),
    around: &Surroundings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    run_each(args, platform, (runner, target), &|_| false, around, (out, err))
}

/// As [`run`], with every scenario swept.
///
/// # Errors
/// When `out` or `err` cannot be written.
pub fn sweep_all(
    args: &RunArgs,
    platform: &Platform,
    runner: &Runner<'_>,
    around: &Surroundings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    run_each(args, platform, (runner, TargetKind::Tank), &|_| true, around, (out, err))
}

fn run_each(
    args: &RunArgs,
    platform: &Platform,
    (runner, target): (&Runner<'_>, TargetKind),
    is_swept: &dyn Fn(&PathBuf) -> bool,
    around: &Surroundings,
    (out, err): (&mut dyn Write, &mut dyn Write),
) -> io::Result<u8> {
    let files = match find(&args.chosen.paths) {
        Ok(files) => files,
        Err(error) => {
            writeln!(
                err,
                "wavetank: {error}{}",
                args.chosen.paths.first().map(|path| meant(path)).unwrap_or_default()
            )?;
            return Ok(USAGE);
        }
    };
    if let Err((file, error)) = output::prepare(&args.outputs) {
        writeln!(err, "wavetank: cannot write {}: {error}; nothing was run", file.display())?;
        return Ok(USAGE);
    }
    let session = Session {
        args,
        platform,
        runner,
        target,
        filter: Filter::new(args.chosen.filter.as_deref()),
        tags: Tags::new(&args.chosen.tags),
        seed: match args.seed {
            Some(Seed::Given(seed)) => Some(seed),
            // Short enough to be typed again.
            Some(Seed::Random) => Some(platform.entropy.stream_named("seed").next_u64() >> 32),
            None => None,
        },
        requests_shown: (REQUESTS_SHOWN / files.len().max(1)).max(REQUESTS_SHOWN_MIN),
    };
    let (many, once): (Vec<PathBuf>, Vec<PathBuf>) = files.iter().cloned().partition(is_swept);
    let all = dealt_with(&session, &once, around, err)?;
    let exit = all.iter().fold(PASSED, |exit, done| worse(exit, done.exit));
    let stop = args.fail_fast && exit != PASSED;
    let swept = if stop { Swept::default() } else { swept(&session, &many, around, err)? };
    if all.is_empty() && swept.results.is_empty() {
        return nothing(&session, &files, err);
    }
    let verified: String = all.iter().map(|done| done.verified.as_str()).collect();
    let (mut results, evidence): (Vec<_>, Vec<_>) = all.into_iter().map(|done| (done.result, done.evidence)).unzip();
    let once = (!results.is_empty()).then(|| RunReport::new(TOOL, results.clone()));
    results.extend(swept.results);
    let sweep = (!swept.text.is_empty()).then(|| swept.text.clone());
    let report = RunReport { sweeps: swept.pooled, ..RunReport::new(TOOL, results) };
    let page = Page { report, exit: worse(exit, swept.exit), evidence, sweep };
    output::write(&args.outputs, around, &page, &Told { once, verified, swept: swept.text }, out, err)
}

/// What came of scenarios that were run under many seeds.
#[derive(Default)]
struct Swept {
    results: Vec<ScenarioResult>,
    pooled: Vec<SweepResult>,
    text: String,
    exit: u8,
}

/// Runs every file under every seed.
fn swept(session: &Session<'_>, files: &[PathBuf], around: &Surroundings, err: &mut dyn Write) -> io::Result<Swept> {
    let mut all = Swept::default();
    for file in files {
        let Some(swept) = sweep(session, file, around, err)? else { continue };
        all.results.extend(swept.results);
        all.pooled.extend(swept.pooled);
        all.text.push_str(&swept.text);
        all.exit = worse(all.exit, swept.exit);
    }
    if !all.results.is_empty() && (!session.args.outputs.quiet || all.exit != PASSED || all.text.is_empty()) {
        let report = RunReport { sweeps: all.pooled, ..RunReport::new(TOOL, all.results) };
        all.text.push_str(&total(&report, all.exit));
        (all.pooled, all.results) = (report.sweeps, report.scenarios);
    }
    Ok(all)
}

/// Says why nothing was run.
fn nothing(session: &Session<'_>, files: &[PathBuf], err: &mut dyn Write) -> io::Result<u8> {
    match &session.args.chosen.filter {
        Some(filter) if !files.is_empty() => writeln!(err, "wavetank: no check matched `{filter}`")?,
        _ => writeln!(err, "wavetank: no scenario matched")?,
    }
    Ok(NOTHING)
}

/// The command that a word was meant to be which is no file.
fn meant(path: &Path) -> String {
    let command = Command::command();
    let word = path.to_str().filter(|_| !path.exists()).unwrap_or_default();
    let verbs = command.get_subcommands().map(clap::Command::get_name);
    suggest::nearest(word, verbs).map_or(String::new(), |verb| format!("; did you mean `wavetank {verb}`?"))
}

/// Deals with every file, in order, up to the first that did not pass where that is asked for.
fn dealt_with(
    session: &Session<'_>,
    files: &[PathBuf],
    around: &Surroundings,
    err: &mut dyn Write,
) -> io::Result<Vec<Done>> {
    let args = session.args;
    let moves = session.shows(around);
    let names = files.iter().map(|file| shown(file)).collect();
    let mut progress = Progress::new(session.platform.clock.clone(), names, around.width, moves);
    let processors = || thread::available_parallelism().map_or(1, usize::from);
    let jobs = args.jobs.map_or_else(processors, usize::from);
    let mut all: Vec<Done> = Vec::new();
    let err = std::cell::RefCell::new(err);
    let failed = std::cell::Cell::new(0);
    let take = |done: Option<Done>| {
        let Some(done) = done else { return Ok(true) };
        let passed = done.exit == PASSED;
        let interrupted = done.exit == INTERRUPTED;
        failed.set(failed.get() + usize::from(!passed));
        err.borrow_mut().write_all(done.remarks.as_bytes())?;
        all.push(done);
        Ok(!interrupted && (passed || !args.fail_fast))
    };
    let tick = |standing: &pool::Standing| progress.tick(standing, failed.get(), *err.borrow_mut());
    let ended = pool::in_order(files.len(), jobs, |at| session.one(&files[at]), take, tick);
    progress.end(*err.borrow_mut())?;
    ended.map(|()| all)
}
