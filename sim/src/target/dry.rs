//! What can be told of a scenario without running it: its manifests in the world that a run would have.

use wavetank_control::config::{ConfigSet, MeshConfig, SourceFile, decode};
use wavetank_control::diagnostic::{Diagnostic, Severity, at_most};
use wavetank_control::model::ConfigStore;
use wavetank_control::validate::{self, Extent, codes};

use super::callers::callers;
use super::outcome::RunError;
use super::tank::{add, cast_of, dialect};
use crate::scenario::Scenario;
use crate::world::{kube, manifests};

/// What is found.
#[derive(Debug, Clone, Default)]
pub struct Dry {
    /// Everything about manifests, by place.
    pub diagnostics: Vec<Diagnostic>,
    /// The world's own objects, which findings refer to.
    pub world: Vec<SourceFile>,
    /// What the scenario asks of a world that does not have it.
    pub refused: Vec<String>,
}

/// Looks at a scenario's manifests, and at those of each of its steps, as the control plane would.
///
/// `whole` says that the scenario itself is sound; else it may lack manifests, and what they refer to.
pub fn check(scenario: &Scenario, whole: bool) -> Dry {
    let mut dry = Dry::default();
    let mut cast = cast_of(scenario);
    dry.diagnostics = manifests::admit(&mut cast, &scenario.config, dialect(scenario.compat));
    add(scenario, &mut cast);
    let world = kube::objects(&cast).into_iter().map(|file| SourceFile::new(file.name, file.text));
    dry.world = world.collect();
    dry.diagnostics.extend(mesh(scenario, &dry.world, &scenario.config, whole));
    let steps = scenario.steps.iter().filter_map(|step| step.config.as_ref());
    let aborts = scenario.abort.iter().flat_map(|abort| &abort.config);
    for files in steps.chain(aborts) {
        dry.diagnostics.extend(mesh(scenario, &dry.world, files, whole));
    }
    dry.diagnostics.sort_by(|a, b| (&a.span, a.code).cmp(&(&b.span, b.code)));
    dry.diagnostics.dedup_by(|a, b| (&a.span, a.code, &a.message) == (&b.span, b.code, &b.message));
    dry.diagnostics = at_most(dry.diagnostics);
    if whole && let Err(RunError::Scenario(why)) = callers(scenario, &cast) {
        dry.refused.push(why);
    }
    dry
}

/// The findings of a mesh of the world's objects and these files.
fn mesh(scenario: &Scenario, world: &[SourceFile], files: &[SourceFile], whole: bool) -> Vec<Diagnostic> {
    let dialect = dialect(scenario.compat);
    let mut store = ConfigStore::new(dialect);
    let mut found: Vec<Diagnostic> = files.iter().flat_map(|file| store.apply(file).diagnostics).collect();
    let whole = whole && !found.iter().any(Diagnostic::is_error);
    let extent = if whole { Extent::Whole } else { Extent::Part };
    // A refused object still defines what could be read of it.
    let decoded = world.iter().chain(files).map(|file| decode(file, dialect));
    let objects = ConfigSet::of(decoded.flat_map(|decoded| decoded.documents.into_iter().chain(decoded.refused)));
    let together = validate::together(&objects, dialect, &MeshConfig::default(), extent);
    // What is missing may be in a text that could not be read at all.
    found.extend(together.into_iter().filter(|found| whole || !may_be_unread(found)));
    found
}

fn may_be_unread(found: &Diagnostic) -> bool {
    let missing = [codes::UNKNOWN_GATEWAY, codes::UNKNOWN_HOST, codes::UNKNOWN_DESTINATION];
    found.severity == Severity::Note && missing.contains(&found.code)
}
