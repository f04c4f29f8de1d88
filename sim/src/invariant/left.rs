//! Nothing is left open.
//!
//! - The first proxy on the way of every answered request has closed its record by the end of the run.
//! - A connection to an endpoint that left its cluster is closed once no request is under way on it.
//! - When every idle timeout has passed, a proxy has no connection but the one to the control plane.
//! - Long before that, no process holds a connection whose peer has closed its side.
//! - And then a process has no more tasks than its sockets and its program account for.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use wavetank_platform::Instant;
use wavetank_proxy::snapshot::Snapshot;
use wavetank_proxy::snapshot::cluster::Discovery;

use super::Found;
use crate::engine::{Container, Holdings, OpenStream};
use crate::explain::words::assignment;
use crate::explain::{Book, Remains};
use crate::observe::{Hop, ObservationLog, Party};

pub(super) fn broken(log: &ObservationLog, book: &Book) -> Found {
    let mut found = records(log, book);
    let remains = &book.remains;
    found.extend(remains.quiet.iter().flat_map(|own| retired(own, book)));
    found.extend(remains.quiet.iter().flat_map(|own| half_closed(own, book)));
    let idle = || remains.idle.iter().flatten();
    found.extend(idle().flat_map(|own| idling(own, book)));
    found.extend(idle().filter_map(|own| more_tasks(own, book)));
    found
}

/// Answered requests that no proxy closed a record of. A record that never closes is a task that never ended.
fn records(log: &ObservationLog, book: &Book) -> Found {
    let proxied: BTreeSet<&Party> =
        book.histories.keys().filter_map(|node| book.parties.get(&address_of(node)?)).collect();
    // A hop without a listener was told by the caller alone: no proxy closed a record of it.
    let untold: BTreeSet<(&str, &Party)> =
        log.hops().filter(|hop| is_untold(hop)).map(|hop| (&*hop.request, &hop.source)).collect();
    let answered = log.calls().filter(|call| call.status != 0);
    let gateway = book.histories.keys().any(|node| node.starts_with("router~"));
    let enters = |name: &str| gateway && name == "ingress";
    let through = answered.filter(|call| proxied.contains(&call.source) || enters(&call.destination.name));
    let open = through.filter(|call| untold.contains(&(&*call.request, &call.source)));
    open.map(|call| {
        format!(
            "request {} of {} was answered {}, and no proxy closed its record",
            call.request, call.source, call.status
        )
    })
    .collect()
}

fn is_untold(hop: &Hop) -> bool {
    hop.decision.listener.is_none() && hop.decision.virtual_host.is_none() && hop.decision.cluster.is_none()
}

fn address_of(node: &str) -> Option<IpAddr> {
    node.split('~').nth(1)?.parse().ok()
}

fn who(ip: IpAddr, book: &Book) -> String {
    book.parties.get(&ip).map_or_else(|| ip.to_string(), Party::to_string)
}

/// Connections to endpoints that a cluster had when they were opened and did not have at some time since.
fn retired(own: &Holdings, book: &Book) -> Found {
    if own.container != Container::Sidecar || own.streams.is_empty() {
        return Found::new();
    }
    let node = book.histories.keys().find(|node| address_of(node) == Some(own.ip));
    let still = |stream: &OpenStream| {
        let node = node?;
        let (cluster, since) = opened_for(node, stream, book)?;
        let left = book.histories[node].iter().any(|(at, known)| *at > since && !leads_to(known, cluster, stream.peer));
        left.then(|| {
            format!(
                "the proxy of {} keeps its connection {} to {}, which cluster {cluster} led to no more",
                who(own.ip, book),
                stream.local,
                stream.peer
            )
        })
    };
    own.streams.iter().filter_map(still).collect()
}

/// The cluster that a connection was opened for, and since when it is known to be there.
fn opened_for<'a>(node: &str, stream: &OpenStream, book: &'a Book) -> Option<(&'a str, Instant)> {
    let own = book.records.iter().rev().filter(|record| &*record.node == node);
    let mut attempts = own.flat_map(|record| record.attempts.iter().rev());
    // A port may have served an older connection; records are in the order of their starts.
    let newest = attempts.find(|attempt| {
        attempt.upstream.as_ref().is_some_and(|leg| (leg.local, leg.remote) == (stream.local, stream.peer))
    })?;
    Some((&newest.cluster, newest.start + newest.duration))
}

fn leads_to(known: &Snapshot, cluster: &str, endpoint: SocketAddr) -> bool {
    let Some(cluster) = known.clusters.get(cluster) else { return false };
    match cluster.discovery {
        Discovery::OriginalDst | Discovery::StrictDns(_) => true,
        Discovery::Static(_) | Discovery::Eds(_) => assignment(known, cluster)
            .is_some_and(|assignment| assignment.endpoints().iter().any(|own| own.address == endpoint)),
    }
}

/// Connections of a proxy that no idle timeout ended.
fn idling(own: &Holdings, book: &Book) -> Found {
    let elsewhere = own.streams.iter().filter(|stream| !book.remains.control_plane.contains(&stream.peer.ip()));
    let held = elsewhere.filter(|_| own.container == Container::Sidecar);
    held.map(|stream| {
        format!(
            "the proxy of {} keeps its connection {} with {} beyond every idle timeout",
            who(own.ip, book),
            stream.local,
            stream.peer
        )
    })
    .collect()
}

fn half_closed(own: &Holdings, book: &Book) -> Found {
    let told = own.streams.iter().filter(|stream| stream.half_closed);
    told.map(|stream| {
        let (whose, at) = (own.container.name(), who(own.ip, book));
        format!("the {whose} process of {at} keeps {} open, which {} has closed", stream.local, stream.peer)
    })
    .collect()
}

/// Tasks that no socket accounts for, beyond those of its kind at the start.
fn more_tasks(own: &Holdings, book: &Book) -> Option<String> {
    let Remains { at_start, control_plane, .. } = &book.remains;
    // To a connection of the control plane belong two: its own, and that of the proxy's request.
    let for_each = if control_plane.contains(&own.ip) { 2 } else { 1 };
    let unaccounted = |of: &Holdings| of.tasks as i64 - of.listeners as i64 - for_each * of.streams.len() as i64;
    // Proxies are all the same program, so the least that any had is what all need. Others are compared with
    // themselves.
    let alike = at_start.iter().filter(|old| old.container == own.container);
    let alike = alike.filter(|old| own.container == Container::Sidecar || old.ip == own.ip);
    let needed = alike.map(unaccounted).min()?;
    (unaccounted(own) > needed).then(|| {
        let (whose, at, more) = (own.container.name(), who(own.ip, book), unaccounted(own) - needed);
        format!("the {whose} process of {at} has {more} tasks that no socket accounts for, and had none at the start")
    })
}
