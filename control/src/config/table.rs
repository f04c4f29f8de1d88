//! Tables of fields: what each kind may hold, and what becomes of it.
//!
//! Decoding goes by these tables and the page of supported fields is printed from them, so the two cannot part.

use crate::dialect::Dialect;

/// The fields of one mapping.
#[derive(Debug)]
pub struct Table {
    /// Name in messages, `HTTPRoute`; unique.
    pub name: &'static str,
    /// The fields.
    pub rows: &'static [Row],
}

/// One field.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name in YAML.
    pub field: &'static str,
    /// What becomes of it.
    pub fate: Fate,
    /// Which Istio has it.
    pub era: Era,
    /// What it turns into, or why it is ignored.
    pub note: &'static str,
}

/// What becomes of a field.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    /// Read.
    Read,
    /// A mapping, or a list of mappings, with fields of its own.
    Nested(&'static Table, Shape),
    /// Accepted, and without effect on the mesh.
    Ignored,
    /// An error that says so.
    NotYet,
}

/// How the mappings of a nested table are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One mapping.
    One,
    /// A list of them.
    List,
    /// A mapping from a free name to one.
    Map,
}

/// Which Istio has a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// Both.
    Both,
    /// Today's only.
    V1,
    /// 1.0 only.
    V1_0,
}

impl Era {
    /// Whether the dialect's Istio has it.
    pub fn has(self, dialect: Dialect) -> bool {
        match self {
            Era::Both => true,
            Era::V1 => dialect == Dialect::V1,
            Era::V1_0 => dialect == Dialect::V1_0,
        }
    }
}

impl Row {
    /// A field that is read.
    pub const fn read(field: &'static str, note: &'static str) -> Row {
        Row { field, fate: Fate::Read, era: Era::Both, note }
    }

    /// A mapping with fields of its own.
    pub const fn nested(field: &'static str, table: &'static Table, note: &'static str) -> Row {
        Row { field, fate: Fate::Nested(table, Shape::One), era: Era::Both, note }
    }

    /// A list of mappings with fields of their own.
    pub const fn list(field: &'static str, table: &'static Table, note: &'static str) -> Row {
        Row { field, fate: Fate::Nested(table, Shape::List), era: Era::Both, note }
    }

    /// A mapping from free names to mappings with fields of their own.
    pub const fn map(field: &'static str, table: &'static Table, note: &'static str) -> Row {
        Row { field, fate: Fate::Nested(table, Shape::Map), era: Era::Both, note }
    }

    /// A field that is accepted and has no effect.
    pub const fn ignored(field: &'static str, why: &'static str) -> Row {
        Row { field, fate: Fate::Ignored, era: Era::Both, note: why }
    }

    /// A field that is refused for now.
    pub const fn not_yet(field: &'static str) -> Row {
        Row { field, fate: Fate::NotYet, era: Era::Both, note: "" }
    }

    /// The same field, of today's Istio only.
    pub const fn v1(self) -> Row {
        Row { era: Era::V1, ..self }
    }

    /// The same field, of Istio 1.0 only.
    pub const fn v1_0(self) -> Row {
        Row { era: Era::V1_0, ..self }
    }
}

impl Table {
    /// The row of a field.
    pub fn row(&self, field: &str) -> Option<&'static Row> {
        self.rows.iter().find(|row| row.field == field)
    }
}
