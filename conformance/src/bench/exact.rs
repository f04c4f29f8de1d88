//! Rows that count: system calls and instructions for each request, as the slope between two numbers of
//! requests, so that starting, idling and connecting cancel out.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use super::Failure;
use super::ground::Ground;
use super::load;
use super::measure::{self, commonest, syscalls};
use super::race::Figures;
use super::rival::{Around, Kind, Rival};
use super::world::Shape;

/// Requests a second while system calls are counted.
const RATE: u32 = 500;
/// Lengths of the two loads, in seconds.
const LOADS: [u64; 2] = [1, 3];
/// Length of both counts, in seconds: attaching, the longer load, and some peace.
const COUNT: u64 = 6;
/// Connections.
const CALLERS: usize = 8;
/// The two numbers of requests between which instructions are counted.
const REQUESTS: [usize; 2] = [800, 2400];

/// System calls for each request, and what they are.
///
/// Errs when a request fails or strace does.
pub fn system_calls(ground: &Ground, shape: Shape) -> Result<(Figures, String), Failure> {
    if !measure::is_installed("strace") {
        return Err("strace is absent".to_owned());
    }
    let (mut figures, mut notes) = (Figures::new(), Vec::new());
    for kind in Kind::ALL.into_iter().filter(|kind| ground.has(*kind, shape)) {
        let rival = ground.start(kind, shape, ground.origin(shape), Around::Bare)?;
        let less = traced(ground, &rival, shape, LOADS[0])?;
        let more = traced(ground, &rival, shape, LOADS[1])?;
        let requests = (LOADS[1] - LOADS[0]) * u64::from(RATE);
        let calls = syscalls(&more)?.saturating_sub(syscalls(&less)?);
        figures.insert(kind, vec![calls as f64 / requests as f64]);
        notes.push(format!("{}: {}", kind.name(), commonest(&more, LOADS[1] * u64::from(RATE))));
    }
    Ok((figures, notes.join("; ")))
}

/// strace's table of a count during which there was load for `seconds`.
fn traced(ground: &Ground, rival: &Rival, shape: Shape, seconds: u64) -> Result<String, Failure> {
    let file = std::env::temp_dir().join(format!("wavetank-bench-{}-{seconds}.strace", rival.pid()));
    let mut strace = Command::new("timeout")
        .args(["-s", "INT", &COUNT.to_string(), "strace", "-f", "-c", "-p", &rival.pid().to_string(), "-o"])
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("strace: {error}"))?;
    thread::sleep(Duration::from_millis(700));
    let aim = ground.aim(shape, rival.listen);
    let loaded = ground.runtime.block_on(load::open(&aim, CALLERS, RATE, Duration::from_secs(seconds)));
    strace.wait().map_err(|error| format!("strace: {error}"))?;
    loaded.map_err(|error| format!("{}: {error}", rival.kind.name()))?;
    let table = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    // What stays behind is in the folder for temporary files.
    let _left = fs::remove_file(&file);
    Ok(table)
}

/// Instructions in user space for each request.
///
/// Errs when a request fails or callgrind does.
pub fn instructions(ground: &Ground, shape: Shape) -> Result<Figures, Failure> {
    if !measure::is_installed("valgrind") {
        return Err("valgrind is absent".to_owned());
    }
    let mut figures = Figures::new();
    for kind in [Kind::Envoy, Kind::Ours].into_iter().filter(|kind| ground.has(*kind, shape)) {
        let mut counts = Vec::new();
        for requests in REQUESTS {
            let rival = ground.start(kind, shape, ground.origin(shape), Around::Callgrind)?;
            let aim = ground.aim(shape, rival.listen);
            let loaded = ground.runtime.block_on(load::exactly(&aim, CALLERS, requests));
            loaded.map_err(|error| format!("{}: {error}", kind.name()))?;
            counts.push(rival.end_counted()? as f64);
        }
        let requests = (REQUESTS[1] - REQUESTS[0]) as f64;
        figures.insert(kind, vec![(counts[1] - counts[0]) / requests]);
    }
    Ok(figures)
}
