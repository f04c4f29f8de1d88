//! What the command is run in: a terminal or a pipe, a person's shell or continuous integration.

use std::env;
use std::io::{self, IsTerminal};
use std::path::PathBuf;

use wavetank_reports::terminal::Paint;

use super::args::Colour;

/// The parts of the process's surroundings that outputs depend on. The default is a pipe of a person.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Standard output is a terminal.
    pub out_is_terminal: bool,
    /// Standard error is a terminal.
    pub err_is_terminal: bool,
    /// Columns of the terminal; `None` when there is none.
    pub width: Option<usize>,
    /// `TERM` is `dumb`: the terminal knows neither colours nor how to go back in a line.
    pub dumb: bool,
    /// `CI` is set: nothing moves.
    pub ci: bool,
    /// `GITHUB_ACTIONS` is set: errors and warnings are annotated.
    pub github: bool,
    /// File that GitHub shows as the job's summary: `GITHUB_STEP_SUMMARY`.
    pub step_summary: Option<PathBuf>,
    /// `NO_COLOR` is set.
    pub no_color: bool,
    /// `CLICOLOR_FORCE` is set.
    pub force_color: bool,
}

impl Surroundings {
    /// Those of this process.
    pub fn of_process() -> Self {
        let is_set =
            |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0" && value != "false");
        let github = is_set("GITHUB_ACTIONS");
        let step_summary = env::var_os("GITHUB_STEP_SUMMARY").filter(|path| github && !path.is_empty());
        let out_is_terminal = io::stdout().is_terminal();
        let asked = env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let found = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        Self {
            out_is_terminal,
            err_is_terminal: io::stderr().is_terminal(),
            width: if out_is_terminal { asked.or_else(found) } else { None },
            dumb: is_dumb(),
            ci: is_set("CI"),
            github,
            step_summary: step_summary.map(PathBuf::from),
            // Any value but the empty one: https://no-color.org
            no_color: env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
            force_color: is_set("CLICOLOR_FORCE"),
        }
    }

    /// Colours or none: the command line decides, then `CLICOLOR_FORCE`, then `NO_COLOR`, then whether a
    /// person looks, on a terminal that has them.
    pub fn paint(&self, asked: Colour) -> Paint {
        let coloured = match asked {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => self.force_color || (self.out_is_terminal && !self.no_color && !self.dumb),
        };
        if coloured { Paint::Ansi } else { Paint::Plain }
    }

    /// Whether a line may move on standard error.
    pub fn shows_progress(&self) -> bool {
        self.err_is_terminal && !self.ci && !self.dumb
    }
}

/// Whether this process's terminal says that it can do nothing but print.
pub(super) fn is_dumb() -> bool {
    env::var_os("TERM").is_some_and(|term| term == "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_decided_by_the_command_line_then_by_force_then_by_refusal() {
        let terminal = Surroundings { out_is_terminal: true, ..Surroundings::default() };
        let refusing = Surroundings { no_color: true, ..terminal.clone() };
        let dumb = Surroundings { dumb: true, ..terminal.clone() };
        let forced = Surroundings { no_color: true, force_color: true, ..Surroundings::default() };
        for (around, asked, wanted) in [
            (&Surroundings::default(), Colour::Auto, Paint::Plain),
            (&terminal, Colour::Auto, Paint::Ansi),
            (&refusing, Colour::Auto, Paint::Plain),
            (&dumb, Colour::Auto, Paint::Plain),
            (&forced, Colour::Auto, Paint::Ansi),
            (&forced, Colour::Never, Paint::Plain),
            (&refusing, Colour::Always, Paint::Ansi),
        ] {
            assert_eq!(around.paint(asked), wanted, "{around:?} {asked:?}");
        }
    }

    #[test]
    fn nothing_moves_in_continuous_integration() {
        let terminal = Surroundings { err_is_terminal: true, ..Surroundings::default() };
        assert!(terminal.shows_progress());
        assert!(!Surroundings { dumb: true, ..terminal.clone() }.shows_progress());
        assert!(!Surroundings { ci: true, ..terminal }.shows_progress());
        assert!(!Surroundings::default().shows_progress());
    }
}
