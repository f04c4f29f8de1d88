//! Faults that touched nothing: a run that passed under them shows nothing.

use wavetank_reports::{Diagnostic, Snippet};

use super::sources::Sources;
use crate::fault::FaultOutcome;

/// An error for each fault that touched nothing and was to touch something.
pub fn missed_faults(faults: &[FaultOutcome], sources: &Sources) -> Vec<Diagnostic> {
    let missed = faults.iter().filter(|fault| fault.missed());
    let error = |missed: &FaultOutcome| {
        let (fault, result) = (&missed.fault, &missed.result);
        let place = fault.asked_at.clone();
        let from = seconds(result.from_ms);
        let message = format!("fault `{}` on `{}` touched nothing: {}", result.kind, result.on, fault.kind.touches());
        let label = format!("from {from} to {}", seconds(result.to_ms));
        let snippet = sources.text(&place.file).and_then(|text| Snippet::of(text, &place, Some(fault.width), &label));
        Diagnostic::error("MS0301", place, message)
            .with_snippet(snippet)
            .with_help("let it last longer, send traffic through it, or say `may_miss: true`")
    };
    missed.map(error).collect()
}

fn seconds(millis: u64) -> String {
    format!("{}s", millis as f64 / 1000.0)
}
