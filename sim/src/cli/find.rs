//! Which scenarios a command's paths stand for, and which checks its filter.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::scenario::load::gather;

/// The scenario files behind `paths`: a file stands for itself, a folder for every `*.yaml` below it that
/// has a `scenario:` key, in the order of their paths; folders in it named `failing` are left out. Nothing is
/// listed twice.
///
/// # Errors
/// When a path does not exist or cannot be read; the message names it.
pub fn find(paths: &[PathBuf]) -> io::Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = Vec::new();
    for path in paths {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let mut own = Vec::new();
        if fs::metadata(path).map_err(named)?.is_dir() {
            gather(path, &mut own).map_err(named)?;
            own.retain(|file| is_scenario(file) && !is_to_fail(file, path));
        } else {
            own.push(path.clone());
        }
        for file in own {
            if !found.contains(&file) {
                found.push(file);
            }
        }
    }
    Ok(found)
}

/// Whether a file has the top-level key `scenario`. Its text is searched, so that a scenario that is not
/// even YAML is found, and told to be wrong.
fn is_scenario(file: &Path) -> bool {
    fs::read_to_string(file).is_ok_and(|text| text.lines().any(|line| line.starts_with("scenario:")))
}

/// Whether a file is below a folder of scenarios that must fail, which only runs when it is asked for itself.
pub(super) fn is_to_fail(file: &Path, asked: &Path) -> bool {
    let below = file.strip_prefix(asked).unwrap_or(file);
    below.parent().is_some_and(|folder| folder.components().any(|part| part.as_os_str() == "failing"))
}

/// What `-k` lets through.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    text: Option<String>,
    inverted: bool,
}

impl Filter {
    /// The filter written as `expression`; `None` lets everything through.
    pub fn new(expression: Option<&str>) -> Self {
        match expression.map(|text| text.strip_prefix('!').map_or((text, false), |rest| (rest, true))) {
            Some((text, inverted)) => Self { text: Some(text.to_owned()), inverted },
            None => Self::default(),
        }
    }

    /// Whether a check described by `words` is let through.
    pub fn keeps(&self, words: &str) -> bool {
        self.text.as_ref().is_none_or(|text| words.contains(text.as_str()) != self.inverted)
    }
}

/// What `--tag` lets through.
#[derive(Debug, Clone, Default)]
pub struct Tags {
    wanted: Vec<String>,
    unwanted: Vec<String>,
}

impl Tags {
    /// The filter written as `words`, those that begin with `!` being unwanted; no word lets everything
    /// through.
    pub fn new(words: &[String]) -> Self {
        let unwanted = words.iter().filter_map(|word| word.strip_prefix('!')).map(str::to_owned).collect();
        Self { wanted: words.iter().filter(|word| !word.starts_with('!')).cloned().collect(), unwanted }
    }

    /// Whether a scenario with these tags is let through: it has one that is wanted and none that is not.
    pub fn keep(&self, tags: &[String]) -> bool {
        (self.wanted.is_empty() || tags.iter().any(|tag| self.wanted.contains(tag)))
            && !tags.iter().any(|tag| self.unwanted.contains(tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_keeps_what_has_its_text_or_has_not() {
        assert!(Filter::new(None).keeps("x"));
        assert!(Filter::new(Some("go")).keeps("canary.yaml split node -> go"));
        assert!(!Filter::new(Some("!go")).keeps("canary.yaml split node -> go"));
        assert!(Filter::new(Some("!lua")).keeps("canary.yaml split node -> go"));
    }

    #[test]
    fn tags_keep_what_has_one_of_them_and_none_of_the_others() {
        let tags = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let keeps = |words: &[&str], own: &[&str]| Tags::new(&tags(words)).keep(&tags(own));
        assert!(keeps(&[], &[]) && keeps(&["a"], &["b", "a"]) && keeps(&["a", "c"], &["a"]));
        assert!(!keeps(&["a"], &[]) && !keeps(&["!a"], &["a"]) && !keeps(&["b", "!a"], &["a", "b"]));
        assert!(keeps(&["!a"], &["b"]));
    }

    #[test]
    fn a_path_that_does_not_exist_is_named() {
        let error = find(&[PathBuf::from("no/such/file.yaml")]).unwrap_err();
        assert!(error.to_string().contains("no/such/file.yaml"), "{error}");
    }
}
