//! How fast the tank is and what it needs: simulated seconds for each second of CPU, and peak memory.
//!
//! Every row is a scenario, run several times, each in a fresh process; the table shows the median with the
//! smallest and the largest. CPU is user and system time of the whole process, from reading the files to the
//! last hash, out of `/proc/self/stat`; memory is `VmHWM`. The scenarios' own expectations must hold.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use wavetank::check::{self, Circumstances};
use wavetank::scenario;
use wavetank::target::tank;
use wavetank_reports::CheckVerdict;

/// As the `wavetank` command has it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Runs of each row.
const RUNS: usize = 5;
/// Clock ticks a second in `/proc/self/stat`; fixed on Linux.
const TICKS: f64 = 100.0;
/// Row, scenario below the repository's root, aim in simulated seconds for each CPU second.
const ROWS: [(&str, &str, f64); 4] = [
    ("canary, 2,000 requests", "scenarios/canary.yaml", 15.0),
    ("14 pods, mTLS, 100 requests/s for 60 s", "conformance/bench/pods-14.yaml", 15.0),
    ("100 pods, mTLS, 100 requests/s for 60 s", "conformance/bench/pods-100.yaml", 3.0),
    ("one idle day", "conformance/bench/idle-day.yaml", 5_000.0),
];
/// Aim for the peak of every row, in MB.
const MEMORY_MAX: f64 = 300.0;

fn main() -> ExitCode {
    let outcome = match std::env::args().nth(1) {
        None => table(),
        Some(file) => one(Path::new(&file)),
    };
    match outcome {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("bench-tank: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one scenario in this process: `simulated seconds`, `CPU seconds`, `peak MB`.
fn one(file: &Path) -> Result<String, String> {
    let scenario = scenario::load(file).map_err(|invalid| format!("{}: {invalid:?}", file.display()))?;
    let outcome = tank::run(&scenario, 1).map_err(|error| error.to_string())?;
    let around = Circumstances { faults: &outcome.faults, abort: scenario.abort.as_ref(), ..Circumstances::default() };
    let judged = check::judge(&scenario.checks, &outcome.log, &around, scenario.false_failure, &scenario.sources);
    if let Some(failed) = judged.iter().find(|judgement| judgement.result.verdict != CheckVerdict::Pass) {
        return Err(format!("{}: {:?}", file.display(), failed.result));
    }
    Ok(format!("{} {} {}", outcome.simulated.as_secs_f64(), cpu_seconds()?, peak_megabytes()?))
}

fn cpu_seconds() -> Result<f64, String> {
    let stat = std::fs::read_to_string("/proc/self/stat").map_err(|error| error.to_string())?;
    // Fields are counted after the command's name, which may hold spaces.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok());
    let (user, system) = (ticks(11).ok_or("no user time")?, ticks(12).ok_or("no system time")?);
    Ok((user + system) / TICKS)
}

fn peak_megabytes() -> Result<f64, String> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse().map_err(|_| format!("VmHWM is {line}"))?;
    Ok(kilobytes / 1024.0)
}

/// All rows as a Markdown table.
fn table() -> Result<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no workspace")?;
    let mut lines = vec![
        "| world | simulated s | CPU s | simulated s / CPU s | aim | peak MB | aim |".to_owned(),
        "|---|---|---|---|---|---|---|".to_owned(),
    ];
    for (name, file, aim) in ROWS {
        let samples = (0..RUNS).map(|_| sample(&root.join(file))).collect::<Result<Vec<_>, _>>()?;
        let simulated = samples[0][0];
        let cpu = Spread::of(samples.iter().map(|sample| sample[1]));
        let ratio = Spread::of(samples.iter().map(|sample| sample[0] / sample[1]));
        let peak = Spread::of(samples.iter().map(|sample| sample[2]));
        lines.push(format!(
            "| {name} | {simulated:.1} | {:.2} ({:.2}–{:.2}) | {:.0} ({:.0}–{:.0}) | ≥ {aim:.0} | {:.0} | < {MEMORY_MAX:.0} |",
            cpu.median, cpu.min, cpu.max, ratio.median, ratio.min, ratio.max, peak.median
        ));
    }
    Ok(lines.join("\n"))
}

/// One run in a fresh process.
fn sample(file: &PathBuf) -> Result<[f64; 3], String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new(this).arg(file).output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let figures: Vec<f64> = text.split_whitespace().filter_map(|figure| figure.parse().ok()).collect();
    <[f64; 3]>::try_from(figures).map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned())
}

struct Spread {
    min: f64,
    median: f64,
    max: f64,
}

impl Spread {
    fn of(figures: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = figures.collect();
        sorted.sort_by(f64::total_cmp);
        Self { min: sorted[0], median: sorted[sorted.len() / 2], max: sorted[sorted.len() - 1] }
    }
}
