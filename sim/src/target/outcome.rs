//! What a run returns.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use wavetank_control::diagnostic::Diagnostic;

use crate::explain::Book;
use crate::fault::FaultOutcome;
use crate::observe::ObservationLog;
use crate::world::cast::Cast;

/// A run that came to its end.
#[derive(Debug)]
pub struct RunOutcome {
    /// Where it ran.
    pub target: TargetKind,
    /// What happened.
    pub log: ObservationLog,
    /// SHA-256 over every packet that was delivered, in lower-case hex. Compared between runs of one build
    /// only; empty where packets are not seen.
    pub packets_hash: String,
    /// In the tank, virtual time from the start of the world to the end of the run; live, real time from the start of
    /// traffic.
    pub simulated: Duration,
    /// What became of the faults, in the order of the scenario.
    pub faults: Vec<FaultOutcome>,
    /// What the control plane has to say about the manifests, below an error.
    pub diagnostics: Vec<Diagnostic>,
    /// Texts of the files that the world itself wrote, by the names that places in the log use.
    pub world_files: BTreeMap<String, String>,
    /// Who was in the world.
    pub cast: Arc<Cast>,
    /// What explains the log: records and configurations of the proxies.
    pub book: Book,
}

/// Where scenarios run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    /// In the simulated network.
    Tank,
    /// On this machine, with our proxy.
    Linux,
    /// On this machine, with Envoy in our proxy's place.
    Envoy,
}

impl fmt::Display for TargetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tank => "tank",
            Self::Linux => "linux",
            Self::Envoy => "envoy",
        })
    }
}

/// Why a run has no outcome.
#[derive(Debug)]
pub enum RunError {
    /// The manifests are in error; all problems, warnings among them.
    Manifests(Vec<Diagnostic>),
    /// The scenario asks for something that the world does not have: `from: service-x` without such a pod.
    Scenario(String),
    /// The proxies did not take the configuration in time; the text says which and why.
    NotConverged(String),
    /// The scenario asks for what the target cannot do: no check of it is judged.
    Beyond(&'static str),
    /// The user ended it.
    Interrupted,
    /// A fault of our own.
    Internal(String),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifests(problems) => write!(f, "the manifests have {} problems", problems.len()),
            Self::Scenario(what) => f.write_str(what),
            Self::NotConverged(what) => write!(f, "the proxies did not take the configuration: {what}"),
            Self::Beyond(why) => write!(f, "not run here: {why}"),
            Self::Interrupted => f.write_str("interrupted"),
            Self::Internal(what) => write!(f, "internal error: {what}"),
        }
    }
}

impl std::error::Error for RunError {}
