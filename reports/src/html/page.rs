//! The page, its head and its scenarios.

use std::fmt::Write;

use super::model::{Evidence, Page};
use super::svg::duration;
use super::{graph, latency, manifests, requests, split, tables, timeline, verdicts};
use crate::escape::markup;
use crate::{RunReport, ScenarioResult, ScenarioVerdict};

/// The page.
pub fn render(page: &Page) -> String {
    let report = &page.report;
    let mut out = String::with_capacity(64 << 10);
    out.push_str("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    out.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    // Nothing is fetched and nothing runs, whatever a user's text says.
    out.push_str(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n",
    );
    let _ = writeln!(out, "<title>{}</title>", markup(&title(report)));
    let _ = writeln!(out, "<style>\n{}</style>\n</head>\n<body>", include_str!("style.css"));
    head(&mut out, page);
    let alone = report.scenarios.len() == 1;
    for (at, scenario) in report.scenarios.iter().enumerate() {
        let evidence = page.evidence.get(at).and_then(Option::as_ref);
        sheet(&mut out, scenario, evidence, at, alone);
    }
    let _ = writeln!(out, "<footer>{} · times are virtual · no script, no network</footer>", markup(&report.tool));
    out.push_str("</body>\n</html>\n");
    out
}

fn title(report: &RunReport) -> String {
    match report.scenarios.as_slice() {
        [only] => format!("{} · {} · wavetank", word(only.verdict), only.name),
        many => {
            let bad = many.iter().filter(|scenario| scenario.verdict != ScenarioVerdict::Pass).count();
            format!("{} of {} scenarios passed · wavetank", many.len() - bad, many.len())
        }
    }
}

fn head(out: &mut String, page: &Page) {
    let scenarios = &page.report.scenarios;
    let bad = scenarios.iter().filter(|scenario| scenario.verdict != ScenarioVerdict::Pass).count();
    let (class, word) = if page.exit == 0 { ("pass", "PASS") } else { ("fail", "FAIL") };
    let checks: usize = scenarios.iter().map(|scenario| scenario.checks.len()).sum();
    let failed: usize = scenarios.iter().map(|scenario| scenario.failures().count()).sum();
    let _ = write!(out, "<header class=\"{class}\"><strong>{word}</strong> ");
    let many = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    if scenarios.len() > 1 {
        let _ = write!(out, "<span>{}, {bad} of them not passed</span> ", many(scenarios.len(), "scenario"));
    }
    let _ = writeln!(
        out,
        "<span>{}, {failed} failed</span> <span>exit code {}</span></header>",
        many(checks, "check"),
        page.exit
    );
    if scenarios.len() > 1 {
        out.push_str("<nav><ul>\n");
        for (at, scenario) in scenarios.iter().enumerate() {
            let _ = writeln!(
                out,
                "<li>{} <a href=\"#s{at}\">{}</a> {}</li>",
                mark(scenario.verdict),
                markup(&scenario.file),
                markup(&scenario.name)
            );
        }
        out.push_str("</ul></nav>\n");
    }
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

fn mark(verdict: ScenarioVerdict) -> &'static str {
    match verdict {
        ScenarioVerdict::Pass => "<b class=\"ok\">✓</b>",
        _ => "<b class=\"bad\">✗</b>",
    }
}

/// One scenario. Of several, those that passed are folded.
fn sheet(out: &mut String, scenario: &ScenarioResult, evidence: Option<&Evidence>, at: usize, alone: bool) {
    let folded = !alone && scenario.verdict == ScenarioVerdict::Pass;
    let _ = writeln!(out, "<details class=\"sheet\" id=\"s{at}\"{}>", if folded { "" } else { " open" });
    let _ = writeln!(
        out,
        "<summary><h1>{} {}</h1> <code>{}</code></summary>",
        mark(scenario.verdict),
        markup(&scenario.name),
        markup(&scenario.file)
    );
    if scenario.decisions_hash.is_some() {
        let _ = writeln!(
            out,
            "<p class=\"facts\">seed {} · {} simulated · Istio <code>{}</code> · {}</p>",
            scenario.seed,
            duration(scenario.simulated_ms as f64),
            markup(&scenario.compat),
            markup(&scenario.target)
        );
    }
    verdicts::render(out, scenario);
    if let Some(evidence) = evidence {
        graph::render(out, &evidence.graph, at);
        timeline::render(out, &evidence.timeline);
        tables::faults(out, &scenario.faults);
        split::render(out, &evidence.splits);
        latency::render(out, &evidence.latencies);
        requests::render(out, &evidence.requests, evidence.requests_total);
        tables::census(out, &evidence.graph);
        manifests::render(out, &evidence.manifests);
        tables::identity(out, scenario);
    }
    out.push_str("</details>\n");
}

/// Begins a section.
pub(super) fn section(out: &mut String, title: &str, lead: &str) {
    let _ = writeln!(out, "<section><h2>{title}</h2>");
    if !lead.is_empty() {
        let _ = writeln!(out, "<p class=\"lead\">{lead}</p>");
    }
}
