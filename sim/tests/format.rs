//! What the scenario format has beside requests and checks, as a user meets it: parts, counts, links, bodies,
//! seeds, an end, and first scenarios.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Exit code and everything that is said.
fn wavetank(folder: &Path, args: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wavetank"));
    for name in ["GITHUB_ACTIONS", "CLICOLOR_FORCE", "COLUMNS", "RUST_BACKTRACE"] {
        command.env_remove(name);
    }
    let output = command.args(args).current_dir(folder).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), text)
}

fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")
}

/// The scenario passes, and says all of `words`.
fn passes(args: &[&str], words: &[&str]) {
    let (code, text) = wavetank(&scenarios(), &[&["run", "-v"], args].concat());
    assert_eq!(code, 0, "{text}");
    for word in words {
        assert!(text.contains(word), "{args:?} does not say {word}:\n{text}");
    }
}

#[test]
fn a_scenario_of_parts_runs_with_all_that_they_ask() {
    let words =
        ["ingress -> service-python           mtls", "split   v1 ", "/2500 = ", "never service-python -> service-go"];
    passes(&["ch07-traffic/fine-canary.yaml"], &words);
    let (code, text) = wavetank(&scenarios(), &["list", "ch07-traffic", "--tag", "shared"]);
    assert_eq!((code, text.lines().count()), (0, 1), "{text}");
    let (code, text) = wavetank(&scenarios(), &["run", "parts"]);
    assert!(code == 4 && text.contains("no scenario matched"), "{text}");
}

#[test]
fn attempts_are_counted_and_a_post_is_tried_once() {
    passes(&["storms/post-once.yaml"], &["split   v1 1849/3765 = 49.1%", "POST, PUT retried  0 of 500"]);
}

#[test]
fn a_narrow_link_holds_up_a_large_body_and_a_client_gives_up() {
    passes(&["storms/narrow-link.yaml"], &["connect timeout", r#"body has "data": "hello""#]);
}

#[test]
fn a_scenario_with_seeds_is_swept_and_ends_in_time() {
    let rollout = "ch07-traffic/first-steps-of-a-rollout.yaml";
    passes(&[rollout], &["seeds 1..3   3 runs", "3 of 3 seeds passed"]);
    // The end comes 32 s after the mesh's start: no step and no request is later.
    passes(&[rollout, "--seed", "2"], &["seed 2   31.9s simulated", "not judged: the run was ended at 30000ms"]);
    let (code, text) = wavetank(&scenarios(), &["run", rollout, "--seed", "2", "--until", "15s"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("   16.") && text.contains("s simulated"), "{text}");
}

/// Scenarios without seeds are run once beside those that have them, and both are in the JSON.
#[test]
fn a_folder_has_scenarios_with_seeds_and_without() {
    let folder = Folder::new("seeds");
    let scenario = "app: istio-lab\ntraffic: {from: sleep, request: GET service-go/env, count: 3}\n\
                    expect: {edge: sleep -> service-go, status: {200: all}}\n";
    fs::write(folder.0.join("a.yaml"), format!("scenario: a\nseeds: 4..5\n{scenario}")).unwrap();
    fs::write(folder.0.join("b.yaml"), format!("scenario: b\n{scenario}")).unwrap();
    let (code, text) = wavetank(&folder.0, &["run", ".", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    let runs = report["scenarios"].as_array().unwrap().iter();
    let runs: Vec<_> = runs.map(|run| (run["name"].as_str().unwrap(), run["seed"].as_u64().unwrap())).collect();
    assert_eq!((code, runs), (0, vec![("b", 1), ("a", 4), ("a", 5)]));
    let (code, text) = wavetank(&folder.0, &["run", "."]);
    assert!(code == 0 && text.contains("2 of 2 seeds passed") && text.contains("PASS  1 scenario, 1 check"), "{text}");
    let (code, text) = wavetank(&folder.0, &["run", ".", "--seed", "4"]);
    assert!(code == 0 && text.contains("PASS  2 scenarios"), "{text}");
    let (code, text) = wavetank(&folder.0, &["sweep", "a.yaml"]);
    assert!(code == 0 && text.contains("seeds 4..5"), "{text}");
    let (code, text) = wavetank(&folder.0, &["sweep", "a.yaml", "--seeds", "7..7"]);
    assert!(code == 0 && text.contains("seeds 7..7"), "{text}");
    fs::write(folder.0.join("c.yaml"), format!("scenario: c\nseed: 1\nseeds: 5..4\nuntil: 0s\n{scenario}")).unwrap();
    let (code, text) = wavetank(&folder.0, &["check", "c.yaml"]);
    assert_eq!(code, 3, "{text}");
    for word in ["c.yaml:3:1", "a seed or seeds, not both", "c.yaml:3:8", "`5..4` is not a range", "c.yaml:4:8"] {
        assert!(text.contains(word), "no {word}: {text}");
    }
}

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("wavetank-format-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const SUBSETS: &str = "\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
    - match: [{uri: {prefix: '/a,b'}}]
      route:
        - {destination: {host: reviews, subset: v1}, weight: 25}
        - {destination: {host: reviews, subset: v2}, weight: 75}
    - route: [{destination: {host: ratings}}]
";

#[test]
fn a_first_scenario_passes_its_check_and_its_run_at_once() {
    let folder = Folder::new("init");
    fs::write(folder.0.join("reviews, all.yaml"), SUBSETS).unwrap();
    assert_eq!(wavetank(&folder.0, &["init"]).0, 0);
    for verb in ["check", "run"] {
        let (code, text) = wavetank(&folder.0, &[verb, "scenario.yaml"]);
        assert_eq!(code, 0, "{verb}: {text}");
    }
    let (code, text) = wavetank(&folder.0, &["init"]);
    assert!(code == 2 && text.contains("already there"), "{text}");

    let lab = Folder::new("init-lab");
    for file in ["go-70-30.yaml", "ingress.yaml"] {
        fs::copy(scenarios().join("manifests").join(file), lab.0.join(file)).unwrap();
    }
    assert_eq!(wavetank(&lab.0, &["init"]).0, 0);
    let (code, text) = wavetank(&lab.0, &["check", "."]);
    assert_eq!(code, 0, "{text}");
}

/// A check sees what a run would refuse: added services are there, and what names nobody is told with its place.
#[test]
fn every_scenario_passes_its_check_and_those_of_nobody_do_not() {
    let (code, text) = wavetank(&scenarios(), &["check", ".", "--allow", "all"]);
    assert_eq!(code, 0, "{text}");
    let rows = [
        ("failing/nobody.yaml", "failing/nobody.yaml:6:20", "`service-golang` is nobody here"),
        ("failing/own-link-of-nobody.yaml", "own-link-of-nobody.yaml:5:18", "`service-golang` is nobody here"),
    ];
    for (file, place, why) in rows {
        let (code, text) = wavetank(&scenarios(), &["check", file]);
        assert!(code == 3 && text.contains(place) && text.contains(why), "{text}");
    }
}
