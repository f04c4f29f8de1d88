//! Which scenarios a command's paths stand for, and which checks its filter.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::scenario::load::gather;

/// The scenario files behind `paths`: a file stands for itself, a folder for every `*.yaml` below it that
/// has a `scenario:` key, in the order of their paths. Nothing is listed twice.
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
            own.retain(|file| is_scenario(file));
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
    fn a_path_that_does_not_exist_is_named() {
        let error = find(&[PathBuf::from("no/such/file.yaml")]).unwrap_err();
        assert!(error.to_string().contains("no/such/file.yaml"), "{error}");
    }
}
