//! The command's outputs where the world is not kind: files that cannot be written, a full disk, names that a shell
//! would take apart, words that are almost a command.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A folder with a scenario that goes away with the test.
struct Folder(PathBuf);

const SCENARIO: &str = "scenario: a split that is not so
app: istio-lab
traffic: {from: service-node, request: GET service-go/env, count: 300}
expect:
  - {edge: service-node -> service-go, split: {v1: 100, v2: 0}}
";

impl Folder {
    fn new(name: &str, scenario: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("wavetank-outputs-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("s.yaml"), scenario).unwrap();
        Self(folder)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wavetank"));
        command.args(words).current_dir(&self.0);
        command
    }

    /// Exit code, standard output, standard error.
    fn wavetank(&self, words: &[&str]) -> (Option<i32>, String, String) {
        let output = self.command(words).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_file_that_cannot_be_written_is_found_before_the_run() {
    let folder = Folder::new("unwritable", SCENARIO);
    let absolute = folder.0.join("typo/out.html").display().to_string();
    for words in [["--report", &absolute], ["--junit", "s.yaml/out.xml"], ["--summary", "."]] {
        let (code, out, err) = folder.wavetank(&["run", "s.yaml", words[0], words[1]]);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{words:?}");
        assert!(err.contains("cannot write") && err.contains("nothing was run"), "{err}");
    }
    assert!(!folder.0.join("typo").exists());
}

#[test]
fn missing_folders_of_a_relative_path_are_made() {
    let folder = Folder::new("relative", SCENARIO);
    assert_eq!(folder.wavetank(&["run", "s.yaml", "--junit", "out/deep/j.xml"]).0, Some(1));
    assert!(fs::read_to_string(folder.0.join("out/deep/j.xml")).unwrap().contains("failures=\"1\""));
}

#[test]
fn a_file_that_fails_at_last_loses_no_result() {
    let folder = Folder::new("full-file", SCENARIO);
    let (code, out, err) = folder.wavetank(&["run", "s.yaml", "--junit", "/dev/full", "--summary", "s.md"]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("cannot write /dev/full: No space left"), "{err}");
    assert!(out.contains("error[MS1001]") && folder.0.join("s.md").exists(), "{out}");
}

#[test]
fn a_full_disk_is_no_fault_of_ours() {
    let folder = Folder::new("full", SCENARIO);
    for words in [&["run", "s.yaml"][..], &["completions", "bash"], &["schema"], &["man"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = folder.command(words).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{words:?}: {err}");
        assert!(err.contains("No space left"), "{err}");
    }
}

#[test]
fn commands_that_are_shown_can_be_copied() {
    let folder = Folder::new("quotes", SCENARIO);
    let name = "it's a canary.yaml";
    fs::write(folder.0.join(name), SCENARIO).unwrap();
    let (code, out, _) = folder.wavetank(&["run", name]);
    assert_eq!(code, Some(1));
    let again = out.lines().find_map(|line| line.split_once("again: wavetank ")).expect("a command").1;
    let line = format!("{} {again}", env!("CARGO_BIN_EXE_wavetank"));
    let status = Command::new("sh").args(["-c", &line]).current_dir(&folder.0).stdout(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(1), "{line}");
}

#[test]
fn a_word_that_is_almost_a_command_is_told() {
    let folder = Folder::new("words", SCENARIO);
    let (code, _, err) = folder.wavetank(&["chek"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("did you mean `wavetank check`?"), "{err}");
    assert!(!folder.wavetank(&["run", "elsewhere/x.yaml"]).2.contains("did you mean"));
    let (code, _, err) = folder.wavetank(&["run", "s.yaml", "-k", "zzz"]);
    assert_eq!((code, err.as_str()), (Some(4), "wavetank: no check matched `zzz`\n"));
}

#[test]
fn a_sweep_tells_what_all_seeds_show_together() {
    // Too few requests for one run to see the shift, which all together do.
    let scenario = "scenario: a split that is slightly off
app: istio-lab
traffic: {from: service-node, request: GET service-go/env, count: 300}
expect:
  - {edge: service-node -> service-go, split: {v1: 56, v2: 44}}
";
    let folder = Folder::new("sweep", scenario);
    let (code, out, _) = folder.wavetank(&["run", "s.yaml", "--seeds", "1..12", "--verify"]);
    assert_eq!(code, Some(1), "{out}");
    for wanted in [
        "12 of 12 seeds passed",
        "error[MS1001]: all seeds together: traffic split on `service-node -> service-go`",
        " --> s.yaml:5:40",
        "again: wavetank run s.yaml --seeds 1..12 -k 'service-node -> service-go'",
        " SAME  s.yaml  12 seeds, two runs each",
        " FAIL  1 scenario, 12 runs, 0 failed, 1 split of all seeds together failed   (exit 1)\n",
    ] {
        assert!(out.contains(wanted), "{wanted}\n{out}");
    }
    let (_, json, _) = folder.wavetank(&["run", "s.yaml", "--seeds", "1..12", "--json", "--junit", "j.xml"]);
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    let sweep = &report["sweeps"][0];
    assert_eq!((&sweep["runs"], &sweep["passed"]), (&12.into(), &12.into()));
    assert_eq!((&sweep["pooled"][0]["verdict"], &sweep["diagnostics"][0]["code"]), (&"fail".into(), &"MS1001".into()));
    assert!(fs::read_to_string(folder.0.join("j.xml")).unwrap().contains("failures=\"1\""));
}

#[test]
fn explain_tells_its_exit_code_and_what_it_leaves_out() {
    let folder = Folder::new("explain", "scenario: s\nexpct: []\n");
    let (code, _, err) = folder.wavetank(&["explain", "s.yaml"]);
    assert_eq!(code, Some(3));
    assert!(err.contains("(exit 3)"), "{err}");
    let failing = "scenario: s
app: istio-lab
traffic: {from: sleep, request: GET service-go/nowhere, count: 8}
expect: [{edge: sleep -> service-go, status: {404: all}}]
";
    let folder = Folder::new("explain-failed", failing);
    let (code, out, _) = folder.wavetank(&["explain", "s.yaml", "--failed"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("… and 3 more failed, the next is r6: wavetank explain s.yaml r6 --seed 1\n"), "{out}");
    let (code, _, err) = folder.wavetank(&["explain", "s.yaml", "--at", "900s", "sleep"]);
    assert_eq!(code, Some(0));
    assert!(err.starts_with("wavetank: the run ended by "), "{err}");
    assert!(!folder.wavetank(&["explain", "s.yaml", "--at", "0s", "sleep"]).2.contains("the run ended"));
}

#[test]
fn an_empty_manifest_is_noted() {
    let folder = Folder::new("empty", &format!("{SCENARIO}config: [e.yaml]\n"));
    fs::write(folder.0.join("e.yaml"), "# rendered to nothing\n").unwrap();
    let (code, out, _) = folder.wavetank(&["check", "s.yaml"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("note[MS0303]: this manifest holds no object\n --> e.yaml:1:1"), "{out}");
}
