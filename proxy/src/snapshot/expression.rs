//! Regular expressions as values: two are equal when their texts are, so that a configuration can be
//! compared with the one before it.

use regex::Regex;
use serde::{Serialize, Serializer};

/// A regular expression, in the syntax of the `regex` crate.
#[derive(Debug, Clone)]
pub struct Expression(Regex);

impl Expression {
    /// Whether it matches somewhere in `text`.
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl From<Regex> for Expression {
    fn from(regex: Regex) -> Self {
        Self(regex)
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Expression {}

impl Serialize for Expression {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
