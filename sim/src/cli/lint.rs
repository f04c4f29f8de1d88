//! Findings about scenarios and manifests, from files to messages, without running anything.
//!
//! A scenario is looked at with its manifests and the world it would have, so what is missing there is missing.
//! Manifests that no scenario names are looked at together, and what is missing may be in the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use wavetank_control::config::{ConfigKey, ConfigSet, Document, MeshConfig, SourceFile, decode};
use wavetank_control::diagnostic::{Diagnostic as Finding, Severity, at_most};
use wavetank_control::dialect::Dialect;
use wavetank_control::model::ConfigStore;
use wavetank_control::validate::{self, Extent, codes};
use wavetank_reports::{Diagnostic, Place};

use super::find::is_to_fail;
use crate::check::Sources;
use crate::scenario::load::{gather, load_all, shown};
use crate::scenario::parse::{Manifests, Parsed, parse_all};
use crate::scenario::tables::tables;
use crate::scenario::{Invalid, Scenario, message, text};
use crate::target::dry;

/// Objects that are looked at again for each file that replaces some of them.
const REPLACED_OBJECTS_MAX: usize = 200_000;

/// What was looked at, and what was found.
#[derive(Debug, Default)]
pub struct Linted {
    /// Scenarios looked at.
    pub scenarios: usize,
    /// Manifests looked at, with those of scenarios.
    pub manifests: usize,
    /// Parts of scenarios that were not named themselves; they are looked at with those that include them.
    pub fragments: usize,
    /// Everything found, by file and place; the same thing once.
    pub found: Vec<Diagnostic>,
}

/// Looks at the files behind `paths`: of a folder all scenarios and manifests below it, but for those in folders
/// named `failing`. Manifests that no
/// scenario names are read as `dialect`.
pub fn lint(paths: &[PathBuf], dialect: Dialect) -> Linted {
    let mut linter = Linter::default();
    let mut manifests: Vec<SourceFile> = Vec::new();
    for (path, named) in linter.files(paths) {
        let name = shown(&path);
        match text::read(&path) {
            Ok(text) if is_scenario(&text) || (named && is_fragment(&text)) => linter.scenario(&path),
            Ok(text) if is_fragment(&text) => linter.linted.fragments += 1,
            Ok(text) if named || is_manifest(&text) => manifests.push(SourceFile::new(name, text)),
            Ok(_) => {}
            Err(unreadable) => linter.add(&[unreadable.finding(&name)], &Sources::default()),
        }
    }
    manifests.retain(|file| !linter.used.contains(&*file.name));
    linter.manifests(&manifests, dialect);
    linter.linted.found.sort_by(|a, b| (&a.place, &a.code).cmp(&(&b.place, &b.code)));
    linter.linted
}

/// Looks at a scenario that is not on disk yet, with the manifests it names.
pub(super) fn lint_text(source: &SourceFile, manifests: &dyn Manifests) -> Linted {
    let mut linter = Linter::default();
    let Parsed { scenario, diagnostics, sources } = parse_all(source, manifests);
    linter.loaded(scenario, &Invalid { file: source.name.to_string(), diagnostics, sources });
    linter.linted
}

/// Whether a text has the top-level key `scenario`; it need not even be YAML.
fn is_scenario(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("scenario:"))
}

/// Whether a text has top-level keys of a scenario and none of a manifest; it need not even be YAML.
fn is_fragment(text: &str) -> bool {
    let lines = || text.lines().filter(|line| !line.starts_with([' ', '#']));
    let keys = || lines().filter_map(|line| Some(line.split_once(':')?.0.trim_start_matches('{')));
    let known = tables().first().map_or(&[][..], |scenario| scenario.keys);
    keys().any(|key| known.contains(&key)) && !keys().any(|key| matches!(key, "apiVersion" | "kind"))
}

/// Whether a text looks like an object of Kubernetes.
fn is_manifest(text: &str) -> bool {
    let key = |line: &str| line.starts_with("apiVersion:") || line.starts_with("kind:");
    text.lines().any(|line| key(line.trim_start_matches(['{', ' '])))
}

#[derive(Default)]
struct Linter {
    linted: Linted,
    /// What was told, so that a manifest of many scenarios is told of once.
    told: BTreeSet<(Place, String, String)>,
    /// Manifests of scenarios.
    used: BTreeSet<String>,
}

impl Linter {
    /// The files behind paths, each with whether it was named itself.
    fn files(&mut self, paths: &[PathBuf]) -> Vec<(PathBuf, bool)> {
        let mut files: Vec<(PathBuf, bool)> = Vec::new();
        for path in paths {
            if !fs::metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
                files.push((path.clone(), true));
                continue;
            }
            let mut own = Vec::new();
            if let Err(error) = gather(path, &mut own) {
                let wrong = text::Unreadable { why: error.to_string(), at: (1, 1) };
                self.add(&[wrong.finding(&shown(path))], &Sources::default());
            }
            own.retain(|file| !is_to_fail(file, path));
            files.extend(own.into_iter().map(|file| (file, false)));
        }
        let mut seen = BTreeSet::new();
        files.retain(|(file, _)| seen.insert(file.clone()));
        files
    }

    fn scenario(&mut self, path: &Path) {
        let (scenario, wrong) = load_all(path);
        self.loaded(scenario, &wrong);
    }

    fn loaded(&mut self, scenario: Option<Scenario>, wrong: &Invalid) {
        self.linted.scenarios += 1;
        self.add(&wrong.diagnostics, &wrong.sources);
        let Some(scenario) = scenario else { return };
        let dry = dry::check(&scenario, wrong.diagnostics.is_empty());
        let mut sources = scenario.sources.clone();
        for file in &dry.world {
            sources.insert(file.name.to_string(), file.text.to_string());
        }
        for mut found in dry.diagnostics.iter().map(|found| message(found, &sources)) {
            found.place.file = scenario.shown(&found.place.file);
            for place in found.related.iter_mut().filter_map(|note| note.place.as_mut()) {
                place.file = scenario.shown(&place.file);
            }
            self.tell(found);
        }
        for why in dry.refused {
            self.tell(Diagnostic::error("MS0500", Place::new(scenario.file.clone(), 1, 1), why));
        }
        for file in &scenario.config {
            if self.used.insert(scenario.shown(&file.name)) {
                self.linted.manifests += 1;
            }
        }
    }

    fn manifests(&mut self, files: &[SourceFile], dialect: Dialect) {
        self.linted.manifests += files.len();
        let mut sources = Sources::default();
        for file in files {
            sources.insert(file.name.to_string(), file.text.to_string());
        }
        let mut read: Vec<(&SourceFile, ConfigSet)> = Vec::new();
        let mut writers: BTreeMap<ConfigKey, usize> = BTreeMap::new();
        for file in files {
            self.add(&ConfigStore::new(dialect).apply(file).diagnostics, &sources);
            let own = all_of(file, dialect);
            for key in own.keys() {
                *writers.entry(key.clone()).or_default() += 1;
            }
            read.push((file, own));
        }
        // Files that write the same object are alternatives: each is looked at with the files that are not.
        let is_alternative = |set: &ConfigSet| set.keys().any(|key| writers.get(key).is_some_and(|count| *count > 1));
        let (alternatives, common): (Vec<_>, Vec<_>) = read.into_iter().partition(|(_, set)| is_alternative(set));
        let base: Vec<Document> = common.iter().flat_map(|(_, set)| in_order(set)).collect();
        self.add(&together(&ConfigSet::of(base.clone()), dialect), &sources);
        let repeated = base.len().saturating_mul(alternatives.len());
        for (file, set) in alternatives {
            let beside = if repeated > REPLACED_OBJECTS_MAX { Vec::new() } else { base.clone() };
            let found = together(&ConfigSet::of(beside.into_iter().chain(in_order(&set))), dialect);
            let own: Vec<Finding> = found.into_iter().filter(|found| found.span.file == file.name).collect();
            self.add(&own, &sources);
        }
    }

    fn add(&mut self, found: &[Finding], sources: &Sources) {
        found.iter().for_each(|found| self.tell(message(found, sources)));
    }

    fn tell(&mut self, found: Diagnostic) {
        if self.told.insert((found.place.clone(), found.code.clone(), found.message.clone())) {
            self.linted.found.push(found);
        }
    }
}

/// The objects of a text, of those written twice the first. A refused one still defines what could be read of it.
fn all_of(file: &SourceFile, dialect: Dialect) -> ConfigSet {
    let decoded = decode(file, dialect);
    let mut documents: Vec<Document> = decoded.documents.into_iter().chain(decoded.refused).collect();
    documents.sort_by(|a, b| a.span.cmp(&b.span));
    let mut seen = BTreeSet::new();
    documents.retain(|document| seen.insert(ConfigKey::of(document)));
    ConfigSet::of(documents)
}

/// The objects of a set in the order of their creation.
fn in_order(set: &ConfigSet) -> Vec<Document> {
    let mut stored: Vec<_> = set.iter().map(|(_, stored)| stored).collect();
    stored.sort_by_key(|stored| stored.created);
    stored.into_iter().map(|stored| Document::clone(&stored.document)).collect()
}

fn together(set: &ConfigSet, dialect: Dialect) -> Vec<Finding> {
    let found = validate::together(set, dialect, &MeshConfig::default(), Extent::Part);
    // Two files that claim one host need not be in the cluster at the same time.
    let claims = [codes::CONFLICTING_HOST, codes::HIDDEN_RULE, codes::CONFLICTING_GATEWAYS];
    let softened = found.into_iter().map(|found| {
        let far = found.related.iter().any(|related| related.span.file != found.span.file);
        if far && claims.contains(&found.code) { Finding { severity: Severity::Note, ..found } } else { found }
    });
    at_most(softened.collect())
}
