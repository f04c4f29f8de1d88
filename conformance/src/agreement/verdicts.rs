//! Verdicts of one scenario's checks in several places, in one table.

use std::fmt::Write;

use wavetank_reports::CheckVerdict;

use super::sides::Side;

/// The table of a scenario, and the checks whose verdicts differ where they were judged.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Lines as they are printed.
    pub text: String,
    /// One sentence each.
    pub differences: Vec<String>,
    /// Checks that every side judged.
    pub judged_by_all: usize,
}

/// Compares the sides of one scenario.
///
/// Checks are the same in the same order on every side, since they are of one file.
pub fn compare(name: &str, sides: &[Side]) -> Table {
    let mut table = Table::default();
    let Some(first) = sides.first() else { return table };
    for (at, check) in first.result.checks.iter().enumerate() {
        let verdicts: Vec<CheckVerdict> = sides.iter().map(|side| side.result.checks[at].verdict).collect();
        let words: Vec<&str> = verdicts.iter().map(|verdict| word(*verdict)).collect();
        // A String takes everything.
        let _ = writeln!(
            table.text,
            "  {:<44} {:<52} {}",
            check.edge,
            short(&check.summary),
            words.iter().map(|word| format!("{word:<6}")).collect::<String>()
        );
        let mut judged = verdicts.iter().filter(|verdict| **verdict != CheckVerdict::NotJudged);
        let differs = judged.next().is_some_and(|first| judged.any(|other| other != first));
        if differs {
            let each = sides.iter().zip(&words).map(|(side, word)| format!("{} {word}", side.target));
            let each: Vec<String> = each.collect();
            let own: Vec<String> = sides.iter().map(|side| side.result.checks[at].message.clone()).collect();
            let checked = format!("{} {}", check.edge, check.summary);
            table.differences.push(format!("{name}: {checked}: {} ({})", each.join(", "), own.join(" | ")));
        }
        table.judged_by_all += usize::from(verdicts.iter().all(|verdict| *verdict != CheckVerdict::NotJudged));
    }
    table
}

fn word(verdict: CheckVerdict) -> &'static str {
    match verdict {
        CheckVerdict::Pass => "pass",
        CheckVerdict::Fail => "FAIL",
        CheckVerdict::Inconclusive => "too few",
        CheckVerdict::NotJudged => "-",
    }
}

fn short(text: &str) -> String {
    const MAX: usize = 50;
    if text.chars().count() <= MAX { text.to_owned() } else { text.chars().take(MAX - 1).chain(['…']).collect() }
}
