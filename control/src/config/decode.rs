//! Decoding by tables: opens a mapping against its [`Table`], reports every field that is not read, and reads the rest.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use crate::diagnostic::{Code, Diagnostic, Span};
use crate::dialect::Dialect;

use super::codes;
use super::suggest;
use super::table::{Fate, Row, Table};
use super::yaml::{Entry, Node};

/// Collects what is found while a document is decoded.
pub(crate) struct Decoder {
    /// Which Istio the document is read as.
    pub(crate) dialect: Dialect,
    /// All findings, in the order of the document.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

impl Decoder {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self { dialect, diagnostics: Vec::new() }
    }

    pub(crate) fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    pub(crate) fn error(&mut self, code: Code, span: &Span, message: impl Into<String>) {
        self.report(Diagnostic::error(code, span, message));
    }

    /// Reports that `node` is not what was wanted.
    pub(crate) fn wrong_type(&mut self, node: &Node, wanted: &str) {
        self.error(codes::VALUE, &node.span, format!("expected {wanted}, found {}", node.kind_name()));
    }

    /// Whether anything found so far refuses the document.
    pub(crate) fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }

    /// A value that serde decodes.
    pub(crate) fn serde<T: DeserializeOwned>(node: &Node, decoder: &mut Decoder) -> Option<T> {
        node.decode().map_err(|finding| decoder.report(finding)).ok()
    }
}

/// The fields of one mapping that its table reads.
pub(crate) struct Fields<'n> {
    table: &'static Table,
    node: &'n Node,
    present: BTreeMap<&'static str, &'n Entry>,
    /// Whether a key could not be read.
    unread: bool,
}

impl<'n> Fields<'n> {
    /// Checks every key of `node` against `table`; `None`, with a report, when `node` is no mapping. Null is empty.
    pub(crate) fn open(node: &'n Node, table: &'static Table, decoder: &mut Decoder) -> Option<Self> {
        let mut fields = Self { table, node, present: BTreeMap::new(), unread: false };
        if node.is_null() {
            return Some(fields);
        }
        let Some(mapping) = node.as_mapping() else {
            decoder.wrong_type(node, &format!("a mapping ({})", table.name));
            return None;
        };
        for (key, entry) in mapping.iter() {
            match row_of(table, key, decoder.dialect) {
                Some(row) => fields.admit(row, key, entry, decoder),
                None => {
                    fields.unread = true;
                    fields.unknown(key, &entry.key, decoder);
                }
            }
        }
        Some(fields)
    }

    fn admit(&mut self, row: &'static Row, key: &str, entry: &'n Entry, decoder: &mut Decoder) {
        let name = self.table.name;
        if !row.era.has(decoder.dialect) {
            let message = format!("Istio {} has no field `{key}` in {name}", decoder.dialect);
            decoder.error(codes::NOT_IN_DIALECT, &entry.key, message);
            self.unread = true;
            return;
        }
        match row.fate {
            Fate::Ignored => {}
            Fate::NotYet if entry.value.is_null() => {}
            Fate::NotYet => {
                let message = format!("`{key}` of {name} is not supported yet");
                decoder.error(codes::FIELD_NOT_YET, &entry.key, message);
                self.unread = true;
            }
            Fate::Read | Fate::Nested(..) => {
                if let Some(first) = self.present.insert(row.field, entry) {
                    let message = format!("`{}` is written twice, in two spellings", row.field);
                    let twice = Diagnostic::error(codes::DUPLICATE_KEY, &entry.key, message);
                    decoder.report(twice.with_related(&first.key, "first written here"));
                }
            }
        }
    }

    fn unknown(&self, key: &str, span: &Span, decoder: &mut Decoder) {
        let message = format!("unknown field `{key}` in {}", self.table.name);
        let finding = Diagnostic::error(codes::UNKNOWN_FIELD, span, message);
        let known = self.table.rows.iter().filter(|row| row.era.has(decoder.dialect)).map(|row| row.field);
        decoder.report(match suggest::nearest(key, known) {
            Some(meant) => finding.with_help(format!("did you mean `{meant}`?")),
            None => finding,
        });
    }

    /// A field with the place of its key; `None` when it is absent or null.
    pub(crate) fn entry(&self, field: &'static str) -> Option<&'n Entry> {
        debug_assert!(self.table.row(field).is_some(), "{} has no row `{field}`", self.table.name);
        self.present.get(field).copied().filter(|entry| !entry.value.is_null())
    }

    /// The place of the whole mapping.
    pub(crate) fn span(&self) -> &'n Span {
        &self.node.span
    }

    /// Reads a field that may be absent.
    pub(crate) fn optional<T>(
        &self,
        field: &'static str,
        decoder: &mut Decoder,
        read: impl FnOnce(&'n Node, &mut Decoder) -> Option<T>,
    ) -> Option<T> {
        read(&self.entry(field)?.value, decoder)
    }

    /// Reads a field that must be there; its absence is reported.
    pub(crate) fn required<T>(
        &self,
        field: &'static str,
        decoder: &mut Decoder,
        read: impl FnOnce(&'n Node, &mut Decoder) -> Option<T>,
    ) -> Option<T> {
        match self.entry(field) {
            Some(entry) => read(&entry.value, decoder),
            None => {
                let message = format!("`{field}` is missing in {}", self.table.name);
                decoder.error(codes::MISSING_FIELD, self.span(), message);
                None
            }
        }
    }

    /// Reports that none of `fields` is there, unless a key could not be read.
    pub(crate) fn at_least_one(&self, fields: &[&'static str], decoder: &mut Decoder) {
        let is_there = |field: &&'static str| self.present.get(field).is_some_and(|entry| !entry.value.is_null());
        if !self.unread && !fields.iter().any(is_there) {
            let message = format!("{} is empty; it needs one of `{}`", self.table.name, fields.join("`, `"));
            decoder.error(codes::MISSING_FIELD, self.span(), message);
        }
    }

    /// Reads every item of a list; an absent list is empty, an item that cannot be read is left out.
    pub(crate) fn list<T>(
        &self,
        field: &'static str,
        decoder: &mut Decoder,
        mut read: impl FnMut(&'n Node, &mut Decoder) -> Option<T>,
    ) -> Vec<T> {
        let Some(entry) = self.entry(field) else { return Vec::new() };
        let Some(items) = entry.value.as_sequence() else {
            decoder.wrong_type(&entry.value, "a list");
            return Vec::new();
        };
        items.iter().filter_map(|item| read(item, decoder)).collect()
    }
}

/// The row of a key. Istio 1.0 also takes a field by its protobuf name, `sni_hosts` for `sniHosts`.
fn row_of(table: &'static Table, key: &str, dialect: Dialect) -> Option<&'static Row> {
    table.row(key).or_else(|| {
        let old = dialect.takes_protobuf_names() && key.contains('_');
        old.then(|| camel_case(key)).and_then(|name| table.row(&name))
    })
}

fn camel_case(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    let mut upper = false;
    for c in key.chars() {
        match c {
            '_' => upper = true,
            c if upper => {
                out.extend(c.to_uppercase());
                upper = false;
            }
            c => out.push(c),
        }
    }
    out
}
