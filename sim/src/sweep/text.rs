//! A sweep as text.

use wavetank_reports::{CheckResult, CheckVerdict, Diagnostic};

use super::cause::Cause;

/// Seeds of one cause that are told by their numbers.
const SEEDS_MAX: usize = 12;

/// What a sweep found.
#[derive(Debug, Clone)]
pub struct Swept<'a> {
    /// The scenario's file.
    pub file: &'a str,
    /// Its name.
    pub name: &'a str,
    /// First and last seed.
    pub seeds: (u64, u64),
    /// Runs that were made.
    pub runs: usize,
    /// Of them, those that passed.
    pub passed: usize,
    /// Virtual seconds of all runs.
    pub simulated: f64,
    /// The splits over all runs.
    pub pooled: &'a [CheckResult],
    /// Why seeds failed.
    pub causes: &'a [Cause],
}

/// The text; `message` renders a diagnostic.
pub fn text(swept: &Swept<'_>, message: &dyn Fn(&Diagnostic) -> String) -> String {
    let (first, last) = swept.seeds;
    let mut out = format!(
        " {}  {}   seeds {first}..{last}   {} runs, {:.1}s simulated\n",
        swept.file, swept.name, swept.runs, swept.simulated
    );
    for split in swept.pooled {
        out.push_str(&pooled(split));
    }
    let failed = swept.runs - swept.passed;
    out.push_str(&format!("   {} of {} seeds passed\n", swept.passed, swept.runs));
    for cause in swept.causes {
        let seeds: Vec<String> = cause.seeds.iter().take(SEEDS_MAX).map(u64::to_string).collect();
        let more = cause.seeds.len().saturating_sub(SEEDS_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let count = cause.seeds.len();
        out.push_str(&format!(
            "\n ✗ {count} of {} seeds ({:.1}%): {}{more}\n",
            swept.runs,
            count as f64 * 100.0 / swept.runs as f64,
            seeds.join(", ")
        ));
        let mut shown = cause.first.clone();
        let seed = cause.seeds.first().copied().unwrap_or(first);
        shown.again = shown.again.or_else(|| Some(format!("wavetank run {} --seed {seed}", swept.file)));
        out.push_str(&message(&shown));
    }
    let verdict = if failed == 0 && swept.pooled.iter().all(|split| split.verdict == CheckVerdict::Pass) {
        "PASS"
    } else {
        "FAIL"
    };
    out.push_str(&format!(" {verdict}  {} runs, {failed} failed\n", swept.runs));
    out
}

fn pooled(split: &CheckResult) -> String {
    let mark = match split.verdict {
        CheckVerdict::Pass => "✓",
        CheckVerdict::Fail => "✗",
        CheckVerdict::Inconclusive => "?",
        CheckVerdict::NotJudged => "-",
    };
    let power = split.power.as_ref().map(|power| format!("  ({power})")).unwrap_or_default();
    format!(
        "   {mark} {}  split, all seeds together   {}  want {}  allowed {}{power}\n",
        split.edge, split.observed, split.expected, split.allowed
    )
}
