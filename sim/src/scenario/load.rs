//! A scenario and its manifests from disk.

use std::fs;
use std::path::{Path, PathBuf};

use wavetank_control::config::SourceFile;
use wavetank_control::diagnostic::Diagnostic;

use super::model::Scenario;
use super::parse::{Manifests, parse_all};
use super::text;
use crate::check::Sources;

/// Files of one folder of manifests that are read at most.
const FOLDER_FILES_MAX: usize = 10_000;

/// Why a scenario cannot run.
#[derive(Debug, Clone)]
pub struct Invalid {
    /// Its path as messages show it.
    pub file: String,
    /// Everything that is wrong with it.
    pub diagnostics: Vec<Diagnostic>,
    /// Its text, for the lines that messages show.
    pub sources: Sources,
}

/// Reads the scenario at `path` and the manifests it names; their paths are relative to the scenario.
///
/// # Errors
/// When the file cannot be read or anything in it is wrong.
pub fn load(path: &Path) -> Result<Scenario, Invalid> {
    match load_all(path) {
        (Some(scenario), wrong) if wrong.diagnostics.is_empty() => Ok(scenario),
        (_, wrong) => Err(wrong),
    }
}

/// Reads the scenario at `path` as far as it can be read, and everything that is wrong with it.
pub fn load_all(path: &Path) -> (Option<Scenario>, Invalid) {
    let name = shown(path);
    let text = match text::read(path) {
        Ok(text) => text,
        Err(unreadable) => {
            let diagnostics = vec![unreadable.finding(&name)];
            return (None, Invalid { file: name, diagnostics, sources: Sources::default() });
        }
    };
    let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
    let parsed = parse_all(&SourceFile::new(name.clone(), text), &Disk { folder });
    (parsed.scenario, Invalid { file: name, diagnostics: parsed.diagnostics, sources: parsed.sources })
}

/// A path as messages show it: with `/`, without `./` and without `x/..`.
pub fn shown(path: &Path) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in path.components() {
        use std::path::Component;
        match part {
            Component::CurDir => {}
            Component::ParentDir if parts.last().is_some_and(|last| !matches!(last.as_str(), ".." | "")) => {
                parts.pop();
            }
            Component::RootDir => parts.push(String::new()),
            other => parts.push(other.as_os_str().to_string_lossy().into_owned()),
        }
    }
    parts.join("/")
}

/// Whether a file is YAML by its name.
pub fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// Manifests and fragments below a scenario's folder.
struct Disk {
    folder: PathBuf,
}

impl Manifests for Disk {
    fn read(&self, path: &str) -> Result<Vec<SourceFile>, String> {
        let full = self.folder.join(path);
        let mut files = Vec::new();
        if full.is_dir() {
            gather(&full, &mut files).map_err(|error| format!("cannot read folder {path}: {error}"))?;
            if files.is_empty() {
                return Err(format!("folder {path} holds no *.yaml"));
            }
        } else {
            files.push(full);
        }
        let read = |file: &PathBuf| {
            let name = shown(file.strip_prefix(&self.folder).unwrap_or(file));
            Ok(SourceFile::new(name, text_of(file)?))
        };
        files.iter().map(read).collect()
    }

    fn fragment(&self, path: &str) -> Result<SourceFile, String> {
        let full = self.folder.join(path);
        Ok(SourceFile::new(shown(&full), text_of(&full)?))
    }
}

/// The text of a file that a scenario names; errs with what is wrong, in words that follow a place.
fn text_of(file: &Path) -> Result<String, String> {
    text::read(file).map_err(|wrong| {
        let (line, column) = wrong.at;
        let place = if wrong.at == (1, 1) { String::new() } else { format!(":{line}:{column}") };
        format!("cannot read {}{place}: {}", shown(file), wrong.why)
    })
}

/// The YAML files below `folder`, in the order of their paths.
pub(crate) fn gather(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    entries.sort();
    for entry in entries {
        if files.len() >= FOLDER_FILES_MAX {
            return Err(std::io::Error::other(format!("more than {FOLDER_FILES_MAX} files")));
        }
        if entry.is_dir() {
            gather(&entry, files)?;
        } else if is_yaml(&entry) {
            files.push(entry);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_shown_without_detours() {
        for (path, wanted) in [
            ("./scenarios/a.yaml", "scenarios/a.yaml"),
            ("scenarios/x/../manifests/b.yaml", "scenarios/manifests/b.yaml"),
            ("../lab/c.yaml", "../lab/c.yaml"),
            ("../../lab/c.yaml", "../../lab/c.yaml"),
            ("/lab/../c.yaml", "/c.yaml"),
        ] {
            assert_eq!(shown(Path::new(path)), wanted);
        }
    }
}
