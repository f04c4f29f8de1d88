//! `wavetank run`: runs scenarios, side by side where there are processors for it, and reports them.

use std::io::{self, Write};
use std::path::PathBuf;
use std::thread;

use wavetank_platform::Platform;
use wavetank_reports::RunReport;
use wavetank_reports::html::Page;

use super::args::{RunArgs, Seed};
use super::find::{Filter, Tags, find};
use super::output::Told;
use super::progress::Progress;
use super::session::{Done, Session};
use super::surroundings::Surroundings;
use super::sweep::{Seeds, sweep};
use super::{NOTHING, PASSED, USAGE, output, pool, worse};
use crate::scenario::Scenario;
use crate::scenario::load::shown;
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
            writeln!(err, "wavetank: {error}")?;
            return Ok(USAGE);
        }
    };
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
        writeln!(err, "wavetank: no scenario matched")?;
        return Ok(NOTHING);
    }
    let exit = all.iter().fold(PASSED, |exit, done| worse(exit, done.exit));
    let verified: String = all.iter().map(|done| done.verified.as_str()).collect();
    let (results, evidence) = all.into_iter().map(|done| (done.result, done.evidence)).unzip();
    let page = Page { report: RunReport::new(TOOL, results), exit, evidence, sweep: None };
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
    let (mut results, mut text, mut exit) = (Vec::new(), String::new(), PASSED);
    for file in files {
        let Some(swept) = sweep(session, file, seeds, around, err)? else { continue };
        results.extend(swept.results);
        text.push_str(&swept.text);
        exit = worse(exit, swept.exit);
    }
    if results.is_empty() {
        writeln!(err, "wavetank: no scenario matched")?;
        return Ok(NOTHING);
    }
    let page = Page { report: RunReport::new(TOOL, results), exit, evidence: Vec::new(), sweep: Some(text.clone()) };
    output::write(&session.args.outputs, around, &page, Told::Text(text), out, err)
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
