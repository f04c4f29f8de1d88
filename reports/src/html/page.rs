//! The page, its head and its scenarios.

use std::fmt::Write;

use super::model::{Evidence, Page};
use super::svg::{cut, duration};
use super::{census, graph, latency, manifests, requests, split, tables, timeline, verdicts};
use crate::escape::markup;
use crate::{ScenarioResult, ScenarioVerdict};

/// Bytes of a page: what has no room is left out, but for what a single scenario showed.
const PAGE_MAX: usize = 950_000;
/// Bytes that are kept for the verdicts of each scenario that is still to come.
const SHEET_MIN: usize = 3500;
/// Scenarios that are shown at most, those that did not pass first.
const SHEETS_MAX: usize = 200;
/// Characters of a name that are shown.
const NAME_MAX: usize = 200;

/// The page.
pub fn render(page: &Page) -> String {
    let report = &page.report;
    let mut out = String::with_capacity(64 << 10);
    out.push_str("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    out.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    out.push_str("<meta name=\"color-scheme\" content=\"light dark\">\n");
    // Nothing is fetched and nothing runs, whatever a user's text says.
    out.push_str(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n",
    );
    let _ = writeln!(out, "<title>{}</title>", markup(&title(page)));
    let _ = writeln!(out, "<style>\n{}</style>\n</head>\n<body>", include_str!("style.css"));
    let order = order(&report.scenarios);
    head(&mut out, page);
    out.push_str("<main>\n");
    if let Some(text) = &page.sweep {
        let _ = writeln!(
            out,
            "<section><h2>All seeds together</h2>\n<pre class=\"message\">{}</pre></section>",
            markup(text)
        );
    }
    contents(&mut out, page, &order);
    for (place, at) in order.iter().enumerate() {
        sheet(&mut out, page, *at, PAGE_MAX.saturating_sub((order.len() - place) * SHEET_MIN));
    }
    left_out(&mut out, report.scenarios.len() - order.len());
    let _ =
        writeln!(out, "</main>\n<footer>{} · times are virtual · no script, no network</footer>", markup(&report.tool));
    out.push_str("</body>\n</html>\n");
    out
}

/// The scenarios that are shown: those that did not pass first, then as they came.
fn order(scenarios: &[ScenarioResult]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scenarios.len()).collect();
    order.sort_by_key(|at| scenarios[*at].verdict == ScenarioVerdict::Pass);
    order.truncate(SHEETS_MAX);
    order
}

fn left_out(out: &mut String, count: usize) {
    if count > 0 {
        let _ = writeln!(out, "<p class=\"lead\">{count} more are left out; <code>--json</code> has all of them.</p>");
    }
}

fn title(page: &Page) -> String {
    let report = &page.report;
    match report.scenarios.as_slice() {
        [only] => format!("{} · {} · wavetank", word(only.verdict), cut(&only.name, NAME_MAX)),
        many => {
            let good = many.iter().filter(|scenario| scenario.verdict == ScenarioVerdict::Pass).count();
            let what = if page.sweep.is_some() { "runs" } else { "scenarios" };
            format!("{} · {good} of {} {what} passed · wavetank", overall(page), many.len())
        }
    }
}

/// The word for the page: of one scenario its own, else by the exit code.
fn overall(page: &Page) -> &'static str {
    match page.report.scenarios.as_slice() {
        [only] if page.sweep.is_none() && (page.exit != 0 || only.verdict != ScenarioVerdict::Pass) => {
            if only.verdict == ScenarioVerdict::Pass { "FAIL" } else { word(only.verdict) }
        }
        _ if page.exit == 0 => "PASS",
        _ => "FAIL",
    }
}

fn head(out: &mut String, page: &Page) {
    let scenarios = &page.report.scenarios;
    let class = if page.exit == 0 { "pass" } else { "fail" };
    let checks: usize = scenarios.iter().map(|scenario| scenario.checks.len()).sum();
    let failed: usize = scenarios.iter().map(|scenario| scenario.failures().count()).sum();
    let many = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    let _ = write!(out, "<header class=\"{class}\"><div><h1>{}</h1> ", overall(page));
    if scenarios.len() > 1 {
        let good = scenarios.iter().filter(|scenario| scenario.verdict == ScenarioVerdict::Pass).count();
        let noun = if page.sweep.is_some() { "run" } else { "scenario" };
        let _ = write!(out, "<span>{good} of {} passed</span> ", many(scenarios.len(), noun));
    }
    if checks > 0 {
        let _ = write!(out, "<span>{}, {failed} failed</span> ", many(checks, "check"));
    }
    let _ = writeln!(out, "<span>exit code {}</span></div></header>", page.exit);
}

/// Every scenario that is shown, to go to.
fn contents(out: &mut String, page: &Page, order: &[usize]) {
    let scenarios = &page.report.scenarios;
    if scenarios.len() < 2 {
        return;
    }
    out.push_str("<nav aria-label=\"scenarios\"><ul>\n");
    for at in order {
        let scenario = &scenarios[*at];
        let seed = if page.sweep.is_some() { format!(" seed {}", scenario.seed) } else { String::new() };
        let _ = writeln!(
            out,
            "<li>{} <a href=\"#s{at}\">{}{seed}</a> {}</li>",
            mark(scenario.verdict),
            markup(&cut(&scenario.file, NAME_MAX)),
            markup(&cut(&scenario.name, NAME_MAX))
        );
    }
    out.push_str("</ul></nav>\n");
    left_out(out, scenarios.len() - order.len());
}

/// The word for a verdict.
fn word(verdict: ScenarioVerdict) -> &'static str {
    match verdict {
        ScenarioVerdict::Pass => "PASS",
        ScenarioVerdict::Fail => "FAIL",
        ScenarioVerdict::Inconclusive => "INCONCLUSIVE",
        ScenarioVerdict::Invalid => "INVALID",
    }
}

fn mark(verdict: ScenarioVerdict) -> String {
    let (class, sign) = match verdict {
        ScenarioVerdict::Pass => ("ok", "✓"),
        ScenarioVerdict::Inconclusive => ("bad", "?"),
        ScenarioVerdict::Fail | ScenarioVerdict::Invalid => ("bad", "✗"),
    };
    format!("<b class=\"{class}\" title=\"{}\">{sign}</b>", word(verdict).to_lowercase())
}

/// One scenario, and what it showed as far as the page then stays below `room` bytes. Of several, those that
/// passed are folded; of a sweep, all.
fn sheet(out: &mut String, page: &Page, at: usize, room: usize) {
    let scenario = &page.report.scenarios[at];
    let alone = page.report.scenarios.len() == 1;
    let folded = !alone && (scenario.verdict == ScenarioVerdict::Pass || page.sweep.is_some());
    let seed = if page.sweep.is_some() { format!(" · seed {}", scenario.seed) } else { String::new() };
    let _ = writeln!(out, "<details class=\"sheet\" id=\"s{at}\"{}>", if folded { "" } else { " open" });
    let _ = writeln!(
        out,
        "<summary><h2>{} {}{seed}</h2> <code>{}</code></summary>",
        mark(scenario.verdict),
        markup(&cut(&scenario.name, NAME_MAX)),
        markup(&cut(&scenario.file, NAME_MAX))
    );
    facts(out, scenario);
    verdicts::render(out, scenario);
    let evidence = page.evidence.get(at).and_then(Option::as_ref);
    if let Some(evidence) = evidence {
        let mut shown = String::new();
        showing(&mut shown, scenario, evidence, at);
        if alone || out.len() + shown.len() <= room {
            out.push_str(&shown);
        } else {
            let alone = format!("{} --report FILE.html", tables::again(scenario));
            let _ = writeln!(
                out,
                "<p class=\"lead\">What it showed is left out, for the page is full: <code>{}</code></p>",
                markup(&alone)
            );
        }
    }
    if scenario.decisions_hash.is_some() {
        tables::identity(out, scenario);
    }
    out.push_str("</details>\n");
}

/// What tells this run from others, and the command that makes it again.
fn facts(out: &mut String, scenario: &ScenarioResult) {
    let Some(hash) = &scenario.decisions_hash else { return };
    let _ = writeln!(
        out,
        "<p class=\"facts\">seed {} · {} simulated · Istio <code>{}</code> · {} · decisions <code>{}</code><br><code class=\"again\">{}</code></p>",
        scenario.seed,
        duration(scenario.simulated_ms as f64),
        markup(&scenario.compat),
        markup(&scenario.target),
        markup(hash.get(..10).unwrap_or(hash)),
        markup(&tables::again(scenario))
    );
}

/// What the run showed.
fn showing(out: &mut String, scenario: &ScenarioResult, evidence: &Evidence, at: usize) {
    graph::render(out, evidence, at);
    timeline::render(out, &evidence.timeline);
    tables::faults(out, &scenario.faults);
    split::render(out, &evidence.splits);
    latency::render(out, &evidence.latencies);
    requests::render(out, &evidence.requests, evidence.requests_total);
    census::render(out, &evidence.graph);
    manifests::render(out, &evidence.manifests);
}

/// Begins a section.
pub(super) fn section(out: &mut String, title: &str, lead: &str) {
    let _ = writeln!(out, "<section><h3>{title}</h3>");
    if !lead.is_empty() {
        let _ = writeln!(out, "<p class=\"lead\">{lead}</p>");
    }
}
