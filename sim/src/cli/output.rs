//! The report in every form that was asked for. None of them changes the exit code.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use wavetank_reports::html::{self, Page};
use wavetank_reports::terminal::{self, Detail, Paint};
use wavetank_reports::{RunReport, github, json, junit, markdown};

use super::USAGE;
use super::args::Outputs;
use super::surroundings::Surroundings;
use crate::scenario::load::shown;

/// The name that stands for standard output.
const STDOUT: &str = "-";

/// What standard output gets.
pub(super) struct Told {
    /// The scenarios that were run once; `None` when there are none.
    pub(super) once: Option<RunReport>,
    /// What `--verify` has to say behind them, a line for each.
    pub(super) verified: String,
    /// What is said of those that were run under many seeds.
    pub(super) swept: String,
}

/// Writes the results as `asked`: files first, then standard output. Returns the exit code of the page, or
/// the one for a file that cannot be written.
pub(super) fn write(
    asked: &Outputs,
    around: &Surroundings,
    page: &Page,
    told: &Told,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    if let Err((file, error)) = files(asked, page) {
        writeln!(err, "wavetank: cannot write {}: {error}", file.display())?;
        return Ok(USAGE);
    }
    let (report, exit) = (&page.report, page.exit);
    if let Some(file) = &around.step_summary
        && let Err(error) = append(file, &markdown::render(report))
    {
        // The platform's file, not the user's: worth a word, not a failure.
        writeln!(err, "wavetank: cannot write {}: {error}", file.display())?;
    }
    if asked.json.as_deref() == Some(Path::new(STDOUT)) {
        out.write_all(json::render(report).as_bytes())?;
        if around.github {
            err.write_all(github::annotations(report).as_bytes())?;
        }
        return Ok(exit);
    }
    if let Some(once) = &told.once {
        out.write_all(text(asked, around, once, exit).as_bytes())?;
        if !asked.quiet {
            out.write_all(told.verified.as_bytes())?;
        }
    }
    out.write_all(told.swept.as_bytes())?;
    if let Some(file) = asked.report.as_deref().filter(|_| !asked.quiet) {
        writeln!(out, " report  {}", shown(file))?;
    }
    if around.github {
        out.write_all(github::annotations(report).as_bytes())?;
    }
    Ok(exit)
}

/// Writes every file that was asked for; errs with the one that cannot be written.
fn files<'a>(asked: &'a Outputs, page: &Page) -> Result<(), (&'a Path, io::Error)> {
    let report = &page.report;
    let json_file = asked.json.as_deref().filter(|file| *file != Path::new(STDOUT));
    let texts: [(Option<&Path>, &dyn Fn() -> String); 4] = [
        (json_file, &|| json::render(report)),
        (asked.junit.as_deref(), &|| junit::render(report)),
        (asked.summary.as_deref(), &|| markdown::render(report)),
        (asked.report.as_deref(), &|| html::render(page)),
    ];
    for (file, text) in texts {
        if let Some(file) = file {
            put(file, &text()).map_err(|error| (file, error))?;
        }
    }
    Ok(())
}

fn text(asked: &Outputs, around: &Surroundings, report: &RunReport, exit: u8) -> String {
    let detail = match (asked.quiet, asked.verbose) {
        (true, _) => Detail::Quiet,
        (_, true) => Detail::Verbose,
        _ => Detail::Normal,
    };
    let paint: Paint = around.paint(asked.colour());
    let text = terminal::render(report, detail, paint, exit);
    match around.width {
        Some(width) => terminal::wrap(&text, width),
        None => text,
    }
}

/// Writes a file, and the folders it stands in.
fn put(file: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    fs::write(file, text)
}

fn append(file: &Path, text: &str) -> io::Result<()> {
    fs::OpenOptions::new().create(true).append(true).open(file)?.write_all(text.as_bytes())
}
