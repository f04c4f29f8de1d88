//! What a run keeps beside its log, so that it can be explained: the proxies' own records, and every
//! configuration that a proxy had in force, with the time it came.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use wavetank_platform::{Instant, Platform};
use wavetank_proxy::ejection::Ejection;
use wavetank_proxy::record::Record;
use wavetank_proxy::snapshot::Snapshot;
use wavetank_proxy::xds::Store;

use super::remains::Remains;
use crate::observe::Party;

/// Configurations of one proxy that are kept at most; the first ones are.
const VERSIONS_MAX: usize = 10_000;

/// A proxy's configurations in the order they came.
pub type History = Vec<(Instant, Arc<Snapshot>)>;

/// The records and the configurations of a run.
#[derive(Debug, Clone, Default)]
pub struct Book {
    /// What the proxies recorded, in the order of their starts.
    pub records: Vec<Record>,
    /// What their outlier detection did, in order.
    pub ejections: Vec<Ejection>,
    /// By node id. A proxy that was started again begins again at version 0.
    pub histories: BTreeMap<String, History>,
    /// Who has which address.
    pub parties: BTreeMap<IpAddr, Party>,
    /// What was left when all was over.
    pub remains: Remains,
}

impl Book {
    /// The configuration that `record` was decided by: the last of its version that was in force by then.
    pub fn snapshot_of(&self, record: &Record) -> Option<&Arc<Snapshot>> {
        let version = record.decision.config_version;
        let end = record.start + record.duration;
        let history = self.histories.get(&*record.node)?;
        let known = history.iter().rev().find(|(at, own)| *at <= end && own.version == version);
        known.map(|(_, snapshot)| snapshot)
    }

    /// When the process of `node` that ran at `at` gave way to the next one; `None`: it did not.
    pub fn restarted_after(&self, node: &str, at: Instant) -> Option<Instant> {
        let history = self.histories.get(node)?.iter();
        let mut begins = history.filter(|(_, known)| known.version == 0).map(|(began, _)| *began);
        begins.find(|began| *began > at)
    }

    /// Since when the configuration of `record` was in force.
    pub fn in_force_since(&self, record: &Record) -> Option<Instant> {
        let snapshot = self.snapshot_of(record)?;
        let history = self.histories.get(&*record.node)?;
        history.iter().find(|(_, own)| Arc::ptr_eq(own, snapshot)).map(|(at, _)| *at)
    }

    /// What the proxy `node` had in force at `at`, and since when.
    pub fn known_at(&self, node: &str, at: Instant) -> Option<&(Instant, Arc<Snapshot>)> {
        self.histories.get(node)?.iter().rev().find(|(since, _)| *since <= at)
    }

    /// The records of one request, in the order of their starts.
    pub fn records_of(&self, request: &str) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(move |record| record.request_id.as_deref() == Some(request))
    }
}

/// Notes the configurations of running proxies.
#[derive(Debug, Clone, Default)]
pub struct Scribe {
    histories: Arc<Mutex<BTreeMap<String, History>>>,
}

impl Scribe {
    /// Notes what `store` holds, now and at every change, for as long as the process of `platform` runs.
    pub fn follow(&self, node: String, store: Store, platform: &Platform) {
        let mut changes = store.subscribe();
        let (clock, histories) = (platform.clock.clone(), self.histories.clone());
        platform.spawn.go(async move {
            loop {
                changes.borrow_and_update();
                let known = (clock.now(), store.current());
                {
                    let mut histories = histories.lock().unwrap_or_else(PoisonError::into_inner);
                    let history = histories.entry(node.clone()).or_default();
                    if history.len() < VERSIONS_MAX {
                        history.push(known);
                    }
                }
                if changes.changed().await.is_err() {
                    return;
                }
            }
        });
    }

    /// All that was noted.
    pub fn take(&self) -> BTreeMap<String, History> {
        std::mem::take(&mut *self.histories.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
