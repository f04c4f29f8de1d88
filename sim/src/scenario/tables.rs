//! The keys of the scenario format as a tree, for its schema: the very tables that scenarios are read by.

pub(crate) use super::expect::FLAGS;
use super::fields::Keys;
pub(crate) use super::traffic::{COUNT_MAX, METHODS};
use super::{added, expect, fault, network, parse, payload, retry, routes, step, traffic};

/// One mapping of the format.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// What it is: `a scenario`.
    pub of: &'static str,
    /// The heading of the documentation under which its keys are explained.
    pub heading: &'static str,
    /// Its keys.
    pub keys: &'static [&'static str],
    /// Keys that must be there.
    pub needed: &'static [&'static str],
    /// Keys that hold another table, by what that one is of; a list of it or one alone.
    pub inner: &'static [(&'static str, &'static str)],
}

/// All tables; the first is a whole scenario.
pub fn tables() -> Vec<Table> {
    let table = |keys: &Keys, heading, needed, inner| Table { of: keys.of, heading, keys: keys.known, needed, inner };
    vec![
        table(&parse::SCENARIO, "Keys of a scenario", &["scenario"], WHOLE),
        table(&traffic::TRAFFIC, "Traffic", &["request"], &[("body", "body")]),
        table(&payload::BODY, "Traffic", &["size"], &[]),
        table(&expect::EXPECT, "Checks", &[], &[("never", "never")]),
        table(&expect::NEVER, "Checks", &[], &[("retry", "retry")]),
        table(&retry::RETRY, "Checks", &["method"], &[]),
        table(&routes::ROUTE, "Decision tables", &[], &[]),
        table(&fault::FAULT, "Faults", &[], &[]),
        table(&step::STEP, "Steps", &[], STEP),
        table(&step::EACH_STEP, "Steps", &[], STEP),
        table(&step::ABORT, "Steps", &[], &[]),
        table(&step::PATCH, "Steps", &[], &[]),
        table(&parse::APP, "Keys of a scenario", &[], &[("add", "an added service")]),
        table(&added::ADD, "Services of your own", &["service"], &[]),
        table(&network::NETWORK, "The network", &[], &[("latency", "latency"), ("links", "a link")]),
        table(&network::LATENCY, "The network", &[], &[]),
        table(&network::LINK, "The network", &["link"], &[("latency", "latency")]),
    ]
}

const WHOLE: &[(&str, &str)] = &[
    ("traffic", "traffic"),
    ("expect", "an expectation"),
    ("never", "never"),
    ("routes", "a row of routes"),
    ("faults", "a fault"),
    ("steps", "a step"),
    ("each_step", "each_step"),
    ("abort", "abort"),
    ("patch", "a patch"),
    ("app", "app"),
    ("network", "network"),
];
const STEP: &[(&str, &str)] = &[("expect", "an expectation"), ("never", "never"), ("patch", "a patch")];
