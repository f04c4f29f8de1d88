//! Formats: text, or a JSON object a line. Envoy: `SubstitutionFormatString`.
//!
//! Files:
//! - [`parse`]: text to operators
//! - [`operator`]: what each operator writes, with [`address`], [`time`], [`tls`], [`provenance`], [`number`] and
//!   [`flags`]
//! - [`json`]: JSON objects

mod address;
pub(crate) mod flags;
pub mod json;
mod number;
pub mod operator;
pub mod parse;
pub mod provenance;
pub mod time;
pub mod tls;

pub use json::Json;
pub use operator::Operator;
pub use parse::{FormatError, text};

use super::entry::Entry;

/// What is written for a value that is not known.
const UNKNOWN: &[u8] = b"-";

/// A part of a text.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// As it stands.
    Literal(Box<[u8]>),
    /// What an operator says.
    Value(Operator),
}

/// How a line is made.
#[derive(Debug, Clone, PartialEq)]
pub struct Format {
    source: Box<str>,
    shape: Shape,
    omit_empty: bool,
}

/// The form of a line.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// Text, its end of line included.
    Text(Vec<Piece>),
    /// A JSON object.
    Json(Json),
}

impl Format {
    /// A format; `source` shows it. With `omit_empty`, values that are not known leave nothing behind.
    pub fn new(source: impl Into<Box<str>>, shape: Shape, omit_empty: bool) -> Self {
        Self { source: source.into(), shape, omit_empty }
    }

    /// As it was configured: the text, or `JSON`.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Appends the line of `entry`.
    pub(crate) fn write(&self, entry: &Entry<'_>, line: &mut Vec<u8>) {
        match &self.shape {
            Shape::Text(pieces) => {
                for piece in pieces {
                    match piece {
                        Piece::Literal(literal) => line.extend_from_slice(literal),
                        Piece::Value(operator) => {
                            if !operator.write(entry, line) && !self.omit_empty {
                                line.extend_from_slice(UNKNOWN);
                            }
                        }
                    }
                }
            }
            Shape::Json(object) => object.write(entry, self.omit_empty, line),
        }
    }
}

#[cfg(test)]
mod tests;
