//! Seeds that failed alike: the same message about the same place, but for its numbers.

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
            let cause = found.entry(key(error)).or_insert_with(|| Cause { first: error.clone(), seeds: Vec::new() });
            if cause.seeds.last() != Some(&result.seed) {
                cause.seeds.push(result.seed);
            }
        }
    }
    let mut causes: Vec<Cause> = found.into_values().collect();
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.seeds.len()));
    causes
}

/// What is alike in messages of one cause: the place, the code, and the words without their numbers.
fn key(error: &Diagnostic) -> String {
    let notes = error.related.iter().map(|note| {
        let place = note.place.as_ref().map(ToString::to_string).unwrap_or_default();
        format!("{} {place}", without_numbers(&note.message))
    });
    let mut parts = vec![format!("{} {} {}", error.code, error.place, without_numbers(&error.message))];
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
    use wavetank_reports::{Place, ScenarioVerdict};

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
}
