//! What a build of `wavetank` says of a scenario under a seed.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Exit code and broken invariants of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Invariants that the report names.
    pub broken: BTreeSet<String>,
    /// The report's messages.
    pub messages: Vec<String>,
}

impl Verdict {
    /// Runs `scenario` from `root` with the binary `wavetank`.
    ///
    /// # Panics
    /// When it does not start.
    pub fn of(wavetank: &Path, root: &Path, scenario: &str, seed: u64) -> Self {
        let output = Command::new(wavetank)
            .args(["run", scenario, "--seed", &seed.to_string(), "--json"])
            .current_dir(root)
            .output()
            .expect("the build runs");
        let said = String::from_utf8_lossy(&output.stdout);
        let messages = messages(&said).unwrap_or_else(|| vec![String::from_utf8_lossy(&output.stderr).into_owned()]);
        let broken = messages.iter().filter_map(|message| invariant(message)).collect();
        Self { code: output.status.code(), broken, messages }
    }
}

fn messages(report: &str) -> Option<Vec<String>> {
    let report: Value = serde_json::from_str(report).ok()?;
    let found = report["scenarios"].as_array()?.iter().filter_map(|own| own["diagnostics"].as_array()).flatten();
    Some(found.filter_map(|own| Some(format!("{}: {}", own["code"].as_str()?, own["message"].as_str()?))).collect())
}

/// The invariant that a message says is broken.
fn invariant(message: &str) -> Option<String> {
    let told = message.strip_prefix("MS1100: broken: ")?;
    let end = told.find(": ").into_iter().chain(told.find(" (")).min()?;
    Some(told[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_names_the_invariant() {
        let report = r#"{"scenarios": [{"diagnostics": [
            {"code": "MS1100", "message": "broken: a request is answered once (3 times): request r1 (of 2) came twice"},
            {"code": "MS1100", "message": "broken: nothing is left open: one task"},
            {"code": "MS0401", "message": "broken: no"}
        ]}]}"#;
        let named: Vec<_> = messages(report).unwrap().iter().filter_map(|own| invariant(own)).collect();
        assert_eq!(named, ["a request is answered once", "nothing is left open"]);
    }
}
