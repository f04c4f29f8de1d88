//! What judging one check finds, before it is told.

use wavetank_reports::CheckVerdict;

use crate::observe::Hop;

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
