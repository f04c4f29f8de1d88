//! Files that are wrong, as a user meets them: the command ends with code 3, names file, line and column, and says
//! what is wrong in words that can be understood alone.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A folder of files that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, files: &[(&str, Vec<u8>)]) -> Self {
        let folder = std::env::temp_dir().join(format!("wavetank-hostile-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for (file, bytes) in files {
            fs::write(folder.join(file), bytes).unwrap();
        }
        Self(folder)
    }

    /// The exit code and everything that is written of `wavetank ARGS`.
    fn wavetank(&self, args: &[&str]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wavetank"));
        for name in ["GITHUB_ACTIONS", "CLICOLOR_FORCE", "COLUMNS", "RUST_BACKTRACE"] {
            command.env_remove(name);
        }
        let output = command.args(args).current_dir(&self.0).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        assert!(!text.contains("panicked"), "{text}");
        (output.status.code().unwrap(), text)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const SCENARIO: &str = "\
scenario: hostile
compat: \"1.0\"
app: istio-lab
config: [mesh.yaml]
traffic: 10 GET ingress/env
expect:
  - {edge: client -> ingress, status: {404: all}}
";

const MESH: &str = "\
apiVersion: networking.istio.io/v1alpha3
kind: DestinationRule
metadata: {name: service-go}
spec:
  host: service-go
  subsets:
    - {name: v1, labels: {version: v1}}
    - {name: v2, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata: {name: service-go}
spec:
  hosts: [service-go]
  http:
    - route:
        - destination: {host: service-go, subset: v1}
          weight: 70
        - destination: {host: service-go, subset: v2}
          weight: 30
      timeout: 3s
";

/// The mesh with one place changed.
fn mesh(from: &str, to: &str) -> Vec<u8> {
    assert!(MESH.contains(from), "{from}");
    MESH.replacen(from, to, 1).into_bytes()
}

/// Asserts that both verbs refuse the scenario with its `mesh.yaml`, and that each says all of `words`.
fn refused(name: &str, mesh: Vec<u8>, words: &[&str]) {
    let folder = Folder::new(name, &[("scenario.yaml", SCENARIO.into()), ("mesh.yaml", mesh)]);
    for verb in ["check", "run"] {
        let (code, text) = folder.wavetank(&[verb, "scenario.yaml"]);
        assert_eq!(code, 3, "{verb}: {text}");
        for word in words {
            assert!(text.contains(word), "{verb} does not say {word}:\n{text}");
        }
    }
}

#[test]
fn the_files_that_the_others_are_made_of_are_sound() {
    let folder = Folder::new("sound", &[("scenario.yaml", SCENARIO.into()), ("mesh.yaml", MESH.into())]);
    let (code, text) = folder.wavetank(&["check", "scenario.yaml"]);
    assert_eq!((code, text.as_str()), (0, " SOUND  1 scenario, 1 manifest\n"));
}

#[test]
fn a_typo_in_a_field() {
    let words = ["mesh.yaml:20:11", "unknown field `wieght`", "did you mean `weight`?", "^^^^^^"];
    refused("typo", mesh("weight: 30", "wieght: 30"), &words);
}

#[test]
fn a_typo_in_a_scenario() {
    let scenario = SCENARIO.replace("traffic:", "trafic:");
    let folder = Folder::new("key", &[("scenario.yaml", scenario.into()), ("mesh.yaml", MESH.into())]);
    for verb in ["check", "run"] {
        let (code, text) = folder.wavetank(&[verb, "scenario.yaml"]);
        assert_eq!(code, 3, "{text}");
        assert!(text.contains("scenario.yaml:5:1") && text.contains("did you mean `traffic`?"), "{text}");
    }
}

#[test]
fn an_unknown_subset() {
    let files = [("scenario.yaml", SCENARIO.into()), ("mesh.yaml", mesh("subset: v2", "subset: v3"))];
    let folder = Folder::new("subset", &files);
    let (code, text) = folder.wavetank(&["check", "scenario.yaml"]);
    assert_eq!(code, 3, "{text}");
    for word in ["mesh.yaml:19:51", "subset `v3`", "mesh.yaml:3:18", "has `v1`, `v2`"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    // Names of two letters all look alike.
    assert!(!text.contains("did you mean"), "{text}");
    assert_eq!(folder.wavetank(&["check", "scenario.yaml", "--allow", "unknown"]).0, 0);
}

#[test]
fn weights_of_90() {
    refused("weights", mesh("weight: 30", "weight: 20"), &["mesh.yaml:18:19", "the weights are 70 + 20 = 90, not 100"]);
}

#[test]
fn a_duration_without_unit() {
    refused("unit", mesh("timeout: 3s", "timeout: 3"), &["mesh.yaml:21:16", "`3` has no unit; write it like `3s`"]);
}

#[test]
fn a_broken_indent() {
    let wrong = mesh("          weight: 70", "         weight: 70");
    refused("indent", wrong, &["error[MS0001]", "mesh.yaml:18:"]);
}

#[test]
fn an_alias_bomb() {
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (own, of) in ('b'..='m').zip('a'..) {
        bomb += &format!("{own}: &{own} [*{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}]\n");
    }
    refused("bomb", bomb.into(), &["error[MS0002]", "mesh.yaml:6:", "counting what aliases stand for"]);
}

#[test]
fn ten_megabytes() {
    let words = ["it has 10485760 bytes, and at most 8388608 are read"];
    refused("large", "# aaaaaaaaaaaaa\n".repeat(10 << 16).into(), &words);
    let folder = Folder::new("large-alone", &[("mesh.yaml", "# aaaaaaaaaaaaa\n".repeat(10 << 16).into())]);
    let (code, text) = folder.wavetank(&["check", "mesh.yaml"]);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("mesh.yaml:1:1") && text.contains(words[0]), "{text}");
}

#[test]
fn a_missing_file() {
    let folder = Folder::new("missing", &[("scenario.yaml", SCENARIO.into())]);
    for verb in ["check", "run"] {
        let (code, text) = folder.wavetank(&[verb, "scenario.yaml"]);
        assert_eq!(code, 3, "{text}");
        let place = text.contains("scenario.yaml:4:10");
        assert!(place && text.contains("cannot read mesh.yaml: there is no such file"), "{text}");
    }
    let (code, text) = folder.wavetank(&["check", "other.yaml"]);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("cannot read other.yaml: there is no such file"), "{text}");
}

#[test]
fn a_binary_file() {
    let mut binary = b"kind: Service\nmetadata: \xe9\x87\x91".to_vec();
    binary.extend([0xff, 0xfe, 0x00, 0x01]);
    refused("binary", binary.clone(), &["scenario.yaml:4:10", "mesh.yaml:2:12: it is no text"]);
    let folder = Folder::new("binary-alone", &[("mesh.yaml", binary)]);
    let (code, text) = folder.wavetank(&["check", "mesh.yaml"]);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("mesh.yaml:2:12") && text.contains("the byte 0xff here is no UTF-8"), "{text}");
}

#[test]
fn a_folder_in_place_of_a_file() {
    let folder = Folder::new("folder", &[("scenario.yaml", SCENARIO.into())]);
    fs::create_dir(folder.0.join("mesh.yaml")).unwrap();
    for verb in ["check", "run"] {
        let (code, text) = folder.wavetank(&[verb, "scenario.yaml"]);
        assert_eq!(code, 3, "{text}");
        assert!(text.contains("scenario.yaml:4:10") && text.contains("mesh.yaml holds no *.yaml"), "{text}");
    }
    assert_eq!(folder.wavetank(&["check", "mesh.yaml"]).0, 4);
}

#[test]
fn two_hundred_levels_of_nesting() {
    let flow = format!("kind: {}{}\n", "[".repeat(200), "]".repeat(200));
    refused("flow", flow.into(), &["error[MS0002]", "mesh.yaml:1:106", "nested more than 100 deep"]);
    let block: String = (0..200).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    refused("block", block.into(), &["error[MS0002]", "mesh.yaml:101:101", "nested more than 100 deep"]);
    let folder = Folder::new("nested", &[("s.yaml", format!("scenario: {}\n", "[".repeat(200)).into())]);
    let (code, text) = folder.wavetank(&["check", "s.yaml"]);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("nested more than 100 deep"), "{text}");
}

#[test]
fn a_chinese_comment_before_the_error() {
    let wrong = mesh(
        "    - {name: v2, labels: {version: v2}}",
        "    # 金丝雀：第二版\n    - {name: 二, lables: {version: v2}}  # 金",
    );
    let words = ["mesh.yaml:9:17", "unknown field `lables`", "did you mean `labels`?", "  |                  ^^^^^^"];
    refused("chinese", wrong, &words);
}

#[test]
fn every_problem_is_told_at_once() {
    let wrong = MESH
        .replace("name: v2, labels", "name: v1, labels")
        .replace("timeout: 3s", "timeout: 3")
        .replace("weight: 30", "wieght: 30")
        .replace("hosts: [service-go]", "hosts: [service go]");
    let folder = Folder::new("all", &[("scenario.yaml", SCENARIO.into()), ("mesh.yaml", wrong.into())]);
    let (code, text) = folder.wavetank(&["check", "scenario.yaml"]);
    assert_eq!(code, 3, "{text}");
    for place in ["mesh.yaml:8:14", "mesh.yaml:14:11", "mesh.yaml:20:11", "mesh.yaml:21:16"] {
        assert!(text.contains(place), "{place}: {text}");
    }
}

#[test]
fn what_is_denied_fails_and_json_has_the_same_code() {
    let text = SCENARIO.replace("compat: \"1.0\"\n", "");
    let folder = Folder::new("deny", &[("scenario.yaml", text.into()), ("mesh.yaml", MESH.into())]);
    let (code, text) = folder.wavetank(&["check", "scenario.yaml"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("note[MS0210]"), "{text}");
    for args in [&["check", "--deny", "deprecated,weak", "scenario.yaml"][..], &["check", "--deny", "MS0210", "--json"]]
    {
        let args: Vec<&str> =
            args.iter().copied().filter(|arg| *arg != "scenario.yaml").chain(["scenario.yaml"]).collect();
        let (code, text) = folder.wavetank(&args);
        assert_eq!(code, 3, "{text}");
        assert!(text.contains("MS0210"), "{text}");
    }
    assert_eq!(folder.wavetank(&["check", "--deny", "depricated", "scenario.yaml"]).0, 2);
}

/// Both verbs refuse a scenario that includes `part.yaml`, and each says all of `words`.
fn refused_part(name: &str, part: Vec<u8>, words: &[&str]) {
    let scenario = format!("include: part.yaml\n{SCENARIO}");
    let folder =
        Folder::new(name, &[("scenario.yaml", scenario.into()), ("mesh.yaml", MESH.into()), ("part.yaml", part)]);
    for verb in ["check", "run"] {
        let (code, text) = folder.wavetank(&[verb, "scenario.yaml"]);
        assert_eq!(code, 3, "{verb}: {text}");
        for word in words {
            assert!(text.contains(word), "{verb} does not say {word}:\n{text}");
        }
    }
    // A folder's scenarios are looked at with their parts, and the parts not by themselves.
    assert_eq!(folder.wavetank(&["check", "."]).0, 3);
}

#[test]
fn a_part_that_is_wrong_is_told_by_its_own_place() {
    let part = "expect:\n- {status: {20: all}}\n";
    refused_part("part-status", part.into(), &["part.yaml:2:13", "`20` is not a status", "^^"]);
    refused_part("part-key", "trafic: 1 GET a/\n".into(), &["part.yaml:1:1", "did you mean `traffic`?", "trafic: 1"]);
    refused_part(
        "part-binary",
        b"\x7fELF\x02\x01".to_vec(),
        &["scenario.yaml:1:10", "cannot read part.yaml", "is no text"],
    );
    refused_part("part-byte", b"tags: a\n\xff".to_vec(), &["scenario.yaml:1:10", "part.yaml:2:1", "no UTF-8"]);
    refused_part("part-empty", b"".to_vec(), &["scenario.yaml:1:10", "there is nothing in part.yaml"]);
    refused_part("part-list", b"[1]\n".to_vec(), &["part.yaml:1:1", "is a mapping, not a list"]);
    refused_part("part-self", b"include: part.yaml\n".to_vec(), &["part.yaml:1:10", "part.yaml includes part.yaml"]);
    refused_part(
        "part-round",
        b"include: scenario.yaml\n".to_vec(),
        &["part.yaml:1:10", "scenario.yaml includes part.yaml includes scenario.yaml"],
    );
    refused_part(
        "part-gone",
        b"include: [gone.yaml]\n".to_vec(),
        &["part.yaml:1:11", "gone.yaml: there is no such file"],
    );
    refused_part("part-folder", b"include: .\n".to_vec(), &["part.yaml:1:10", "it is a folder"]);
    refused_part("part-twice", b"config: mesh.yaml\n".to_vec(), &["scenario.yaml:5:10", "mesh.yaml is given twice"]);
}

#[test]
fn a_manifest_in_a_part_is_told_by_its_own_place() {
    let part = "config:\n  - |\n    apiVersion: networking.istio.io/v1alpha3\n    kind: Gateway\n    metadata: {name: g}\n    spec: {selector: {istio: ingressgateway}, servrs: []}\n";
    refused_part("part-inline", part.into(), &["part.yaml:6:47", "unknown field `servrs`", "did you mean `servers`?"]);
}

#[test]
fn a_folder_is_searched_for_scenarios_and_not_for_their_parts() {
    let part = "tags: [shared]\nconfig:\n  - |\n    apiVersion: v1\n    kind: Service\n    metadata: {name: other}\n    spec: {ports: [{name: http, port: 80}]}\n";
    let scenario = "scenario: hostile\ncompat: \"1.0\"\napp: istio-lab\ninclude: part.yaml\nconfig: mesh.yaml\n\
        traffic: {from: sleep, request: GET service-go/env, count: 5}\nexpect: {edge: sleep -> service-go, status: {200: all}}\n";
    let files = [("scenario.yaml", scenario.into()), ("mesh.yaml", MESH.into()), ("part.yaml", part.into())];
    let folder = Folder::new("parts", &files);
    assert_eq!(folder.wavetank(&["check", "."]), (0, " SOUND  1 scenario, 2 manifests\n".to_owned()));
    assert_eq!(folder.wavetank(&["list", "."]), (0, "scenario.yaml  hostile  #shared\n".to_owned()));
    assert_eq!(folder.wavetank(&["run", "."]).0, 0);
    assert_eq!(folder.wavetank(&["run", ".", "--tag", "shared", "-k", "status"]).0, 0);
    for verb in ["check", "run"] {
        let (code, text) = folder.wavetank(&[verb, "part.yaml"]);
        assert!(code == 3 && text.contains("part.yaml:1:1") && text.contains("needs the key `scenario`"), "{text}");
    }
}

#[test]
fn what_is_refused_is_still_there_for_the_others() {
    let mesh = "\
apiVersion: v1
kind: Service
metadata: {name: service-go}
spec: {selector: {app: service-go}, externalIPs: [1.2.3.4], ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: service-go}
spec: {host: service-go, subsets: [{name: v1, labels: {version: v1}}], workloadSelector: {}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: service-go}
spec: {hosts: [service-go], http: [{route: [{destination: {host: service-go, subset: v1}}]}]}
";
    let folder = Folder::new("refused", &[("mesh.yaml", mesh.into())]);
    let (code, text) = folder.wavetank(&["check", "mesh.yaml"]);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("mesh.yaml:4:37") && text.contains("mesh.yaml:9:"), "{text}");
    assert!(text.contains("2 errors") && !text.contains("MS0212") && !text.contains("MS0214"), "{text}");
}

#[test]
fn a_name_that_is_near_may_still_be_in_the_cluster() {
    let mesh = "\
apiVersion: v1
kind: Service
metadata: {name: service-go}
spec: {selector: {app: service-go}, ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: service-go}
spec: {hosts: [service-go], http: [{route: [{destination: {host: service-js}}]}]}
";
    let folder = Folder::new("near", &[("mesh.yaml", mesh.into())]);
    let (code, text) = folder.wavetank(&["check", "mesh.yaml"]);
    assert!(code == 0 && text.contains("note[MS0214]"), "{code} {text}");
}
