//! The decisions hash of every scenario under `scenarios/` is the one pinned in `hashes.yaml`: nobody changes
//! what the mesh decides without saying so.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use wavetank::cli::find::find;
use wavetank::scenario::load;
use wavetank_conformance::fingerprint::fingerprint;

const SEED: u64 = 1;
const HEAD: &str = "\
# The decisions hash of every scenario with seed 1. They change only by a commit whose message says why.
# Rewritten by: WAVETANK_BLESS=1 cargo test -p wavetank-conformance --test pinned_hashes
";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every scenario, by its path from the root with `/`, and its decisions hash.
fn computed() -> BTreeMap<String, String> {
    let folder = root().join("scenarios");
    let files = Mutex::new(find(std::slice::from_ref(&folder)).expect("scenarios"));
    let work = || {
        let mut hashes = Vec::new();
        loop {
            let Some(file) = files.lock().expect("no worker panics here").pop() else { return hashes };
            let scenario = load(&file).unwrap_or_else(|wrong| panic!("{wrong:#?}"));
            let name = file.strip_prefix(root()).expect("below the root").to_string_lossy().replace('\\', "/");
            hashes.push((name, fingerprint(&scenario, SEED).decisions));
        }
    };
    let workers = thread::available_parallelism().map_or(1, |cores| cores.get().min(8));
    thread::scope(|scope| {
        let working: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        working.into_iter().flat_map(|worker| worker.join().expect("no run panics")).collect()
    })
}

fn pinned(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(": ")).map(|(file, hash)| (file.to_owned(), hash.to_owned())).collect()
}

#[test]
fn every_scenario_decides_what_is_pinned() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("hashes.yaml");
    let now = computed();
    assert!(now.len() >= 10, "{} scenarios", now.len());
    if env::var_os("WAVETANK_BLESS").is_some_and(|bless| bless == "1") {
        let lines: String = now.iter().map(|(file, hash)| format!("{file}: {hash}\n")).collect();
        fs::write(&path, format!("{HEAD}{lines}")).expect("hashes.yaml is written");
        return;
    }
    let before = pinned(&fs::read_to_string(&path).unwrap_or_default());
    let mut changes = String::new();
    for file in before.keys().chain(now.keys().filter(|file| !before.contains_key(*file))) {
        let shown = |hashes: &BTreeMap<String, String>| hashes.get(file).map_or("nothing", String::as_str).to_owned();
        let (was, is) = (shown(&before), shown(&now));
        if was != is {
            writeln!(changes, "  {file}\n    pinned {was}\n    is     {is}").expect("a string takes everything");
        }
    }
    assert!(
        changes.is_empty(),
        "the mesh decides otherwise than conformance/hashes.yaml says:\n{changes}\
         See what changed by running the scenario at the last commit and now (`--json`, `--verbose`). If it is \
         meant, run\n    WAVETANK_BLESS=1 cargo test -p wavetank-conformance --test pinned_hashes\n\
         and commit hashes.yaml with a message that says why. If it is not, it is a bug of the change."
    );
}
