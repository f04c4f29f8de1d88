//! One connection through the TCP proxy.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use wavetank_platform::Stream;

use super::relay::{self, EndedBy, Relayed};
use crate::access_log::entry::Kind;
use crate::access_log::logging::{Ended, write_connection};
use crate::cluster::outlier::Outcome;
use crate::cluster::{Avoid, Permit};
use crate::drain::Stage;
use crate::http::headers::request_id;
use crate::idle::{Activity, IdleTimer};
use crate::listener::accepted::{Accepted, Facts};
use crate::listener::closing::{TcpEnd, Told};
use crate::record::{Attempt, Flag, Protocol, Record};
use crate::route::ResetReason;
use crate::route::split::pick_weighted;
use crate::shared::Shared;
use crate::snapshot::listener::TcpProxy;
use crate::snapshot::{Cluster, Snapshot};
use crate::upstream::clusters::Active;
use crate::upstream::connect::{Link, Opened, Target};
use crate::upstream::reset::Reset;

/// Envoy's default.
const IDLE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(3600);

/// An endpoint's side, with what counts it.
struct Connected {
    stream: Stream,
    _counted: (Permit, Active),
}

/// Serves a connection to its end.
pub(crate) async fn serve(shared: Arc<Shared>, proxy: Arc<TcpProxy>, accepted: Accepted) {
    let Accepted { stream, facts, mut draining } = accepted;
    let record = facts.record(&shared.node, facts.start, Protocol::Tcp);
    let mut open =
        Open { record, shared: &shared, proxy: &proxy, facts: &facts, cluster: None, link: None, stream_id: None };
    if facts.logged || !proxy.access_logs.is_empty() {
        open.stream_id = request_id::uuid(&mut shared.random.request_id()).to_str().ok().map(Into::into);
    }
    let snapshot = shared.store.current();
    open.record.decision.config_version = snapshot.version;
    let original_dst = facts.destination();
    let connected = connect(&shared, &snapshot, &proxy, original_dst, &mut open).await;
    drop(snapshot);
    let Some(Connected { stream: upstream, _counted: counted }) = connected else { return };

    let activity = Activity::new(shared.platform.clock.clone());
    let mut timer = IdleTimer::new(&activity, proxy.idle_timeout.unwrap_or(IDLE_TIMEOUT_DEFAULT));
    let mut relaying = std::pin::pin!(relay::both_ways(stream, upstream, || activity.touch()));
    let mut ended = std::pin::pin!(draining.reached(Stage::Ended));
    let relayed = poll_fn(|cx| {
        if let Poll::Ready(relayed) = relaying.as_mut().poll(cx) {
            return Poll::Ready(Some(relayed));
        }
        if ended.as_mut().poll(cx).is_ready() || timer.poll(cx, &activity).is_ready() {
            return Poll::Ready(None);
        }
        Poll::Pending
    })
    .await;
    drop(counted);
    if let Some(Relayed { received, sent, broken }) = relayed {
        let record = &mut open.record;
        record.bytes_received = received;
        record.bytes_sent = sent;
        match broken {
            Some(EndedBy::Upstream) => record.flags.push(Flag::UC),
            Some(EndedBy::Downstream) => record.flags.push(Flag::DC),
            None => {}
        }
    }
}

/// Finds the cluster and connects to an endpoint of it; notes in `record` what came of it.
async fn connect(
    shared: &Shared,
    snapshot: &Snapshot,
    proxy: &TcpProxy,
    original_dst: std::net::SocketAddr,
    open: &mut Open<'_>,
) -> Option<Connected> {
    let Open { record, cluster: chosen, link: used, .. } = open;
    let name = pick_weighted(&proxy.clusters, |(_, weight)| *weight, &mut shared.random.tcp()).map(|(name, _)| name);
    record.decision.cluster = name.cloned();
    let Some(cluster) = name.and_then(|name| snapshot.clusters.get(name)) else {
        record.flags.push(Flag::NC);
        return None;
    };
    record.decision.cluster_from = cluster.provenance.clone();
    *chosen = Some(cluster.clone());
    let state = shared.clusters.state(&cluster.name);
    for number in 1..=proxy.connect_attempts_max.max(1) {
        let Some(permit) = state.breakers().try_connection(&cluster.breakers, false) else {
            record.flags.push(Flag::UO);
            return None;
        };
        let Ok(picked) = state.pick(snapshot, cluster, Some(original_dst), Avoid::NOTHING).await else {
            record.flags.push(Flag::UH);
            return None;
        };
        let mut attempt = begin(shared, cluster, number);
        attempt.endpoint = Some(picked.address);
        attempt.workload = picked.workload;
        let active = state.begin(picked.address);
        let target = Target {
            address: picked.address,
            source: cluster.source,
            socket: picked.socket,
            timeout: cluster.connect_timeout,
        };
        let opened = shared.clusters.connector().open(&target).await;
        attempt.duration = shared.platform.clock.now().saturating_since(attempt.start);
        match opened {
            Ok(Opened { stream, leg, link }) => {
                *used = Some(link);
                active.note(Outcome::ConnectedForGood);
                attempt.upstream = Some(leg);
                record.attempts.push(attempt);
                return Some(Connected { stream, _counted: (permit, active) });
            }
            Err(Reset { reason, transport, .. }) => {
                let timed_out = reason == ResetReason::ConnectionTimeout;
                active.note(if timed_out { Outcome::TimedOut } else { Outcome::Failed });
                attempt.failure = Some(reason.token().into());
                attempt.transport_failure = transport;
                record.attempts.push(attempt);
            }
        }
    }
    record.flags.extend([Flag::UF, Flag::URX]);
    None
}

fn begin(shared: &Shared, cluster: &Cluster, number: u32) -> Attempt {
    Attempt {
        number,
        cluster: cluster.name.clone(),
        endpoint: None,
        start: shared.platform.clock.now(),
        duration: Duration::ZERO,
        status: None,
        upstream: None,
        workload: None,
        failure: None,
        transport_failure: None,
    }
}

/// The connection's record, handed over when the connection is dropped.
struct Open<'a> {
    record: Record,
    shared: &'a Shared,
    proxy: &'a TcpProxy,
    facts: &'a Facts,
    cluster: Option<Arc<Cluster>>,
    link: Option<Arc<Link>>,
    /// Drawn where something is logged, and nowhere else.
    stream_id: Option<Arc<str>>,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let Self { record, shared: Shared { platform, recorder, .. }, facts, .. } = self;
        record.duration = platform.clock.now().saturating_since(record.start);
        let ended = Ended {
            facts,
            cluster: self.cluster.as_ref(),
            link: self.link.as_deref(),
            stream_id: self.stream_id.as_deref(),
        };
        write_connection(&self.proxy.access_logs, Kind::Connection, record, ended, &*platform.clock, &**recorder);
        recorder.record(record);
        if facts.logged {
            let (cluster, link, stream_id) = (self.cluster.take(), self.link.take(), self.stream_id.take());
            let end = TcpEnd { record: record.clone(), cluster, link, stream_id };
            let _once = facts.told.set(Told::Tcp(Box::new(end)));
        }
    }
}
