//! `wavetank run`: runs scenarios, side by side where there are processors for it, and reports them.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;

use clap::CommandFactory;
use wavetank_control::config::suggest;
use wavetank_platform::Platform;
use wavetank_reports::RunReport;
use wavetank_reports::html::Page;

use super::args::{Command, RunArgs, Seed};
use super::find::{Filter, Tags, find};
use super::output::Told;
use super::progress::Progress;
use super::session::{Done, Session};
use super::surroundings::Surroundings;
use super::sweep::{Seeds, sweep};
use super::{NOTHING, PASSED, USAGE, output, pool, worse};
use crate::scenario::Scenario;
use crate::scenario::load::shown;
use crate::sweep::text::total;
use crate::target::{RunError, RunOutcome};

/// Runs one scenario with a seed.
pub type Runner<'a> = dyn Fn(&Scenario, u64) -> Result<RunOutcome, RunError> + Sync + 'a;

/// Requests that a page shows in full: of all scenarios together, and of each at least.
const REQUESTS_SHOWN: usize = 200;
const REQUESTS_SHOWN_MIN: usize = 12;
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
    around: &Surroundings,
    out: &mut dyn Write,
    err: &mut dyn Write,
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
    if let Some(seeds) = args.seeds {
        return swept(&session, &files, seeds, around, out, err);
    }
    let all = dealt_with(&session, &files, around, err)?;
    if all.is_empty() {
        return nothing(&session, &files, err);
    }
    let exit = all.iter().fold(PASSED, |exit, done| worse(exit, done.exit));
    let verified: String = all.iter().map(|done| done.verified.as_str()).collect();
    let (results, evidence) = all.into_iter().map(|done| (done.result, done.evidence)).unzip();
    let page = Page { report: RunReport::new(TOOL, results), exit, evidence };
    output::write(&args.outputs, around, &page, Told::Results { verified }, out, err)
}

/// Runs every file under every seed, and reports all runs.
fn swept(
    session: &Session<'_>,
    files: &[PathBuf],
    seeds: Seeds,
    around: &Surroundings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    let (mut results, mut sweeps, mut text, mut exit) = (Vec::new(), Vec::new(), String::new(), PASSED);
    for file in files {
        let Some(swept) = sweep(session, file, seeds, around, err)? else { continue };
        results.extend(swept.results);
        sweeps.extend(swept.pooled);
        text.push_str(&swept.text);
        exit = worse(exit, swept.exit);
    }
    if results.is_empty() {
        return nothing(session, files, err);
    }
    let report = RunReport { sweeps, ..RunReport::new(TOOL, results) };
    if text.is_empty() || !session.args.outputs.quiet || exit != PASSED {
        text.push_str(&total(&report, exit));
    }
    let page = Page { report, exit, evidence: Vec::new() };
    output::write(&session.args.outputs, around, &page, Told::Text(text), out, err)
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
        failed.set(failed.get() + usize::from(!passed));
        err.borrow_mut().write_all(done.remarks.as_bytes())?;
        all.push(done);
        Ok(passed || !args.fail_fast)
    };
    let tick = |standing: &pool::Standing| progress.tick(standing, failed.get(), *err.borrow_mut());
    let ended = pool::in_order(files.len(), jobs, |at| session.one(&files[at]), take, tick);
    progress.end(*err.borrow_mut())?;
    ended.map(|()| all)
}
