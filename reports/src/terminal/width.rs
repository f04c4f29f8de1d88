//! Columns that text takes on a terminal: wide characters take two, marks on the character before them none.
//!
//! The ranges are those that Unicode's `EastAsianWidth.txt` calls wide or fullwidth, and the marks that are common in
//! text; a terminal that draws others differently only moves a caret.

/// First and last of the characters that take two columns.
const WIDE: [(u32, u32); 13] = [
    (0x1100, 0x115f),
    (0x2e80, 0x303e),
    (0x3041, 0x33ff),
    (0x3400, 0x4dbf),
    (0x4e00, 0xa4cf),
    (0xa960, 0xa97f),
    (0xac00, 0xd7a3),
    (0xf900, 0xfaff),
    (0xfe30, 0xfe6f),
    (0xff00, 0xff60),
    (0xffe0, 0xffe6),
    (0x1f300, 0x1faff),
    (0x20000, 0x3fffd),
];
/// First and last of the characters that take none.
const MARKS: [(u32, u32); 6] =
    [(0x0300, 0x036f), (0x1ab0, 0x1aff), (0x200b, 0x200f), (0x20d0, 0x20ff), (0xfe00, 0xfe0f), (0xfe20, 0xfe2f)];

/// Columns of one character.
pub(super) fn of_char(c: char) -> usize {
    let code = u32::from(c);
    // Most text is below all of them.
    if code < 0x300 {
        return 1;
    }
    let is_in = |ranges: &[(u32, u32)]| ranges.iter().any(|(first, last)| (*first..=*last).contains(&code));
    if is_in(&MARKS) {
        0
    } else if is_in(&WIDE) {
        2
    } else {
        1
    }
}

/// Columns of a text without colours.
pub(super) fn of(text: &str) -> usize {
    text.chars().map(of_char).sum()
}

/// White space as wide as `text`; a tab stays one, for its width depends on where it stands.
pub(super) fn blank(text: &str) -> String {
    text.chars().map(|c| if c == '\t' { "\t".to_owned() } else { " ".repeat(of_char(c)) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_take_two_columns_and_marks_none() {
        for (text, wanted) in
            [("abc", 3), ("größe", 5), ("金丝雀", 6), ("ｗ", 2), ("e\u{301}", 1), ("🚀", 2), ("→", 1), ("", 0)]
        {
            assert_eq!(of(text), wanted, "{text}");
        }
        assert_eq!(blank("a\t金"), " \t  ");
    }
}
