//! What a syntax error probably is: a tab, a bracket that is never closed, a template that was not rendered.
//! The scanner's own words and place are kept where none of them fits.

use crate::config::codes;
use crate::diagnostic::{Diagnostic, Span};

const TEMPLATE: &str = "this is a template; render it first, e.g. with `helm template`";

/// The finding on an error that the scanner calls `said` at `span`. `open` is the innermost collection that
/// was begun and not ended.
pub(super) fn error(text: &str, said: &str, span: &Span, open: Option<&Span>) -> Diagnostic {
    if let Some(help) = template(text, span.line) {
        return Diagnostic::error(codes::SYNTAX, span, format!("not YAML: {said}")).with_help(help);
    }
    if said.contains("tab")
        && let Some(place) = tab(text, span)
    {
        let message = "not YAML: a tab in the indentation, which YAML forbids";
        return Diagnostic::error(codes::SYNTAX, &place, message).with_help("indent with spaces");
    }
    let bracket = open.and_then(|open| Some((open, char_at(text, open.line, open.column)?)));
    match bracket {
        Some((open, bracket @ ('{' | '['))) if char_at(text, span.line, span.column).is_none() => {
            let open = Span { end_line: open.line, end_column: open.column + 1, ..open.clone() };
            Diagnostic::error(codes::SYNTAX, &open, format!("not YAML: this `{bracket}` is never closed"))
        }
        _ => Diagnostic::error(codes::SYNTAX, span, format!("not YAML: {said}")),
    }
}

/// What to do about a line with a template in it; `None` for one without.
fn template(text: &str, line: u32) -> Option<&'static str> {
    help(line_of(text, line)?)
}

fn help(line: &str) -> Option<&'static str> {
    line.contains("{{").then_some(TEMPLATE)
}

/// Where the lines of a text begin. They are looked for once, so that each of many findings costs its own line.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// In bytes; empty until a line is asked for.
    starts: Vec<usize>,
}

impl Lines {
    /// What [`template`] says of the same line. `text` is the same at each call.
    pub(super) fn template(&mut self, text: &str, line: u32) -> Option<&'static str> {
        if self.starts.is_empty() {
            self.starts.push(0);
            self.starts.extend(text.match_indices('\n').map(|(at, _)| at + 1));
        }
        let start = *self.starts.get(line.checked_sub(1)? as usize)?;
        help(text.get(start..)?.lines().next()?)
    }
}

/// The first tab before the text of a line, from where the scanner stopped on.
fn tab(text: &str, span: &Span) -> Option<Span> {
    let lines = text.lines().zip(1_u32..).skip(span.line.saturating_sub(1) as usize);
    let found = lines.take(2).find_map(|(line, number)| {
        let before = line.chars().take_while(|c| c.is_whitespace());
        let at = before.zip(1_u32..).find(|(c, _)| *c == '\t').map(|(_, at)| at)?;
        Some((number, at))
    });
    let (line, column) = found?;
    Some(Span { line, column, end_line: line, end_column: column + 1, file: span.file.clone() })
}

fn char_at(text: &str, line: u32, column: u32) -> Option<char> {
    line_of(text, line)?.chars().nth(column.checked_sub(1)? as usize)
}

fn line_of(text: &str, line: u32) -> Option<&str> {
    text.lines().nth(line.checked_sub(1)? as usize)
}

#[cfg(test)]
mod tests {
    use crate::config::source::SourceFile;
    use crate::config::yaml::parse::{Limits, parse};

    use super::*;

    #[test]
    fn lines_that_are_looked_up_are_those_of_a_walk() {
        for text in ["", "{{ a }}", "a\n{{ b }}\r\n\n{{ c }}\n", "{{ a }}\nb\n\u{e9} {{ c }}"] {
            let mut lines = Lines::default();
            for line in [4, 0, 1, 2, 3, 5, 6, u32::MAX] {
                assert_eq!(lines.template(text, line), template(text, line), "line {line} of {text:?}");
            }
        }
    }

    // Each key was once looked for from the first line on, so that 3,000 objects took a quarter of a minute.
    #[test]
    fn refused_keys_cost_their_own_lines_alone() {
        let text = "[a]: 1\nb: 2\n---\n".repeat(50_000) + "{{ name }}: 1\n";
        let limits = Limits { nodes_max: usize::MAX, ..Limits::default() };
        let parsed = parse(&SourceFile::new("many.yaml", text), limits);
        assert_eq!(parsed.diagnostics.len(), 50_002);
        let helped: Vec<u32> = parsed.diagnostics.iter().filter(|d| d.help.is_some()).map(|d| d.span.line).collect();
        assert_eq!(helped, [150_001, 150_001], "both mappings that the braces are");
    }
}
