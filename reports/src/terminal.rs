//! The report as text for a person.
//!
//! Only what the report holds is printed; a wall-clock time appears only where the command put one.

mod diagnostic;
mod paint;
mod total;
mod width;
mod wrap;

use crate::tally::plural;
use crate::{CheckResult, CheckVerdict, Diagnostic, RunReport, ScenarioResult, ScenarioVerdict, Severity};
use paint::Ink;
pub use paint::Paint;
pub use wrap::wrap;

/// How much to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detail {
    /// Failing scenarios and the total.
    Quiet,
    /// Everything of a single scenario; of several, one line for each that passed.
    #[default]
    Normal,
    /// Everything.
    Verbose,
}

/// The column at which seed and simulated time begin, when no name needs more.
const HEADER_COLUMN: usize = 62;
/// The farthest column they move to for the sake of longer names.
const HEADER_COLUMN_MAX: usize = 100;
/// Warnings that a failed scenario shows in full.
const WARNINGS_MAX: usize = 10;
/// Widest edge that still lines up with the others.
const EDGE_WIDTH_MAX: usize = 44;

/// The whole report; `exit` is the exit code the command ends with.
pub fn render(report: &RunReport, detail: Detail, paint: Paint, exit: u8) -> String {
    let mut out = String::new();
    let alone = report.scenarios.len() == 1;
    let column = header_column(&report.scenarios);
    for scenario in &report.scenarios {
        let passed = scenario.verdict == ScenarioVerdict::Pass;
        match detail {
            Detail::Quiet if passed => {}
            Detail::Normal if passed && !alone => one_line(&mut out, scenario, column, paint),
            _ => full(&mut out, scenario, column, paint),
        }
    }
    out.push_str(&total::total(report, paint, exit));
    out
}

/// One message with its lines and carets.
pub fn message(found: &Diagnostic, paint: Paint) -> String {
    let mut out = String::new();
    diagnostic::render(&mut out, found, paint);
    out
}

fn line(out: &mut String, text: &str) {
    out.push_str(text.trim_end());
    out.push('\n');
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn header(scenario: &ScenarioResult, mark: &str, remark: &str, column: usize) -> String {
    let left = format!("{mark} {}  {}{remark}", file_name(&scenario.file), scenario.name);
    if scenario.decisions_hash.is_none() {
        return left;
    }
    // Where it ran on real time, it was not simulated.
    let how = if scenario.target == "tank" { "simulated" } else { &scenario.target };
    let mut right = format!("seed {}   {:.1}s {how}", scenario.seed, scenario.simulated_ms as f64 / 1000.0);
    if let Some(elapsed) = &scenario.elapsed {
        right.push_str(&format!(" in {elapsed}"));
    }
    let gap = column.saturating_sub(width::of(&left)).max(3);
    format!("{left}{}{right}", " ".repeat(gap))
}

/// Where seed and simulated time begin in a list of scenarios.
fn header_column(scenarios: &[ScenarioResult]) -> usize {
    let left = |scenario: &ScenarioResult| {
        let name = format!(" ✓ {}  {}{}   ", file_name(&scenario.file), scenario.name, remark(scenario));
        width::of(&name)
    };
    let widest = if scenarios.len() > 1 { scenarios.iter().map(left).max() } else { None };
    widest.unwrap_or(0).clamp(HEADER_COLUMN, HEADER_COLUMN_MAX)
}

fn remark(scenario: &ScenarioResult) -> String {
    format!("  ({})", plural(scenario.checks.len(), "check"))
}

fn one_line(out: &mut String, scenario: &ScenarioResult, column: usize, paint: Paint) {
    let text = header(scenario, " ✓", &remark(scenario), column);
    line(out, &text.replacen('✓', &paint.ink(Ink::Green, "✓"), 1));
    warnings(out, scenario, paint);
}

fn full(out: &mut String, scenario: &ScenarioResult, column: usize, paint: Paint) {
    line(out, &header(scenario, "", "", column));
    let failed = scenario.verdict != ScenarioVerdict::Pass;
    if !failed {
        for flow in &scenario.flow {
            flow.draw().iter().for_each(|drawn| line(out, &format!("   {drawn}")));
        }
    }
    let shown: Vec<&CheckResult> =
        scenario.checks.iter().filter(|check| !failed || check.verdict != CheckVerdict::Pass).collect();
    check_lines(out, &shown, paint);
    if failed {
        warnings_in_full(out, scenario, paint)
    } else {
        warnings(out, scenario, paint)
    }
    for found in scenario.diagnostics.iter().filter(|found| found.severity == Severity::Error) {
        out.push('\n');
        diagnostic::render(out, found, paint);
    }
    let passed = scenario.checks.iter().filter(|check| check.verdict == CheckVerdict::Pass).count();
    if failed {
        out.push('\n');
        if passed > 0 {
            line(out, &format!("   · {} passed", plural(passed, "other check")));
        }
    }
}

/// One line per check; exact checks that passed on one edge share a line.
fn check_lines(out: &mut String, checks: &[&CheckResult], paint: Paint) {
    let width = checks.iter().map(|check| width::of(&edge_text(check))).max().unwrap_or(0).min(EDGE_WIDTH_MAX);
    let mut at = 0;
    while let Some(first) = checks.get(at) {
        let joins = |check: &CheckResult| check.verdict == CheckVerdict::Pass && check.power.is_none();
        let mut texts = vec![check_text(first)];
        at += 1;
        while joins(first) && checks.get(at).is_some_and(|next| joins(next) && edge_text(next) == edge_text(first)) {
            texts.push(check_text(checks[at]));
            at += 1;
        }
        let pad = " ".repeat(width.saturating_sub(width::of(&edge_text(first))));
        let (ink, mark) = match first.verdict {
            CheckVerdict::Pass => (Ink::Green, "✓"),
            CheckVerdict::Fail => (Ink::Red, "✗"),
            CheckVerdict::Inconclusive => (Ink::Red, "?"),
            CheckVerdict::NotJudged => (Ink::Yellow, "-"),
        };
        line(out, &format!("   {} {}{pad}  {}", paint.ink(ink, mark), edge_text(first), texts.join(" · ")));
    }
}

fn edge_text(check: &CheckResult) -> String {
    if check.kind == "never" { format!("never {}", check.edge) } else { check.edge.clone() }
}

fn check_text(check: &CheckResult) -> String {
    let power = check.power.as_ref().map(|power| format!("  ({power})")).unwrap_or_default();
    match (check.verdict, check.kind.as_str()) {
        (CheckVerdict::Pass, "split") => {
            format!("split   {}  want {}  allowed {}{power}", check.observed, check.expected, check.allowed)
        }
        (CheckVerdict::Pass | CheckVerdict::Fail, "never") => {
            let what = check.summary.trim_start_matches("never").trim_start();
            let gap = if what.is_empty() { "" } else { "  " };
            format!("{what}{gap}{}{power}", check.observed)
        }
        (CheckVerdict::Pass, _) => format!("{}{power}", check.summary),
        (CheckVerdict::NotJudged, _) => format!("{}  not judged: {}", check.summary, check.message),
        (CheckVerdict::Inconclusive, kind) => format!("{kind}   inconclusive: {}", check.message),
        (CheckVerdict::Fail, kind) => {
            let allowed = if check.allowed.is_empty() { String::new() } else { format!("  allowed {}", check.allowed) };
            format!("{kind}   {}  want {}{allowed}", check.observed, check.expected)
        }
    }
}

fn warnings(out: &mut String, scenario: &ScenarioResult, paint: Paint) {
    let all = scenario.diagnostics.iter().filter(|found| found.severity == Severity::Warning);
    all.for_each(|found| warning(out, found, paint));
}

fn warning(out: &mut String, found: &Diagnostic, paint: Paint) {
    let at = format!("{}:{}", found.place.file, found.place.line);
    line(out, &format!("   {} {} {at}  {}", paint.ink(Ink::Yellow, "!"), found.code, found.message));
}

/// The warnings of a scenario that failed, which may be why: in full, but for those that an error shows already and
/// those that are too many.
fn warnings_in_full(out: &mut String, scenario: &ScenarioResult, paint: Paint) {
    let of = |severity: Severity| scenario.diagnostics.iter().filter(move |found| found.severity == severity);
    let is_shown = |found: &&Diagnostic| {
        let mut places = of(Severity::Error).flat_map(|error| &error.related).filter_map(|note| note.place.as_ref());
        places.any(|place| *place == found.place)
    };
    let (brief, full): (Vec<&Diagnostic>, Vec<&Diagnostic>) = of(Severity::Warning).partition(is_shown);
    let more = full.iter().skip(WARNINGS_MAX);
    brief.iter().chain(more).for_each(|found| warning(out, found, paint));
    for found in full.iter().take(WARNINGS_MAX) {
        out.push('\n');
        diagnostic::render(out, found, paint);
    }
}
