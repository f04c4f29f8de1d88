//! A live run takes away all that it made, however it ends. Needs root, network namespaces, and the binaries of proxy and
//! control plane beside the command; where `WAVETANK_NETNS` is set they must be there.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// How long a run gets to have its network, and to be gone.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// The command; `None`, and a line that says why, where a live run cannot be.
fn command() -> Option<Command> {
    let wavetank = Path::new(env!("CARGO_BIN_EXE_wavetank"));
    let beside = |name: &str| wavetank.with_file_name(name).is_file();
    let can_unshare = Command::new("unshare").args(["-n", "iptables-save", "-t", "nat"]).stdout(Stdio::null()).status();
    let why = if !can_unshare.is_ok_and(|status| status.success()) {
        "no root, no network namespaces, or no iptables"
    } else if !(beside("wavetank-proxy") && beside("wavetank-control")) {
        "wavetank-proxy and wavetank-control are not built"
    } else {
        let mut command = Command::new(wavetank);
        command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository"));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        return Some(command);
    };
    assert!(std::env::var_os("WAVETANK_NETNS").is_none(), "WAVETANK_NETNS is set, but {why}");
    println!("skipped: {why}");
    None
}

/// The namespaces of a run, and the files that its processes find in /etc.
fn made_by(run: u32) -> Vec<String> {
    let own = |folder: &str| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter(|name| name.starts_with(&format!("wavetank-{run}-"))).collect::<Vec<_>>()
    };
    [own("/run/netns"), own("/etc/netns")].concat()
}

/// Processes of a run: they are in one of its namespaces.
fn processes_of(run: u32) -> usize {
    let folder = format!("wavetank-live-{run}");
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let command_lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    command_lines.filter(|line| String::from_utf8_lossy(line).contains(&folder)).count()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let mut waited = Duration::ZERO;
    while !is_so() {
        assert!(waited < PATIENCE, "{what}");
        sleep(LOOK);
        waited += LOOK;
    }
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

/// A run that was given this signal when its processes were there; returns how it ended.
fn ended_by(mut command: Command, name: &str) -> (u32, Option<i32>) {
    let mut child = command.args(["live", "scenarios/canary.yaml"]).spawn().expect("it starts");
    let run = child.id();
    until("processes are started", || processes_of(run) > 5);
    signal(&child, name);
    let status = child.wait().expect("it ends");
    (run, status.code())
}

#[test]
fn a_run_that_is_interrupted_leaves_nothing() {
    let Some(command) = command() else { return };
    let (run, code) = ended_by(command, "INT");
    assert_eq!(code, Some(130));
    assert_eq!(made_by(run), Vec::<String>::new());
    assert_eq!(processes_of(run), 0);
    assert!(!std::env::temp_dir().join(format!("wavetank-live-{run}")).exists());
}

#[test]
fn a_run_that_is_killed_takes_its_processes_along_and_the_next_one_the_rest() {
    let (Some(command), Some(mut next)) = (self::command(), self::command()) else { return };
    let (run, _) = ended_by(command, "KILL");
    until("its processes are gone", || processes_of(run) == 0);
    assert_ne!(made_by(run), Vec::<String>::new());
    let passed = next.args(["live", "scenarios/ch07-traffic/no-gateway.yaml"]).status().expect("it runs");
    assert!(passed.success());
    assert_eq!(made_by(run), Vec::<String>::new());
    assert!(!std::env::temp_dir().join(format!("wavetank-live-{run}")).exists());
}
