//! A scenario, parsed and complete with its manifests.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wavetank_control::config::SourceFile;
use wavetank_reports::Place;

use super::load::shown;
use super::mention::Mention;
use crate::check::{Amount, Check, Sources, StatusClass};
use crate::fault::{Fault, Link, LinkChange};
use crate::observe::{Edge, Selector};
use crate::routes::Row;
use crate::sweep::Seeds;
use crate::traffic::Load;

/// One scenario file.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Path as messages show it, with `/`.
    pub file: String,
    /// What `scenario:` says.
    pub name: String,
    /// Dialect its manifests are read in.
    pub compat: Compat,
    /// The app that runs in the mesh; `None` for a mesh with nothing but what manifests bring.
    pub app: Option<App>,
    /// Services that the scenario brings, or says more about.
    pub add: Vec<Added>,
    /// Manifests in the order given, named as seen from the scenario's folder: a run must not depend on where
    /// the tool was started, and names are part of the configuration that proxies are sent. Those written
    /// inline are one file under the scenario's own name, with every line where it stands in the scenario.
    pub config: Vec<SourceFile>,
    /// The network between pods.
    pub network: Network,
    /// Links that are unlike it for the whole run, in the order given.
    pub links: Vec<OwnLink>,
    /// Streams of requests, in the order given; names are unique.
    pub traffic: Vec<Traffic>,
    /// What must hold, in the order given.
    pub checks: Vec<Check>,
    /// Decision tables, in the order given; their requests are the last of `traffic`.
    pub routes: Vec<Row>,
    /// What breaks, in the order given.
    pub faults: Vec<Fault>,
    /// What changes over time, in order.
    pub steps: Vec<Step>,
    /// When the steps are given up.
    pub abort: Option<Abort>,
    /// What the control plane's packets to proxies suffer, from the start of the scenario.
    pub push_delay: Option<LinkChange>,
    /// Probability that a proper run fails any check.
    pub false_failure: f64,
    /// Words to choose scenarios by.
    pub tags: Vec<String>,
    /// Seed that the file asks for.
    pub seed: Option<u64>,
    /// Seeds that it is swept under where the command names none.
    pub seeds: Option<Seeds>,
    /// When the run ends at the latest: no request begins later, and what has not ended is not judged.
    pub until: Option<Duration>,
    /// Who is named in it, and where.
    pub mentions: Vec<Mention>,
    /// The text of the scenario and of its manifests, by name.
    pub sources: Sources,
}

impl Scenario {
    /// The name of a file of the run as messages show it: a manifest's by its path, an inline manifest's by
    /// the scenario's; any other as it is.
    pub fn shown(&self, name: &str) -> String {
        let path = Path::new(&self.file);
        if path.file_name().is_some_and(|own| own.to_string_lossy() == name) {
            return self.file.clone();
        }
        match path.parent() {
            Some(folder) if self.config.iter().any(|file| *file.name == *name) => shown(&folder.join(name)),
            _ => name.to_owned(),
        }
    }

    /// The edges that have a split.
    pub fn split_edges(&self) -> Vec<Edge> {
        let split = |check: &&Check| check.demand.kind() == "split";
        self.checks.iter().filter(split).filter_map(|check| check.scope.edge.clone()).collect()
    }
}

/// A part of the scenario's time, with the configuration that is in force in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its name; unique in the scenario.
    pub name: Arc<str>,
    /// How long it lasts.
    pub duration: Duration,
    /// All manifests from its start on; `None` when it changes nothing.
    pub config: Option<Vec<SourceFile>>,
}

/// When the steps are given up, and what is done then. Later steps do not happen; their time passes.
#[derive(Debug, Clone, PartialEq)]
pub struct Abort {
    /// The edge that is watched.
    pub edge: Edge,
    /// What is counted on it.
    pub class: StatusClass,
    /// How much of it is too much.
    pub amount: Amount,
    /// How far back it is counted.
    pub window: Duration,
    /// Requests in that time below which nothing is decided.
    pub requests_min: u64,
    /// All manifests after an abort, by the step that it happens in.
    pub config: Vec<Vec<SourceFile>>,
}

/// Which Istio a scenario's manifests are read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compat {
    /// Istio 1.0.3.
    V1_0,
    /// Today's Istio.
    #[default]
    V1,
}

impl fmt::Display for Compat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1_0 => "1.0",
            Self::V1 => "v1",
        })
    }
}

/// An app that is built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum App {
    /// The book's: service-js, -python, -lua, -node and -go, two versions of each; httpbin and sleep.
    IstioLab,
}

/// An echo service that the scenario adds; or what the pods of a Deployment of that name do, where the
/// manifests bring one with a program that the world does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// Name of the Service, the Deployment and the label `app`; or of the Deployment or app it is about.
    pub service: String,
    /// Label `version`.
    pub version: Option<String>,
    /// Whether it has a sidecar; `None` leaves it as it is, and is yes for a new one.
    pub sidecar: Option<bool>,
    /// Whom it calls before it answers.
    pub calls: Vec<Request>,
    /// What it waits before that.
    pub latency: Duration,
    /// The status it answers with.
    pub status: Option<u16>,
}

/// The network between pods. Inside a pod there is no latency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Network {
    /// One-way latency.
    pub latency: Duration,
    /// Added to it, uniformly from nothing up to this.
    pub jitter: Duration,
    /// Share of packets lost, in percent.
    pub loss_percent: f64,
    /// Bits per second of each direction; `None` is unlimited.
    pub bandwidth: Option<u64>,
}

/// A link that is unlike the rest of the network; what is `None` is as everywhere.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnLink {
    /// Where the scenario asks for it.
    pub asked_at: Place,
    /// Characters it takes there.
    pub width: usize,
    /// Which.
    pub link: Link,
    /// One-way latency.
    pub latency: Option<Duration>,
    /// Added to it at random, up to this.
    pub jitter: Option<Duration>,
    /// Share of packets lost, in percent.
    pub loss_percent: Option<f64>,
    /// Bits per second of each direction.
    pub bandwidth: Option<u64>,
}

impl Default for Network {
    fn default() -> Self {
        let (latency, jitter) = (Duration::from_millis(1), Duration::from_micros(200));
        Self { latency, jitter, loss_percent: 0.0, bandwidth: None }
    }
}

/// One stream of requests.
#[derive(Debug, Clone, PartialEq)]
pub struct Traffic {
    /// Its name; unique in the scenario.
    pub name: String,
    /// Who sends.
    pub from: Selector,
    /// What is sent, again and again.
    pub request: Request,
    /// Header fields in the order given; `host` replaces the default Host.
    pub headers: Vec<(String, String)>,
    /// Body of every request; none is sent when it is empty.
    pub body: Bytes,
    /// How it is paced.
    pub load: Load,
    /// Requests sent at most. It or `duration` is given.
    pub count: Option<u64>,
    /// How long requests are sent.
    pub duration: Option<Duration>,
    /// When it begins, from the start of the scenario.
    pub at: Duration,
    /// When the client gives up on a request.
    pub timeout: Duration,
}

/// `GET service-go.other:8080/env`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Method, in capitals.
    pub method: String,
    /// Whom to call: a Service as the caller would name it, `ingress`, or a host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path with query, beginning with `/`.
    pub path: String,
}
