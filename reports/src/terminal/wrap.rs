//! Long lines broken for a narrow terminal.

use super::width;

/// How far the rest of a broken line stands in from its beginning.
const HANG: usize = 6;
/// Narrower terminals get lines of this width.
const WIDTH_MIN: usize = 40;

/// `text` with each line broken at spaces so that it fits `width` columns. Lines of source, which carets
/// point into, stay whole; drawings are cut.
pub fn wrap(text: &str, width: usize) -> String {
    let width = width.max(WIDTH_MIN);
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        if visible(line) <= width || is_source(line) {
            out.push_str(line);
        } else if line.contains('▶') {
            out.extend(line.chars().take(width - 1));
            out.push('…');
        } else {
            break_line(&mut out, line, width);
        }
        out.push('\n');
    }
    out
}

fn break_line(out: &mut String, line: &str, width: usize) {
    let indent = line.chars().take_while(|c| *c == ' ').count();
    let hang = " ".repeat((indent + HANG).min(width / 2));
    let mut column = 0;
    for word in line.split_inclusive(' ') {
        let own = visible(word.trim_end());
        if column > hang.len() && column + own > width {
            out.truncate(out.trim_end_matches(' ').len());
            out.push('\n');
            out.push_str(&hang);
            column = hang.len();
        }
        if column != hang.len() || !word.trim().is_empty() || !out.ends_with(&hang) {
            out.push_str(word);
            column += visible(word);
        }
    }
}

/// Columns that `text` takes: colours take none.
fn visible(text: &str) -> usize {
    width::of(&plain(text))
}

/// `text` without its colours.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        out.push_str(before);
        rest = after.split_once('m').map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    out
}

/// Whether it is a line of a snippet: a number or nothing, then the frame's bar.
fn is_source(line: &str) -> bool {
    let line = plain(line);
    let rest = line.trim_start_matches(|c: char| c == ' ' || c.is_ascii_digit());
    rest.starts_with("| ") && line.len() > rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_move_to_the_next_line_and_sources_stay() {
        let text = "   ✓ a -> b  split   v1 1392/2000 = 69.6%  want 70%  allowed 64.9–75.0%\n18 |     split: {v1: 70, v2: 30} # a long line of source that is never broken\n";
        insta::assert_snapshot!(wrap(text, 44), @r"
           ✓ a -> b  split   v1 1392/2000 = 69.6%
                 want 70%  allowed 64.9–75.0%
        18 |     split: {v1: 70, v2: 30} # a long line of source that is never broken
        ");
    }

    #[test]
    fn colours_take_no_room() {
        let text = format!("\u{1b}[32m{}\u{1b}[0m\n", "x".repeat(44));
        assert_eq!(wrap(&text, 44), text);
    }

    #[test]
    fn a_word_longer_than_the_line_is_left_whole() {
        let word = "y".repeat(90);
        assert!(wrap(&format!("a {word} b\n"), 44).contains(&word));
    }
}
