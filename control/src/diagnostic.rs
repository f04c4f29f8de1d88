//! What is wrong with a user's YAML, and where: spans, codes and the text a person reads.
//!
//! Every validator returns all problems it finds as [`Diagnostic`]s. A diagnostic has a stable code (`MS0102`), a
//! severity, the span of the offending node, a message, and where known a help line and related places.

use std::fmt;
use std::sync::Arc;

/// A range of characters in one source file. Lines and columns count from 1, columns in characters; the end is
/// exclusive.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// Name of the source file, as it was given to the parser.
    pub file: Arc<str>,
    /// First line, from 1.
    pub line: u32,
    /// First column in characters, from 1.
    pub column: u32,
    /// Line of the first character after the range.
    pub end_line: u32,
    /// Column of the first character after the range.
    pub end_column: u32,
}

impl Span {
    /// The empty range at a place.
    pub fn at(file: impl Into<Arc<str>>, line: u32, column: u32) -> Self {
        Self { file: file.into(), line, column, end_line: line, end_column: column }
    }

    /// Whether `other` lies in it whole.
    pub fn contains(&self, other: &Span) -> bool {
        let starts = (self.line, self.column) <= (other.line, other.column);
        let ends = (other.end_line, other.end_column) <= (self.end_line, self.end_column);
        self.file == other.file && starts && ends
    }

    /// From the start of `self` to the end of `last`, which lies behind it in the same file.
    pub fn to(&self, last: &Span) -> Self {
        Self { end_line: last.end_line, end_column: last.end_column, ..self.clone() }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}-{}:{}", self.end_line, self.end_column)
    }
}

/// A value together with the place in the YAML it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it is written.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// `value`, written at `span`.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }

    /// The same place with another value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Spanned<U> {
        Spanned { value: f(self.value), span: self.span }
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The document is refused; a previous version of it stays in force.
    Error,
    /// The document is taken, but does probably not do what its author means.
    Warning,
    /// Worth knowing; never fails a run.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        })
    }
}

/// A stable number for one kind of finding, shown as `MSnnnn`.
///
/// `00xx` YAML, `01xx` decoding of kinds and fields, `02xx` meaning of a manifest and of the whole set. Other crates
/// take `03xx` and up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub u16);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MS{:04}", self.0)
    }
}

/// Another place that a finding speaks of, with what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Related {
    /// The other place.
    pub span: Span,
    /// What is found there.
    pub message: String,
}

/// One finding about a user's YAML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable code.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// The offending node.
    pub span: Span,
    /// What is wrong, in one line.
    pub message: String,
    /// How to put it right, where that is known.
    pub help: Option<String>,
    /// Other places that belong to the finding.
    pub related: Vec<Related>,
}

impl Diagnostic {
    /// A finding that refuses its document.
    pub fn error(code: Code, span: &Span, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, span, message)
    }

    /// A finding that leaves its document in force.
    pub fn warning(code: Code, span: &Span, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Warning, span, message)
    }

    /// A finding that is worth knowing.
    pub fn note(code: Code, span: &Span, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Note, span, message)
    }

    fn new(code: Code, severity: Severity, span: &Span, message: impl Into<String>) -> Self {
        Self { code, severity, span: span.clone(), message: message.into(), help: None, related: Vec::new() }
    }

    /// Adds how to put it right.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds another place.
    #[must_use]
    pub fn with_related(mut self, span: &Span, message: impl Into<String>) -> Self {
        self.related.push(Related { span: span.clone(), message: message.into() });
        self
    }

    /// Whether this finding refuses its document.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The finding with the source line and a caret under the offending node.
    ///
    /// `source` gives a file's text by its name; without it only the place is shown.
    pub fn render<'s>(&self, source: impl Fn(&str) -> Option<&'s str>) -> String {
        let mut out = format!("{}[{}]: {}\n", self.severity, self.code, self.message);
        snippet(&mut out, &self.span, "", source(&self.span.file));
        for related in &self.related {
            out.push_str(&format!("note: {}\n", related.message));
            snippet(&mut out, &related.span, "", source(&related.span.file));
        }
        if let Some(help) = &self.help {
            out.push_str(&format!("help: {help}\n"));
        }
        out
    }
}

/// Findings about one text that are kept.
const FINDINGS_MAX: usize = 200;

/// The first findings, and one that counts those beyond a limit, at the place of the first error among them. Whether
/// there is an error stays so.
pub fn at_most(mut found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    if found.len() <= FINDINGS_MAX {
        return found;
    }
    let beyond = found.split_off(FINDINGS_MAX);
    let message = format!("{} more findings in this file are not shown", beyond.len());
    // The first of the worst, so that an error is told where one is.
    let worst = beyond.iter().min_by_key(|found| found.severity);
    found.extend(worst.map(|worst| Diagnostic::new(Code(2), worst.severity, &worst.span, message)));
    found
}

/// `file:line:column: severity[code]: message`, on one line.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}[{}]: {}", self.span, self.severity, self.code, self.message)
    }
}

/// Longest part of a source line that a snippet shows, in characters.
const SNIPPET_COLUMNS_MAX: usize = 160;

/// Appends `  --> file:line:column`, and the line with carets (and `label` behind them) where its text is known.
pub fn snippet(out: &mut String, span: &Span, label: &str, text: Option<&str>) {
    out.push_str(&format!("  --> {span}\n"));
    let index = (span.line as usize).saturating_sub(1);
    let Some(line) = text.and_then(|text| text.lines().nth(index)) else { return };
    let gutter = span.line.to_string();
    let pad = " ".repeat(gutter.len());
    // A tab or another control character would move the caret away from its column.
    let shown: String = line.chars().take(SNIPPET_COLUMNS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let start = (span.column as usize).saturating_sub(1).min(shown.chars().count());
    let end = if span.end_line == span.line {
        (span.end_column as usize).saturating_sub(1)
    } else {
        shown.trim_end().chars().count()
    };
    let width = end.min(shown.chars().count()).saturating_sub(start).max(1);
    let carets = format!("{}{} {label}", " ".repeat(start), "^".repeat(width));
    out.push_str(&format!("{pad} |\n{gutter} | {}\n{pad} | {}\n", shown.trim_end(), carets.trim_end()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caret_stands_under_the_node_in_characters_not_bytes() {
        let text = "a: 1\nnäme: [foo, bar]\n";
        let span = Span { file: "x.yaml".into(), line: 2, column: 7, end_line: 2, end_column: 17 };
        let finding = Diagnostic::error(Code(1), &span, "wrong").with_help("do it right");
        insta::assert_snapshot!(finding.render(|_| Some(text)), @r"
        error[MS0001]: wrong
          --> x.yaml:2:7
          |
        2 | näme: [foo, bar]
          |       ^^^^^^^^^^
        help: do it right
        ");
    }

    #[test]
    fn what_is_beyond_the_limit_is_counted_and_still_an_error() {
        let span = Span::at("x.yaml", 1, 1);
        let mut found = vec![Diagnostic::note(Code(9), &span, "m"); FINDINGS_MAX];
        assert_eq!(at_most(found.clone()), found);
        let error = |line| Diagnostic::error(Code(9), &Span::at("x.yaml", line, 1), "m");
        found.extend([Diagnostic::note(Code(9), &span, "m"), error(7), error(9)]);
        let kept = at_most(found);
        assert_eq!(kept.len(), FINDINGS_MAX + 1);
        assert!(kept[FINDINGS_MAX].is_error() && kept[FINDINGS_MAX].message.starts_with("3 more"));
        // Once, it was told at the place of the first finding beyond the limit, here a note's.
        assert_eq!(kept[FINDINGS_MAX].span.line, 7);
    }

    #[test]
    fn a_span_outside_its_text_renders_without_panic() {
        let span = Span { file: "x.yaml".into(), line: 1, column: 90, end_line: 0, end_column: 3 };
        assert!(Diagnostic::note(Code(9), &span, "m").render(|_| Some("short")).contains("^"));
        assert!(!Diagnostic::note(Code(9), &Span::at("x", 9, 9), "m").render(|_| Some("short")).contains("^"));
    }
}
