//! Findings about YAML, as reports show them.

use wavetank_control::diagnostic::{Diagnostic as Finding, Severity as Badness, Span};
use wavetank_reports::{Diagnostic, Note, Place, Severity, Snippet};

use crate::check::Sources;

/// A finding of the control plane or of a scenario file, with the lines it speaks of where `sources` has
/// them.
pub fn message(finding: &Finding, sources: &Sources) -> Diagnostic {
    let severity = match finding.severity {
        Badness::Error => Severity::Error,
        Badness::Warning => Severity::Warning,
        Badness::Note => Severity::Note,
    };
    let mut message =
        Diagnostic::new(severity, finding.code.to_string(), place(&finding.span), finding.message.clone());
    message.help = finding.help.clone();
    message.snippet = snippet(&finding.span, sources);
    message.related = finding
        .related
        .iter()
        .map(|related| Note {
            message: related.message.clone(),
            place: Some(place(&related.span)),
            snippet: snippet(&related.span, sources),
        })
        .collect();
    message
}

fn place(span: &Span) -> Place {
    Place::new(span.file.to_string(), span.line, span.column)
}

fn snippet(span: &Span, sources: &Sources) -> Option<Snippet> {
    let width = (span.end_line == span.line).then(|| span.end_column.saturating_sub(span.column) as usize);
    Snippet::of(sources.text(&span.file)?, &place(span), width, "")
}
