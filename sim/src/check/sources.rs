//! The text of the files that messages point into.

use std::collections::BTreeMap;

/// Files by the names that places use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    texts: BTreeMap<String, String>,
}

impl Sources {
    /// Keeps `text` as the content of `file`.
    pub fn insert(&mut self, file: impl Into<String>, text: impl Into<String>) {
        self.texts.insert(file.into(), text.into());
    }

    /// The content of `file`, when it is at hand.
    pub fn text(&self, file: &str) -> Option<&str> {
        self.texts.get(file).map(String::as_str)
    }

    /// The `kind` of the document that `line` (counted from 1) of `file` is in; `None` when the file is not
    /// at hand or the document does not say it on a line of its own.
    pub fn kind_at(&self, file: &str, line: u32) -> Option<&str> {
        let lines: Vec<&str> = self.text(file)?.lines().collect();
        let at = (line as usize).checked_sub(1).filter(|at| *at < lines.len())?;
        // A document ends at `---`; one written inline also at the `|` that begins its block.
        let ends = |line: &&str| line.trim() == "---" || line.trim_end().ends_with('|');
        let first = lines[..at].iter().rposition(ends).map_or(0, |end| end + 1);
        let last = lines[at..].iter().position(ends).map_or(lines.len(), |end| at + end.max(1));
        let kinds = lines[first..last].iter().filter(|line| line.trim_start().starts_with("kind:"));
        // Other fields of that name stand deeper.
        let outermost = kinds.min_by_key(|line| line.len() - line.trim_start().len())?;
        let value = outermost.trim_start().strip_prefix("kind:")?.split('#').next()?;
        Some(value.trim().trim_matches(['"', '\'']))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_is_that_of_the_lines_own_document() {
        let text = "apiVersion: v1\nkind: Service # own\nspec: {}\n---\nkind: 'Gateway'\nspec:\n  kind: other\n";
        let inline =
            "scenario: s\nconfig:\n  - |\n    kind: VirtualService\n    spec: {}\n    ---\n    kind: Service\n";
        let mut sources = Sources::default();
        sources.insert("a", text);
        sources.insert("b", inline);
        for (file, line, wanted) in [
            ("a", 1, Some("Service")),
            ("a", 3, Some("Service")),
            ("a", 5, Some("Gateway")),
            ("a", 7, Some("Gateway")),
            ("a", 9, None),
            ("a", 0, None),
            ("b", 5, Some("VirtualService")),
            ("b", 7, Some("Service")),
            ("c", 1, None),
        ] {
            assert_eq!(sources.kind_at(file, line), wanted, "{file}:{line}");
        }
    }
}
