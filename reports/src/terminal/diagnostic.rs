//! A diagnostic with its lines and carets, laid out as rustc does.

use super::paint::{Ink, Paint};
use super::width;
use crate::{Diagnostic, Place, Severity, Snippet};

/// Appends `found`, ending with a newline.
pub(super) fn render(out: &mut String, found: &Diagnostic, paint: Paint) {
    let places = std::iter::once(&found.place).chain(found.related.iter().filter_map(|note| note.place.as_ref()));
    let gutter = places.map(|place| place.line.to_string().len()).max().unwrap_or(1);
    let (ink, word) = match found.severity {
        Severity::Error => (Ink::Red, "error"),
        Severity::Warning => (Ink::Yellow, "warning"),
        Severity::Note => (Ink::Blue, "note"),
    };
    let head = paint.ink(ink, &format!("{word}[{}]", found.code));
    push(out, &format!("{head}: {}", paint.ink(Ink::Bold, &found.message)));
    at(out, &found.place, found.snippet.as_ref(), gutter, paint);
    for note in &found.related {
        match &note.place {
            Some(place) => {
                frame(out, gutter, paint);
                push(out, &format!("note: {}", note.message));
                at(out, place, note.snippet.as_ref(), gutter, paint);
            }
            None => remark(out, gutter, "note: ", &note.message, paint),
        }
    }
    if let Some(help) = &found.help {
        remark(out, gutter, "help: ", help, paint);
    }
    if let Some(see) = &found.see {
        remark(out, gutter, "see:   ", see, paint);
    }
    if let Some(again) = &found.again {
        remark(out, gutter, "again: ", again, paint);
    }
}

fn push(out: &mut String, text: &str) {
    out.push_str(text.trim_end());
    out.push('\n');
}

fn frame(out: &mut String, gutter: usize, paint: Paint) {
    push(out, &format!("{} {}", " ".repeat(gutter), paint.ink(Ink::Blue, "|")));
}

fn remark(out: &mut String, gutter: usize, word: &str, text: &str, paint: Paint) {
    let indent = " ".repeat(gutter + 3 + word.len());
    let text = text.lines().collect::<Vec<_>>().join(&format!("\n{indent}"));
    push(out, &format!("{} {} {word}{text}", " ".repeat(gutter), paint.ink(Ink::Blue, "=")));
}

fn at(out: &mut String, place: &Place, snippet: Option<&Snippet>, gutter: usize, paint: Paint) {
    let pad = " ".repeat(gutter);
    push(out, &format!("{pad}{} {place}", paint.ink(Ink::Blue, "-->")));
    let Some(snippet) = snippet else { return };
    let bar = paint.ink(Ink::Blue, "|");
    push(out, &format!("{pad} {bar}"));
    let number = paint.ink(Ink::Blue, &format!("{:>gutter$}", place.line));
    push(out, &format!("{number} {bar} {}", snippet.text));
    // The first column of the line is 1; what is cut off before it stands in `skipped`.
    let start = (place.column.saturating_sub(1) as usize).saturating_sub(snippet.skipped);
    let lead: String = snippet.text.chars().take(start).collect();
    let marked: String = snippet.text.chars().skip(start).take(snippet.width).collect();
    let missing = start.saturating_sub(lead.chars().count());
    let before = width::blank(&lead) + &" ".repeat(missing);
    let carets = "^".repeat(width::of(&marked).max(1));
    let under = format!("\n{pad} {bar} {before}{} ", " ".repeat(carets.len()));
    let label = snippet.label.lines().collect::<Vec<_>>().join(&under);
    push(out, &format!("{pad} {bar} {before}{} {label}", paint.ink(Ink::Red, &carets)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str, column: u32, width: usize) -> String {
        let place = Place::new("a.yaml", 1, column);
        let snippet = Snippet::of(line, &place, Some(width), "here");
        let mut out = String::new();
        render(&mut out, &Diagnostic::error("MS0101", place, "wrong").with_snippet(snippet), Paint::Plain);
        out
    }

    #[test]
    fn carets_stand_under_wide_characters() {
        let text = shown("labels: {\"金丝雀\": 值, v: [v2]}", 10, 5);
        assert!(text.contains("1 | labels: {\"金丝雀\": 值, v: [v2]}\n  |          ^^^^^^^^ here\n"), "{text}");
        let text = shown("labels: {\"金丝雀\": 值, v: [v2]}", 20, 4);
        assert!(text.contains("\n  |                        ^^^^ here\n"), "{text}");
    }

    #[test]
    fn carets_stay_in_a_line_that_is_cut() {
        let line = format!("{}[v2]{}", "x, ".repeat(100), ", y".repeat(100));
        let text = shown(&line, 301, 4);
        let lines: Vec<&str> = text.lines().collect();
        let column = |line: &str, part: &str| line.split_once(part).map(|(before, _)| before.chars().count());
        assert_eq!(column(lines[3], "[v2]"), column(lines[4], "^^^^ here"));
        assert!(lines[3].chars().count() < 220);
    }
}
