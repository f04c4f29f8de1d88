//! What proxies recorded, gathered as it comes.
//!
//! A request between two proxies leaves a record at each end, and the source's decides. Of the other only the
//! name is kept that its caller proved: half of all records are let go while the run goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use wavetank_proxy::record::{Direction, Leg, Record, Recorder, TlsState};

/// A connection: the caller's end, and the address that accepted.
type Connection = (SocketAddr, IpAddr);

/// The records that decide hops, and what is left of the others.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Records of callers' proxies and of gateways.
    records: Vec<Record>,
    /// Records of callees on connections that, as far as is known, no proxy of ours opened.
    inbound: BTreeMap<Connection, Vec<Record>>,
    dialled: BTreeSet<Connection>,
    proved: BTreeMap<Connection, Arc<str>>,
}

impl Gathered {
    /// Takes one record.
    pub fn add(&mut self, record: Record) {
        let connection = accepted(&record.downstream);
        if let TlsState::Mutual { peer } = &record.downstream.tls {
            self.proved.entry(connection).or_insert_with(|| peer.clone());
        }
        for leg in record.attempts.iter().filter_map(|attempt| attempt.upstream.as_ref()) {
            let opened = (leg.local, leg.remote.ip());
            self.dialled.insert(opened);
            self.inbound.remove(&opened);
        }
        match record.direction {
            Direction::Inbound if self.dialled.contains(&connection) => {}
            Direction::Inbound => self.inbound.entry(connection).or_default().push(record),
            Direction::Outbound | Direction::Gateway => self.records.push(record),
        }
    }

    /// The records that decide hops, in order of time. They are taken out; the rest stays.
    pub(super) fn take_deciding(&mut self) -> Vec<Record> {
        let mut records = std::mem::take(&mut self.records);
        records.extend(std::mem::take(&mut self.inbound).into_values().flatten());
        records.sort_by(|a, b| (a.start, &a.node, a.downstream.remote).cmp(&(b.start, &b.node, b.downstream.remote)));
        records
    }

    /// Whether a proxy of ours opened the connection on which this one was asked.
    pub(super) fn is_dialled(&self, downstream: &Leg) -> bool {
        self.dialled.contains(&accepted(downstream))
    }

    /// The name that the caller proved on a connection that a proxy of ours opened.
    pub(super) fn proved(&self, upstream: &Leg) -> Option<Arc<str>> {
        self.proved.get(&(upstream.local, upstream.remote.ip())).cloned()
    }
}

/// A connection as its acceptor has it. Whichever port it was captured to, it came to this address.
fn accepted(leg: &Leg) -> Connection {
    (leg.remote, leg.local.ip())
}

impl FromIterator<Record> for Gathered {
    fn from_iter<I: IntoIterator<Item = Record>>(records: I) -> Self {
        let mut gathered = Self::default();
        records.into_iter().for_each(|record| gathered.add(record));
        gathered
    }
}

/// Gathers what all proxies of a mesh record.
#[derive(Debug, Default)]
pub(super) struct Gatherer(Mutex<Gathered>);

impl Gatherer {
    /// What has come so far.
    pub(super) fn take(&self) -> Gathered {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Recorder for Gatherer {
    fn record(&self, record: Record) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).add(record);
    }
}
