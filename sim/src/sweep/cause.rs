//! Seeds that failed alike: the same check by the same lines of manifests. Of what no check stands for, the same
//! message about the same place, but for its numbers.

use indexmap::IndexMap;
use wavetank_reports::{Diagnostic, ScenarioResult, Severity};

/// What some seeds failed by.
#[derive(Debug, Clone, PartialEq)]
pub struct Cause {
    /// The message that the first of them got.
    pub first: Diagnostic,
    /// The seeds, in their order.
    pub seeds: Vec<u64>,
}

/// The causes of all failures among `results`, those of most seeds first. A seed that failed by several
/// counts for each.
pub fn causes<'a>(results: impl IntoIterator<Item = &'a ScenarioResult>) -> Vec<Cause> {
    let mut found: IndexMap<String, Cause> = IndexMap::new();
    for result in results {
        for error in result.diagnostics.iter().filter(|found| found.severity == Severity::Error) {
            let cause =
                found.entry(key(error, result)).or_insert_with(|| Cause { first: error.clone(), seeds: Vec::new() });
            if cause.seeds.last() != Some(&result.seed) {
                cause.seeds.push(result.seed);
            }
        }
    }
    let mut causes: Vec<Cause> = found.into_values().collect();
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.seeds.len()));
    causes
}

/// What is alike in messages of one cause.
fn key(error: &Diagnostic, result: &ScenarioResult) -> String {
    let head = format!("{} {}", error.code, error.place);
    let failed = result.failures().find(|check| check.asked_at == error.place);
    if let Some(check) = failed.filter(|check| !check.decided_by.is_empty()) {
        // Which line decided most often differs from seed to seed.
        let mut lines: Vec<String> = check.decided_by.iter().map(ToString::to_string).collect();
        lines.sort();
        return format!("{head} {}", lines.join(" "));
    }
    let notes = error.related.iter().map(|note| {
        let place = note.place.as_ref().map(ToString::to_string).unwrap_or_default();
        format!("{} {place}", without_numbers(&note.message))
    });
    let mut parts = vec![format!("{head} {}", without_numbers(&error.message))];
    parts.extend(notes);
    parts.join("\n")
}

/// Every word that begins with a digit becomes `#`.
fn without_numbers(text: &str) -> String {
    let plain =
        |word: &str| if word.starts_with(|c: char| c.is_ascii_digit()) { "#".to_owned() } else { word.to_owned() };
    text.split_whitespace().map(plain).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_reports::{CheckResult, CheckVerdict, Place, ScenarioVerdict};

    fn failed(seed: u64, messages: &[&str]) -> ScenarioResult {
        let found = |message: &&str| Diagnostic::error("MS1002", Place::new("a.yaml", 3, 5), *message);
        ScenarioResult {
            file: "a.yaml".to_owned(),
            name: "a".to_owned(),
            compat: "v1".to_owned(),
            target: "tank".to_owned(),
            seed,
            verdict: ScenarioVerdict::Fail,
            decisions_hash: None,
            packets_hash: None,
            simulated_ms: 0,
            checks: Vec::new(),
            faults: Vec::new(),
            diagnostics: messages.iter().map(found).collect(),
            flow: Vec::new(),
            elapsed: None,
        }
    }

    #[test]
    fn seeds_that_failed_alike_are_one_cause() {
        let results = [
            failed(3, &["2 of 50 requests were lost"]),
            failed(8, &["17 of 50 requests were lost", "no pod answered"]),
            failed(9, &["no pod answered"]),
            failed(11, &["1 of 50 requests were lost"]),
        ];
        let causes = causes(&results);
        let told: Vec<(&str, &[u64])> =
            causes.iter().map(|own| (own.first.message.as_str(), own.seeds.as_slice())).collect();
        assert_eq!(told, [("2 of 50 requests were lost", &[3, 8, 11][..]), ("no pod answered", &[8, 9][..])]);
    }

    #[test]
    fn a_check_that_fails_by_the_same_lines_is_one_cause_whatever_its_words() {
        let by = |seed: u64, message: &str, lines: &[u32]| {
            let check = CheckResult {
                kind: "split".to_owned(),
                edge: "a -> b".to_owned(),
                verdict: CheckVerdict::Fail,
                expected: String::new(),
                observed: String::new(),
                allowed: String::new(),
                decided_by: lines.iter().map(|line| Place::new("go.yaml", *line, 1)).collect(),
                message: String::new(),
                power: None,
                summary: String::new(),
                asked_at: Place::new("a.yaml", 3, 5),
            };
            ScenarioResult { checks: vec![check], ..failed(seed, &[message]) }
        };
        let results = [by(1, "v1 is over", &[28, 32]), by(2, "v2 is over", &[32, 28]), by(3, "v1 is over", &[28])];
        let seeds: Vec<Vec<u64>> = causes(&results).into_iter().map(|own| own.seeds).collect();
        assert_eq!(seeds, [vec![1, 2], vec![3]]);
    }
}
