//! The report as JSON.

use crate::RunReport;

/// The report as indented JSON, with a newline at its end.
pub fn render(report: &RunReport) -> String {
    let mut text = serde_json::to_string_pretty(report).expect("a report has only string keys");
    text.push('\n');
    text
}
