//! Records of our proxy and of Envoy in the same places, kind by kind.
//!
//! Two live runs do not send the same request to the same pod at the same time, so records are not compared one with
//! one. Those of one place, a workload's proxy on one side for one request line, are counted by what was decided;
//! a kind that is common in one run and absent in the other is a difference.
//!
//! Only what both can say is compared: Envoy's log has no name for a route without one, none for a cluster that does not
//! exist, and no line for an attempt that found no endpoint.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use wavetank::target::who::Who;
use wavetank::world::cast::Cast;
use wavetank_proxy::record::{Direction, Flag, Record};

/// Records of a place below which nothing is said of it.
const RECORDS_MIN: usize = 50;
/// Share of a place's records from which a kind is common.
const COMMON: f64 = 0.1;

/// Where a record was made, and for what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Site {
    workload: String,
    direction: Direction,
    request: String,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} `{}`", self.workload, self.direction, self.request)
    }
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    status: u16,
    flags: String,
    details: String,
    route: String,
    cluster: String,
    /// Attempts at an endpoint.
    attempts: usize,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, flags, details, route, cluster, attempts } = self;
        write!(f, "{status} {flags} {details}, route {route}, cluster {cluster}, {attempts} attempts")
    }
}

type Counted = BTreeMap<Site, BTreeMap<Kind, usize>>;

/// What comparing two runs finds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Differences, each named for the ledger.
    pub differences: Vec<String>,
    /// Places with enough records on both sides.
    pub places: usize,
}

/// Compares two runs of one scenario, `ours` and `theirs`.
pub fn compare(scenario: &str, cast: &Cast, ours: &[Record], theirs: &[Record]) -> Compared {
    let (ours, theirs) = (count(cast, ours), count(cast, theirs));
    let mut compared = Compared::default();
    for (site, own) in &ours {
        let Some(other) = theirs.get(site).filter(|other| is_enough(own) && is_enough(other)) else { continue };
        compared.places += 1;
        let found = &mut compared.differences;
        found.extend(missing(own, other).map(|kind| format!("records/{scenario}: {site}: only ours: {kind}")));
        found.extend(missing(other, own).map(|kind| format!("records/{scenario}: {site}: only Envoy's: {kind}")));
    }
    compared
}

fn is_enough(kinds: &BTreeMap<Kind, usize>) -> bool {
    kinds.values().sum::<usize>() >= RECORDS_MIN
}

/// The kinds that are common in `own` and absent in `other`.
fn missing<'a>(
    own: &'a BTreeMap<Kind, usize>,
    other: &'a BTreeMap<Kind, usize>,
) -> impl Iterator<Item = &'a Kind> + 'a {
    let total: usize = own.values().sum();
    let is_common = move |count: usize| count as f64 >= COMMON * total as f64;
    own.iter().filter(move |(kind, count)| is_common(**count) && !other.contains_key(kind)).map(|(kind, _)| kind)
}

fn count(cast: &Cast, records: &[Record]) -> Counted {
    let who = Who::new(cast);
    let mut counted = Counted::new();
    for record in records {
        let Some(pod) = who.pod_of_node(&record.node) else { continue };
        let site = Site {
            workload: pod.workload.clone(),
            direction: record.direction,
            request: format!("{} {}{}", record.method, record.authority, record.path),
        };
        let text = |own: &Option<Arc<str>>| own.as_deref().filter(|own| !own.is_empty()).unwrap_or("-").to_owned();
        let is_there = !record.flags.contains(&Flag::NC);
        let flags: Vec<String> = record.flags.iter().map(ToString::to_string).collect();
        let kind = Kind {
            status: record.status,
            flags: if flags.is_empty() { "-".to_owned() } else { flags.join(",") },
            details: record.details.to_string(),
            route: text(&record.decision.route),
            cluster: text(&record.decision.cluster.clone().filter(|_| is_there)),
            attempts: record.attempts.iter().filter(|attempt| attempt.endpoint.is_some()).count(),
        };
        *counted.entry(site).or_default().entry(kind).or_default() += 1;
    }
    counted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(status: u16) -> Kind {
        let text = String::new;
        Kind { status, flags: text(), details: text(), route: text(), cluster: text(), attempts: 1 }
    }

    #[test]
    fn a_kind_is_missing_when_it_is_common_on_one_side_and_absent_on_the_other() {
        let ours = BTreeMap::from([(kind(200), 90), (kind(503), 15), (kind(504), 1)]);
        let theirs = BTreeMap::from([(kind(200), 95), (kind(404), 5)]);
        assert_eq!(missing(&ours, &theirs).collect::<Vec<_>>(), [&kind(503)]);
        assert_eq!(missing(&theirs, &ours).count(), 0);
        assert!(is_enough(&ours) && !is_enough(&BTreeMap::from([(kind(200), 49)])));
    }
}
