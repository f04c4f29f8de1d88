//! Checks and messages: failures first, in the terminal's own text.

use std::fmt::Write;

use super::page::section;
use super::svg::cut;
use crate::escape::markup;
use crate::terminal::{self, Paint};
use crate::{CheckResult, CheckVerdict, Diagnostic, ScenarioResult, Severity};

/// Characters of a file's name.
const FILE_MAX: usize = 32;

/// What was judged, and why it came out so.
pub(super) fn render(out: &mut String, scenario: &ScenarioResult) {
    let of = |severity| scenario.diagnostics.iter().filter(move |found| found.severity == severity);
    if of(Severity::Error).next().is_some() {
        section(out, "What is wrong", "");
        of(Severity::Error).for_each(|found| message(out, found));
        out.push_str("</section>\n");
    }
    if !scenario.checks.is_empty() {
        section(out, "Checks", "");
        checks(out, scenario);
        out.push_str("</section>\n");
    }
    if of(Severity::Warning).next().is_some() {
        section(out, "Warnings", "");
        of(Severity::Warning).for_each(|found| message(out, found));
        out.push_str("</section>\n");
    }
}

fn checks(out: &mut String, scenario: &ScenarioResult) {
    out.push_str("<div class=\"wide\"><table class=\"checks\">\n<thead><tr><td></td><th>edge</th><th>check</th><th>observed</th><th>allowed</th><th>asked at</th></tr></thead>\n<tbody>\n");
    let (bad, good): (Vec<_>, Vec<_>) = scenario.checks.iter().partition(|check| check.verdict.is_failure());
    let mut before = None;
    for check in bad.into_iter().chain(good) {
        let edge = (check.kind == "never", check.edge.as_str());
        row(out, check, before == Some(edge));
        before = Some(edge);
    }
    out.push_str("</tbody></table></div>\n");
}

/// One check; an edge is named by the first of its checks.
fn row(out: &mut String, check: &CheckResult, is_named: bool) {
    let (class, mark) = match check.verdict {
        CheckVerdict::Pass => ("ok", "<b title=\"passed\">✓</b>"),
        CheckVerdict::Fail => ("bad", "<b title=\"failed\">✗</b>"),
        CheckVerdict::Inconclusive => ("bad", "<b title=\"inconclusive\">?</b>"),
        CheckVerdict::NotJudged => ("dim", "<b title=\"not judged\">–</b>"),
    };
    let never = if check.kind == "never" { "never " } else { "" };
    let edge = if is_named { String::new() } else { format!("{never}{}", markup(&check.edge)) };
    let what = check.summary.trim_start_matches("never").trim_start();
    let observed = if check.observed.is_empty() { &check.message } else { &check.observed };
    let power = check.power.as_ref().map(|power| format!("<br><small>{}</small>", markup(power))).unwrap_or_default();
    let _ = writeln!(
        out,
        "<tr class=\"{class}\"><td>{mark}</td><td>{edge}</td><td>{}</td><td>{}{power}</td><td>{}</td><td><code>{}:{}</code></td></tr>",
        markup(what),
        markup(observed),
        markup(&check.allowed),
        markup(&cut(file_name(&check.asked_at.file), FILE_MAX)),
        check.asked_at.line,
    );
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A message as the terminal shows it.
fn message(out: &mut String, found: &Diagnostic) {
    let class = match found.severity {
        Severity::Error => "bad",
        Severity::Warning => "warn",
        Severity::Note => "dim",
    };
    let _ = write!(out, "<pre class=\"message {class}\">");
    for (at, line) in terminal::message(found, Paint::Plain).lines().enumerate() {
        let text = markup(line);
        let under = line.split_once("| ").map(|(gutter, rest)| (gutter.trim().is_empty(), rest.trim_start()));
        match under {
            _ if at == 0 => {
                let _ = writeln!(out, "<b>{text}</b>");
            }
            Some((true, rest)) if rest.starts_with('^') => {
                let _ = writeln!(out, "<i>{text}</i>");
            }
            _ => {
                let _ = writeln!(out, "{text}");
            }
        }
    }
    out.push_str("</pre>\n");
}
