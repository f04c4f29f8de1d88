//! The marked tree.

use indexmap::IndexMap;

use crate::diagnostic::Span;

/// One YAML node and where it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it holds.
    pub value: Value,
    /// Where it is written. An alias has the place of its use; what lies in it, the place of its anchor.
    pub span: Span,
    /// Text of an unquoted scalar as written; `None` for any other node.
    pub plain: Option<Box<str>>,
}

/// What a node holds, by the core schema of YAML 1.2.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`. `yes`, `no`, `on` and `off` are strings.
    Bool(bool),
    /// A whole number that fits.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    String(String),
    /// A list.
    Sequence(Vec<Node>),
    /// Fields in the order written.
    Mapping(Mapping),
}

/// Fields by name, in the order written. A name occurs once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mapping {
    entries: IndexMap<String, Entry>,
}

/// One field: where its name is written, and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Where the key is written.
    pub key: Span,
    /// The value.
    pub value: Node,
}

impl Mapping {
    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.entries.get(name).map(|entry| &entry.value)
    }

    /// A field with the place of its key.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// All fields in the order written.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(name, entry)| (name.as_str(), entry))
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a field; one of that name that is there already stays, and its key's place is returned.
    pub fn insert(&mut self, name: String, entry: Entry) -> Option<Span> {
        if let Some(first) = self.entries.get(&name) {
            return Some(first.key.clone());
        }
        self.entries.insert(name, entry);
        None
    }
}

impl Node {
    /// Text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number.
    pub fn as_i64(&self) -> Option<i64> {
        match self.value {
            Value::Integer(number) => Some(number),
            _ => None,
        }
    }

    /// Any number.
    pub fn as_f64(&self) -> Option<f64> {
        match self.value {
            Value::Integer(number) => Some(number as f64),
            Value::Float(number) => Some(number),
            _ => None,
        }
    }

    /// A truth value.
    pub fn as_bool(&self) -> Option<bool> {
        match self.value {
            Value::Bool(truth) => Some(truth),
            _ => None,
        }
    }

    /// Items of a list.
    pub fn as_sequence(&self) -> Option<&[Node]> {
        match &self.value {
            Value::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// Fields of a mapping.
    pub fn as_mapping(&self) -> Option<&Mapping> {
        match &self.value {
            Value::Mapping(mapping) => Some(mapping),
            _ => None,
        }
    }

    /// The value of a field, where this is a mapping that has it.
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.as_mapping()?.get(name)
    }

    /// Whether it is null or nothing.
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// Text of a scalar of any type: of a string its content, else what is written. `None` for null and collections.
    pub fn scalar_text(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            Value::Bool(_) | Value::Integer(_) | Value::Float(_) => self.plain.as_deref(),
            Value::Null | Value::Sequence(_) | Value::Mapping(_) => None,
        }
    }

    /// What the node is, for a message: `a string`, `a list` …
    pub fn kind_name(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Integer(_) | Value::Float(_) => "a number",
            Value::String(_) => "a string",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
        }
    }
}
