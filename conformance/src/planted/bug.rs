//! A bug as data: what to change where, and what must find it.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// A bug that a developer could make.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bug {
    /// Name of its file, without the ending.
    #[serde(skip)]
    pub name: String,
    /// What it is, in a line.
    pub bug: String,
    /// The invariant that must be reported as broken.
    pub breaks: String,
    /// Invariants that may be reported as well.
    #[serde(default)]
    pub also: Vec<String>,
    /// The scenario that shows it, from the repository's root.
    pub scenario: String,
    /// Seeds `A..B`, both included. Each of them must show it.
    seeds: String,
    /// Its changes.
    pub patch: Vec<Patch>,
}

/// A change of one file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Patch {
    /// Path from the repository's root.
    pub file: String,
    /// A text that the file has once.
    pub find: String,
    /// What takes its place.
    pub replace: String,
}

impl Bug {
    /// Every bug of `conformance/planted`, by name.
    ///
    /// # Panics
    /// When a file is not one.
    pub fn all() -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("planted");
        let entries = fs::read_dir(folder).expect("a folder of bugs");
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        files.sort();
        files.iter().map(|file| Self::read(file)).collect()
    }

    fn read(file: &Path) -> Self {
        let text = fs::read_to_string(file).expect("a file of text");
        let bug: Self = serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let name = file.file_stem().expect("a file's name").to_string_lossy().into_owned();
        Self { name, ..bug }
    }

    /// Seeds under which it must show.
    ///
    /// # Panics
    /// When they are not `A..B`.
    pub fn seeds(&self) -> impl Iterator<Item = u64> {
        let range = self.seeds.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..=to.parse().ok()?));
        range.unwrap_or_else(|| panic!("{}: seeds are `A..B`, not `{}`", self.name, self.seeds))
    }
}

impl Patch {
    /// `source`, changed.
    ///
    /// Errs when it does not have the text exactly once.
    pub fn apply(&self, source: &str) -> Result<String, String> {
        match source.matches(&self.find).count() {
            1 => Ok(source.replacen(&self.find, &self.replace, 1)),
            count => Err(format!(
                "{} has this text {count} times, not once; write the bug anew for the code as it is now:\n{}",
                self.file, self.find
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_gone_or_there_twice_is_said_so() {
        let patch = Patch { file: "a.rs".into(), find: "x < y".into(), replace: "x <= y".into() };
        assert_eq!(patch.apply("if x < y {"), Ok("if x <= y {".to_owned()));
        for (source, count) in [("if x > y {", 0), ("x < y; x < y", 2)] {
            let error = patch.apply(source).unwrap_err();
            assert!(error.contains(&format!("a.rs has this text {count} times")) && error.contains("x < y"), "{error}");
        }
    }
}
