//! Ctrl-C ends a run with its own exit code.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// Signal 2 in the mask of signals that a process catches.
const SIGINT_BIT: u64 = 1 << 1;

/// Whether the process watches for an interrupt by now.
fn watches(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & SIGINT_BIT != 0)
}

#[test]
fn an_interrupt_ends_a_run_with_130() {
    let file = std::env::temp_dir().join(format!("wavetank-interrupt-{}.yaml", std::process::id()));
    let scenario = "scenario: more requests than anyone waits for\napp: istio-lab\ntraffic: {from: sleep, request: GET httpbin/get, count: 10000000}\nexpect: [{edge: sleep -> httpbin, status: {200: all}}]\n";
    fs::write(&file, scenario).unwrap();
    let mut run = Command::new(env!("CARGO_BIN_EXE_wavetank"))
        .arg("run")
        .arg(&file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while !watches(run.id()) {
        assert!(run.try_wait().unwrap().is_none(), "it ended by itself");
        thread::sleep(Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap().success());
    let ended = run.wait_with_output().unwrap();
    fs::remove_file(&file).unwrap();
    assert_eq!(ended.status.code(), Some(130));
    assert!(ended.stdout.is_empty());
    assert!(String::from_utf8_lossy(&ended.stderr).contains("interrupted"));
}
