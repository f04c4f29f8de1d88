//! The ledger of known differences: rows whose outcome differs from Envoy's, each with the reason.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Reasons by row. A row that is listed and does not differ is a fault, as is one that differs and is not.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ledger(BTreeMap<String, String>);

impl Ledger {
    /// The ledger of this repository.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("known_differences.yaml");
        Self::parse(&fs::read_to_string(path).expect("the ledger"))
    }

    /// A list of `row` and `reason`, a line each; `#` begins a comment.
    ///
    /// # Panics
    /// When a line is neither, a row is listed twice, or a reason is missing.
    fn parse(text: &str) -> Self {
        let mut reasons = BTreeMap::new();
        let mut row = None;
        for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some(name) = line.strip_prefix("- row: ") {
                assert_eq!(row.replace(unquoted(name)), None, "no reason before `{line}`");
            } else if let Some(reason) = line.strip_prefix("  reason: ") {
                let name = row.take().unwrap_or_else(|| panic!("no row before `{line}`"));
                assert!(reasons.insert(name, unquoted(reason)).is_none(), "listed twice, before `{line}`");
            } else {
                panic!("neither row nor reason: `{line}`");
            }
        }
        assert_eq!(row, None, "no reason at the end");
        Self(reasons)
    }

    /// The reason for which this row may differ.
    pub fn reason(&self, row: &str) -> Option<&str> {
        self.0.get(row).map(String::as_str)
    }

    /// All rows listed.
    pub fn rows(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

fn unquoted(text: &str) -> String {
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    inner.unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_is_rows_with_reasons() {
        let ledger = Ledger::parse("# Why\n\n- row: \"a: b\"\n  reason: because\n");
        assert_eq!(ledger.rows().collect::<Vec<_>>(), ["a: b"]);
        assert_eq!((ledger.reason("a: b"), ledger.reason("c")), (Some("because"), None));
    }

    #[test]
    #[should_panic(expected = "no reason at the end")]
    fn a_row_without_a_reason_is_refused() {
        Ledger::parse("- row: a\n");
    }
}
