//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Says what a service mesh will do with your Istio YAML, before it is in a cluster.
#[derive(Debug, Parser)]
#[command(name = "wavetank", version, about, disable_help_subcommand = true)]
pub struct Command {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What the command does.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run scenarios and judge them (the default)
    Run(RunArgs),
    /// Print the supported kinds and fields of Istio's YAML
    Fields,
}

/// Words that are verbs; anything else begins the arguments of `run`.
const VERBS: [&str; 2] = ["run", "fields"];

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Scenario files, or folders that are searched for *.yaml with a `scenario:` key
    #[arg(default_value = "scenarios")]
    pub paths: Vec<PathBuf>,
    /// Seed of every random stream: a number, or `random` [default: the scenario's own, else 1]
    #[arg(long, value_name = "N|random", value_parser = parse_seed)]
    pub seed: Option<Seed>,
    /// Run everything twice and compare the hashes
    #[arg(long)]
    pub verify: bool,
    /// Write the results as JSON to FILE, or to standard output instead of the text
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-")]
    pub json: Option<PathBuf>,
    /// Judge only checks whose file, scenario, kind or edge has this text; `!text` for those that have not
    #[arg(short = 'k', value_name = "EXPR")]
    pub filter: Option<String>,
    /// Show failures and the total only
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Show every check of every scenario
    #[arg(short, long)]
    pub verbose: bool,
    /// Never colour
    #[arg(long)]
    pub no_color: bool,
    /// Probability that a proper run fails any check of a scenario [default: the scenario's own, else 1e-6]
    #[arg(long, value_name = "ALPHA", value_parser = crate::scenario::parse::probability)]
    pub false_failure: Option<f64>,
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
    let is_verb = first.is_some_and(|word| VERBS.contains(&word));
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
        assert_eq!(run_args("wavetank a.yaml").paths, [PathBuf::from("a.yaml")]);
        assert_eq!(run_args("wavetank run a.yaml b").paths.len(), 2);
        assert_eq!(run_args("wavetank").paths, [PathBuf::from("scenarios")]);
        assert!(run_args("wavetank --verify").verify);
        let fields = Command::try_parse_from(with_default_verb(["wavetank", "fields"].map(OsString::from)));
        assert!(matches!(fields.unwrap().verb, Verb::Fields));
    }

    #[test]
    fn json_takes_a_file_only_after_an_equals_sign() {
        assert_eq!(run_args("wavetank --json a.yaml").json, Some(PathBuf::from("-")));
        assert_eq!(run_args("wavetank --json=out.json a.yaml").json, Some(PathBuf::from("out.json")));
        assert_eq!(run_args("wavetank a.yaml").json, None);
    }

    #[test]
    fn a_seed_is_a_number_or_random() {
        assert_eq!(run_args("wavetank --seed 7").seed, Some(Seed::Given(7)));
        assert_eq!(run_args("wavetank --seed random").seed, Some(Seed::Random));
        let wrong = ["wavetank", "--seed", "x"].map(OsString::from);
        assert_eq!(Command::try_parse_from(with_default_verb(wrong)).unwrap_err().exit_code(), 2);
    }
}
