//! JSON objects whose values are formats. Envoy: `JsonFormatter`.
//!
//! A text that is one operator becomes what the operator says: a number, an object, a text, or null; any other text
//! stays one. Members are in the order of their keys.

use super::operator::Operator;
use super::{Piece, UNKNOWN};
use crate::access_log::entry::Entry;

/// A value of the format.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// JSON as it stands.
    Literal(Box<str>),
    /// What an operator says.
    Value(Operator),
    /// A text with operators in it; its literals are escaped.
    Text(Vec<Piece>),
    /// Members; each key is as it is written, with its colon.
    Object(Vec<(Box<[u8]>, Json)>),
    /// Items.
    Array(Vec<Json>),
}

impl Json {
    /// A text made of `pieces`.
    pub fn text(mut pieces: Vec<Piece>) -> Self {
        if let [Piece::Value(operator)] = &pieces[..] {
            return Self::Value(operator.clone());
        }
        for piece in &mut pieces {
            if let Piece::Literal(literal) = piece {
                let mut escaped = literal.to_vec();
                escape(&mut escaped, 0);
                *literal = escaped.into();
            }
        }
        Self::Text(pieces)
    }

    /// An object; its members are put in order.
    pub fn object(mut members: Vec<(&str, Self)>) -> Self {
        members.sort_by_key(|(key, _)| *key);
        let written = members.into_iter().map(|(key, value)| {
            let mut text = vec![b'"'];
            text.extend_from_slice(key.as_bytes());
            escape(&mut text, 1);
            text.extend_from_slice(b"\":");
            (text.into(), value)
        });
        Self::Object(written.collect())
    }

    /// A number, as C's `%.15g` shows it: very large and very small ones have an exponent. What is no number is null.
    pub fn number(value: f64) -> Self {
        if !value.is_finite() {
            return Self::Null;
        }
        let scientific = format!("{value:e}");
        let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        Self::Literal(match exponent {
            -4..15 => value.to_string().into(),
            _ => format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs()).into(),
        })
    }

    /// Appends the line of `entry`. With `omit_empty`, what is not known is left out, and so is an object that has
    /// nothing left.
    pub(super) fn write(&self, entry: &Entry<'_>, omit_empty: bool, line: &mut Vec<u8>) {
        if !self.put(entry, omit_empty, line) {
            line.extend_from_slice(b"{}");
        }
        line.push(b'\n');
    }

    /// Appends the value; false: there is none, and nothing was appended.
    fn put(&self, entry: &Entry<'_>, omit_empty: bool, line: &mut Vec<u8>) -> bool {
        match self {
            Self::Null if omit_empty => return false,
            Self::Null => line.extend_from_slice(b"null"),
            Self::Literal(literal) => line.extend_from_slice(literal.as_bytes()),
            Self::Value(operator) => return put_value(operator, entry, omit_empty, line),
            Self::Text(pieces) => {
                line.push(b'"');
                for piece in pieces {
                    put_piece(piece, entry, omit_empty, line);
                }
                line.push(b'"');
            }
            Self::Object(members) => return put_object(members, entry, omit_empty, line),
            Self::Array(items) => {
                line.push(b'[');
                let begin = line.len();
                for item in items {
                    let before = line.len();
                    if before > begin {
                        line.push(b',');
                    }
                    if !item.put(entry, omit_empty, line) {
                        line.truncate(before);
                    }
                }
                line.push(b']');
            }
        }
        true
    }
}

fn put_value(operator: &Operator, entry: &Entry<'_>, omit_empty: bool, line: &mut Vec<u8>) -> bool {
    let before = line.len();
    let known = if operator.writes_json() {
        operator.write(entry, line)
    } else {
        line.push(b'"');
        let known = operator.write(entry, line);
        escape(line, before + 1);
        line.push(b'"');
        known
    };
    if !known {
        line.truncate(before);
        if !omit_empty {
            line.extend_from_slice(b"null");
        }
    }
    known || !omit_empty
}

fn put_piece(piece: &Piece, entry: &Entry<'_>, omit_empty: bool, line: &mut Vec<u8>) {
    match piece {
        Piece::Literal(escaped) => line.extend_from_slice(escaped),
        Piece::Value(operator) => {
            let before = line.len();
            if operator.write(entry, line) {
                escape(line, before);
            } else if !omit_empty {
                line.extend_from_slice(UNKNOWN);
            }
        }
    }
}

fn put_object(members: &[(Box<[u8]>, Json)], entry: &Entry<'_>, omit_empty: bool, line: &mut Vec<u8>) -> bool {
    let begin = line.len();
    line.push(b'{');
    for (key, value) in members {
        let before = line.len();
        if before > begin + 1 {
            line.push(b',');
        }
        line.extend_from_slice(key);
        if !value.put(entry, omit_empty, line) {
            line.truncate(before);
        }
    }
    if omit_empty && line.len() == begin + 1 {
        line.truncate(begin);
        return false;
    }
    line.push(b'}');
    true
}

/// Escapes what a JSON text cannot hold in everything from `begin` on.
pub(super) fn escape(text: &mut Vec<u8>, begin: usize) {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    let Some(tail) = text.get(begin..) else { return };
    if tail.iter().all(is_plain) {
        return;
    }
    let raw = tail.to_vec();
    text.truncate(begin);
    let Ok(valid) = std::str::from_utf8(&raw) else {
        // JSON is UTF-8. Of a text that is none, Envoy tells every byte that is not plain by its number.
        for byte in raw {
            if is_plain(&byte) {
                text.push(byte);
            } else {
                text.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
            }
        }
        return;
    };
    for sign in valid.chars() {
        match sign {
            '"' => text.extend_from_slice(b"\\\""),
            '\\' => text.extend_from_slice(b"\\\\"),
            '\u{8}' => text.extend_from_slice(b"\\b"),
            '\t' => text.extend_from_slice(b"\\t"),
            '\n' => text.extend_from_slice(b"\\n"),
            '\u{c}' => text.extend_from_slice(b"\\f"),
            '\r' => text.extend_from_slice(b"\\r"),
            '\0'..='\u{1f}' => text.extend_from_slice(format!("\\u{:04x}", u32::from(sign)).as_bytes()),
            sign => text.extend_from_slice(sign.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}
