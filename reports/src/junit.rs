//! The report as JUnit XML: a suite for each scenario, a test case for each check.
//!
//! Times are virtual, so that equal runs give equal bytes.

use std::fmt::Write;

use crate::escape::markup;
use crate::terminal::{self, Paint};
use crate::{CheckResult, CheckVerdict, Diagnostic, RunReport, ScenarioResult, ScenarioVerdict, Severity, SweepResult};

/// The report as one XML document.
pub fn render(report: &RunReport) -> String {
    let pooled: Vec<ScenarioResult> = report.sweeps.iter().filter_map(SweepResult::as_scenario).collect();
    let suites: Vec<Suite<'_>> = report.scenarios.iter().chain(&pooled).map(Suite::of).collect();
    let sum = |count: fn(&Suite<'_>) -> usize| suites.iter().map(count).sum::<usize>();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let (tests, failures) = (sum(|suite| suite.cases.len()), sum(|suite| suite.count("failure")));
    let (errors, skipped) = (sum(|suite| suite.count("error")), sum(|suite| suite.count("skipped")));
    let _ = writeln!(
        out,
        "<testsuites name=\"{}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\">",
        markup(&report.tool)
    );
    suites.iter().for_each(|suite| suite.write(&mut out));
    out.push_str("</testsuites>\n");
    out
}

struct Suite<'a> {
    scenario: &'a ScenarioResult,
    cases: Vec<Case>,
}

/// One test case; `outcome` is the element that says what went wrong, its type, its headline and its text.
struct Case {
    name: String,
    line: u32,
    outcome: Option<(&'static str, String, String, String)>,
}

impl<'a> Suite<'a> {
    fn of(scenario: &'a ScenarioResult) -> Self {
        let mut cases: Vec<Case> = scenario.checks.iter().map(|check| of_check(scenario, check)).collect();
        // What has no check to fail: an invalid scenario, a mesh that never came up.
        let failed = matches!(scenario.verdict, ScenarioVerdict::Fail | ScenarioVerdict::Invalid);
        if failed && scenario.failures().next().is_none() {
            let errors = scenario.diagnostics.iter().filter(|found| found.severity == Severity::Error);
            cases.extend(errors.map(|found| Case {
                name: format!("{} {}", found.code, found.place),
                line: found.place.line,
                outcome: Some(("error", found.code.clone(), found.message.clone(), text(found))),
            }));
        }
        if cases.is_empty() {
            let outcome = ("skipped", String::new(), "nothing was judged".to_owned(), String::new());
            cases.push(Case { name: scenario.name.clone(), line: 1, outcome: Some(outcome) });
        }
        Self { scenario, cases }
    }

    fn count(&self, element: &str) -> usize {
        self.cases.iter().filter(|case| case.outcome.as_ref().is_some_and(|found| found.0 == element)).count()
    }

    fn write(&self, out: &mut String) {
        let scenario = self.scenario;
        let (file, seconds) = (markup(&scenario.file), scenario.simulated_ms as f64 / 1000.0);
        let _ = writeln!(
            out,
            "  <testsuite name=\"{}\" file=\"{file}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{seconds:.3}\">",
            markup(&format!("{}: {}", scenario.file, scenario.name)),
            self.cases.len(),
            self.count("failure"),
            self.count("error"),
            self.count("skipped"),
        );
        out.push_str("    <properties>\n");
        let hash = |hash: &Option<String>| hash.clone().unwrap_or_default();
        for (name, value) in [
            ("clock", "virtual".to_owned()),
            ("seed", scenario.seed.to_string()),
            ("compat", scenario.compat.clone()),
            ("target", scenario.target.clone()),
            ("decisions_hash", hash(&scenario.decisions_hash)),
            ("packets_hash", hash(&scenario.packets_hash)),
        ] {
            let _ = writeln!(out, "      <property name=\"{name}\" value=\"{}\"/>", markup(&value));
        }
        out.push_str("    </properties>\n");
        for case in &self.cases {
            let head = format!(
                "    <testcase classname=\"{file}\" name=\"{}\" file=\"{file}\" line=\"{}\" time=\"0\"",
                markup(&case.name),
                case.line
            );
            match &case.outcome {
                None => {
                    let _ = writeln!(out, "{head}/>");
                }
                Some((element, kind, message, text)) => {
                    let kind = if kind.is_empty() { String::new() } else { format!(" type=\"{}\"", markup(kind)) };
                    let message = markup(message);
                    let _ = writeln!(
                        out,
                        "{head}>\n      <{element} message=\"{message}\"{kind}>{}</{element}>\n    </testcase>",
                        markup(text)
                    );
                }
            }
        }
        out.push_str("  </testsuite>\n");
    }
}

fn of_check(scenario: &ScenarioResult, check: &CheckResult) -> Case {
    let name = if check.kind == "never" && !check.summary.starts_with("never") {
        format!("never {} {}", check.edge, check.summary)
    } else {
        format!("{} {}", check.edge, check.summary)
    };
    let found = scenario.diagnostic_of(check);
    let outcome = match check.verdict {
        CheckVerdict::Pass => None,
        CheckVerdict::NotJudged => Some(("skipped", String::new(), check.message.clone(), String::new())),
        CheckVerdict::Fail | CheckVerdict::Inconclusive => {
            let code = found.map(|found| found.code.clone()).unwrap_or_default();
            let headline = found.map_or(&check.message, |found| &found.message);
            Some(("failure", code, headline.clone(), found.map(text).unwrap_or_default()))
        }
    };
    Case { name: name.trim_end().to_owned(), line: check.asked_at.line, outcome }
}

fn text(found: &Diagnostic) -> String {
    terminal::message(found, Paint::Plain)
}
