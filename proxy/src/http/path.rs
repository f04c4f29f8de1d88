//! Paths as routing, authorization and the upstream see them: normalised once, right after the head.
//!
//! Envoy: `normalize_path` (RFC 3986 §6.2.2.2 and §6.2.2.3: unreserved characters are unescaped, dot
//! segments removed, `\` becomes `/`), `merge_slashes`, `path_with_escaped_slashes_action`. Queries stay as
//! they are.

use std::borrow::Cow;

use crate::snapshot::listener::{EscapedSlashes, HttpManager};

/// What becomes of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Normalized<'a> {
    /// It goes on like this.
    Path(Cow<'a, str>),
    /// The client is sent to this path with 307.
    Redirect(String),
    /// It is refused with 400.
    Rejected,
}

/// The path and query of a request as `manager` wants it. A fragment is refused.
pub fn normalize<'a>(path_and_query: &'a str, manager: &HttpManager) -> Normalized<'a> {
    if path_and_query.contains('#') {
        return Normalized::Rejected;
    }
    let (path, query) = match path_and_query.find('?') {
        Some(at) => path_and_query.split_at(at),
        None => (path_and_query, ""),
    };
    let slashes = manager.escaped_slashes;
    if slashes == EscapedSlashes::Strict && !is_read_alike(path) {
        return Normalized::Rejected;
    }
    let has_escaped = !matches!(slashes, EscapedSlashes::Keep | EscapedSlashes::Strict) && has_escaped_slash(path);
    if has_escaped && slashes == EscapedSlashes::Reject {
        return Normalized::Rejected;
    }
    let mut normal = if has_escaped { Cow::Owned(unescape_slashes(path)) } else { Cow::Borrowed(path) };
    if manager.normalize_path {
        match canonical(&normal) {
            Some(Cow::Owned(path)) => normal = Cow::Owned(path),
            Some(Cow::Borrowed(_)) => {}
            None => return Normalized::Rejected,
        }
    }
    if manager.merge_slashes && normal.contains("//") {
        normal = Cow::Owned(merged(&normal));
    }
    if has_escaped && slashes == EscapedSlashes::UnescapeAndRedirect {
        return Normalized::Redirect(format!("{normal}{query}"));
    }
    Normalized::Path(match normal {
        Cow::Borrowed(_) => Cow::Borrowed(path_and_query),
        Cow::Owned(path) => Cow::Owned(path + query),
    })
}

/// Whether every reader unescapes `path` to the same: its escapes are whole, and none is of a slash, of a NUL,
/// or of a `%` that would make an escape of what follows.
fn is_read_alike(path: &str) -> bool {
    let bytes = path.as_bytes();
    memchr::memchr_iter(b'%', bytes).all(|at| match &bytes[at + 1..] {
        [b'2', b'f' | b'F', ..] | [b'5', b'c' | b'C', ..] | [b'0', b'0', ..] => false,
        [b'2', b'5', first, second, ..] => !(first.is_ascii_hexdigit() && second.is_ascii_hexdigit()),
        [first, second, ..] => first.is_ascii_hexdigit() && second.is_ascii_hexdigit(),
        _ => false,
    })
}

fn has_escaped_slash(path: &str) -> bool {
    path.as_bytes().windows(3).any(|three| escaped_slash(three).is_some())
}

/// `%2f` → `/`, `%5c` → `\`, in either case.
fn escaped_slash(three: &[u8]) -> Option<char> {
    match three {
        [b'%', b'2', b'f' | b'F'] => Some('/'),
        [b'%', b'5', b'c' | b'C'] => Some('\\'),
        _ => None,
    }
}

fn unescape_slashes(path: &str) -> String {
    let mut unescaped = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(first) = rest.chars().next() {
        let slash = rest.as_bytes().get(..3).and_then(escaped_slash);
        unescaped.push(slash.unwrap_or(first));
        rest = &rest[slash.map_or(first.len_utf8(), |_| 3)..];
    }
    unescaped
}

/// Unreserved characters unescaped, unsafe ones escaped, `\` as `/`, dot segments removed; the root has no parent. `None` for a
/// path that is not absolute, or has a broken escape (Envoy lets it pass) or an escaped NUL.
fn canonical(path: &str) -> Option<Cow<'_, str>> {
    if !path.starts_with('/') {
        return None;
    }
    let simple = !path.contains(is_rewritten) && !path.contains("/.");
    if simple {
        return Some(Cow::Borrowed(path));
    }
    let decoded = unescape_unreserved(path)?;
    let mut segments: Vec<&str> = Vec::new();
    let mut parts = decoded[1..].split('/').peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        match part {
            "." | ".." => {
                if part == ".." {
                    segments.pop();
                }
                if last {
                    segments.push("");
                }
            }
            part => segments.push(part),
        }
    }
    Some(Cow::Owned(format!("/{}", segments.join("/"))))
}

/// Characters that do not stay as they are: escapes, `\`, and what Envoy escapes in a path.
fn is_rewritten(char: char) -> bool {
    matches!(char, '%' | '\\') || is_escaped(char)
}

fn is_escaped(char: char) -> bool {
    matches!(char, '"' | '<' | '>' | '^' | '`' | '{' | '|' | '}')
}

fn unescape_unreserved(path: &str) -> Option<String> {
    let mut decoded = String::with_capacity(path.len());
    let mut chars = path.chars();
    while let Some(char) = chars.next() {
        match char {
            '%' => {
                let digits = chars.as_str().get(..2)?;
                let byte = u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?;
                chars = chars.as_str()[2..].chars();
                match char::from(byte) {
                    '\0' => return None,
                    plain @ ('A'..='Z' | 'a'..='z' | '0'..='9' | '-' | '.' | '_' | '~') => decoded.push(plain),
                    _ => decoded.extend(['%', digits.as_bytes()[0].into(), digits.as_bytes()[1].into()]),
                }
            }
            '\\' => decoded.push('/'),
            unsafe_char if is_escaped(unsafe_char) => decoded.push_str(&format!("%{:02X}", u32::from(unsafe_char))),
            other => decoded.push(other),
        }
    }
    Some(decoded)
}

fn merged(path: &str) -> String {
    let mut merged = String::with_capacity(path.len());
    for char in path.chars() {
        if char != '/' || !merged.ends_with('/') {
            merged.push(char);
        }
    }
    // Envoy keeps the first and the last slash of a path, and takes nothing but slashes for two of them.
    if merged == "/" { "//".to_owned() } else { merged }
}

#[cfg(test)]
mod tests;
