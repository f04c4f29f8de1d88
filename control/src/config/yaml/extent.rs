//! Where a quoted scalar and a text end. The scanner's end marks lie behind what follows: white space, remarks, and a
//! newline that is not there.

/// Finds characters of a text by their index, for indices that never go down.
pub(super) struct Cursor {
    chars: usize,
    bytes: usize,
}

impl Cursor {
    /// At the start of the text.
    pub(super) fn new() -> Self {
        Self { chars: 0, bytes: 0 }
    }

    /// The text from the character with that index on; nothing when the index went down.
    pub(super) fn text_from<'t>(&mut self, text: &'t str, index: usize) -> &'t str {
        let Some(ahead) = index.checked_sub(self.chars) else { return "" };
        let rest = text.get(self.bytes..).unwrap_or("");
        let bytes = rest.char_indices().nth(ahead).map_or(rest.len(), |(at, _)| at);
        self.chars = index;
        self.bytes += bytes;
        text.get(self.bytes..).unwrap_or("")
    }
}

/// The place behind the closing quote of the scalar that starts `text`, which stands at `line` and `column`; `None`
/// when it has none.
pub(super) fn end(text: &str, line: u32, column: u32) -> Option<(u32, u32)> {
    let mut chars = text.chars().peekable();
    let quote = chars.next().filter(|c| matches!(c, '"' | '\''))?;
    let (mut line, mut column) = (line, column + 1);
    while let Some(c) = chars.next() {
        column += 1;
        match c {
            '\\' if quote == '"' && chars.peek().is_some_and(|next| !matches!(next, '\r' | '\n')) => {
                chars.next();
                column += 1;
            }
            '\n' => (line, column) = (line + 1, 1),
            '\r' if chars.peek() != Some(&'\n') => (line, column) = (line + 1, 1),
            c if c == quote && quote == '\'' && chars.peek() == Some(&'\'') => {
                chars.next();
                column += 1;
            }
            c if c == quote => return Some((line, column)),
            _ => {}
        }
    }
    None
}

/// Line and column behind the last character of a text.
pub(super) fn end_of(text: &str) -> (u32, u32) {
    let mut place = (1, 1);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let breaks = c == '\n' || (c == '\r' && chars.peek() != Some(&'\n'));
        place = if breaks { (place.0 + 1, 1) } else { (place.0, place.1 + 1) };
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_quote_ends_the_scalar() {
        for (text, place) in [
            (r#""a" # "x""#, Some((1, 4))),
            (r#""a\" b"  c"#, Some((1, 8))),
            (r"'it''s' '", Some((1, 8))),
            ("'a\n  b' ", Some((2, 5))),
            (r#""a"#, None),
            ("plain", None),
        ] {
            assert_eq!(end(text, 1, 1), place, "{text}");
        }
    }
}
