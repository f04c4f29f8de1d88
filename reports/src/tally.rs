//! Counts of what failed, in words.

use crate::{CheckResult, CheckVerdict, ScenarioResult, Severity};

/// Codes of errors that no check stands for, and what to call one of them and several.
const BESIDES: [(&str, &str, &str); 2] = [
    ("MS0301", "fault touched nothing", "faults touched nothing"),
    ("MS1100", "invariant was broken", "invariants were broken"),
];

/// `1 check`, `2 checks`.
pub fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// How many checks failed and how many were inconclusive, of how many: `1 of 3 checks failed, 1 inconclusive`.
pub(crate) fn checks<'a>(checks: impl Iterator<Item = &'a CheckResult>) -> String {
    let (mut all, mut failed, mut unclear) = (0, 0, 0);
    for check in checks {
        all += 1;
        failed += usize::from(check.verdict == CheckVerdict::Fail);
        unclear += usize::from(check.verdict == CheckVerdict::Inconclusive);
    }
    let all = plural(all, "check");
    match (failed, unclear) {
        (0, 0) => all,
        (failed, 0) => format!("{failed} of {all} failed"),
        (0, unclear) => format!("{unclear} of {all} inconclusive"),
        (failed, unclear) => format!("{failed} of {all} failed, {unclear} inconclusive"),
    }
}

/// What failed scenarios besides their checks: `1 fault touched nothing`.
pub(crate) fn besides<'a>(scenarios: impl IntoIterator<Item = &'a ScenarioResult>) -> Vec<String> {
    let mut counts = [0_usize; BESIDES.len()];
    for found in scenarios.into_iter().flat_map(|own| &own.diagnostics).filter(|own| own.severity == Severity::Error) {
        if let Some(at) = BESIDES.iter().position(|(code, ..)| found.code == *code) {
            counts[at] += 1;
        }
    }
    let told = BESIDES.iter().zip(counts).filter(|(_, count)| *count > 0);
    told.map(|((_, one, many), count)| format!("{count} {}", if count == 1 { one } else { many })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Diagnostic, Place};

    fn check(verdict: CheckVerdict) -> CheckResult {
        CheckResult {
            kind: "tls".to_owned(),
            edge: "a -> b".to_owned(),
            verdict,
            expected: String::new(),
            observed: String::new(),
            allowed: String::new(),
            decided_by: Vec::new(),
            message: String::new(),
            power: None,
            summary: String::new(),
            asked_at: Place::new("a.yaml", 1, 1),
        }
    }

    #[test]
    fn what_failed_and_what_was_unclear_are_counted_apart() {
        use CheckVerdict::{Fail, Inconclusive, Pass};
        for (verdicts, wanted) in [
            (&[Pass][..], "1 check"),
            (&[Inconclusive], "1 of 1 check inconclusive"),
            (&[Fail, Pass], "1 of 2 checks failed"),
            (&[Fail, Inconclusive, Pass], "1 of 3 checks failed, 1 inconclusive"),
        ] {
            let own: Vec<CheckResult> = verdicts.iter().map(|verdict| check(*verdict)).collect();
            assert_eq!(checks(own.iter()), wanted);
        }
    }

    #[test]
    fn faults_that_missed_and_broken_invariants_are_counted() {
        let found = |code: &str| Diagnostic::error(code, Place::new("a.yaml", 1, 1), "");
        let scenario = ScenarioResult {
            file: String::new(),
            name: String::new(),
            compat: String::new(),
            target: String::new(),
            seed: 1,
            verdict: crate::ScenarioVerdict::Fail,
            decisions_hash: None,
            packets_hash: None,
            simulated_ms: 0,
            checks: Vec::new(),
            faults: Vec::new(),
            diagnostics: vec![found("MS0301"), found("MS1100"), found("MS1100"), found("MS1001")],
            flow: Vec::new(),
            elapsed: None,
        };
        assert_eq!(besides([&scenario]), ["1 fault touched nothing", "2 invariants were broken"]);
    }
}
