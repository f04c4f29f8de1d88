//! Scenarios that must fail do, and their messages name the cause.

use std::path::Path;
use std::process::Command;

/// Exit code and what the output says, of a scenario in `scenarios/failing`.
const ROWS: [(&str, i32, &[&str]); 8] = [
    (
        "fault-without-traffic",
        1,
        &["error[MS0301]: fault `slow` on `service-go` touched nothing", "fault-without-traffic.yaml:6:23"],
    ),
    (
        "killed-without-retries",
        1,
        &[
            "error[MS1002]: status 200 on `service-node -> service-go`",
            "503 × 6",
            "note: all 6 ran under fault `kill` on `service-go@v2`",
            "see:   wavetank explain",
        ],
    ),
    (
        "late-config",
        1,
        &[
            "error[MS1013]: `service-node@v1#0` never took the configuration",
            "late-config.yaml:14:32",
            "note: meanwhile there was fault `partition` on `service-node@v1 <-> control-plane`",
        ],
    ),
    (
        "nobody",
        3,
        &["error[MS0500]: `service-golang` is nobody here", "nobody.yaml:6:20", "there are client, control-plane"],
    ),
    ("own-link-of-nobody", 3, &["error[MS0500]: `service-golang` is nobody here", "own-link-of-nobody.yaml:5:18"]),
    ("post-retried", 1, &["error[MS1006]: 24 of 100 on `shop -> pay`: never POST retried", "post-retried.yaml:11:14"]),
    (
        "rollout-not-aborted",
        1,
        &[
            "error[MS1014]: the steps were not aborted",
            "rollout-not-aborted.yaml:15:6",
            "at most 5.9% were 5xx in any 5s (3 of 51); the abort waits for > 50%",
        ],
    ),
    ("split-off", 1, &["error[MS1001]: traffic split on `service-node -> service-go`", "go-70-30.yaml:28:19"]),
];

/// The others pass, also those in which a pod is still draining when the traffic ends.
#[test]
fn what_was_connected_when_a_restart_began_counts_though_the_traffic_ends_before_it() {
    let file = std::env::temp_dir().join(format!("wavetank-restart-{}.yaml", std::process::id()));
    let scenario = "scenario: a pod is restarted shortly before the end
app: istio-lab
traffic: {request: GET service-go/env, from: sleep, open: 50/s, for: 5s}
faults:
  - {at: 3s, restart: service-go}
expect:
  - {edge: sleep -> service-go, status: {200: all}}
";
    std::fs::write(&file, scenario).expect("a file of ours");
    let run = Command::new(env!("CARGO_BIN_EXE_wavetank")).arg("run").arg(&file).env("NO_COLOR", "1").output();
    std::fs::remove_file(&file).expect("a file of ours");
    let run = run.expect("the command runs");
    assert_eq!(run.status.code(), Some(0), "{}", String::from_utf8_lossy(&run.stdout));
}

#[test]
fn every_failing_scenario_fails_for_its_reason() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/failing");
    let files =
        std::fs::read_dir(&folder).expect("the folder").filter_map(|file| file.ok()?.file_name().into_string().ok());
    assert_eq!(files.filter(|name| name.ends_with(".yaml")).count(), ROWS.len());
    for (name, code, texts) in ROWS {
        let file = folder.join(format!("{name}.yaml"));
        let run = Command::new(env!("CARGO_BIN_EXE_wavetank")).arg("run").arg(&file).env("NO_COLOR", "1").output();
        let run = run.expect("the command runs");
        let said = String::from_utf8_lossy(&run.stdout);
        assert_eq!(run.status.code(), Some(code), "{name}: {said}");
        for text in texts {
            assert!(said.contains(text), "{name} does not say {text:?}: {said}");
        }
    }
}
