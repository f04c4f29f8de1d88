//! The last line of a report.

use super::paint::{Ink, Paint};
use crate::tally::{self, plural};
use crate::{RunReport, ScenarioResult, ScenarioVerdict};

/// How many scenarios and checks there were, and what became of them.
pub(super) fn total(report: &RunReport, paint: Paint, exit: u8) -> String {
    let scenarios = &report.scenarios;
    let passed = exit == 0;
    let mut parts = vec![plural(scenarios.len(), "scenario")];
    let failed = scenarios.iter().filter(|scenario| scenario.verdict != ScenarioVerdict::Pass).count();
    if scenarios.len() > 1 && failed > 0 {
        parts.push(format!("{failed} of them failed"));
    }
    parts.push(tally::checks(scenarios.iter().flat_map(|scenario| &scenario.checks)));
    parts.extend(tally::besides(scenarios));
    let invalid = scenarios.iter().filter(|scenario| scenario.verdict == ScenarioVerdict::Invalid).count();
    if invalid > 0 {
        parts.push(format!("{invalid} invalid"));
    }
    let warned: usize = scenarios.iter().map(ScenarioResult::warnings).sum();
    if warned > 0 {
        parts.push(plural(warned, "warning"));
    }
    let word = if passed { paint.ink(Ink::Green, "PASS") } else { paint.ink(Ink::Red, "FAIL") };
    let mut text = format!(" {word}  {}", parts.join(", "));
    if let [only] = scenarios.as_slice()
        && let Some(hash) = &only.decisions_hash
    {
        text.push_str(&format!("   trace {}", hash.chars().take(10).collect::<String>()));
    }
    if !passed {
        text.push_str(&format!("   (exit {exit})"));
    }
    text.push('\n');
    text
}
