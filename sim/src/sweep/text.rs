//! A sweep as text.

use std::collections::BTreeSet;

use wavetank_reports::tally::plural;
use wavetank_reports::{CheckResult, CheckVerdict, Diagnostic, RunReport, ScenarioVerdict};

use super::cause::Cause;
use crate::check::Judgement;

/// Seeds of one cause that are told by their numbers.
const SEEDS_MAX: usize = 12;

/// What a sweep found.
#[derive(Debug, Clone)]
pub struct Swept<'a> {
    /// The scenario's file.
    pub file: &'a str,
    /// Its name.
    pub name: &'a str,
    /// First and last seed.
    pub seeds: (u64, u64),
    /// Runs that were made.
    pub runs: usize,
    /// Of them, those that passed.
    pub passed: usize,
    /// Virtual seconds of all runs.
    pub simulated: f64,
    /// The splits over all runs, and the errors of those that did not pass.
    pub pooled: &'a [Judgement],
    /// Why seeds failed.
    pub causes: &'a [Cause],
}

/// The text; `message` renders a diagnostic.
pub fn text(swept: &Swept<'_>, message: &dyn Fn(&Diagnostic) -> String) -> String {
    let (first, last) = swept.seeds;
    let runs = plural(swept.runs, "run");
    let (file, name) = (swept.file, swept.name);
    let mut out = format!(" {file}  {name}   seeds {first}..{last}   {runs}, {:.1}s simulated\n", swept.simulated);
    for split in swept.pooled {
        out.push_str(&pooled(&split.result));
    }
    out.push_str(&format!("   {} of {} seeds passed\n", swept.passed, swept.runs));
    for cause in swept.causes {
        let seeds: Vec<String> = cause.seeds.iter().take(SEEDS_MAX).map(u64::to_string).collect();
        let more = cause.seeds.len().saturating_sub(SEEDS_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let count = cause.seeds.len();
        out.push_str(&format!(
            "\n ✗ {count} of {} seeds ({:.1}%): {}{more}\n",
            swept.runs,
            count as f64 * 100.0 / swept.runs as f64,
            seeds.join(", ")
        ));
        out.push_str(&message(&cause.first));
    }
    for found in swept.pooled.iter().filter_map(|split| split.diagnostic.as_ref()) {
        out.push('\n');
        out.push_str(&message(found));
    }
    out
}

/// The last line of all sweeps together; `exit` is the exit code the command ends with.
pub fn total(report: &RunReport, exit: u8) -> String {
    let scenarios: BTreeSet<&str> = report.scenarios.iter().map(|result| result.file.as_str()).collect();
    let count =
        |verdict: fn(ScenarioVerdict) -> bool| report.scenarios.iter().filter(|result| verdict(result.verdict)).count();
    let failed = count(|verdict| !matches!(verdict, ScenarioVerdict::Pass | ScenarioVerdict::Invalid));
    let invalid = count(|verdict| verdict == ScenarioVerdict::Invalid);
    let runs = report.scenarios.len() - invalid;
    let mut parts = vec![plural(scenarios.len(), "scenario"), plural(runs, "run"), format!("{failed} failed")];
    let pooled =
        report.sweeps.iter().flat_map(|sweep| &sweep.pooled).filter(|check| check.verdict.is_failure()).count();
    if pooled > 0 {
        parts.push(format!("{} of all seeds together failed", plural(pooled, "split")));
    }
    if invalid > 0 {
        parts.push(format!("{invalid} invalid"));
    }
    let word = if exit == 0 { "PASS" } else { "FAIL" };
    let end = if exit == 0 { String::new() } else { format!("   (exit {exit})") };
    format!(" {word}  {}{end}\n", parts.join(", "))
}

fn pooled(split: &CheckResult) -> String {
    let mark = match split.verdict {
        CheckVerdict::Pass => "✓",
        CheckVerdict::Fail => "✗",
        CheckVerdict::Inconclusive => "?",
        CheckVerdict::NotJudged => "-",
    };
    let power = split.power.as_ref().map(|power| format!("  ({power})")).unwrap_or_default();
    format!(
        "   {mark} {}  split, all seeds together   {}  want {}  allowed {}{power}\n",
        split.edge, split.observed, split.expected, split.allowed
    )
}
