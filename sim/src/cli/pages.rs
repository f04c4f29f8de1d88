//! What is printed about the command itself: help, completions, manual pages.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use super::args::Command;
use super::{PASSED, USAGE, codes};

/// The command with its subcommands, complete.
fn command() -> clap::Command {
    let mut command = Command::command();
    command.build();
    command
}

/// `wavetank help [WORD]`: about the command, a verb, or a code of a message.
///
/// # Errors
/// When `out` or `err` cannot be written.
pub(super) fn help(word: Option<&str>, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<u8> {
    let mut command = command();
    let Some(word) = word else {
        write!(out, "{}", command.render_long_help())?;
        return Ok(PASSED);
    };
    if word == "codes" {
        out.write_all(codes::list().as_bytes())?;
    } else if let Some(verb) = command.find_subcommand_mut(word) {
        write!(out, "{}", verb.render_long_help())?;
    } else if let Some(entry) = codes::entry(word) {
        out.write_all(entry.render().as_bytes())?;
    } else {
        writeln!(err, "wavetank: there is no command and no code `{word}`; `wavetank help codes` lists the codes")?;
        return Ok(USAGE);
    }
    Ok(PASSED)
}

/// `wavetank completions SHELL`.
///
/// # Errors
/// When `out` cannot be written.
pub(super) fn completions(shell: Shell, out: &mut dyn Write) -> io::Result<u8> {
    // The generator panics where its output cannot be written; a Vec always can.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Command::command(), "wavetank", &mut text);
    out.write_all(&text)?;
    Ok(PASSED)
}

/// `wavetank man [COMMAND]`: the page of a command, or of all of it, on `out`; or every page as a file in `folder`.
///
/// # Errors
/// When the pages cannot be written.
pub(super) fn man(
    verb: Option<&str>,
    folder: Option<&Path>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    let mut command = command();
    let Some(folder) = folder else {
        if let Some(verb) = verb {
            let Some(own) = command.find_subcommand_mut(verb) else {
                writeln!(err, "wavetank: there is no command `{verb}`")?;
                return Ok(USAGE);
            };
            command = own.clone();
        }
        clap_mangen::Man::new(command).render(&mut { out })?;
        return Ok(PASSED);
    };
    fs::create_dir_all(folder)?;
    clap_mangen::generate_to(Command::command(), folder)?;
    Ok(PASSED)
}
