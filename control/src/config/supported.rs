//! The page of supported kinds and fields, printed from the tables that decoding goes by.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::kind::{Kind, NOT_YET};
use super::table::{Era, Fate, Row, Shape, Table};

/// The kinds, their fields and what becomes of each, as Markdown.
pub fn supported_table() -> String {
    let mut page = Page { out: String::from(INTRODUCTION), printed: BTreeMap::new() };
    for kind in Kind::ALL {
        page.kind(kind);
    }
    page.out
        .push_str("\n## Kinds that are not supported yet\n\nA document of one of these is an error that names it:\n");
    let names: Vec<_> = NOT_YET.iter().map(|name| format!("`{name}`")).collect();
    let _ = writeln!(page.out, "{}.", names.join(", "));
    page.out
}

const INTRODUCTION: &str = "\
# Supported kinds and fields

This page is printed from the tables that decoding goes by; a test compares the two.

- **dialect**: which `compat` has the field; in the other it is an error.
- **not supported yet**: the field exists in Istio or Kubernetes and is an error here, with its file, line and column.
- **ignored**: accepted, and without effect.
- A field that is in no table is an error, with the nearest known name.
";

struct Page {
    out: String,
    /// Where a table of that name is printed.
    printed: BTreeMap<&'static str, String>,
}

impl Page {
    fn kind(&mut self, kind: Kind) {
        let versions: Vec<_> = kind.api_versions().iter().map(|version| format!("`{version}`")).collect();
        let _ = write!(self.out, "\n## {kind}\n\n{}: {}.\n\n", versions.join(", "), kind.purpose());
        self.out.push_str("| field | dialect | what becomes of it |\n|---|---|---|\n");
        self.rows(kind, "", kind.table());
    }

    fn rows(&mut self, kind: Kind, path: &str, table: &'static Table) {
        for row in table.rows {
            self.row(kind, path, row);
        }
    }

    fn row(&mut self, kind: Kind, path: &str, row: &'static Row) {
        let (suffix, nested) = match row.fate {
            Fate::Nested(table, Shape::One) => ("", Some(table)),
            Fate::Nested(table, Shape::List) => ("[]", Some(table)),
            Fate::Nested(table, Shape::Map) => ("{}", Some(table)),
            Fate::Read | Fate::Ignored | Fate::NotYet => ("", None),
        };
        let path = match path {
            "" => format!("{}{suffix}", row.field),
            _ => format!("{path}.{}{suffix}", row.field),
        };
        let seen = nested.and_then(|table| self.printed.get(table.name).cloned());
        let what = match (row.fate, &seen) {
            (Fate::NotYet, _) => "**not supported yet**".to_owned(),
            (Fate::Ignored, _) => format!("ignored: {}", row.note),
            (_, Some(first)) => format!("{}; fields as in {first}", row.note),
            (_, None) => row.note.to_owned(),
        };
        let _ = writeln!(self.out, "| `{path}` | {} | {} |", era(row.era), what.replace('|', "\\|"));
        if let Some(table) = nested.filter(|_| seen.is_none()) {
            self.printed.insert(table.name, format!("{kind} `{path}`"));
            self.rows(kind, &path, table);
        }
    }
}

fn era(era: Era) -> &'static str {
    match era {
        Era::Both => "both",
        Era::V1 => "v1",
        Era::V1_0 => "1.0",
    }
}
