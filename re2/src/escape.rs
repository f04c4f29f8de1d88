//! What a backslash and what follows it stand for.

use crate::Why;

pub(crate) const BACK: Why = "RE2 has no references back to a group";
const ESCAPE: Why = "RE2 does not know what follows a `\\`";

/// The set that `\d`, `\w`, `\s`, `\p` or an opposite of them stands for, and what follows it.
pub(crate) fn named_set(text: &str) -> Result<Option<(String, &str)>, Why> {
    let set = match text.as_bytes() {
        [b'\\', b'd', ..] => "[0-9]",
        [b'\\', b'D', ..] => "[^0-9]",
        [b'\\', b'w', ..] => "[0-9A-Za-z_]",
        [b'\\', b'W', ..] => "[^0-9A-Za-z_]",
        [b'\\', b's', ..] => "[\\t\\n\\f\\r ]",
        [b'\\', b'S', ..] => "[^\\t\\n\\f\\r ]",
        [b'\\', b'p' | b'P', ..] => return property(text).map(Some),
        _ => return Ok(None),
    };
    Ok(Some((set.to_owned(), &text[2..])))
}

/// `\pN`, `\p{Greek}`, `\P{^Lu}`: a general category by its short name, or a script.
fn property(text: &str) -> Result<(String, &str), Why> {
    let (name, rest) = match text[2..].strip_prefix('{') {
        Some(named) => named.split_once('}').ok_or(ESCAPE)?,
        None => text[2..].split_at(text[2..].chars().next().ok_or(ESCAPE)?.len_utf8()),
    };
    let bare = name.strip_prefix('^').unwrap_or(name);
    let outside = text.starts_with("\\P") != (bare != name);
    let letters = bare.bytes().all(|c| c.is_ascii_alphabetic() || c == b'_');
    if !letters || !bare.starts_with(|c: char| c.is_ascii_uppercase()) {
        return Err(ESCAPE);
    }
    let kind = match bare.len() {
        _ if bare == "Any" => "",
        1 | 2 => "gc=",
        _ => "sc=",
    };
    Ok((format!("\\{}{{{kind}{bare}}}", if outside { 'P' } else { 'p' }), rest))
}

/// The character that an escape stands for, and the length of the escape.
pub(crate) fn escaped(text: &str) -> Result<(char, usize), Why> {
    let next = text[1..].chars().next().ok_or(ESCAPE)?;
    let is = match next {
        'a' => '\x07',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        'x' => return hexadecimal(text),
        'k' => return Err(BACK),
        '0'..='9' => return octal(text),
        _ if next.is_ascii_alphanumeric() || !next.is_ascii() => return Err(ESCAPE),
        _ => next,
    };
    Ok((is, 2))
}

/// `\0`, `\12`, `\123`. A digit alone would be a reference to a group.
fn octal(text: &str) -> Result<(char, usize), Why> {
    let digits = text[1..].bytes().take(3).take_while(|c| (b'0'..=b'7').contains(c)).count();
    if digits == 0 || (digits == 1 && !text.starts_with("\\0")) {
        return Err(BACK);
    }
    code_point(&text[1..=digits], 8, digits + 1)
}

/// `\x41`, `\x{10FFFF}`.
fn hexadecimal(text: &str) -> Result<(char, usize), Why> {
    if let Some(braced) = text.strip_prefix("\\x{") {
        let digits = braced.split_once('}').ok_or(ESCAPE)?.0;
        return code_point(digits, 16, digits.len() + 4);
    }
    code_point(text.get(2..4).ok_or(ESCAPE)?, 16, 4)
}

fn code_point(digits: &str, radix: u32, len: usize) -> Result<(char, usize), Why> {
    let sound = digits.bytes().all(|c| c.is_ascii_hexdigit());
    let number = u32::from_str_radix(digits, radix).ok().filter(|_| sound);
    number.and_then(char::from_u32).map(|is| (is, len)).ok_or(ESCAPE)
}
