//! A run is its scenario and its seed, and nothing else: not the process, not what ran in it before, not the
//! environment, the folder or the load of the machine.
//!
//! The canary, with fewer requests and over a network that jitters and loses, runs for each of 50 seeds twice
//! in this process and once in each of several fresh ones, whose surroundings differ.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use wavetank::scenario::{Network, Scenario, load};
use wavetank_conformance::fingerprint::{Fingerprint, fingerprint};

const SEEDS: u64 = 50;
const REQUESTS: u64 = 10;
/// Fresh processes for each seed.
const PROCESSES: usize = 3;
/// Tells a fresh process what to run: the scenario, the seed, and the file its result goes to, one a line.
const TASK: &str = "WAVETANK_DETERMINISM_TASK";
/// The test below that fresh processes run.
const CHILD: &str = "a_fresh_process_runs_what_it_is_told";

/// The canary in short, over a network that uses every random stream of a link.
fn scenario(path: &Path) -> Scenario {
    let mut scenario = load(path).unwrap_or_else(|wrong| panic!("{wrong:#?}"));
    let jitter = Duration::from_millis(3);
    scenario.network = Network { jitter, loss_percent: 2.0, ..Network::default() };
    scenario.traffic.iter_mut().for_each(|traffic| traffic.count = Some(REQUESTS));
    scenario
}

fn canary() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/canary.yaml")
}

#[test]
fn a_fresh_process_runs_what_it_is_told() {
    let Ok(task) = env::var(TASK) else { return };
    let [path, seed, result] = task.lines().collect::<Vec<_>>()[..] else { panic!("{TASK} is {task:?}") };
    let run = fingerprint(&scenario(Path::new(path)), seed.parse().expect("a seed"));
    fs::write(result, run.write()).expect("a place for the result");
}

/// A folder of this test's own, with a copy of the canary in it.
struct Place {
    folder: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = env::temp_dir().join(format!("wavetank determinism {}", std::process::id()));
        let manifests = folder.join("elsewhere/manifests");
        fs::create_dir_all(&manifests).expect("a folder of our own");
        let from = canary();
        fs::copy(&from, folder.join("elsewhere/canary.yaml")).expect("a copy");
        for entry in fs::read_dir(from.with_file_name("manifests")).expect("the canary's manifests") {
            let entry = entry.expect("a file");
            fs::copy(entry.path(), manifests.join(entry.file_name())).expect("a copy");
        }
        Self { folder }
    }

    /// One run in a fresh process; each `surroundings` has its own.
    fn run(&self, seed: u64, surroundings: usize) -> Result<Fingerprint, String> {
        let result = self.folder.join(format!("{seed}.{surroundings}"));
        let copy = self.folder.join("elsewhere/canary.yaml");
        let path = if surroundings == 2 { copy } else { canary() };
        let mut process = Command::new(env::current_exe().expect("this test's own path"));
        process.args(["--exact", CHILD]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match surroundings {
            0 => {}
            1 => {
                process.env_clear().current_dir("/");
                process.env("TZ", "Asia/Kathmandu").env("LC_ALL", "tr_TR.UTF-8").env("HOME", "/nonexistent");
            }
            _ => {
                process.current_dir(&self.folder).env("RUST_LOG", "trace").env("RUST_BACKTRACE", "full");
                process.envs((0..100).map(|at| (format!("FILLER_{at}"), "x".repeat(200))));
            }
        }
        process.env(TASK, format!("{}\n{seed}\n{}", path.display(), result.display()));
        let status = process.status().map_err(|error| error.to_string())?;
        let text = fs::read_to_string(&result).map_err(|error| format!("{status}, no result: {error}"))?;
        Fingerprint::read(&text).ok_or_else(|| "its result cannot be read".to_owned())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left in the temporary folder hurts nobody.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The one fingerprint of a seed, or the runs that differ.
fn agreed(scenario: &Scenario, place: &Place, seed: u64) -> Result<Fingerprint, String> {
    let first = fingerprint(scenario, seed);
    let again = ("again in this process".to_owned(), Ok(fingerprint(scenario, seed)));
    let fresh = (0..PROCESSES).map(|at| (format!("in fresh process {at}"), place.run(seed, at)));
    for (whose, other) in std::iter::once(again).chain(fresh) {
        let other = other.map_err(|error| format!("seed {seed} {whose}: {error}"))?;
        if let Some(difference) = first.difference(&other) {
            return Err(format!("seed {seed} is different {whose}, first in {difference}"));
        }
    }
    Ok(first)
}

#[test]
fn fifty_seeds_give_the_same_hashes_in_every_process_and_each_its_own() {
    let (scenario, place, next) = (scenario(&canary()), Place::new(), AtomicU64::new(1));
    let work = || {
        let mut runs = Vec::new();
        while let seed @ 1..=SEEDS = next.fetch_add(1, Ordering::Relaxed) {
            runs.push(agreed(&scenario, &place, seed));
        }
        runs
    };
    let workers = thread::available_parallelism().map_or(1, |cores| cores.get().min(8));
    let runs: Vec<_> = thread::scope(|scope| {
        let working: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        working.into_iter().flat_map(|worker| worker.join().expect("no run panics")).collect()
    });
    let wrong: Vec<_> = runs.iter().filter_map(|run| run.as_ref().err()).map(String::as_str).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let seen = |part: fn(&Fingerprint) -> &str| runs.iter().flatten().map(part).collect::<BTreeSet<_>>().len() as u64;
    assert_eq!((seen(|run| &run.decisions), seen(|run| &run.packets)), (SEEDS, SEEDS), "different seeds differ");
}
