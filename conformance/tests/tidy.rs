//! The rules of the house that a compiler does not know, held against the source text: every file says what
//! it is for, the door is the only way out, rooms that must not see each other do not.

use std::fs;
use std::path::{Path, PathBuf};

/// Longest file that one sitting reads; longer ones are listed here with the reason.
const LINES_MAX: usize = 400;
const LONGER: &[(&str, &str)] = &[];

struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The text before its unit tests.
    fn product(&self) -> &str {
        self.text.split("\n#[cfg(test)]\nmod ").next().unwrap_or(&self.text)
    }

    fn is_below(&self, folder: &str) -> bool {
        self.path.starts_with(folder)
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace holds this crate").to_owned()
}

fn sources() -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    for member in ["platform", "re2", "proxy", "control", "sim", "reports", "conformance"] {
        collect(&root, &root.join(member), &mut found);
    }
    assert!(found.len() > 40, "found only {} source files", found.len());
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("a folder of the workspace") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(root, &path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).expect("UTF-8 source");
            let relative = path.strip_prefix(root).expect("below the root");
            found.push(Source { path: relative.to_string_lossy().into_owned(), text });
        }
    }
}

/// All places that break a rule, as `path:line: text`.
fn violations(sources: &[Source], applies: impl Fn(&Source) -> bool, breaks: impl Fn(&str) -> bool) -> Vec<String> {
    let mut broken = Vec::new();
    for source in sources.iter().filter(|source| applies(source)) {
        for (number, line) in source.product().lines().enumerate() {
            let code = line.split("//").next().unwrap_or(line);
            if breaks(code) {
                broken.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    broken
}

fn assert_none(broken: &[String], rule: &str) {
    assert!(broken.is_empty(), "{rule}\n  {}", broken.join("\n  "));
}

fn is_product(source: &Source) -> bool {
    source.path.contains("/src/")
}

#[test]
fn every_file_opens_by_saying_what_it_is_for() {
    let silent: Vec<String> =
        sources().into_iter().filter(|source| !source.text.starts_with("//!")).map(|source| source.path).collect();
    assert_none(&silent, "each file opens with `//!`");
}

#[test]
fn files_are_short_enough_to_read_at_once() {
    let long: Vec<String> = sources()
        .iter()
        .filter(|source| is_product(source) && !LONGER.iter().any(|(path, _)| *path == source.path))
        .filter_map(|source| {
            let lines = source.product().lines().count();
            (lines > LINES_MAX).then(|| format!("{}: {lines} lines before its tests", source.path))
        })
        .collect();
    assert_none(&long, "split the file, or list it in LONGER with the reason");
}

#[test]
fn proxy_and_control_reach_the_world_through_the_platform_alone() {
    let words = [
        "tokio::net",
        "std::net::Tcp",
        "std::net::Udp",
        "SystemTime::now",
        "Instant::now",
        "tokio::spawn",
        "spawn_blocking",
        "std::thread",
        "thread_rng",
        "rand::rng",
        "std::fs",
        "std::env",
        "std::process",
        "getrandom",
        "tonic::transport",
    ];
    let hosts = ["proxy/src/main.rs", "proxy/src/command/", "control/src/main.rs", "control/src/watch.rs"];
    let broken = violations(
        &sources(),
        |source| {
            (source.is_below("proxy/src") || source.is_below("control/src"))
                && !hosts.iter().any(|host| source.path.starts_with(host))
        },
        |code| words.iter().any(|word| code.contains(word)),
    );
    assert_none(&broken, "the world has one door: use `wavetank_platform`");
}

#[test]
fn only_the_engine_names_turmoil() {
    let broken = violations(
        &sources(),
        |source| is_product(source) && !source.is_below("sim/src/engine"),
        |code| code.contains("turmoil_net") || code.contains("turmoil::"),
    );
    assert_none(&broken, "only sim/src/engine names turmoil");
}

#[test]
fn proxy_and_control_never_see_each_other() {
    let all = sources();
    let mut broken = violations(&all, |s| s.is_below("proxy"), |code| code.contains("wavetank_control"));
    broken.extend(violations(&all, |s| s.is_below("control"), |code| code.contains("wavetank_proxy")));
    broken.extend(violations(
        &all,
        |s| s.is_below("platform") || s.is_below("re2") || s.is_below("reports"),
        |code| code.contains("wavetank_proxy") || code.contains("wavetank_control") || code.contains("wavetank::"),
    ));
    assert_none(&broken, "the wire is the contract between proxy and control; platform, re2 and reports know neither");
}

#[test]
fn checks_read_the_log_and_never_the_world() {
    let broken = violations(
        &sources(),
        |source| source.is_below("sim/src/check"),
        |code| ["crate::world", "crate::engine", "crate::traffic", "wavetank_proxy"].iter().any(|w| code.contains(w)),
    );
    assert_none(&broken, "a checker cannot steer");
}

#[test]
fn decisions_are_not_async() {
    let rooms = [
        "proxy/src/route",
        "proxy/src/cluster",
        "proxy/src/snapshot",
        "proxy/src/xds/decode",
        "control/src/config",
        "control/src/validate",
        "control/src/model",
        "control/src/generate",
    ];
    let broken = violations(
        &sources(),
        |source| rooms.iter().any(|room| source.is_below(room)),
        |code| code.contains("async ") || code.contains(".await"),
    );
    assert_none(&broken, "these rooms decide; they do not wait");
}

#[test]
fn select_is_biased() {
    let mut broken = Vec::new();
    for source in sources() {
        for (at, _) in source.text.match_indices(concat!("select", "! {")) {
            let next = source.text[at..].lines().nth(1).unwrap_or_default().trim();
            if next != "biased;" {
                broken.push(format!("{}: {next}", source.path));
            }
        }
    }
    assert_none(&broken, "an unbiased select draws its branch from a source that no seed reaches");
}

#[test]
fn nothing_is_chosen_by_cfg() {
    let broken = violations(
        &sources(),
        |source| is_product(source) && !source.is_below("platform/src/linux"),
        |code| (code.contains("cfg(") || code.contains("cfg!(")) && !code.contains("cfg(test)"),
    );
    assert_none(&broken, "what the tank tests is what ships: no cfg");
}

#[test]
fn nothing_is_left_for_later() {
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!("), concat!("unimplemented", "!(")];
    let broken = violations(&sources(), |_| true, |code| words.iter().any(|word| code.contains(word)));
    assert_none(&broken, "finish it or leave it out");
}
