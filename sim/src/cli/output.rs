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
    let lost = files(asked, page);
    for (file, error) in &lost {
        writeln!(err, "wavetank: cannot write {}: {error}", file.display())?;
    }
    let report = &page.report;
    let exit = if lost.is_empty() { page.exit } else { USAGE };
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

/// Finds out whether every file that is asked for can be written, before anything is run.
///
/// Missing folders of a relative path are made. An absolute path that leads into a folder which is not there is
/// rather a mistake: it is an error.
pub(super) fn prepare(asked: &Outputs) -> Result<(), (&Path, io::Error)> {
    let files = [json_file(asked), asked.junit.as_deref(), asked.summary.as_deref(), asked.report.as_deref()];
    files.into_iter().flatten().try_for_each(|file| try_out(file).map_err(|error| (file, error)))
}

fn try_out(file: &Path) -> io::Result<()> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        if file.is_absolute() && !folder.exists() {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("there is no folder {}", folder.display())));
        }
        fs::create_dir_all(folder)?;
    }
    let was_there = file.exists();
    // What is there stays as it is until there are results.
    fs::OpenOptions::new().create(true).append(true).open(file)?;
    if was_there { Ok(()) } else { fs::remove_file(file) }
}

fn json_file(asked: &Outputs) -> Option<&Path> {
    asked.json.as_deref().filter(|file| *file != Path::new(STDOUT))
}

/// Writes every file that was asked for, and returns those that cannot be written.
fn files<'a>(asked: &'a Outputs, page: &Page) -> Vec<(&'a Path, io::Error)> {
    let report = &page.report;
    let json_file = json_file(asked);
    let texts: [(Option<&Path>, &dyn Fn() -> String); 4] = [
        (json_file, &|| json::render(report)),
        (asked.junit.as_deref(), &|| junit::render(report)),
        (asked.summary.as_deref(), &|| markdown::render(report)),
        (asked.report.as_deref(), &|| html::render(page)),
    ];
    let given = texts.into_iter().filter_map(|(file, text)| Some((file?, text)));
    given.filter_map(|(file, text)| Some((file, fs::write(file, text()).err()?))).collect()
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

fn append(file: &Path, text: &str) -> io::Result<()> {
    fs::OpenOptions::new().create(true).append(true).open(file)?.write_all(text.as_bytes())
}
