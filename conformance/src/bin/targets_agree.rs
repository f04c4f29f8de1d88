//! Runs scenarios in the tank, on this machine, and on this machine with Envoy in our proxy's place, and prints their
//! verdicts in one table. Takes root, and an Envoy that `WAVETANK_ENVOY` names.
//!
//! Fails when two places judge a check differently, when our proxy and Envoy decide differently and the ledger of known
//! differences does not say so, and when the ledger says so and they do not.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use wavetank_conformance::agreement::{kinds, sides, verdicts};
use wavetank_conformance::differential::ledger::Ledger;

/// The scenarios that CI runs: at least one of each kind of check and of fault that a machine can do.
const SCENARIOS: &str = "conformance/agreement.txt";

fn main() -> ExitCode {
    match compare() {
        Ok(faults) if faults.is_empty() => ExitCode::SUCCESS,
        Ok(faults) => {
            println!();
            for fault in faults {
                println!("DIFFERS {fault}");
            }
            ExitCode::FAILURE
        }
        Err(problem) => {
            eprintln!("targets-agree: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Compares what the command line names, else the list; returns all that is wrong.
fn compare() -> Result<Vec<String>, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no repository")?;
    let envoy = std::env::var_os("WAVETANK_ENVOY").filter(|path| !path.is_empty());
    let envoy = PathBuf::from(envoy.ok_or("WAVETANK_ENVOY names no Envoy binary")?);
    let given: Vec<String> = std::env::args().skip(1).collect();
    let listed = if given.is_empty() { list(&root.join(SCENARIOS))? } else { given.clone() };
    let ledger = Ledger::read();
    let (mut faults, mut differences, mut judged, mut places) = (Vec::new(), Vec::new(), 0, 0);
    println!("{:<46} {:<52} {:<6}{:<6}{:<6}", "", "", "tank", "linux", "envoy");
    for name in &listed {
        let sides = sides::run(&root.join(name), &envoy)?;
        let table = verdicts::compare(name, &sides);
        println!("{name}\n{}", table.text);
        faults.extend(table.differences);
        judged += table.judged_by_all;
        let [_, ours, theirs] = sides.as_slice() else { return Err("three places".to_owned()) };
        let cast = &ours.outcome.cast;
        let compared = kinds::compare(name, cast, &ours.outcome.book.records, &theirs.outcome.book.records);
        differences.extend(compared.differences);
        places += compared.places;
    }
    let unknown = differences.iter().filter(|row| ledger.reason(row).is_none());
    faults.extend(unknown.cloned());
    if given.is_empty() {
        let listed = ledger.rows().filter(|row| row.starts_with("records/"));
        let gone = listed.filter(|row| !differences.iter().any(|own| own == row));
        faults.extend(gone.map(|row| format!("{row}: in the ledger, and no longer a difference")));
    }
    println!("{} scenarios, {judged} checks judged by all three, records compared in {places} places", listed.len());
    if judged == 0 || (given.is_empty() && places == 0) {
        faults.push("nothing could be compared".to_owned());
    }
    Ok(faults)
}

fn list(file: &Path) -> Result<Vec<String>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(str::to_owned).collect())
}
