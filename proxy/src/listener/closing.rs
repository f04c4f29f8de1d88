//! The lines of a listener's access logs: one for each connection, when it has ended, however it does. Envoy shares
//! what is known of a connection between its TCP proxy and its listener.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::accepted::Facts;
use crate::access_log::entry::Kind;
use crate::access_log::logging::{Ended, write_connection};
use crate::record::{Flag, Protocol, Record};
use crate::shared::Shared;
use crate::snapshot::{Cluster, Listener};
use crate::upstream::connect::Link;
use crate::upstream::meter::Meter;

/// What the handler of a connection tells of it.
#[derive(Debug)]
pub(crate) enum Told {
    /// It was HTTP.
    Http {
        /// What was spoken.
        protocol: Protocol,
        /// Its bytes.
        meter: Arc<Meter>,
        /// A request of it was understood.
        spoke: AtomicBool,
        /// Some of it was not understood.
        malformed: AtomicBool,
    },
    /// It went through a TCP proxy.
    Tcp(Box<TcpEnd>),
}

/// How a connection through a TCP proxy ended.
#[derive(Debug)]
pub(crate) struct TcpEnd {
    /// Its record.
    pub(crate) record: Record,
    /// Its cluster.
    pub(crate) cluster: Option<Arc<Cluster>>,
    /// Its connection to an endpoint.
    pub(crate) link: Option<Arc<Link>>,
    /// Its id in logs.
    pub(crate) stream_id: Option<Arc<str>>,
}

/// A connection that its filter chain serves. The lines are written when this is dropped.
pub(super) struct Closing {
    shared: Arc<Shared>,
    listener: Arc<Listener>,
    facts: Arc<Facts>,
}

impl Closing {
    /// `None`: the listener has no logs.
    pub(super) fn of(shared: &Arc<Shared>, listener: &Arc<Listener>, facts: &Arc<Facts>) -> Option<Box<Self>> {
        let closing = || Self { shared: shared.clone(), listener: listener.clone(), facts: facts.clone() };
        facts.logged.then(|| Box::new(closing()))
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        let Self { shared, listener, facts } = self;
        let mut ended = Ended { facts, cluster: None, link: None, stream_id: None };
        let mut record = facts.record(&shared.node, facts.start, Protocol::Tcp);
        match facts.told.get() {
            None => {}
            Some(Told::Http { protocol, meter, spoke, malformed }) => {
                if spoke.load(Ordering::Relaxed) {
                    record.protocol = *protocol;
                }
                (record.bytes_received, record.bytes_sent) = (meter.read(), meter.written());
                record.flags.extend(malformed.load(Ordering::Relaxed).then_some(Flag::DPE));
            }
            Some(Told::Tcp(end)) => {
                record = end.record.clone();
                ended.cluster = end.cluster.as_ref();
                ended.link = end.link.as_deref();
                ended.stream_id = end.stream_id.as_deref();
            }
        }
        record.duration = shared.platform.clock.now().saturating_since(facts.start);
        log_end(shared, listener, &record, ended);
    }
}

/// Writes the lines of a connection that has ended.
pub(super) fn log_end(shared: &Shared, listener: &Listener, record: &Record, ended: Ended<'_>) {
    let clock = &*shared.platform.clock;
    write_connection(&listener.access_logs, Kind::Listener, record, ended, clock, &*shared.recorder);
}
