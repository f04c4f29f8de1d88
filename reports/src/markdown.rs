//! The report as Markdown, for the summary of a job and for a comment on a change.

use std::fmt::Write;

use crate::escape::markdown;
use crate::tally;
use crate::terminal::{self, Paint};
use crate::{RunReport, ScenarioResult, ScenarioVerdict, Severity, SweepResult};

/// Full messages that are put below the table at most.
const MESSAGES_MAX: usize = 20;

/// The report: a headline, a table of what did not pass, and the messages to unfold.
pub fn render(report: &RunReport) -> String {
    let pooled: Vec<ScenarioResult> = report.sweeps.iter().filter_map(SweepResult::as_scenario).collect();
    let bad: Vec<&ScenarioResult> =
        report.scenarios.iter().chain(&pooled).filter(|scenario| scenario.verdict != ScenarioVerdict::Pass).collect();
    let warned: usize = report.scenarios.iter().map(ScenarioResult::warnings).sum();
    let mut out = String::from("### wavetank: ");
    let _ = write!(out, "{} passed", report.scenarios.len() + pooled.len() - bad.len());
    if !bad.is_empty() {
        let _ = write!(out, ", {} failed", bad.len());
    }
    if warned > 0 {
        let _ = write!(out, ", {warned} {}", if warned == 1 { "warning" } else { "warnings" });
    }
    out.push_str("\n\n");
    if !bad.is_empty() {
        out.push_str("| | scenario | why |\n|-|-|-|\n");
        for scenario in &bad {
            let _ = writeln!(out, "| ✗ | {} | {} |", markdown(&scenario.file), why(scenario));
        }
        out.push('\n');
    }
    messages(&mut out, &bad);
    passed(&mut out, report.scenarios.iter().chain(&pooled));
    out
}

/// The first error, and how many others there are.
fn why(scenario: &ScenarioResult) -> String {
    let mut errors = scenario.diagnostics.iter().filter(|found| found.severity == Severity::Error);
    let Some(first) = errors.next() else { return "nothing was judged".to_owned() };
    let cause = first.related.first().map(|note| {
        let at = note.place.as_ref().map(|place| format!(" ({}:{})", place.file, place.line)).unwrap_or_default();
        format!(": {}{at}", note.message)
    });
    let text = markdown(&format!("{}{}", first.message, cause.unwrap_or_default()));
    match errors.count() {
        0 => text,
        more => format!("{text}; and {more} more"),
    }
}

fn messages(out: &mut String, bad: &[&ScenarioResult]) {
    let errors = bad.iter().flat_map(|scenario| &scenario.diagnostics);
    for found in errors.filter(|found| found.severity == Severity::Error).take(MESSAGES_MAX) {
        let text = terminal::message(found, Paint::Plain);
        // A fence is longer than any run of backticks inside.
        let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
        let fence = "`".repeat(longest.max(2) + 1);
        let _ = writeln!(out, "<details><summary>{} {}</summary>\n", found.code, markdown(&found.place.to_string()));
        let _ = writeln!(out, "{fence}text\n{}{fence}\n\n</details>\n", text);
    }
}

fn passed<'a>(out: &mut String, scenarios: impl Iterator<Item = &'a ScenarioResult>) {
    out.push_str("<details><summary>all scenarios</summary>\n\n| | scenario | checks | seed | trace |\n|-|-|-|-|-|\n");
    for scenario in scenarios {
        let mark = if scenario.verdict == ScenarioVerdict::Pass { "✓" } else { "✗" };
        let mut checks = match scenario.failures().count() {
            0 => vec![scenario.checks.len().to_string()],
            _ => vec![tally::checks(scenario.checks.iter())],
        };
        checks.extend(tally::besides([scenario]));
        let checks = checks.join(", ");
        let hash = scenario.decisions_hash.as_deref().unwrap_or("-");
        let (file, name) = (markdown(&scenario.file), markdown(&scenario.name));
        let hash: String = hash.chars().take(10).collect();
        let _ = writeln!(out, "| {mark} | {file}: {name} | {checks} | {} | {hash} |", scenario.seed);
    }
    out.push_str("\n</details>\n");
}
