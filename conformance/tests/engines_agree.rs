//! Both engines give the same verdicts: what the tank says of a mesh does not hang on how it simulates.

use std::path::{Path, PathBuf};

use wavetank::check;
use wavetank::engine::Engine;
use wavetank::scenario::{self, Scenario};
use wavetank::target::{RunError, RunOutcome, tank};
use wavetank_reports::CheckVerdict;

/// Routing by weight, by header and to one subset, a mesh without a gateway, and a host that nobody has.
const SCENARIOS: [&str; 5] = [
    "canary.yaml",
    "ch07-traffic/ab-header.yaml",
    "ch07-traffic/no-gateway.yaml",
    "ch07-traffic/pin-lua-v1.yaml",
    "ch07-traffic/unknown-host-in-mesh.yaml",
];
const SEED: u64 = 1;

fn shipped(file: &str) -> Scenario {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios").join(file);
    scenario::load(&path).unwrap_or_else(|wrong| panic!("{file}: {wrong:#?}"))
}

fn run(engine: Engine, scenario: &Scenario) -> RunOutcome {
    tank::run_on(engine, scenario, SEED).unwrap_or_else(|error| panic!("{engine}: {error}"))
}

/// What became of each check: its kind, its edge and its verdict.
fn verdicts(scenario: &Scenario, outcome: &RunOutcome) -> Vec<(String, String, CheckVerdict)> {
    let around = check::Circumstances::default();
    let judged = check::judge(&scenario.checks, &outcome.log, &around, scenario.false_failure, &scenario.sources);
    let told = |(check, judgement): (&check::Check, check::Judgement)| {
        (check.demand.kind().to_owned(), check.scope.to_string(), judgement.result.verdict)
    };
    scenario.checks.iter().zip(judged).map(told).collect()
}

#[test]
fn both_engines_give_every_check_the_same_verdict() {
    for file in SCENARIOS {
        let scenario = shipped(file);
        let [ours, theirs] = [Engine::Tank, Engine::Turmoil].map(|engine| verdicts(&scenario, &run(engine, &scenario)));
        assert!(!ours.is_empty(), "{file} checks nothing");
        assert_eq!(ours, theirs, "{file}: the tank's verdicts, and turmoil's");
    }
}

#[test]
fn turmoil_repeats_itself_to_the_message() {
    let scenario = shipped("ch07-traffic/pin-lua-v1.yaml");
    let [first, second] = [(); 2].map(|()| run(Engine::Turmoil, &scenario));
    assert_eq!(first.log.first_difference(&second.log), None);
    assert_eq!(first.log.decisions_hash(), second.log.decisions_hash());
    assert_eq!(first.packets_hash, second.packets_hash);
}

#[test]
fn turmoil_says_what_it_cannot_run() {
    let mut scenario = shipped("canary.yaml");
    scenario.network.loss_percent = 1.0;
    let refused = tank::run_on(Engine::Turmoil, &scenario, SEED);
    let Err(RunError::Scenario(why)) = refused else { panic!("{refused:?}") };
    assert_eq!(why, "engine `turmoil` cannot run this: its network loses packets");
}
