//! A planted bug of each kind is found by its invariant.
//!
//! The build of each takes time, so they are a step of their own: `just planted`. With `WAVETANK_PLANTED=text`
//! only those are planted whose name has the text.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use wavetank::invariant;
use wavetank_conformance::planted::{Bug, Tree, Verdict};

#[test]
fn every_invariant_has_a_bug_and_every_bug_fits_the_sources() {
    let (bugs, tree) = (Bug::all(), Tree::new());
    let named: BTreeSet<&str> = bugs.iter().map(|bug| &*bug.breaks).collect();
    let missing: Vec<&str> = invariant::names().filter(|name| !named.contains(name)).collect();
    assert!(missing.is_empty(), "no bug is planted for {missing:?}");
    let known: BTreeSet<&str> = invariant::names().collect();
    let mut wrong = Vec::new();
    for bug in &bugs {
        let unknown = bug.also.iter().chain([&bug.breaks]).filter(|name| !known.contains(&***name));
        wrong.extend(unknown.map(|name| format!("{}: `{name}` is no invariant", bug.name)));
        if !tree.root().join(&bug.scenario).is_file() || bug.seeds().count() == 0 {
            wrong.push(format!("{}: no scenario or no seed", bug.name));
        }
        for patch in &bug.patch {
            let source = std::fs::read_to_string(tree.root().join(&patch.file));
            let applied = source.map_err(|error| format!("{}: {error}", patch.file)).and_then(|own| patch.apply(&own));
            wrong.extend(applied.err().map(|error| format!("{}: {error}", bug.name)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
#[ignore = "builds the workspace once for each bug; `just planted` runs it"]
fn every_planted_bug_is_found() {
    let (mut bugs, tree, begun) = (Bug::all(), Tree::new(), Instant::now());
    let only = std::env::var("WAVETANK_PLANTED").unwrap_or_default();
    bugs.retain(|bug| bug.name.contains(&only));
    assert!(!bugs.is_empty(), "no bug's name has `{only}`");
    let mut failed = Vec::new();
    let mut say = |name: &str, outcome: Result<(), String>| {
        let seconds = begun.elapsed().as_secs();
        println!("{seconds:4}s  {name}: {}", outcome.as_ref().map_or_else(String::as_str, |()| "ok"));
        failed.extend(outcome.err().map(|how| format!("{name}: {how}")));
    };
    say("no bug", sound(&tree, &bugs));
    for bug in &bugs {
        say(&bug.name, found(&tree, bug));
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// The sources as they are pass what the bugs are to fail.
fn sound(tree: &Tree, bugs: &[Bug]) -> Result<(), String> {
    tree.plant(None)?;
    let wavetank = tree.build()?;
    let runs: BTreeMap<(&str, u64), &str> =
        bugs.iter().flat_map(|bug| bug.seeds().map(|seed| ((&*bug.scenario, seed), &*bug.name))).collect();
    for (scenario, seed) in runs.into_keys() {
        let verdict = Verdict::of(&wavetank, tree.root(), scenario, seed);
        if verdict.code != Some(0) {
            return Err(format!("{scenario} fails with seed {seed} without a bug: {:#?}", verdict.messages));
        }
    }
    Ok(())
}

/// The bug is found under each of its seeds, by its invariant and by those that it may break as well.
fn found(tree: &Tree, bug: &Bug) -> Result<(), String> {
    tree.plant(Some(bug))?;
    let wavetank = tree.build()?;
    for seed in bug.seeds() {
        let Verdict { code, broken, messages } = Verdict::of(&wavetank, tree.root(), &bug.scenario, seed);
        let others = broken.iter().any(|name| *name != bug.breaks && !bug.also.contains(name));
        if code != Some(1) || !broken.contains(&bug.breaks) || others {
            let (wanted, scenario) = (&bug.breaks, &bug.scenario);
            return Err(format!(
                "seed {seed} of {scenario}: exit code {code:?}, broken {broken:?}; wanted 1 and `{wanted}`\n{messages:#?}"
            ));
        }
    }
    Ok(())
}
