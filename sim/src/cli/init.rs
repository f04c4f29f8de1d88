//! `wavetank init`: writes a first scenario for a folder of manifests, when they are sound.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use wavetank_control::config::SourceFile;
use wavetank_reports::terminal::{self, Paint};
use wavetank_reports::{Diagnostic, Severity};

use super::check::is_denied;
use super::lint::lint_text;
use super::shell::quoted;
use super::{INVALID, NOTHING, PASSED, USAGE};
use crate::scenario::load::{gather, shown};
use crate::scenario::parse::Manifests;
use crate::schema;

/// Name of the file that is written.
const NAME: &str = "scenario.yaml";

/// Arguments of `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The folder of the manifests, in which scenario.yaml is written
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub from: PathBuf,
}

/// Writes the scenario and the schema that editors check it by.
///
/// # Errors
/// When `out` or `err` cannot be written.
pub fn init(args: &InitArgs, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<u8> {
    let target = args.from.join(NAME);
    if target.exists() {
        writeln!(err, "wavetank: {} is already there", shown(&target))?;
        return Ok(USAGE);
    }
    let files = match manifests(&args.from) {
        Ok(files) => files,
        Err(error) => {
            writeln!(err, "wavetank: {}: {error}", args.from.display())?;
            return Ok(USAGE);
        }
    };
    if files.is_empty() {
        writeln!(err, "wavetank: no manifests in {}", args.from.display())?;
        return Ok(NOTHING);
    }
    let text = schema::first(&files);
    let broken = broken(&SourceFile::new(shown(&target), text.clone()), &files);
    if !broken.is_empty() {
        for found in &broken {
            writeln!(err, "{}", terminal::message(found, Paint::Plain))?;
        }
        let first = shown(&args.from);
        writeln!(
            err,
            "wavetank: nothing was written: mend these first; `wavetank check {}` shows them",
            quoted(&first)
        )?;
        return Ok(INVALID);
    }
    let schema_file = args.from.join(".wavetank/scenario.v1.json");
    let written = fs::create_dir_all(args.from.join(".wavetank"))
        .and_then(|()| fs::write(&schema_file, schema::text()))
        .and_then(|()| fs::write(&target, text));
    if let Err(error) = written {
        writeln!(err, "wavetank: cannot write {}: {error}", shown(&target))?;
        return Ok(USAGE);
    }
    writeln!(out, "wrote {}; run it with `wavetank run {}`", shown(&target), quoted(&shown(&target)))?;
    Ok(PASSED)
}

/// What `check` would fail the scenario for.
fn broken(scenario: &SourceFile, files: &[SourceFile]) -> Vec<Diagnostic> {
    let mut found = lint_text(scenario, &Given(files)).found;
    found.retain(|found| found.severity == Severity::Error || is_denied(found));
    found.iter_mut().for_each(|found| found.severity = Severity::Error);
    found
}

/// Manifests that were read.
struct Given<'a>(&'a [SourceFile]);

impl Manifests for Given<'_> {
    fn read(&self, path: &str) -> Result<Vec<SourceFile>, String> {
        Ok(self.0.iter().filter(|file| *file.name == *path).cloned().collect())
    }
}

/// The files of a folder that hold manifests, named as seen from it.
fn manifests(folder: &Path) -> io::Result<Vec<SourceFile>> {
    let mut paths = Vec::new();
    gather(folder, &mut paths)?;
    let mut files = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path)?;
        let has = |key: &str| text.lines().any(|line| line.starts_with(key));
        if has("kind:") && !has("scenario:") {
            files.push(SourceFile::new(shown(path.strip_prefix(folder).unwrap_or(&path)), text));
        }
    }
    Ok(files)
}
