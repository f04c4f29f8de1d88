//! Where a case went, and where else it may go: read from the record of the first proxy on its way, and from
//! the route that took it, in the configuration which that proxy had.

use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_proxy::record::Record;
use wavetank_proxy::snapshot::route::Action;

use super::probe::is_probe;
use super::row::{Case, Goal, Target};
use crate::explain::Book;
use crate::explain::candidates::{arms, short, winner};
use crate::observe::{Call, Hop, ObservationLog};

/// Everything that probes left behind, by the names of their traffic.
pub struct Traces<'a> {
    calls: BTreeMap<&'a str, &'a Call>,
    hops: BTreeMap<&'a str, Vec<&'a Hop>>,
    records: BTreeMap<&'a str, Vec<&'a Record>>,
    book: &'a Book,
}

/// One case that was sent.
pub struct Went<'a> {
    /// What the caller saw.
    pub call: &'a Call,
    /// The hop that the first proxy decided; `None` when no proxy saw the request.
    pub hop: Option<&'a Hop>,
    /// Its record.
    pub record: Option<&'a Record>,
    /// The clusters that the winning route gives any weight, or the one that was chosen; none when the
    /// request was sent nowhere.
    pub clusters: Vec<Arc<str>>,
    /// The weights that the winning route gives them, in their order; empty where it gives none.
    pub weights: Vec<u64>,
}

impl<'a> Traces<'a> {
    /// The probes of a run.
    pub fn new(log: &'a ObservationLog, book: &'a Book) -> Self {
        let calls: BTreeMap<&str, &Call> =
            log.calls().filter(|call| is_probe(&call.traffic)).map(|call| (&*call.traffic, call)).collect();
        let mut traces = Self { calls, hops: BTreeMap::new(), records: BTreeMap::new(), book };
        for hop in log.hops() {
            traces.hops.entry(&hop.request).or_default().push(hop);
        }
        for record in &book.records {
            if let Some(request) = &record.request_id {
                traces.records.entry(request).or_default().push(record);
            }
        }
        traces
    }

    /// What became of `case`; `None` when it was never sent.
    pub fn went(&self, case: &Case) -> Option<Went<'a>> {
        let call = *self.calls.get(case.traffic.as_str())?;
        let hops = self.hops.get(&*call.request).map(Vec::as_slice).unwrap_or_default();
        // The gateway's own hop says where it went; where it called nobody, the hop that leads to it does.
        let first = |hop: &&&Hop| {
            if case.is_from_outside() { &*hop.source.name == "ingress" } else { hop.source == call.source }
        };
        let hop = hops.iter().find(first).or(hops.first()).copied();
        let record = self.records.get(&*call.request).and_then(|records| records.first()).copied();
        let (clusters, weights) = clusters(self.book, record, hop);
        Some(Went { call, hop, record, clusters, weights })
    }
}

fn clusters(book: &Book, record: Option<&Record>, hop: Option<&Hop>) -> (Vec<Arc<str>>, Vec<u64>) {
    let chosen = hop.and_then(|hop| hop.decision.cluster.clone());
    let route = record.and_then(|record| winner(book.snapshot_of(record)?, record));
    let possible: (Vec<Arc<str>>, Vec<u64>) = match route.map(|route| &route.action) {
        Some(Action::Forward(forward)) => {
            let arms = arms(&forward.cluster).into_iter().filter(|(_, weight)| *weight > 0);
            arms.map(|(name, weight)| (name, u64::from(weight))).unzip()
        }
        _ => Default::default(),
    };
    if possible.0.is_empty() { (chosen.into_iter().collect(), Vec::new()) } else { possible }
}

impl Went<'_> {
    /// Whether it went where it must, and can go nowhere else.
    pub fn reaches(&self, goal: &Goal) -> bool {
        let to_service = |cluster: &&Arc<str>| ***cluster != *"BlackHoleCluster";
        let clusters: Vec<&Arc<str>> = self.clusters.iter().filter(to_service).collect();
        match goal {
            Goal::Nothing => clusters.is_empty(),
            Goal::Only(targets) => {
                let named = |cluster: &&Arc<str>| targets.iter().any(|target| target.is(cluster));
                let reached = |target: &Target| clusters.iter().any(|cluster| target.is(cluster));
                clusters.iter().all(named) && targets.iter().all(reached)
            }
        }
    }

    /// Where it goes besides everywhere that `goal` names, in words with its shares; `None` where that is not all
    /// that is wrong.
    pub fn unnamed(&self, goal: &Goal) -> Option<String> {
        let Goal::Only(targets) = goal else { return None };
        let sum: u64 = self.weights.iter().sum();
        let all_reached = targets.iter().all(|target| self.clusters.iter().any(|cluster| target.is(cluster)));
        let unnamed = self.clusters.iter().zip(&self.weights);
        let unnamed = unnamed.filter(|(cluster, _)| !targets.iter().any(|target| target.is(cluster)));
        let told: Vec<String> = unnamed
            .map(|(cluster, weight)| {
                let share = format!("{:.1}", *weight as f64 * 100.0 / sum.max(1) as f64);
                format!("{} ({}%)", short(cluster), share.trim_end_matches('0').trim_end_matches('.'))
            })
            .collect();
        (all_reached && !told.is_empty()).then(|| told.join(" and "))
    }

    /// Whether a proxy decided; a request that no proxy saw was judged by nobody.
    fn hop_is_judged(&self) -> bool {
        self.hop.is_some_and(|hop| hop.decision.listener.is_some())
    }

    /// Where it goes, in words.
    pub fn in_words(&self) -> String {
        let names: Vec<String> = self.clusters.iter().map(|cluster| short(cluster)).collect();
        let refused = self.call.failure.filter(|_| !self.hop_is_judged());
        match (names.as_slice(), refused) {
            ([], Some(failure)) => format!("nothing, as no proxy takes it (connection {failure})"),
            ([], None) => "nothing".to_owned(),
            (names, _) => names.join(" and "),
        }
    }
}
