//! Every scenario of this repository is sound: it loads, its manifests are accepted in its dialect, and it
//! has a check that could fail.

use std::path::{Path, PathBuf};

use wavetank_control::diagnostic::{Diagnostic, Severity};
use wavetank_control::dialect::Dialect;
use wavetank_control::model::ConfigStore;

use super::{Compat, Scenario, added, expect, fault, load, network, parse, routes, step, traffic};
use crate::cli::find::find;

fn all() -> Vec<Scenario> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let files = find(&[folder]).unwrap();
    let loaded = files
        .iter()
        .map(|file| load(file).unwrap_or_else(|wrong| panic!("{}: {:#?}", file.display(), wrong.diagnostics)));
    loaded.collect()
}

#[test]
fn every_scenario_loads_and_judges_something() {
    let scenarios = all();
    assert!(scenarios.len() >= 10, "{} scenarios", scenarios.len());
    for scenario in scenarios {
        let judges = !scenario.checks.is_empty() || !scenario.routes.is_empty();
        assert!(judges && !scenario.traffic.is_empty(), "{}", scenario.file);
    }
}

#[test]
fn every_manifest_is_accepted_in_its_dialect() {
    for scenario in all() {
        let dialect = match scenario.compat {
            Compat::V1_0 => Dialect::V1_0,
            Compat::V1 => Dialect::V1,
        };
        let mut store = ConfigStore::new(dialect);
        for file in &scenario.config {
            let found = store.apply(file).diagnostics;
            // A trap is a manifest that does something else than it seems to, and is told of.
            let fine = if scenario.tags.iter().any(|tag| tag == "trap") {
                !found.iter().any(Diagnostic::is_error) && found.iter().any(|own| own.severity == Severity::Warning)
            } else {
                found.is_empty()
            };
            assert!(fine, "{}: {found:#?}", scenario.file);
        }
    }
}

#[test]
fn every_key_is_in_the_documentation() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/scenarios.md");
    let page = std::fs::read_to_string(page).unwrap();
    let pages = [&parse::SCENARIO, &traffic::TRAFFIC, &expect::EXPECT, &expect::NEVER, &routes::ROUTE];
    let pages = pages.into_iter().chain([&network::NETWORK, &network::LINK]);
    for keys in pages.chain([&added::ADD, &fault::FAULT, &step::STEP, &step::EACH_STEP, &step::PATCH]) {
        for key in keys.known {
            let is_there = page.contains(&format!("`{key}`")) || page.contains(&format!("`{key}: "));
            assert!(is_there, "`{key}` of {}", keys.of);
        }
    }
}
