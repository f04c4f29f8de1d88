//! The command as a user meets it: exit codes, outputs and what goes where. The mesh is played by a
//! function that answers every request as told.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
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
        tried: vec![Some(endpoint.clone())],
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
        target: crate::target::TargetKind::Tank,
        cast: Default::default(),
        faults: Vec::new(),
        log: ObservationLog::new(Instant::START, entries),
        packets_hash: "ab".repeat(32),
        simulated: Duration::from_millis(1500),
        diagnostics: Vec::new(),
        world_files: BTreeMap::new(),
        book: crate::explain::Book::default(),
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
    command_in(&Surroundings::default(), line, folder, runner)
}

fn command_in(around: &Surroundings, line: &str, folder: &Folder, runner: &Runner<'_>) -> Shown {
    let words = format!("wavetank --no-color {line} {}", folder.0.display());
    let args = with_default_verb(words.split_whitespace().map(OsString::from));
    let Verb::Run(args) = Command::try_parse_from(args).unwrap().verb else { panic!("not a run") };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = run(&args, &platform(), runner, around, &mut out, &mut err).unwrap();
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
    let of = |name: &str| folder.0.join("deep").join(name).display().to_string();
    fs::create_dir_all(folder.0.join("deep")).unwrap();
    let (junit, summary, report) = (of("j.xml"), of("s.md"), of("r.html"));
    let to_file = format!("--json={}", file.display());
    let all = format!("--junit {junit} --summary {summary} --report {report} {to_file}");
    let lines = ["", "-q", "-v", "--json", "--color always", "--fail-fast", "-j 3", &to_file, &all];
    let github = Surroundings { github: true, step_summary: Some(folder.0.join("step.md")), ..Surroundings::default() };
    let narrow = Surroundings { width: Some(50), ci: true, out_is_terminal: true, ..Surroundings::default() };
    let runs = AtomicU64::new(0);
    let shifting = |_: &Scenario, _: u64| Ok(answered(200, runs.fetch_add(1, Ordering::Relaxed)));
    for around in [&Surroundings::default(), &github, &narrow] {
        for line in lines {
            let code = |line: &str, runner: &Runner<'_>| command_in(around, line, &folder, runner).code;
            assert_eq!(code(line, &fine), PASSED, "{line}");
            assert_eq!(code(line, &|_, _| Ok(answered(503, 6))), FAILED, "{line}");
            assert_eq!(code(line, &|_, _| Err(RunError::Scenario("no pod".to_owned()))), INVALID, "{line}");
            assert_eq!(code(&format!("{line} -k nothing-like-it"), &fine), NOTHING, "{line}");
            assert_eq!(code(&format!("{line} --tag none-has-it"), &fine), NOTHING, "{line}");
            assert_eq!(code(&format!("{line} --verify"), &shifting), DIFFERED, "{line}");
            assert_eq!(code(line, &|_, _| Err(RunError::Internal("oops".to_owned()))), INTERNAL, "{line}");
            assert_eq!(code(&format!("{line} no/such/path"), &fine), USAGE, "{line}");
        }
    }
    command(&all, &folder, &|_, _| Ok(answered(503, 6)));
    assert!(fs::read_to_string(junit).unwrap().contains("failures=\"1\""));
    assert!(fs::read_to_string(summary).unwrap().starts_with("### wavetank: 0 passed, 1 failed"));
    let report = fs::read_to_string(report).unwrap();
    assert!(report.contains("<header class=\"fail\">") && report.contains("client → ingress"));
    assert!(fs::read_to_string(file).unwrap().contains("\"verdict\": \"fail\""));
}

#[test]
fn any_number_of_jobs_gives_the_same_bytes() {
    let files: Vec<(String, String)> =
        (0..9).map(|at| (format!("{at}.yaml"), GOOD.replace("well", &format!("well {at}")))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let folder = Folder::new("jobs", &files);
    // One of them fails, and those before it take longer than those after.
    let runner = |scenario: &Scenario, _: u64| {
        let number: u64 = scenario.file.trim_end_matches(".yaml").chars().last().unwrap().to_digit(10).unwrap().into();
        std::thread::sleep(Duration::from_millis(20 - 2 * number));
        Ok(answered(if number == 5 { 503 } else { 200 }, 6))
    };
    let shown = |line: &str| {
        let shown = command(&format!("--json {line}"), &folder, &runner);
        (shown.code, shown.out, shown.err)
    };
    let (one, first) = (shown("-j 1"), shown("-j 1 --fail-fast"));
    assert_eq!(one.0, FAILED);
    assert_eq!(first.1.matches("\"verdict\": \"pass\",\n      \"decisions_hash\"").count(), 5);
    for jobs in [2, 4, 16] {
        assert_eq!(shown(&format!("-j {jobs}")), one);
        assert_eq!(shown(&format!("-j {jobs} --fail-fast")), first);
    }
}

#[test]
fn annotations_keep_out_of_json() {
    let folder = Folder::new("github", &[("a.yaml", GOOD)]);
    let step = folder.0.join("step.md");
    let github = Surroundings { github: true, step_summary: Some(step.clone()), ..Surroundings::default() };
    let failing = |_: &Scenario, _: u64| Ok(answered(503, 6));
    let shown = command_in(&github, "--json", &folder, &failing);
    assert!(serde_json::from_str::<serde_json::Value>(&shown.out).is_ok());
    assert!(shown.err.starts_with("::error file="), "{}", shown.err);
    assert!(command_in(&github, "", &folder, &failing).out.contains("\n::error file="));
    assert_eq!(fs::read_to_string(step).unwrap().matches("### wavetank").count(), 2);
}

#[test]
fn a_tag_chooses_scenarios() {
    let tagged = GOOD.replace("traffic:", "tags: [quick, book]\ntraffic:");
    let folder = Folder::new("tags", &[("a.yaml", GOOD), ("b.yaml", &tagged)]);
    assert!(command("--tag book", &folder, &fine).out.contains("1 scenario, 2 checks"));
    assert!(command("--tag !book", &folder, &fine).out.contains("1 scenario, 2 checks"));
    assert!(command("", &folder, &fine).out.contains("2 scenarios, 4 checks"));
}

#[test]
fn list_shows_scenarios_tags_and_checks() {
    let tagged = GOOD.replace("traffic:", "tags: [quick]\ntraffic:");
    let folder = Folder::new("list", &[("a.yaml", GOOD), ("b.yaml", &tagged)]);
    let listed = |line: &str| {
        let words = format!("wavetank list {line} {}", folder.0.display());
        let Verb::List(args) = Command::try_parse_from(words.split_whitespace()).unwrap().verb else { panic!() };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        (list::list(&args, &mut out, &mut err).unwrap(), String::from_utf8(out).unwrap())
    };
    let (code, out) = listed("--checks");
    assert_eq!(code, PASSED);
    assert!(
        out.contains("b.yaml  all is well  #quick\n    status client -> ingress\n    tls client -> ingress\n"),
        "{out}"
    );
    assert_eq!(listed("--tag quick").1.lines().count(), 1);
    assert_eq!(listed("-k nothing-like-it").0, NOTHING);
    fs::write(folder.0.join("c.yaml"), "scenario: typo\nexpct: []\n").unwrap();
    assert_eq!(listed("").0, INVALID);
}

#[test]
fn pages_about_the_command_are_complete() {
    let help = |word: Option<&str>| {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        (pages::help(word, &mut out, &mut err).unwrap(), String::from_utf8(out).unwrap())
    };
    assert!(help(None).1.contains("Exit codes: 0 all passed"));
    assert!(help(Some("run")).1.contains("--fail-fast"));
    assert!(help(Some("MS0102")).1.starts_with("MS0102: "));
    assert!(help(Some("codes")).1.lines().count() > 40);
    assert_eq!(help(Some("nonsense")).0, USAGE);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let mut out = Vec::new();
        pages::completions(shell.parse().unwrap(), &mut out).unwrap();
        assert!(String::from_utf8(out).unwrap().contains("fail-fast"), "{shell}");
    }
    let mut out = Vec::new();
    assert_eq!(pages::man(None, None, &mut out, &mut Vec::new()).unwrap(), PASSED);
    assert!(String::from_utf8(out).unwrap().contains(".TH wavetank 1"));
    let mut out = Vec::new();
    assert_eq!(pages::man(Some("run"), None, &mut out, &mut Vec::new()).unwrap(), PASSED);
    let page = String::from_utf8(out).unwrap();
    assert!(page.contains(".TH wavetank-run 1") && page.contains("fail\\-fast"), "{page}");
    assert_eq!(pages::man(Some("rnu"), None, &mut Vec::new(), &mut Vec::new()).unwrap(), USAGE);
    let folder = Folder::new("man", &[]);
    pages::man(None, Some(&folder.0), &mut Vec::new(), &mut Vec::new()).unwrap();
    assert!(folder.0.join("wavetank-run.1").exists());
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
    let runs = AtomicU64::new(0);
    let shifting = |_: &Scenario, _: u64| Ok(answered(200, runs.fetch_add(1, Ordering::Relaxed) + 1));
    let differs = command("--verify", &folder, &shifting);
    assert_eq!(differs.code, DIFFERED);
    assert!(differs.err.contains("line 1 of the log") && differs.err.contains("in 0.002000000"), "{}", differs.err);
    let packets = AtomicU64::new(0);
    let repacked = |_: &Scenario, _: u64| {
        let packets_hash = packets.fetch_add(1, Ordering::Relaxed).to_string();
        Ok(RunOutcome { packets_hash, ..answered(200, 6) })
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
    let seen = AtomicU64::new(0);
    let watching = |_: &Scenario, seed: u64| {
        seen.store(seed, Ordering::Relaxed);
        Ok(answered(200, 6))
    };
    let folder = Folder::new("seed", &[("a.yaml", GOOD)]);
    command("", &folder, &watching);
    assert_eq!(seen.load(Ordering::Relaxed), 1);
    let folder = Folder::new("seed7", &[("a.yaml", &format!("{GOOD}seed: 7\n"))]);
    command("", &folder, &watching);
    assert_eq!(seen.load(Ordering::Relaxed), 7);
    command("--seed 3", &folder, &watching);
    assert_eq!(seen.load(Ordering::Relaxed), 3);
    command("--seed random", &folder, &watching);
    assert!(seen.load(Ordering::Relaxed) <= u64::from(u32::MAX));
}
