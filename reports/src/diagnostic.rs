//! A message about a place in a file: what is wrong there, which other places matter, what would help.

use std::fmt;

use serde::Serialize;

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Place {
    /// Path as the user gave it, with `/`.
    pub file: String,
    /// Line, counted from 1.
    pub line: u32,
    /// Column in characters, counted from 1.
    pub column: u32,
}

impl Place {
    /// The place at `line` and `column` of `file`.
    pub fn new(file: impl Into<String>, line: u32, column: u32) -> Self {
        Self { file: file.into(), line, column }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The scenario cannot run, or a check failed.
    Error,
    /// Worth changing; the run counts.
    Warning,
    /// Worth knowing.
    Note,
}

/// The line a message is about, and what to underline in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Snippet {
    /// The line as written; of a long one the part around the place, with `…` for what is left out.
    pub text: String,
    /// Characters of the line before `text`, less the `…` that stands for them.
    pub skipped: usize,
    /// Characters to underline from the place's column on; at least one is.
    pub width: usize,
    /// What to say under it; may have several lines, may be empty.
    pub label: String,
}

/// Longest line that is shown whole, and how much of a longer one is shown before its place.
const LINE_CHARS_MAX: usize = 200;
const BEFORE_MAX: usize = 60;

impl Snippet {
    /// Line `place.line` of `source`; `None` when the source has no such line.
    ///
    /// A width of `None` underlines to the end of the line.
    pub fn of(source: &str, place: &Place, width: Option<usize>, label: impl Into<String>) -> Option<Self> {
        let text = source.lines().nth((place.line as usize).checked_sub(1)?)?.trim_end();
        let column = place.column.saturating_sub(1) as usize;
        let (text, skipped) = window(text, column);
        let rest = text.chars().count().saturating_sub(column - skipped.min(column));
        let width = width.map_or(rest, |width| width.min(rest)).max(1);
        Some(Self { text, skipped, width, label: label.into() })
    }
}

/// A line, or the part of a long one around `column`, and how many characters are missing before it.
fn window(line: &str, column: usize) -> (String, usize) {
    // No line has more characters than bytes.
    if line.len() <= LINE_CHARS_MAX || line.chars().count() <= LINE_CHARS_MAX {
        return (line.to_owned(), 0);
    }
    let from = column.saturating_sub(BEFORE_MAX);
    let shown: String = line.chars().skip(from).take(LINE_CHARS_MAX).collect();
    let end = if line.chars().nth(from + LINE_CHARS_MAX).is_some() { "…" } else { "" };
    match from {
        0 => (format!("{shown}{end}"), 0),
        _ => (format!("…{shown}{end}"), from - 1),
    }
}

/// A further remark on a diagnostic, at a place of its own or without one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// What it says.
    pub message: String,
    /// Where; `None` for a remark on the message as a whole.
    pub place: Option<Place>,
    /// The line, when its file is at hand.
    pub snippet: Option<Snippet>,
}

/// A message to the user about their files or the outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Stable code, `MS` and four digits.
    pub code: String,
    /// How bad it is.
    pub severity: Severity,
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// What is wrong.
    pub message: String,
    /// What would put it right, when that is known.
    pub help: Option<String>,
    /// The line, when its file is at hand.
    pub snippet: Option<Snippet>,
    /// Why, and where else to look.
    pub related: Vec<Note>,
    /// Commands that tell more; `None` where there are none.
    pub see: Option<String>,
    /// A command that shows it again; `None` for messages about a file.
    pub again: Option<String>,
}

impl Diagnostic {
    /// A message with nothing but its place.
    pub fn new(severity: Severity, code: impl Into<String>, place: Place, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            severity,
            place,
            message: message.into(),
            help: None,
            snippet: None,
            related: Vec::new(),
            see: None,
            again: None,
        }
    }

    /// An error at `place`.
    pub fn error(code: impl Into<String>, place: Place, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, place, message)
    }

    /// A warning at `place`.
    pub fn warning(code: impl Into<String>, place: Place, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, place, message)
    }

    /// The same, with advice.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same, with the line it is about.
    #[must_use]
    pub fn with_snippet(mut self, snippet: Option<Snippet>) -> Self {
        self.snippet = snippet;
        self
    }

    /// The same, with a further remark.
    #[must_use]
    pub fn with_note(mut self, note: Note) -> Self {
        self.related.push(note);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_never_underlines_past_its_line() {
        let place = Place::new("a.yaml", 2, 3);
        let found = Snippet::of("one\n  two: 2  \n", &place, Some(40), "").map(|found| (found.text, found.width));
        assert_eq!(found, Some(("  two: 2".to_owned(), 6)));
    }

    #[test]
    fn a_place_outside_the_source_has_no_snippet() {
        assert_eq!(Snippet::of("one\n", &Place::new("a.yaml", 9, 1), None, ""), None);
        assert_eq!(Snippet::of("one\n", &Place::new("a.yaml", 0, 1), None, ""), None);
    }

    #[test]
    fn a_long_line_is_shown_around_its_place() {
        let line = format!("{}WRONG{}", "a".repeat(5000), "b".repeat(5000));
        let found = Snippet::of(&line, &Place::new("a.yaml", 1, 5001), Some(5), "").unwrap();
        let shown: String = found.text.chars().skip(5000 - found.skipped).take(found.width).collect();
        assert_eq!((shown.as_str(), found.text.chars().count()), ("WRONG", LINE_CHARS_MAX + 2));
        assert!(found.text.starts_with('…') && found.text.ends_with('…'));
        let first = Snippet::of(&line, &Place::new("a.yaml", 1, 1), Some(5), "").unwrap();
        assert_eq!((first.skipped, first.text.starts_with("aaa"), first.width), (0, true, 5));
        let last = Snippet::of(&line, &Place::new("a.yaml", 1, 10_005), None, "").unwrap();
        assert!(last.text.ends_with('b') && last.width == 1);
    }
}
