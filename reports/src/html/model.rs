//! What a page is made of: plain numbers and text, counted by whoever has the log.
//!
//! Times are virtual milliseconds since the start of the scenario; what happened before it has a negative
//! time.

use crate::RunReport;

/// One page.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The verdicts.
    pub report: RunReport,
    /// Exit code of the command.
    pub exit: u8,
    /// What each scenario of the report showed, in their order; `None` for one that did not run.
    pub evidence: Vec<Option<Evidence>>,
    /// What a sweep says of all its seeds together, as on the terminal; `None` when it is no sweep.
    pub sweep: Option<String>,
}

/// What one run showed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evidence {
    /// Who called whom.
    pub graph: Vec<GraphEdge>,
    /// Nodes of the graph that faults were put on, with the faults.
    pub faulted: Vec<(String, Vec<String>)>,
    /// What happened when.
    pub timeline: Timeline,
    /// One for each statistical test.
    pub splits: Vec<SplitPicture>,
    /// One for each edge.
    pub latencies: Vec<Latencies>,
    /// A choice of requests, in the order of their start.
    pub requests: Vec<Waterfall>,
    /// How many requests there were.
    pub requests_total: u64,
    /// The user's files.
    pub manifests: Vec<Manifest>,
}

/// All requests from one workload to one service.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GraphEdge {
    /// Who called.
    pub from: String,
    /// What was asked for.
    pub to: String,
    /// How many requests.
    pub requests: u64,
    /// How many of them failed: a 5xx, or no answer.
    pub errors: u64,
    /// How their connections were secured.
    pub tls: TlsCounts,
    /// Requests by the version of the pod that was chosen; empty where pods have none.
    pub arms: Vec<(String, u64)>,
    /// Faults on the link between its pods: `loss a <-> b`.
    pub faults: Vec<String>,
}

/// Requests by how their connection was secured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TlsCounts {
    /// Certificates on both sides.
    pub mutual: u64,
    /// The server's certificate only.
    pub simple: u64,
    /// No TLS.
    pub plaintext: u64,
    /// No connection.
    pub none: u64,
}

/// What happened when.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Timeline {
    /// Where it begins.
    pub from_ms: f64,
    /// Where it ends.
    pub to_ms: f64,
    /// Steps and faults, in order.
    pub bands: Vec<Band>,
    /// Width of a bin of `rates`.
    pub bin_ms: f64,
    /// Clients' requests in bins of equal width from 0 on.
    pub rates: Vec<RateBin>,
    /// How each split came about.
    pub splits: Vec<SplitLine>,
    /// Clients' latencies, in order.
    pub latencies: Vec<LatencyBin>,
    /// One for each proxy.
    pub proxies: Vec<ProxyRow>,
    /// Proxies that are left out.
    pub proxies_left_out: usize,
    /// Pushes and answers before `from_ms`, which are left out.
    pub earlier: u64,
}

/// The share of a version among the decisions so far, as it went.
#[derive(Debug, Clone, PartialEq)]
pub struct SplitLine {
    /// Where.
    pub edge: String,
    /// The version.
    pub arm: String,
    /// Its configured share, in percent.
    pub percent: f64,
    /// In order.
    pub points: Vec<SplitPoint>,
}

/// Decisions up to a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SplitPoint {
    /// The moment, in whole milliseconds.
    pub at_ms: u64,
    /// Decisions so far.
    pub n: u64,
    /// Of them, those for the version.
    pub count: u64,
    /// The smallest and the largest count that would be accepted of so many.
    pub accepted: (u64, u64),
}

/// Quantiles of clients' latencies in a span of time, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatencyBin {
    /// Its start.
    pub from_ms: f64,
    /// Its end.
    pub to_ms: f64,
    /// 50 %, 95 %, 99 %.
    pub quantiles: [f64; 3],
}

/// A span of time with a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    /// What is said of it.
    pub label: String,
    /// Whether it is a fault; else it is a step.
    pub is_fault: bool,
    /// Its start.
    pub from_ms: f64,
    /// Its end.
    pub to_ms: f64,
}

/// Clients' requests in one bin of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateBin {
    /// Answered with 1xx, 2xx or 3xx.
    pub fine: u64,
    /// Answered with 4xx.
    pub refused: u64,
    /// Answered with 5xx.
    pub failed: u64,
    /// Not answered.
    pub lost: u64,
}

/// What the control plane sent to a proxy, and what it answered.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProxyRow {
    /// The proxy.
    pub name: String,
    /// Pushes.
    pub pushes: Vec<f64>,
    /// Acceptances.
    pub acks: Vec<f64>,
    /// Refusals.
    pub nacks: Vec<f64>,
}

/// One statistical test: what the configured share may give, and what it gave.
#[derive(Debug, Clone, PartialEq)]
pub struct SplitPicture {
    /// Where.
    pub edge: String,
    /// The version whose decisions are counted.
    pub arm: String,
    /// Its configured share.
    pub percent: f64,
    /// Decisions.
    pub n: u64,
    /// Decisions for the version.
    pub count: u64,
    /// The smallest and the largest accepted count.
    pub accepted: (u64, u64),
    /// Probability that a proper run falls outside.
    pub alpha: f64,
    /// The smallest shift of the true share, in points, that is seen with 99 %; `None` when there is none.
    pub sees_points: Option<f64>,
    /// The distribution: counts and their probabilities, in order.
    pub curve: Vec<(u64, f64)>,
}

/// The distribution of latencies on one edge.
#[derive(Debug, Clone, PartialEq)]
pub struct Latencies {
    /// Where.
    pub edge: String,
    /// How many requests.
    pub n: u64,
    /// Latencies in milliseconds with the share of requests that are not slower, both growing.
    pub curve: Vec<(f64, f64)>,
    /// Quantiles in milliseconds: 50 %, 90 %, 99 %, 99.9 %, largest.
    pub quantiles: [f64; 5],
}

/// One request with all its hops.
#[derive(Debug, Clone, PartialEq)]
pub struct Waterfall {
    /// Its number among the requests.
    pub number: u64,
    /// Method and path.
    pub target: String,
    /// When it was sent.
    pub at_ms: f64,
    /// How long it took.
    pub took_ms: f64,
    /// The answer in a word: `200`, `timeout`.
    pub answer: String,
    /// Whether it failed.
    pub failed: bool,
    /// Why it is shown: `failed`, `slow`, `1392 like it`.
    pub why: String,
    /// Its hops, a hop's own calls behind it.
    pub bars: Vec<Bar>,
}

/// One hop of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// How deep it is.
    pub depth: usize,
    /// `service-node → service-go v1`.
    pub label: String,
    /// Since the request's start.
    pub from_ms: f64,
    /// How long it took.
    pub took_ms: f64,
    /// What else there is to say: status, flags, TLS, attempts.
    pub note: String,
    /// The line that decided: `go-70-30.yaml:23`.
    pub decided: Option<String>,
    /// Whether it failed.
    pub failed: bool,
    /// Its tries, where there was more than one.
    pub tries: Vec<Try>,
}

/// One try of a hop.
#[derive(Debug, Clone, PartialEq)]
pub struct Try {
    /// `try 2: service-go@v1#0 200`.
    pub label: String,
    /// Since the request's start.
    pub from_ms: f64,
    /// How long it took.
    pub took_ms: f64,
    /// Whether it failed.
    pub failed: bool,
}

/// One file of the user's.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Its path.
    pub file: String,
    /// Its text.
    pub text: String,
    /// How many hops each line decided, by its number from 1, in order.
    pub decided: Vec<(u32, u64)>,
    /// Lines that a proxy was given and that decided nothing, in order.
    pub never: Vec<u32>,
}
