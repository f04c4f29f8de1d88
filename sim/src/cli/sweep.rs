//! `wavetank sweep`, which is `run --seeds`: every scenario under many seeds.

use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::path::Path;
use std::thread;

use wavetank_reports::tally::plural;
use wavetank_reports::terminal::{self, Paint};
use wavetank_reports::{CheckVerdict, Diagnostic, ScenarioResult, ScenarioVerdict, SweepResult};

use super::progress::Progress;
use super::session::{Done, Session};
use super::shell::quoted;
use super::surroundings::Surroundings;
use super::{FAILED, PASSED, SWEEP, pool, worse};
use crate::scenario::load;
use crate::sweep::pooled::Counts;
use crate::sweep::text::Swept;
use crate::sweep::{Pool, causes, text};

/// A scenario under all seeds.
pub(super) struct Sweep {
    /// The results, in the order of the seeds.
    pub(super) results: Vec<ScenarioResult>,
    /// What was judged over all of them; `None` where the scenario is invalid.
    pub(super) pooled: Option<SweepResult>,
    /// What is said of them.
    pub(super) text: String,
    /// The exit code.
    pub(super) exit: u8,
}

/// One run of a sweep.
struct Ran {
    done: Done,
    counts: Vec<Option<Counts>>,
}

/// Runs the scenario of `file` under every seed, the command's or its own; `None` when the filters drop all of it.
///
/// # Errors
/// When `err` cannot be written.
pub(super) fn sweep(
    session: &Session<'_>,
    file: &Path,
    around: &Surroundings,
    err: &mut dyn Write,
) -> io::Result<Option<Sweep>> {
    let Ok(scenario) = load(file).map(|scenario| session.as_asked(scenario)) else {
        return Ok(session.one(file).map(alone));
    };
    let seeds = session.args.seeds.or(scenario.seeds).unwrap_or(SWEEP);
    if !session.keeps(&scenario) {
        return Ok(None);
    }
    let alpha = session.args.false_failure.unwrap_or(scenario.false_failure);
    let count = usize::try_from(seeds.count()).unwrap_or(usize::MAX);
    let names = (seeds.first..=seeds.last).map(|seed| format!("seed {seed}")).collect();
    let mut progress = Progress::new(session.platform.clock.clone(), names, around.width, session.shows(around));
    let run = |at: usize| {
        let seed = seeds.first + at as u64;
        let mut counts = Vec::new();
        let done = session.under(&scenario, seed, alpha / count as f64, &mut |ran| {
            counts = Pool::count(&scenario.checks, &ran.log);
        });
        Ran { done, counts }
    };
    let (mut pool, mut results) = (Pool::new(&scenario.checks), Vec::new());
    let (exit, failed, invalid) = (Cell::new(PASSED), Cell::new(0), Cell::new(false));
    let mut verified = 0;
    let err = RefCell::new(err);
    let take = |ran: Ran| {
        let passed = ran.done.exit == PASSED;
        failed.set(failed.get() + usize::from(!passed));
        exit.set(worse(exit.get(), ran.done.exit));
        err.borrow_mut().write_all(ran.done.remarks.as_bytes())?;
        invalid.set(ran.done.result.verdict == ScenarioVerdict::Invalid);
        verified += usize::from(!ran.done.verified.is_empty());
        pool.add(&ran.counts);
        results.push(ran.done.result);
        Ok(!invalid.get() && (passed || !session.args.fail_fast))
    };
    let tick = |standing: &pool::Standing| progress.tick(standing, failed.get(), *err.borrow_mut());
    let jobs = session.args.jobs.map_or_else(|| thread::available_parallelism().map_or(1, usize::from), usize::from);
    pool::in_order(count, jobs, run, take, tick)?;
    progress.end(*err.borrow_mut())?;
    let last = results.last().map_or(seeds.last, |result: &ScenarioResult| result.seed);
    let runs_again = format!("wavetank run {} --seeds {}..{last}", quoted(&scenario.file), seeds.first);
    let mut pooled = if invalid.get() { Vec::new() } else { pool.judge(alpha, &scenario.sources) };
    for split in &mut pooled {
        let edge = split.result.edge.clone();
        let again =
            |found: Diagnostic| Diagnostic { again: Some(format!("{runs_again} -k {}", quoted(&edge))), ..found };
        split.diagnostic = split.diagnostic.take().map(again);
    }
    if pooled.iter().any(|split| split.result.verdict != CheckVerdict::Pass) {
        exit.set(worse(exit.get(), FAILED));
    }
    let mut why = causes(&results);
    for cause in &mut why {
        let seed = cause.seeds.first().copied().unwrap_or(seeds.first);
        let again = || format!("wavetank run {} --seed {seed}", quoted(&scenario.file));
        cause.first.again = cause.first.again.take().or_else(|| Some(again()));
    }
    let swept = Swept {
        file: &scenario.file,
        name: &scenario.name,
        seeds: (seeds.first, last),
        runs: results.len(),
        passed: results.iter().filter(|result| result.verdict == ScenarioVerdict::Pass).count(),
        simulated: results.iter().map(|result| result.simulated_ms as f64 / 1000.0).sum(),
        pooled: &pooled,
        causes: &why,
    };
    let mut text = text(&swept, &message);
    if session.args.verify && verified == results.len() {
        let runs = plural(verified, "seed");
        text.push_str(&format!("\n SAME  {}  {runs}, two runs each, decisions and packets\n", scenario.file));
    }
    let (runs, passed) = (swept.runs, swept.passed);
    let (checks, found): (Vec<_>, Vec<_>) = pooled.into_iter().map(|split| (split.result, split.diagnostic)).unzip();
    let pooled = SweepResult {
        file: scenario.file.clone(),
        name: scenario.name.clone(),
        first_seed: seeds.first,
        last_seed: last,
        runs,
        passed,
        pooled: checks,
        diagnostics: found.into_iter().flatten().collect(),
    };
    Ok(Some(Sweep { text, exit: exit.get(), pooled: Some(pooled), results }))
}

/// A scenario that is not valid under any seed.
fn alone(done: Done) -> Sweep {
    let errors: Vec<String> = done.result.diagnostics.iter().map(message).collect();
    let text = format!(" {}  {}\n\n{}\n", done.result.file, done.result.name, errors.join("\n"));
    Sweep { results: vec![done.result], pooled: None, text, exit: done.exit }
}

fn message(found: &Diagnostic) -> String {
    terminal::message(found, Paint::Plain)
}
