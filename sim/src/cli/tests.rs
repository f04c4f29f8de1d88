//! The command as a user meets it: exit codes, outputs and what goes where. The mesh is played by a
//! function that answers every request as told.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use wavetank_platform::{Instant, Platform};

use super::args::{Command, Verb, with_default_verb};
use super::run::{Runner, run};
use super::*;
use crate::observe::{Call, Decision, Endpoint, Hop, Observation, ObservationLog, Party, Service, Tls};
use crate::scenario::Scenario;
use crate::target::{RunError, RunOutcome};

/// A folder of scenarios that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let folder = std::env::temp_dir().join(format!("wavetank-cli-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for (file, text) in files {
            fs::write(folder.join(file), text).unwrap();
        }
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const GOOD: &str = "scenario: all is well\ntraffic: 50 GET ingress/env\nexpect:\n  - edge: client -> ingress\n    status: {200: all}\n  - edge: client -> ingress\n    tls: plaintext\n";

fn answered(status: u16, latency: u64) -> RunOutcome {
    let call = |number: u64| Call {
        at: Instant::from_start(Duration::from_millis(number)),
        traffic: "traffic/1".into(),
        request: format!("r{number}").into(),
        source: Party::client(),
        destination: Service::host("ingress"),
        target: "GET /env".into(),
        status,
        failure: None,
        body: "".into(),
        latency: Duration::from_millis(latency),
    };
    let endpoint =
        Endpoint { workload: "ingress".into(), version: None, pod: Some(0), address: ([10, 0, 0, 9], 80).into() };
    let hop = |call: Call| Hop {
        at: call.at,
        traffic: Some(call.traffic),
        request: call.request,
        source: call.source,
        destination: call.destination,
        target: call.target,
        first_endpoint: Some(endpoint.clone()),
        endpoint: Some(endpoint.clone()),
        status,
        failure: None,
        flags: Vec::new(),
        details: "via_upstream".into(),
        tls: Some(Tls::Plaintext),
        attempts: 1,
        latency: call.latency,
        decision: Decision::default(),
    };
    let calls = (1..=50).map(call);
    let entries = calls.flat_map(|call| [Observation::Hop(hop(call.clone())), Observation::Call(call)]).collect();
    RunOutcome {
        log: ObservationLog::new(Instant::START, entries),
        packets_hash: "ab".repeat(32),
        simulated: Duration::from_millis(1500),
        diagnostics: Vec::new(),
        world_files: BTreeMap::new(),
    }
}

struct Shown {
    code: u8,
    out: String,
    err: String,
}

fn platform() -> Platform {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { wavetank_platform::linux::platform() }).unwrap()
}

fn command(line: &str, folder: &Folder, runner: &Runner<'_>) -> Shown {
    let words = format!("wavetank --no-color {line} {}", folder.0.display());
    let args = with_default_verb(words.split_whitespace().map(OsString::from));
    let Verb::Run(args) = Command::try_parse_from(args).unwrap().verb else { panic!("not a run") };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = run(&args, &platform(), runner, &mut out, &mut err).unwrap();
    Shown { code, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
}

fn fine(_: &Scenario, _: u64) -> Result<RunOutcome, RunError> {
    Ok(answered(200, 6))
}

#[test]
fn exit_codes_tell_what_happened() {
    let folder = Folder::new("codes", &[("a.yaml", GOOD), ("manifest.yaml", "kind: Gateway\n")]);
    assert_eq!(command("", &folder, &fine).code, PASSED);
    assert_eq!(command("", &folder, &|_, _| Ok(answered(503, 6))).code, FAILED);
    assert_eq!(command("-k nothing-like-it", &folder, &fine).code, NOTHING);
    assert_eq!(command("", &folder, &|_, _| Err(RunError::Scenario("no pod".to_owned()))).code, INVALID);
    assert_eq!(command("", &folder, &|_, _| Err(RunError::NotConverged("x".to_owned()))).code, FAILED);
    assert_eq!(command("no/such/path", &folder, &fine).code, USAGE);
    let broken = command("--seed 9", &folder, &|_, _| Err(RunError::Internal("oops".to_owned())));
    assert_eq!(broken.code, INTERNAL);
    assert!(broken.err.contains("seed 9: oops"), "{}", broken.err);
}

#[test]
fn exit_codes_are_the_same_for_every_output() {
    let folder = Folder::new("outputs", &[("a.yaml", GOOD)]);
    let file = folder.0.join("out.json");
    for line in ["", "-q", "-v", "--json", &format!("--json={}", file.display())] {
        assert_eq!(command(line, &folder, &fine).code, PASSED, "{line}");
        assert_eq!(command(line, &folder, &|_, _| Ok(answered(503, 6))).code, FAILED, "{line}");
    }
    assert!(fs::read_to_string(file).unwrap().contains("\"verdict\": \"fail\""));
}

#[test]
fn an_invalid_scenario_is_told_beside_those_that_ran() {
    let folder = Folder::new("invalid", &[("a.yaml", GOOD), ("b.yaml", "scenario: typo\nexpct: []\n")]);
    let shown = command("", &folder, &fine);
    assert_eq!(shown.code, INVALID);
    assert!(shown.out.contains("✓ a.yaml") && shown.out.contains("did you mean `expect`?"), "{}", shown.out);
}

#[test]
fn json_alone_is_on_standard_output() {
    let folder = Folder::new("json", &[("a.yaml", GOOD)]);
    let shown = command("--json --seed 5", &folder, &fine);
    let report: serde_json::Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!(report["version"], 1);
    assert_eq!((&report["scenarios"][0]["seed"], &report["scenarios"][0]["verdict"]), (&5.into(), &"pass".into()));
    assert_eq!(report["scenarios"][0]["checks"][1]["kind"], "tls");
    assert_eq!(shown.err, "");
}

#[test]
fn verify_finds_the_first_line_that_differs() {
    let folder = Folder::new("verify", &[("a.yaml", GOOD)]);
    let same = command("--verify", &folder, &fine);
    assert_eq!(same.code, PASSED);
    assert!(same.out.contains("two runs, decisions"), "{}", same.out);
    let runs = Cell::new(0);
    let shifting = |_: &Scenario, _: u64| {
        runs.set(runs.get() + 1);
        Ok(answered(200, runs.get()))
    };
    let differs = command("--verify", &folder, &shifting);
    assert_eq!(differs.code, DIFFERED);
    assert!(differs.err.contains("line 1 of the log") && differs.err.contains("in 0.002000000"), "{}", differs.err);
    let packets = Cell::new(0);
    let repacked = |_: &Scenario, _: u64| {
        packets.set(packets.get() + 1);
        Ok(RunOutcome { packets_hash: packets.get().to_string(), ..answered(200, 6) })
    };
    assert_eq!(command("--verify", &folder, &repacked).code, DIFFERED);
}

#[test]
fn a_filter_chooses_checks_by_kind_and_edge() {
    let folder = Folder::new("filter", &[("a.yaml", GOOD)]);
    assert!(command("-k tls", &folder, &fine).out.contains("1 scenario, 1 check"));
    assert!(command("-k !tls", &folder, &fine).out.contains("1 scenario, 1 check"));
    assert!(command("-k well", &folder, &fine).out.contains("1 scenario, 2 checks"));
}

#[test]
fn a_panic_of_ours_is_a_fault_of_ours() {
    let folder = Folder::new("panic", &[("a.yaml", GOOD)]);
    let shown = command("", &folder, &|_, _| panic!("a broken invariant"));
    assert_eq!(shown.code, INTERNAL);
    assert!(shown.err.contains("a broken invariant"), "{}", shown.err);
}

#[test]
fn the_seed_is_the_commands_else_the_scenarios_else_one() {
    let seen = Cell::new(0);
    let watching = |_: &Scenario, seed: u64| {
        seen.set(seed);
        Ok(answered(200, 6))
    };
    let folder = Folder::new("seed", &[("a.yaml", GOOD)]);
    command("", &folder, &watching);
    assert_eq!(seen.get(), 1);
    let folder = Folder::new("seed7", &[("a.yaml", &format!("{GOOD}seed: 7\n"))]);
    command("", &folder, &watching);
    assert_eq!(seen.get(), 7);
    command("--seed 3", &folder, &watching);
    assert_eq!(seen.get(), 3);
    command("--seed random", &folder, &watching);
    assert!(seen.get() <= u64::from(u32::MAX));
}
