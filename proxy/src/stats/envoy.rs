//! Envoy's counters and gauges of a proxy, in Envoy's names: what workers counted, and what there is just now.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::histogram::Histogram;
use super::logs::LogCounts;
use super::worker::{Chain, ChainCounts, ClusterCounts, Tables};
use crate::process::Process;
use crate::snapshot::cluster::{Discovery, Endpoint};
use crate::snapshot::listener::Handler;
use crate::snapshot::{Assignment, Cluster, Listener, Snapshot};

/// What a statistic is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// `cluster.<name>.`
    Cluster(Arc<str>),
    /// `http.<statistics prefix>.`
    Http(Arc<str>),
    /// `listener.<address>.`
    Listener(SocketAddr),
    /// `server.`, `cluster_manager.`, `listener_manager.`, `filesystem.`
    Whole(&'static str),
}

/// A statistic.
#[derive(Debug, Clone)]
pub(crate) struct Stat {
    /// About what.
    pub(crate) scope: Scope,
    /// Which, e.g. `upstream_rq_total`.
    pub(crate) name: &'static str,
    /// Of a class of statuses, 1 to 5; `None`: of all.
    pub(crate) class: Option<usize>,
    /// How much.
    pub(crate) value: Value,
}

/// How much.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// Only grows.
    Counter(u64),
    /// As it is now.
    Gauge(u64),
    /// A distribution.
    Histogram(Box<Histogram>),
}

/// All statistics. `counts` are the sums of all workers, and the process has run for `uptime`.
pub(crate) fn gather(
    process: &Process,
    counts: &Tables,
    logs: &LogCounts,
    uptime: Duration,
    draining: bool,
) -> Vec<Stat> {
    let snapshot = process.store.current();
    let mut all = Vec::new();
    for cluster in snapshot.clusters.values() {
        let counted = counts.clusters.get(&*cluster.name).cloned().unwrap_or_default();
        cluster_counters(&cluster.name, counted, &mut all);
        cluster_gauges(process, &snapshot, cluster, &mut all);
    }
    for (prefix, counts) in by_prefix(&snapshot, counts) {
        http(&prefix, &counts, &mut all);
    }
    listeners(process, &mut all);
    let workers = process.seen();
    let is_listening = |worker: &crate::process::WorkerView| worker.listening.borrow().is_some();
    let live = workers.iter().filter(|worker| is_listening(worker)).count();
    let gauge = |group, name, value| Stat { scope: Scope::Whole(group), name, class: None, value: Value::Gauge(value) };
    let state = if draining { 1 } else { 0 };
    all.extend([
        gauge("cluster_manager", "active_clusters", snapshot.clusters.len() as u64),
        gauge("listener_manager", "total_listeners_active", snapshot.listeners.len() as u64),
        gauge("listener_manager", "workers_started", u64::from(live == workers.len() && live > 0)),
        gauge("server", "concurrency", workers.len() as u64),
        gauge("server", "live", u64::from(!draining)),
        gauge("server", "state", if live == 0 && !draining { 2 } else { state }),
        gauge("server", "uptime", uptime.as_secs()),
        gauge("server", "config_version", snapshot.version),
    ]);
    all.extend(logs.named().map(|(name, value)| counter(Scope::Whole("filesystem"), name, value)));
    let overflow = Value::Counter(counts.overflow);
    all.push(Stat { scope: Scope::Whole("server"), name: "stats_overflow", class: None, value: overflow });
    all
}

fn cluster_counters(cluster: &Arc<str>, counts: ClusterCounts, all: &mut Vec<Stat>) {
    let scope = || Scope::Cluster(cluster.clone());
    let counters = [
        ("upstream_rq_total", counts.rq_total),
        ("upstream_rq_completed", counts.rq_completed),
        ("upstream_rq_retry", counts.rq_retry),
        ("upstream_rq_retry_success", counts.rq_retry_success),
        ("upstream_rq_retry_limit_exceeded", counts.rq_retry_limit_exceeded),
        ("upstream_rq_timeout", counts.rq_timeout),
        ("upstream_rq_per_try_timeout", counts.rq_per_try_timeout),
        ("upstream_rq_pending_overflow", counts.rq_pending_overflow),
        ("upstream_rq_rx_reset", counts.rq_rx_reset),
        ("upstream_cx_connect_fail", counts.cx_connect_fail),
        ("upstream_cx_connect_timeout", counts.cx_connect_timeout),
        ("upstream_cx_none_healthy", counts.cx_none_healthy),
        ("upstream_cx_destroy_remote_with_active_rq", counts.cx_destroy_remote_with_active_rq),
        ("upstream_cx_protocol_error", counts.cx_protocol_error),
        ("outlier_detection.ejections_total", counts.ejections_total),
        ("outlier_detection.ejections_enforced_total", counts.ejections_enforced_total),
    ];
    all.extend(counters.map(|(name, value)| counter(scope(), name, value)));
    all.extend(classes(scope, "upstream_rq", counts.rq_classes));
    all.push(histogram(scope(), "upstream_rq_time", counts.rq_time));
}

fn cluster_gauges(process: &Process, snapshot: &Snapshot, cluster: &Cluster, all: &mut Vec<Stat>) {
    let common = process.registry.known(&cluster.name);
    let [connections, pending, requests, retries] = common.as_ref().map_or([0; 4], |common| common.breakers.held());
    let limits = cluster.breakers;
    let ejected = common.map_or(0, |common| common.outliers.ejected().len());
    let members = assignment(snapshot, cluster).map_or(&[][..], |assignment| assignment.endpoints());
    let healthy = members.iter().filter(|endpoint| endpoint.healthy).count().saturating_sub(ejected);
    let gauges = [
        ("upstream_cx_active", connections.into()),
        ("upstream_rq_active", requests.into()),
        ("upstream_rq_pending_active", pending.into()),
        ("membership_total", members.len() as u64),
        ("membership_healthy", healthy as u64),
        ("outlier_detection.ejections_active", ejected as u64),
        ("circuit_breakers.default.cx_open", u64::from(connections >= limits.connections_max)),
        ("circuit_breakers.default.rq_pending_open", u64::from(pending >= limits.pending_requests_max)),
        ("circuit_breakers.default.rq_open", u64::from(requests >= limits.requests_max)),
        ("circuit_breakers.default.rq_retry_open", u64::from(retries >= limits.retries_max)),
    ];
    let scope = || Scope::Cluster(cluster.name.clone());
    all.extend(gauges.map(|(name, value)| Stat { scope: scope(), name, class: None, value: Value::Gauge(value) }));
}

/// The endpoints of a cluster, as far as it has a list.
pub(crate) fn assignment<'a>(snapshot: &'a Snapshot, cluster: &'a Cluster) -> Option<&'a Arc<Assignment>> {
    match &cluster.discovery {
        Discovery::Static(assignment) => Some(assignment),
        Discovery::Eds(name) => snapshot.assignments.get(name),
        Discovery::OriginalDst | Discovery::StrictDns(_) => None,
    }
}

/// How many requests are at an endpoint now, and whether it is ejected.
pub(crate) fn endpoint_now(process: &Process, cluster: &Cluster, endpoint: &Endpoint) -> (u32, bool) {
    let Some(common) = process.registry.known(&cluster.name) else { return (0, false) };
    let active = common.active.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let count = active.get(&endpoint.address).map_or(0, |count| count.load(Ordering::Relaxed));
    drop(active);
    (count, common.outliers.ejected().contains(&endpoint.address))
}

/// Counts of filter chains, by the statistics prefix of their HTTP connection manager; by the listener's name
/// where the chain is no longer there.
fn by_prefix(snapshot: &Snapshot, counts: &Tables) -> BTreeMap<Arc<str>, ChainCounts> {
    let mut sums: BTreeMap<Arc<str>, ChainCounts> = BTreeMap::new();
    for (chain, counts) in &counts.chains {
        sums.entry(stat_prefix(snapshot, chain)).or_default().add(counts);
    }
    sums
}

fn stat_prefix(snapshot: &Snapshot, Chain(listener, name): &Chain) -> Arc<str> {
    let chains = |listener: &'_ Arc<Listener>| {
        let all = listener.filter_chains.iter().chain(&listener.default_filter_chain);
        let mut found = all.filter(|chain| chain.name == *name).filter_map(|chain| match &chain.handler {
            Handler::Http(manager) => Some(manager.stat_prefix.clone()),
            Handler::Tcp(_) => None,
        });
        found.next()
    };
    snapshot.listeners.get(listener).and_then(chains).unwrap_or_else(|| listener.clone())
}

fn http(prefix: &Arc<str>, counts: &ChainCounts, all: &mut Vec<Stat>) {
    let scope = || Scope::Http(prefix.clone());
    let counters = [
        ("downstream_rq_total", counts.rq_total),
        ("downstream_rq_completed", counts.rq_classes.iter().sum()),
        ("downstream_rq_http1_total", counts.rq_http1_total),
        ("downstream_rq_http2_total", counts.rq_http2_total),
        ("no_route", counts.no_route),
        ("no_cluster", counts.no_cluster),
    ];
    all.extend(counters.map(|(name, value)| counter(scope(), name, value)));
    all.extend(classes(scope, "downstream_rq", counts.rq_classes));
    all.push(histogram(scope(), "downstream_rq_time", counts.rq_time.clone()));
}

fn listeners(process: &Process, all: &mut Vec<Stat>) {
    let mut sums: BTreeMap<SocketAddr, [u64; 3]> = BTreeMap::new();
    for worker in process.seen() {
        let counts = worker.connections.counts();
        for (name, address) in worker.listening.borrow().iter().flatten() {
            let Some(through) = counts.get(name) else { continue };
            let sum = sums.entry(*address).or_default();
            for (own, more) in sum.iter_mut().zip([&through.accepted, &through.active, &through.refused]) {
                *own += more.load(Ordering::Relaxed);
            }
        }
    }
    for (address, [accepted, active, refused]) in sums {
        let scope = || Scope::Listener(address);
        all.push(counter(scope(), "downstream_cx_total", accepted));
        all.push(counter(scope(), "downstream_cx_overflow", refused));
        let value = Value::Gauge(active);
        all.push(Stat { scope: scope(), name: "downstream_cx_active", class: None, value });
    }
}

fn counter(scope: Scope, name: &'static str, value: u64) -> Stat {
    Stat { scope, name, class: None, value: Value::Counter(value) }
}

fn histogram(scope: Scope, name: &'static str, value: Histogram) -> Stat {
    Stat { scope, name, class: None, value: Value::Histogram(Box::new(value)) }
}

fn classes(scope: impl Fn() -> Scope, name: &'static str, counts: [u64; 5]) -> impl Iterator<Item = Stat> {
    let of = move |(class, count)| Stat { class: Some(class), ..counter(scope(), name, count) };
    (1..).zip(counts).map(of)
}

impl Stat {
    /// Its whole name, as Envoy's `/stats` prints it: `cluster.web.upstream_rq_2xx`.
    pub(crate) fn path(&self) -> String {
        let class = self.class.map(|class| format!("_{class}xx")).unwrap_or_default();
        let name = self.name;
        match &self.scope {
            Scope::Cluster(cluster) => format!("cluster.{cluster}.{name}{class}"),
            Scope::Http(prefix) => format!("http.{prefix}.{name}{class}"),
            // A colon would end the name.
            Scope::Listener(address) => format!("listener.{}.{name}{class}", address.to_string().replace(':', "_")),
            Scope::Whole(group) => format!("{group}.{name}{class}"),
        }
    }
}

/// `/stats`: a line each, sorted.
pub(crate) fn text(stats: &[Stat]) -> String {
    let line = |stat: &Stat| match &stat.value {
        Value::Counter(value) | Value::Gauge(value) => format!("{}: {value}\n", stat.path()),
        Value::Histogram(values) => format!("{}: count={} sum={}\n", stat.path(), values.count(), values.sum()),
    };
    let mut lines: Vec<String> = stats.iter().map(line).collect();
    lines.sort_unstable();
    lines.concat()
}
