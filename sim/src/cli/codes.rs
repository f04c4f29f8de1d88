//! What the codes of messages mean: `wavetank help MS0101`.
//!
//! The text is `docs/codes.md`, a section for each code.

const PAGE: &str = include_str!("../../../docs/codes.md");

/// What is said about one code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// `MS0101`.
    pub code: &'static str,
    /// In a few words.
    pub title: &'static str,
    /// In full, as Markdown.
    pub text: &'static str,
}

impl Entry {
    /// The entry as plain text: fences go, what stood in them is indented.
    pub fn render(&self) -> String {
        let mut out = format!("{}: {}\n\n", self.code, self.title);
        let mut fenced = false;
        for line in self.text.lines() {
            if line.starts_with("```") {
                fenced = !fenced;
                continue;
            }
            let indent = if fenced && !line.is_empty() { "    " } else { "" };
            out.push_str(&format!("{indent}{line}\n"));
        }
        out
    }

    /// The example: what stands in its first fence. `None` when it has none.
    pub fn example(&self) -> Option<&'static str> {
        let (_, rest) = self.text.split_once("```yaml\n").or_else(|| self.text.split_once("```text\n"))?;
        Some(rest.split("```").next().unwrap_or(rest))
    }
}

/// Every code with what it means, in the order of their numbers.
pub fn entries() -> impl Iterator<Item = Entry> {
    PAGE.split("\n### ").skip(1).filter_map(|section| {
        let (head, text) = section.split_once('\n')?;
        let (code, title) = head.split_once(' ')?;
        // A section ends where the next group of codes begins.
        let text = text.split("\n## ").next().unwrap_or(text).trim();
        Some(Entry { code, title, text })
    })
}

/// The entry of `code`: `MS0101`, `ms0101` or `101`.
pub fn entry(code: &str) -> Option<Entry> {
    let digits = code.strip_prefix("MS").or_else(|| code.strip_prefix("ms")).unwrap_or(code);
    let number: u32 = digits.parse().ok()?;
    entries().find(|entry| entry.code == format!("MS{number:04}"))
}

/// All codes, a line each.
pub fn list() -> String {
    entries().map(|entry| format!("{}  {}\n", entry.code, entry.title)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use wavetank_control::config::SourceFile;
    use wavetank_control::dialect::Dialect;
    use wavetank_control::model::{ConfigStore, Mesh, MeshConfig};
    use wavetank_control::validate;

    use super::*;
    use crate::world::cast::Cast;
    use crate::world::manifests::admit;

    /// Codes that the product's source names: `Code(101)` and `"MS1001"`.
    fn named(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                named(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let product = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or(&text).to_owned();
                let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>();
                for (mark, end) in [("Code(", ')'), ("\"MS", '"')] {
                    for rest in product.split(mark).skip(1) {
                        let number = digits(rest);
                        if !number.is_empty() && rest[number.len()..].starts_with(end) {
                            found.insert(format!("MS{number:0>4}"));
                        }
                    }
                }
            }
        }
    }

    fn codes_of(text: &str) -> BTreeSet<String> {
        let dialect = if text.contains("# compat: 1.0") { Dialect::V1_0 } else { Dialect::V1 };
        let file = SourceFile::new("example.yaml", text);
        let mut store = ConfigStore::new(dialect);
        let mut found = store.apply(&file).diagnostics;
        found.extend(Mesh::resolve(&store.snapshot(), dialect, MeshConfig::default()).1);
        found.extend(validate::set(&store.snapshot(), dialect, &MeshConfig::default()));
        found.extend(admit(&mut Cast::mesh(), &[file], dialect));
        found.iter().map(|found| found.code.to_string()).collect()
    }

    #[test]
    fn every_code_is_explained_with_an_example() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut codes = BTreeSet::new();
        for folder in ["control/src", "sim/src"] {
            named(&root.join(folder), &mut codes);
        }
        assert!(codes.len() > 40, "{codes:?}");
        for code in &codes {
            let entry = entry(code).unwrap_or_else(|| panic!("docs/codes.md says nothing of {code}"));
            assert!(entry.example().is_some(), "{code} has no example");
        }
        for entry in entries() {
            assert!(codes.contains(entry.code), "{} is explained and nothing names it", entry.code);
        }
    }

    #[test]
    fn codes_are_in_order_and_each_is_there_once() {
        let codes: Vec<&str> = entries().map(|entry| entry.code).collect();
        assert!(codes.is_sorted_by(|a, b| a < b), "{codes:?}");
    }

    #[test]
    fn every_manifest_among_the_examples_brings_its_code() {
        for entry in entries().filter(|entry| entry.text.contains("```yaml\n")) {
            let found = codes_of(entry.example().unwrap());
            assert!(found.contains(entry.code), "{}: {found:?}", entry.code);
        }
    }

    #[test]
    fn a_code_may_be_written_in_three_ways() {
        let wanted = entry("MS0102").unwrap();
        assert_eq!((entry("ms0102"), entry("102")), (Some(wanted), Some(wanted)));
        assert_eq!((entry("MS9999"), entry("x")), (None, None));
        assert!(wanted.render().starts_with("MS0102: no field of that name\n\n"));
        assert!(!wanted.render().contains("```"));
    }
}
