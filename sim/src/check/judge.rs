//! Judges every check of a run.

use wavetank_reports::{CheckResult, CheckVerdict, Diagnostic, Note, Snippet};

use super::demand::{Check, Demand};
use super::explain::{self, Sources};
use super::{exact, never, split};
use crate::observe::{Hop, ObservationLog};

/// The verdicts of a run, and what to say about them.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// One per check, in order.
    pub results: Vec<CheckResult>,
    /// One error for each check that failed or was inconclusive, one warning for each weak one.
    pub diagnostics: Vec<Diagnostic>,
}

/// What judging one check finds.
#[derive(Debug)]
pub(super) struct Finding<'a> {
    pub verdict: CheckVerdict,
    pub expected: String,
    pub observed: String,
    pub allowed: String,
    pub message: String,
    pub power: Option<String>,
    pub summary: String,
    /// What is said under the caret in the scenario.
    pub label: String,
    /// A remark on the statistics of a passing check.
    pub weak: Option<(String, String)>,
    /// The hops that decided the verdict: all of them for a split, the wrong ones for an exact check.
    pub evidence: Vec<&'a Hop>,
}

impl Finding<'_> {
    /// A passing finding that is told by its summary.
    pub(super) fn pass(summary: String) -> Self {
        Self {
            verdict: CheckVerdict::Pass,
            expected: String::new(),
            observed: String::new(),
            allowed: String::new(),
            message: "as expected".to_owned(),
            power: None,
            summary,
            label: String::new(),
            weak: None,
            evidence: Vec::new(),
        }
    }

    /// A finding that there is too little to judge by.
    pub(super) fn inconclusive(summary: String, why: impl Into<String>) -> Self {
        let why = why.into();
        Self { verdict: CheckVerdict::Inconclusive, label: why.clone(), message: why, ..Self::pass(summary) }
    }
}

/// Judges `checks` on `log`; `alpha` is the probability that a proper run fails any of them.
///
/// `sources` gives the text of the files that messages point into.
pub fn judge(checks: &[Check], log: &ObservationLog, alpha: f64, sources: &Sources) -> Judged {
    let tests: usize = checks.iter().map(statistical_tests).sum();
    let share = alpha / tests.max(1) as f64;
    let mut judged = Judged { results: Vec::new(), diagnostics: Vec::new() };
    for check in checks {
        let finding = find(check, log, share);
        judged.diagnostics.extend(diagnose(check, &finding, log, sources));
        judged.results.push(result(check, finding));
    }
    judged
}

/// How many tests share the budget of false failures for this check.
fn statistical_tests(check: &Check) -> usize {
    match &check.demand {
        Demand::Split(arms) => split::tests(arms),
        _ => 0,
    }
}

fn find<'a>(check: &'a Check, log: &'a ObservationLog, alpha: f64) -> Finding<'a> {
    match &check.demand {
        Demand::Split(arms) => split::judge(arms, check.scope.hops(log).collect(), alpha),
        Demand::Never(pattern) => never::judge(pattern, &check.scope, log),
        demand => exact::judge(demand, check.scope.hops(log).collect()),
    }
}

fn result(check: &Check, finding: Finding<'_>) -> CheckResult {
    CheckResult {
        kind: check.demand.kind().to_owned(),
        edge: check.scope.to_string(),
        verdict: finding.verdict,
        expected: finding.expected,
        observed: finding.observed,
        allowed: finding.allowed,
        decided_by: explain::decided_by(&finding.evidence),
        message: finding.message,
        power: finding.power,
        summary: finding.summary,
        asked_at: check.asked_at.clone(),
    }
}

fn diagnose(check: &Check, finding: &Finding<'_>, log: &ObservationLog, sources: &Sources) -> Option<Diagnostic> {
    let place = check.asked_at.clone();
    let snippet = |label: &str| Snippet::of(sources.text(&place.file)?, &place, Some(check.width), label);
    if let Some((message, help)) = &finding.weak {
        let shown = snippet("");
        return Some(Diagnostic::warning("MS0401", place, message).with_snippet(shown).with_help(help));
    }
    if !finding.verdict.is_failure() {
        return None;
    }
    let code = if finding.verdict == CheckVerdict::Inconclusive { "MS1000" } else { code(&check.demand) };
    let shown = snippet(&finding.label);
    let mut found = Diagnostic::error(code, place, headline(check, finding)).with_snippet(shown);
    found.related = if finding.evidence.is_empty() && finding.verdict == CheckVerdict::Inconclusive {
        explain::where_it_stopped(log, sources)
    } else {
        explain::notes(&finding.evidence, sources)
    };
    if let Some(remark) = default_route_remark(check, finding) {
        found.related.push(remark);
    }
    Some(found)
}

fn headline(check: &Check, finding: &Finding<'_>) -> String {
    let kind = check.demand.kind();
    if finding.verdict == CheckVerdict::Inconclusive {
        return format!("{kind} on `{}` cannot be judged: {}", check.scope, finding.message);
    }
    finding.message.replace("{edge}", &format!("`{}`", check.scope))
}

/// A split that the default route made is explained by the endpoints it balances over.
fn default_route_remark(check: &Check, finding: &Finding<'_>) -> Option<Note> {
    let by_default = finding.evidence.iter().all(|hop| hop.decision.is_default_route() && hop.arm().is_some());
    let is_split = matches!(check.demand, Demand::Split(_)) && !finding.evidence.is_empty();
    (is_split && by_default).then(|| Note {
        message: "the default route balances over all endpoints of the service".to_owned(),
        place: None,
        snippet: None,
    })
}

/// The stable code of a failed check.
fn code(demand: &Demand) -> &'static str {
    match demand {
        Demand::Split(_) => "MS1001",
        Demand::Status(..) => "MS1002",
        Demand::Tls(_) | Demand::Peer(_) => "MS1003",
        Demand::Attempts(_) => "MS1004",
        Demand::Reaches(_) => "MS1005",
        Demand::Never(_) => "MS1006",
        Demand::Flag(..) => "MS1007",
        Demand::Connect(_) => "MS1008",
        Demand::Latency(..) => "MS1009",
    }
}
