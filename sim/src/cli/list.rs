//! `wavetank list`: which scenarios there are.

use std::io::{self, Write};

use super::args::ListArgs;
use super::find::{Filter, Tags, find};
use super::{INVALID, NOTHING, PASSED, USAGE, outcome};
use crate::scenario::{Scenario, load};

/// Prints a line for each scenario that `args` choose, and returns the exit code.
///
/// # Errors
/// When `out` or `err` cannot be written.
pub fn list(args: &ListArgs, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<u8> {
    let files = match find(&args.chosen.paths) {
        Ok(files) => files,
        Err(error) => {
            writeln!(err, "wavetank: {error}")?;
            return Ok(USAGE);
        }
    };
    let (filter, tags) = (Filter::new(args.chosen.filter.as_deref()), Tags::new(&args.chosen.tags));
    let (mut found, mut exit) = (Vec::new(), PASSED);
    for file in &files {
        match load(file) {
            Ok(scenario) => found.extend(tags.keep(&scenario.tags).then_some(scenario)),
            Err(invalid) => {
                exit = INVALID;
                writeln!(err, "wavetank: {} is not a valid scenario; `wavetank run` tells why", invalid.file)?;
            }
        }
    }
    found.retain(|scenario| outcome::keeps_any(scenario, &filter));
    let width = found.iter().map(|scenario| scenario.file.chars().count()).max().unwrap_or(0);
    for scenario in &found {
        writeln!(out, "{}", line(scenario, width))?;
        if args.checks {
            for (words, own) in outcome::told_by(scenario).filter(|(words, _)| filter.keeps(words)) {
                let kind = words.strip_prefix(&format!("{} {} ", scenario.file, scenario.name)).unwrap_or(&own);
                writeln!(out, "    {kind}")?;
            }
        }
    }
    if found.is_empty() && exit == PASSED {
        writeln!(err, "wavetank: no scenario matched")?;
        return Ok(NOTHING);
    }
    Ok(exit)
}

fn line(scenario: &Scenario, width: usize) -> String {
    let tags: Vec<String> = scenario.tags.iter().map(|tag| format!("#{tag}")).collect();
    let pad = " ".repeat(width.saturating_sub(scenario.file.chars().count()));
    let line = format!("{}{pad}  {}  {}", scenario.file, scenario.name, tags.join(" "));
    line.trim_end().to_owned()
}
