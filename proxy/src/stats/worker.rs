//! What one worker counts. It hears of each request once, by its record, on the worker's own thread; an
//! admin request that reads waits for the same lock, and holds it as long as it takes to copy the counts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indexmap::IndexMap;

use super::histogram::Histogram;
use super::key::{Fold, Key, Seen};
use crate::ejection::{Ejection, EjectionAction};
use crate::record::{Attempt, Flag, Protocol, Record, Recorder};

/// Sets of labels, and as many clusters and filter chains, that are counted apart. Requests of sets that come after that
/// are counted together.
const SETS_MAX: usize = 8192;

/// One worker's counts.
#[derive(Debug, Default)]
pub struct WorkerStats(Mutex<Tables>);

/// All counts of one worker, or the sums of several.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tables {
    /// Requests and connections by what Istio's metrics tell apart.
    pub(crate) mesh: IndexMap<Key, Traffic, Fold>,
    /// By cluster.
    pub(crate) clusters: IndexMap<Arc<str>, ClusterCounts, Fold>,
    /// HTTP requests by listener and filter chain.
    pub(crate) chains: IndexMap<Chain, ChainCounts, Fold>,
    /// Records that found a table full. They are missing among clusters and filter chains.
    pub(crate) overflow: u64,
}

/// Requests, or connections, of one kind.
#[derive(Debug, Clone, Default)]
pub(crate) struct Traffic {
    /// How many.
    pub(crate) count: u64,
    /// Milliseconds each took.
    pub(crate) duration: Histogram,
    /// Body bytes from the caller.
    pub(crate) received: Histogram,
    /// Body bytes to the caller.
    pub(crate) sent: Histogram,
}

/// One cluster's counts, in Envoy's names without their prefix `upstream_`.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClusterCounts {
    pub(crate) rq_total: u64,
    pub(crate) rq_completed: u64,
    /// By class of status, `1xx` first.
    pub(crate) rq_classes: [u64; 5],
    pub(crate) rq_retry: u64,
    pub(crate) rq_retry_success: u64,
    pub(crate) rq_retry_limit_exceeded: u64,
    pub(crate) rq_timeout: u64,
    pub(crate) rq_per_try_timeout: u64,
    pub(crate) rq_pending_overflow: u64,
    pub(crate) rq_rx_reset: u64,
    pub(crate) cx_connect_fail: u64,
    pub(crate) cx_connect_timeout: u64,
    pub(crate) cx_none_healthy: u64,
    pub(crate) cx_destroy_remote_with_active_rq: u64,
    pub(crate) cx_protocol_error: u64,
    /// Milliseconds from an attempt's start to its response head.
    pub(crate) rq_time: Histogram,
    pub(crate) ejections_total: u64,
    pub(crate) ejections_enforced_total: u64,
}

/// A filter chain, by its listener's name and its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Chain(pub(crate) Arc<str>, pub(crate) Arc<str>);

#[derive(Hash)]
struct ChainSeen<'a>(&'a str, &'a str);

impl indexmap::Equivalent<Chain> for ChainSeen<'_> {
    fn equivalent(&self, chain: &Chain) -> bool {
        *self.0 == *chain.0 && *self.1 == *chain.1
    }
}

/// One filter chain's counts, in Envoy's names without their prefix `downstream_`.
#[derive(Debug, Clone, Default)]
pub(crate) struct ChainCounts {
    pub(crate) rq_total: u64,
    /// By class of status, `1xx` first.
    pub(crate) rq_classes: [u64; 5],
    pub(crate) rq_http1_total: u64,
    pub(crate) rq_http2_total: u64,
    pub(crate) no_route: u64,
    pub(crate) no_cluster: u64,
    /// Milliseconds.
    pub(crate) rq_time: Histogram,
}

impl Recorder for WorkerStats {
    fn record(&self, record: &Record) {
        self.tables().note(record);
    }

    fn ejection(&self, ejection: Ejection) {
        self.tables().note_ejection(&ejection);
    }
}

impl WorkerStats {
    /// Counts what `record` says.
    pub fn note(&self, record: &Record) {
        self.tables().note(record);
    }

    /// A copy of all counts.
    pub(crate) fn copied(&self) -> Tables {
        self.tables().clone()
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn note(&mut self, record: &Record) {
        let of_a_mesh = record.protocol != Protocol::Tcp || record.decision.cluster.is_some();
        if of_a_mesh {
            let seen = Seen::of(record);
            match slot(&mut self.mesh, &seen, Key::keep) {
                Some(traffic) => traffic.note(record),
                None => {
                    self.overflow += 1;
                    // These are few: one for each direction and protocol.
                    let rest = self.mesh.entry(Key::keep(&seen.overflow())).or_default();
                    rest.note(record);
                }
            }
        }
        if let Some(cluster) = &record.decision.cluster {
            match slot(&mut self.clusters, cluster, Arc::clone) {
                Some(counts) => counts.note(record),
                None => self.overflow += 1,
            }
        }
        if record.protocol != Protocol::Tcp {
            let listener = record.decision.listener.as_deref().unwrap_or_default();
            let chain = ChainSeen(listener, record.decision.filter_chain.as_deref().unwrap_or_default());
            match slot(&mut self.chains, &chain, |chain| Chain(chain.0.into(), chain.1.into())) {
                Some(counts) => counts.note(record),
                None => self.overflow += 1,
            }
        }
    }

    fn note_ejection(&mut self, ejection: &Ejection) {
        let EjectionAction::Eject { enforced, .. } = ejection.action else { return };
        if let Some(counts) = slot(&mut self.clusters, &ejection.cluster, Arc::clone) {
            counts.ejections_total += 1;
            counts.ejections_enforced_total += u64::from(enforced);
        }
    }

    /// Adds what another worker counted.
    pub(crate) fn add(&mut self, other: &Self) {
        for (key, traffic) in &other.mesh {
            self.mesh.entry(key.clone()).or_default().add(traffic);
        }
        for (name, counts) in &other.clusters {
            self.clusters.entry(name.clone()).or_default().add(counts);
        }
        for (chain, counts) in &other.chains {
            self.chains.entry(chain.clone()).or_default().add(counts);
        }
        self.overflow += other.overflow;
    }
}

/// The counts of a key, made if need be; `None` when the table is full. Copies nothing for a key that is there.
fn slot<'a, Q, K, V: Default>(
    table: &'a mut IndexMap<K, V, Fold>,
    seen: &Q,
    keep: impl FnOnce(&Q) -> K,
) -> Option<&'a mut V>
where
    Q: std::hash::Hash + indexmap::Equivalent<K> + ?Sized,
    K: std::hash::Hash + Eq,
{
    let at = match table.get_index_of(seen) {
        Some(at) => at,
        None if table.len() < SETS_MAX => table.insert_full(keep(seen), V::default()).0,
        None => return None,
    };
    table.get_index_mut(at).map(|(_, counts)| counts)
}

impl Traffic {
    fn note(&mut self, record: &Record) {
        self.count += 1;
        self.duration.note(record.duration.as_secs_f64() * 1000.0);
        self.received.note(record.bytes_received as f64);
        self.sent.note(record.bytes_sent as f64);
    }

    /// Adds more of the same kind.
    pub(super) fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.duration.add(&other.duration);
        self.received.add(&other.received);
        self.sent.add(&other.sent);
    }
}

impl ClusterCounts {
    fn note(&mut self, record: &Record) {
        for attempt in &record.attempts {
            self.note_attempt(attempt);
        }
        let retries = record.attempts.len().saturating_sub(1) as u64;
        let answered = record.attempts.last().and_then(|attempt| attempt.status);
        self.rq_retry += retries;
        self.rq_retry_success += u64::from(retries > 0 && answered.is_some_and(|status| status < 500));
        let has = |flag| u64::from(record.flags.contains(&flag));
        self.rq_retry_limit_exceeded += has(Flag::URX);
        self.rq_timeout += has(Flag::UT);
        self.rq_pending_overflow += has(Flag::UO);
        self.cx_none_healthy += has(Flag::UH);
    }

    fn note_attempt(&mut self, attempt: &Attempt) {
        self.rq_total += u64::from(attempt.upstream.is_some());
        if let Some(status) = attempt.status {
            self.rq_completed += 1;
            self.rq_time.note(attempt.duration.as_secs_f64() * 1000.0);
            note_class(&mut self.rq_classes, status);
        }
        match attempt.failure.as_deref() {
            Some("remote_connection_failure" | "local_connection_failure") => self.cx_connect_fail += 1,
            Some("connection_timeout") => {
                self.cx_connect_fail += 1;
                self.cx_connect_timeout += 1;
            }
            Some("connection_termination") => self.cx_destroy_remote_with_active_rq += 1,
            Some("remote_reset" | "remote_refused_stream_reset") => self.rq_rx_reset += 1,
            Some("protocol_error") => self.cx_protocol_error += 1,
            Some(other) if other.contains("per_try_timeout") => self.rq_per_try_timeout += 1,
            _ => {}
        }
    }

    fn add(&mut self, other: &Self) {
        self.rq_time.add(&other.rq_time);
        for (own, more) in self.rq_classes.iter_mut().zip(other.rq_classes) {
            *own += more;
        }
        let Self {
            rq_total,
            rq_completed,
            rq_classes: _,
            rq_retry,
            rq_retry_success,
            rq_retry_limit_exceeded,
            rq_timeout,
            rq_per_try_timeout,
            rq_pending_overflow,
            rq_rx_reset,
            cx_connect_fail,
            cx_connect_timeout,
            cx_none_healthy,
            cx_destroy_remote_with_active_rq,
            cx_protocol_error,
            rq_time: _,
            ejections_total,
            ejections_enforced_total,
        } = self;
        *rq_total += other.rq_total;
        *rq_completed += other.rq_completed;
        *rq_retry += other.rq_retry;
        *rq_retry_success += other.rq_retry_success;
        *rq_retry_limit_exceeded += other.rq_retry_limit_exceeded;
        *rq_timeout += other.rq_timeout;
        *rq_per_try_timeout += other.rq_per_try_timeout;
        *rq_pending_overflow += other.rq_pending_overflow;
        *rq_rx_reset += other.rq_rx_reset;
        *cx_connect_fail += other.cx_connect_fail;
        *cx_connect_timeout += other.cx_connect_timeout;
        *cx_none_healthy += other.cx_none_healthy;
        *cx_destroy_remote_with_active_rq += other.cx_destroy_remote_with_active_rq;
        *cx_protocol_error += other.cx_protocol_error;
        *ejections_total += other.ejections_total;
        *ejections_enforced_total += other.ejections_enforced_total;
    }
}

impl ChainCounts {
    fn note(&mut self, record: &Record) {
        self.rq_total += 1;
        note_class(&mut self.rq_classes, record.status);
        match record.protocol {
            Protocol::Http1 => self.rq_http1_total += 1,
            Protocol::Http2 => self.rq_http2_total += 1,
            Protocol::Tcp => {}
        }
        self.no_route += u64::from(record.flags.contains(&Flag::NR));
        self.no_cluster += u64::from(record.flags.contains(&Flag::NC));
        self.rq_time.note(record.duration.as_secs_f64() * 1000.0);
    }

    /// Adds what another worker counted.
    pub(crate) fn add(&mut self, other: &Self) {
        self.rq_total += other.rq_total;
        for (own, more) in self.rq_classes.iter_mut().zip(other.rq_classes) {
            *own += more;
        }
        self.rq_http1_total += other.rq_http1_total;
        self.rq_http2_total += other.rq_http2_total;
        self.no_route += other.no_route;
        self.no_cluster += other.no_cluster;
        self.rq_time.add(&other.rq_time);
    }
}

/// Statuses beyond 599, and 0 for no answer, are in no class.
fn note_class(classes: &mut [u64; 5], status: u16) {
    if let Some(class) = usize::from(status / 100).checked_sub(1).and_then(|at| classes.get_mut(at)) {
        *class += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_too_many_labels_is_counted_together() {
        let json = r#"{"node": "n", "direction": "outbound", "start": 0, "duration": {"secs": 0, "nanos": 0},
            "protocol": "HTTP/1.1", "downstream": {"local": "10.0.0.1:1", "remote": "10.0.0.2:2", "tls": {"mode": "plaintext"}},
            "original_dst": null, "sni": null, "method": "GET", "authority": "a", "path": "/", "request_id": null,
            "user_agent": null, "status": 200, "flags": [], "details": "", "bytes_received": 0, "bytes_sent": 0,
            "decision": {"config_version": 1}, "attempts": []}"#;
        let mut record: Record = serde_json::from_str(json).expect("a record");
        let mut tables = Tables::default();
        for number in 0..SETS_MAX + 3 {
            record.decision.cluster = Some(format!("outbound|80||{number}").into());
            tables.note(&record);
        }
        assert_eq!(tables.mesh.len(), SETS_MAX + 1);
        assert_eq!(tables.clusters.len(), SETS_MAX);
        let rest = tables.mesh.get(&Seen::of(&record).overflow()).expect("those that were too many");
        assert_eq!(rest.count, 3);
    }
}
