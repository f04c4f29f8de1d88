//! `bench [--quick] [--rounds N] [--out FOLDER] [ROW...]`: the race, all rows or those named, as a page in `out/bench`.
//!
//! Our proxy is the binary beside this one, or what `WAVETANK_PROXY` names; Envoy is what `WAVETANK_ENVOY`
//! names; nginx and haproxy are found by their names. Who is absent is said, and left out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use wavetank_conformance::bench::ground::{Ground, Programs};
use wavetank_conformance::bench::machine::Machine;
use wavetank_conformance::bench::race::{self, Effort, Figures};
use wavetank_conformance::bench::report::{Ran, Report};
use wavetank_conformance::bench::rival::{Kind, pin_load, pinned};
use wavetank_conformance::bench::row::{Method, ROWS, Row};
use wavetank_conformance::bench::{Failure, exact, page, single};

/// For gates.
const FULL: Effort = Effort { rounds: 9, window: Duration::from_secs(1) };
/// For a first look.
const QUICK: Effort = Effort { rounds: 3, window: Duration::from_millis(500) };

struct Arguments {
    effort: Effort,
    out: PathBuf,
    rows: Vec<&'static Row>,
}

fn main() -> ExitCode {
    match arguments().and_then(|arguments| run(&arguments)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("bench: {problem}");
            ExitCode::from(2)
        }
    }
}

fn arguments() -> Result<Arguments, Failure> {
    let mut arguments = Arguments { effort: FULL, out: PathBuf::from("out/bench"), rows: Vec::new() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => arguments.effort = QUICK,
            "--rounds" => {
                let rounds = words.next().and_then(|word| word.parse().ok()).filter(|rounds| *rounds > 0);
                arguments.effort.rounds = rounds.ok_or("--rounds wants a number")?;
            }
            "--out" => arguments.out = words.next().ok_or("--out names no folder")?.into(),
            id => {
                let all: Vec<&str> = ROWS.iter().map(|row| row.id).collect();
                let row = ROWS.iter().find(|row| row.id == id);
                arguments.rows.push(row.ok_or_else(|| format!("no row `{id}`; rows: {}", all.join(", ")))?);
            }
        }
    }
    if arguments.rows.is_empty() {
        arguments.rows = ROWS.iter().collect();
    }
    Ok(arguments)
}

/// Whether every row has figures.
fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let programs = programs()?;
    let named: Vec<(&str, PathBuf)> =
        Kind::ALL.into_iter().filter_map(|kind| Some((kind.name(), programs.of(kind)?))).collect();
    let paths: Vec<(&str, &Path)> = named.iter().map(|(name, path)| (*name, path.as_path())).collect();
    let machine = Machine::look(&paths);
    println!("{}", machine.line());
    for kind in Kind::ALL.into_iter().filter(|kind| programs.of(*kind).is_none()) {
        println!("absent: {}", kind.name());
    }
    if !pinned() {
        println!("one core or no taskset: proxies and load share their cores, and figures say little");
    }
    pin_load()?;
    let folder = std::env::temp_dir().join(format!("wavetank-bench-{}", std::process::id()));
    let (ground, begun) = (Ground::prepare(programs, &folder)?, Instant::now());
    let mut rows = Vec::new();
    for row in &arguments.rows {
        let ran = Ran::judge(row, measured(&ground, row, arguments.effort));
        println!("{}  {:<36} {}", clock(begun), ran.title, summary(&ran));
        rows.push(ran);
    }
    drop(ground);
    // What stays behind is in the folder for temporary files.
    let _left = fs::remove_dir_all(&folder);
    let report = Report {
        command: format!("just bench {}", std::env::args().skip(1).collect::<Vec<_>>().join(" ")).trim().to_owned(),
        machine,
        load_after: fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned(),
        rounds: (arguments.effort.rounds, arguments.effort.window.as_secs_f64()),
        rows,
    };
    write(&report, &arguments.out)?;
    Ok(report.rows.iter().all(|row| row.failed.is_none()))
}

fn programs() -> Result<Programs, Failure> {
    let beside = || Some(std::env::current_exe().ok()?.with_file_name("wavetank-proxy"));
    let named = |name: &str| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let ours = named("WAVETANK_PROXY").or_else(beside).filter(|path| path.is_file());
    let ours = ours.ok_or("no wavetank-proxy beside this program; build it, or name it in WAVETANK_PROXY")?;
    Ok(Programs { ours, envoy: named("WAVETANK_ENVOY").map(behind_script) })
}

/// The program that the wheel's script starts, so that no interpreter is measured.
fn behind_script(path: PathBuf) -> PathBuf {
    let is_script = fs::read(&path).is_ok_and(|bytes| bytes.starts_with(b"#!"));
    let library = path.parent().and_then(Path::parent).map(|root| root.join("lib"));
    let within = |folder: fs::DirEntry| folder.path().join("site-packages/envoy/_bin/envoy");
    let mut programs =
        library.and_then(|library| fs::read_dir(library).ok()).into_iter().flatten().flatten().map(within);
    if is_script { programs.find(|program| program.is_file()).unwrap_or(path) } else { path }
}

fn measured(ground: &Ground, row: &Row, effort: Effort) -> Result<(Figures, String), Failure> {
    let plain = |figures| (figures, String::new());
    match row.method {
        Method::Cpu(shape, asked) => race::cpu(ground, shape, asked, effort).map(plain),
        Method::Latency(shape, rate) => race::latency(ground, shape, rate, effort).map(plain),
        Method::Lookup(count) => race::lookup(ground, count, effort).map(plain),
        Method::Syscalls(shape) => exact::system_calls(ground, shape),
        Method::Instructions(shape) => exact::instructions(ground, shape).map(plain),
        Method::Idle(shape, connections) => single::idle(ground, shape, connections).map(plain),
        Method::Memory(shape) => single::base(ground, shape).map(plain),
        Method::Start(shape, file) => single::start(ground, shape, file).map(plain),
        Method::Push(shape) => single::push(ground, shape).map(plain),
    }
}

fn summary(ran: &Ran) -> String {
    let figures = Kind::ALL.into_iter().filter_map(|kind| Some(format!("{} {:.1}", kind.name(), ran.median(kind)?)));
    let ratio = ran.to_envoy.map(|spread| format!(" [{:.2} of Envoy]", spread.median)).unwrap_or_default();
    format!("{}{ratio} {}", figures.collect::<Vec<_>>().join(", "), ran.verdict())
}

fn write(report: &Report, out: &Path) -> Result<(), Failure> {
    fs::create_dir_all(out).map_err(|error| format!("{}: {error}", out.display()))?;
    let json = serde_json::to_string_pretty(report).map_err(|error| error.to_string())?;
    for (name, text) in [("bench.md", report.markdown()), ("bench.json", json), ("index.html", page::html(report))] {
        let path = out.join(name);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        println!("wrote {}", path.display());
    }
    Ok(())
}

/// Time on the clock of the race, for progress lines.
fn clock(begun: Instant) -> String {
    format!("{:>4} s", begun.elapsed().as_secs())
}
