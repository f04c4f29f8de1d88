//! `wavetank check`: what is wrong with scenarios and manifests, without running anything.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use wavetank_control::dialect::Dialect;
use wavetank_reports::terminal::{self, Paint};
use wavetank_reports::{Diagnostic, Severity, github};

use super::args::Colour;
use super::classes::Class;
use super::lint::{Linted, lint};
use super::surroundings::Surroundings;
use super::{INVALID, NOTHING, PASSED};

/// Findings that are shown in full; what is beyond is counted.
const SHOWN_MAX: usize = 200;

/// References to a Gateway, a subset and a destination that are not there.
const DENIED: [&str; 3] = ["MS0211", "MS0212", "MS0214"];

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Scenarios and manifests, or folders that are searched for both
    #[arg(default_value = "scenarios")]
    pub paths: Vec<PathBuf>,
    /// Findings that fail: deprecated, weak, unknown, unreachable, conflict, warnings, all, or codes like MS0210
    #[arg(long, value_name = "WHAT,…", value_delimiter = ',', value_parser = Class::parse)]
    pub deny: Vec<Class>,
    /// Warnings and notes that are not told of; the same words
    #[arg(long, value_name = "WHAT,…", value_delimiter = ',', value_parser = Class::parse)]
    pub allow: Vec<Class>,
    /// Which Istio manifests are read as that no scenario names: 1.0 or v1
    #[arg(long, value_name = "ISTIO", default_value_t = Dialect::V1)]
    pub compat: Dialect,
    /// Write the findings as JSON to standard output instead of the text
    #[arg(long)]
    pub json: bool,
    /// Show errors and the total only
    #[arg(short, long)]
    pub quiet: bool,
    /// When to colour
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: Colour,
    /// Never colour; the same as --color never
    #[arg(long)]
    pub no_color: bool,
}

/// The findings as JSON.
#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    scenarios: usize,
    manifests: usize,
    diagnostics: &'a [Diagnostic],
}

/// Looks at everything that `args` asks for, writes what is found, and returns the exit code.
///
/// # Errors
/// When `out` or `err` cannot be written.
pub fn check(args: &CheckArgs, around: &Surroundings, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<u8> {
    let mut linted = lint(&args.paths, args.compat);
    judge(&mut linted.found, args);
    let failed = linted.found.iter().any(|found| found.severity == Severity::Error);
    if linted.scenarios + linted.manifests == 0 && linted.found.is_empty() {
        match linted.fragments {
            0 => writeln!(err, "wavetank: no scenario and no manifest is there")?,
            _ => writeln!(err, "wavetank: parts of scenarios are checked with a scenario that includes them")?,
        }
        return Ok(NOTHING);
    }
    let exit = if failed { INVALID } else { PASSED };
    if args.json {
        let (scenarios, manifests) = (linted.scenarios, linted.manifests);
        let document = Document { version: 1, scenarios, manifests, diagnostics: &linted.found };
        writeln!(out, "{}", serde_json::to_string_pretty(&document).map_err(io::Error::other)?)?;
    } else {
        let colour = if args.no_color { Colour::Never } else { args.color };
        let text = text(&linted, args.quiet, around.paint(colour), exit);
        let text = around.width.map_or_else(|| text.clone(), |width| terminal::wrap(&text, width));
        out.write_all(text.as_bytes())?;
    }
    if around.github {
        let to: &mut dyn Write = if args.json { err } else { out };
        to.write_all(github::annotate(&linted.found).as_bytes())?;
    }
    Ok(exit)
}

/// Makes errors of what is denied, and drops what is allowed. A reference to nothing is denied unasked: a run may
/// want to see what comes of it, a check need not.
fn judge(found: &mut Vec<Diagnostic>, args: &CheckArgs) {
    let is = |found: &Diagnostic, classes: &[Class]| classes.iter().any(|class| class.has(found));
    found.retain(|found| found.severity == Severity::Error || !is(found, &args.allow));
    for found in found.iter_mut().filter(|found| found.severity != Severity::Error) {
        if is_denied(found) {
            found.severity = Severity::Error;
        } else if is(found, &args.deny) {
            found.severity = Severity::Error;
            found.message.push_str(" (denied by --deny)");
        }
    }
}

/// Whether a finding fails a check unasked.
pub(super) fn is_denied(found: &Diagnostic) -> bool {
    found.severity == Severity::Warning && DENIED.contains(&found.code.as_str())
}

fn text(linted: &Linted, quiet: bool, paint: Paint, exit: u8) -> String {
    let mut out = String::new();
    let shown = linted.found.iter().filter(|found| !quiet || found.severity == Severity::Error);
    let count = shown.clone().count();
    for found in shown.take(SHOWN_MAX) {
        out.push_str(&terminal::message(found, paint));
        out.push('\n');
    }
    if count > SHOWN_MAX {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "… and {} more\n", count - SHOWN_MAX);
    }
    let mut parts = Vec::new();
    for (count, noun) in [(linted.scenarios, "scenario"), (linted.manifests, "manifest")] {
        parts.extend((count > 0).then(|| plural(count, noun)));
    }
    for (severity, noun) in [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Note, "note")] {
        let count = linted.found.iter().filter(|found| found.severity == severity).count();
        parts.extend((count > 0).then(|| plural(count, noun)));
    }
    let (word, end) = if exit == PASSED { ("SOUND", String::new()) } else { ("INVALID", format!("   (exit {exit})")) };
    let _ = writeln!(out, " {word}  {}{end}", parts.join(", "));
    out
}

fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
