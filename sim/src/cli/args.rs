//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};

use super::check::CheckArgs;
use super::explain::ExplainArgs;
use super::init::InitArgs;
use crate::engine::Engine;
use crate::sweep::Seeds;

/// Says what a service mesh will do with your Istio YAML, before it is in a cluster.
#[derive(Debug, Parser)]
#[command(name = "wavetank", version, about, disable_help_subcommand = true, after_help = EXIT_CODES)]
pub struct Command {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

const EXIT_CODES: &str = "\
Exit codes: 0 all passed; 1 a check failed or was inconclusive; 2 the command line is wrong or an output cannot be \
written; 3 a scenario or manifest is invalid; 4 nothing matched; 5 two runs of one seed differed; 70 a fault of \
our own; 130 interrupted.";

/// What the command does.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run scenarios and judge them (the default)
    Run(RunArgs),
    /// Run scenarios under many seeds [default: --seeds 1..100]
    Sweep(RunArgs),
    /// Run scenarios on this machine with real processes, and judge them by the same checks; takes root
    Live(LiveArgs),
    /// Be a program of the world, as a process of a live run
    #[command(hide = true)]
    App {
        /// What it is, as JSON
        file: PathBuf,
    },
    /// Tell what is wrong with scenarios and manifests, without running anything
    Check(CheckArgs),
    /// List scenarios and their checks
    List(ListArgs),
    /// Write a first scenario for a folder of manifests
    Init(InitArgs),
    /// Print the JSON Schema of scenarios, for editors
    Schema,
    /// Tell why a request went where it went
    Explain(ExplainArgs),
    /// Print the supported kinds and fields of Istio's YAML
    Fields,
    /// Explain a command or the code of a message, or list the codes (`help codes`)
    Help {
        /// A command, a code like MS0102, or `codes`
        word: Option<String>,
    },
    /// Print the completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or that of a command with its options: `man run`
    Man {
        /// The command
        #[arg(conflicts_with = "dir")]
        command: Option<String>,
        /// Write the pages of all commands into FOLDER instead
        #[arg(long, value_name = "FOLDER")]
        dir: Option<PathBuf>,
    },
}

/// Which scenarios and which of their checks.
#[derive(Debug, Args)]
pub struct Chosen {
    /// Scenario files, or folders that are searched for *.yaml with a `scenario:` key
    #[arg(default_value = "scenarios")]
    pub paths: Vec<PathBuf>,
    /// Only checks whose file, scenario, kind or edge has this text; `!text` for those that have not
    #[arg(short = 'k', value_name = "EXPR")]
    pub filter: Option<String>,
    /// Only scenarios with this tag, or one of these; `!tag` for those without
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
}

/// Arguments of `live`.
#[derive(Debug, Args)]
pub struct LiveArgs {
    /// Which scenarios.
    #[command(flatten)]
    pub chosen: Chosen,
    /// Seed of arrivals and shares: a number, or `random` [default: the scenario's own, else 1]
    #[arg(long, value_name = "N|random", value_parser = parse_seed)]
    pub seed: Option<Seed>,
    /// What runs as every sidecar and gateway
    #[arg(long, value_enum, default_value_t)]
    pub proxy: LiveProxy,
    /// The program of --proxy envoy [default: `envoy` on the path]
    #[arg(long, value_name = "FILE", env = "WAVETANK_ENVOY")]
    pub envoy: Option<PathBuf>,
    /// Keep what every process wrote, in FOLDER, which is emptied first
    #[arg(long, value_name = "FOLDER")]
    pub keep: Option<PathBuf>,
    /// End every run at this time: no request begins later, and what has not ended is not judged
    #[arg(long, value_name = "TIME", value_parser = wavetank_control::config::duration::parse)]
    pub until: Option<std::time::Duration>,
    /// Stop at the first scenario that does not pass
    #[arg(long)]
    pub fail_fast: bool,
    /// Probability that a proper run fails any check of a scenario [default: the scenario's own, else 1e-6]
    #[arg(long, value_name = "ALPHA", value_parser = crate::scenario::parse::probability)]
    pub false_failure: Option<f64>,
    /// How results are written.
    #[command(flatten)]
    pub outputs: Outputs,
}

/// What runs as every sidecar and gateway of a live run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LiveProxy {
    /// The same proxy as in the tank
    #[default]
    Wavetank,
    /// A real Envoy
    Envoy,
}

impl LiveArgs {
    /// What it has in common with `run`.
    pub fn into_run(self) -> RunArgs {
        RunArgs {
            chosen: self.chosen,
            seed: self.seed,
            seeds: None,
            until: self.until,
            jobs: Some(1),
            fail_fast: self.fail_fast,
            engine: Engine::default(),
            verify: false,
            false_failure: self.false_failure,
            outputs: self.outputs,
        }
    }
}

/// Arguments of `list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Which scenarios.
    #[command(flatten)]
    pub chosen: Chosen,
    /// Show every check as well
    #[arg(long)]
    pub checks: bool,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Which scenarios.
    #[command(flatten)]
    pub chosen: Chosen,
    /// Seed of every random stream: a number, or `random` [default: the scenario's own, else 1]
    #[arg(long, value_name = "N|random", value_parser = parse_seed)]
    pub seed: Option<Seed>,
    /// Run every scenario under each of these seeds, and judge its splits on all runs together as well [default:
    /// the scenario's own, where it has any and no --seed is given]
    #[arg(long, value_name = "A..B", conflicts_with = "seed")]
    pub seeds: Option<Seeds>,
    /// End every run at this virtual time: no request begins later, and what has not ended is not judged
    #[arg(long, value_name = "TIME", value_parser = wavetank_control::config::duration::parse)]
    pub until: Option<std::time::Duration>,
    /// Scenarios that run at the same time [default: one for each processor]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    /// Stop at the first scenario that does not pass
    #[arg(long)]
    pub fail_fast: bool,
    /// What simulates the network; a scenario that it cannot run is invalid
    #[arg(long, value_enum, default_value_t)]
    pub engine: Engine,
    /// Run everything twice and compare the hashes
    #[arg(long)]
    pub verify: bool,
    /// Probability that a proper run fails any check of a scenario [default: the scenario's own, else 1e-6]
    #[arg(long, value_name = "ALPHA", value_parser = crate::scenario::parse::probability)]
    pub false_failure: Option<f64>,
    /// How results are written.
    #[command(flatten)]
    pub outputs: Outputs,
}

/// Outputs of `run`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Outputs")]
pub struct Outputs {
    /// Write the results as JSON to FILE, or to standard output instead of the text
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-")]
    pub json: Option<PathBuf>,
    /// Write the results as JUnit XML
    #[arg(long, value_name = "FILE.xml")]
    pub junit: Option<PathBuf>,
    /// Write the results as Markdown, for a comment or a job's summary
    #[arg(long, value_name = "FILE.md")]
    pub summary: Option<PathBuf>,
    /// Write the results as one HTML page, to open from disk
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// Show failures and the total only
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Show every check of every scenario
    #[arg(short, long)]
    pub verbose: bool,
    /// When to colour
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: Colour,
    /// Never colour; the same as --color never
    #[arg(long)]
    pub no_color: bool,
    /// Show no line of progress
    #[arg(long)]
    pub no_progress: bool,
}

impl Outputs {
    /// When to colour.
    pub fn colour(&self) -> Colour {
        if self.no_color { Colour::Never } else { self.color }
    }
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Colour {
    /// On a terminal, unless NO_COLOR is set; always when CLICOLOR_FORCE is
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The seed of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seed {
    /// This one.
    Given(u64),
    /// One drawn for this run, and printed.
    Random,
}

fn parse_seed(text: &str) -> Result<Seed, String> {
    if text == "random" {
        return Ok(Seed::Random);
    }
    text.parse().map(Seed::Given).map_err(|_| "a seed is a whole number from 0, or `random`".to_owned())
}

/// The command line with `run` put in where no verb is given.
pub fn with_default_verb(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let first = args.get(1).and_then(|arg| arg.to_str());
    let verbs = Command::command();
    let is_verb = first.is_some_and(|word| verbs.find_subcommand(word).is_some());
    let is_about_all = first.is_some_and(|word| matches!(word, "-h" | "--help" | "-V" | "--version"));
    if !is_verb && !is_about_all {
        args.insert(args.len().min(1), "run".into());
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_args(line: &str) -> RunArgs {
        let words = line.split_whitespace().map(OsString::from);
        match Command::try_parse_from(with_default_verb(words)).unwrap().verb {
            Verb::Run(args) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn run_is_the_default_verb() {
        assert_eq!(run_args("wavetank a.yaml").chosen.paths, [PathBuf::from("a.yaml")]);
        assert_eq!(run_args("wavetank run a.yaml b").chosen.paths.len(), 2);
        assert_eq!(run_args("wavetank").chosen.paths, [PathBuf::from("scenarios")]);
        assert!(run_args("wavetank --verify").verify);
        let fields = Command::try_parse_from(with_default_verb(["wavetank", "fields"].map(OsString::from)));
        assert!(matches!(fields.unwrap().verb, Verb::Fields));
    }

    #[test]
    fn json_takes_a_file_only_after_an_equals_sign() {
        assert_eq!(run_args("wavetank --json a.yaml").outputs.json, Some(PathBuf::from("-")));
        assert_eq!(run_args("wavetank --json=out.json a.yaml").outputs.json, Some(PathBuf::from("out.json")));
        assert_eq!(run_args("wavetank a.yaml").outputs.json, None);
    }

    #[test]
    fn a_seed_is_a_number_or_random() {
        assert_eq!(run_args("wavetank --seed 7").seed, Some(Seed::Given(7)));
        assert_eq!(run_args("wavetank --seed random").seed, Some(Seed::Random));
        let wrong = ["wavetank", "--seed", "x"].map(OsString::from);
        assert_eq!(Command::try_parse_from(with_default_verb(wrong)).unwrap_err().exit_code(), 2);
    }
}
