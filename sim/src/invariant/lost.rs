//! No request is lost that was acknowledged: where a proxy says that an endpoint answered, the endpoint's own
//! proxy has the request, with the same status; and no proxy says of itself that a request succeeded, but
//! where its route answers.
//!
//! A sidecar that was killed took its open records with it: only one that lived through the whole run, or
//! recorded something later in the same life, is asked. A call of gRPC that fails is answered 200 by the proxy
//! itself, so a POST proves nothing.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use wavetank_platform::Instant;
use wavetank_proxy::record::{Direction, Record};
use wavetank_proxy::snapshot::route::Action;

use super::Found;
use crate::explain::Book;
use crate::explain::candidates::winner;
use crate::observe::ObservationLog;

pub(super) fn broken(_log: &ObservationLog, book: &Book) -> Found {
    let mut inbound: BTreeMap<(&str, SocketAddr), Vec<u16>> = BTreeMap::new();
    let mut lives: BTreeMap<IpAddr, (&str, Vec<Instant>)> = BTreeMap::new();
    let mut addresses: BTreeMap<&str, Option<IpAddr>> = BTreeMap::new();
    for record in &book.records {
        let address = || record.node.split('~').nth(1).and_then(|ip| ip.parse().ok());
        let Some(ip) = *addresses.entry(&record.node).or_insert_with(address) else { continue };
        lives.entry(ip).or_insert_with(|| (&record.node, Vec::new())).1.push(record.start);
        if let (Direction::Inbound, Some(request)) = (record.direction, record.request_id.as_deref()) {
            inbound.entry((request, record.downstream.remote)).or_default().push(record.status);
        }
    }
    let lived = |ip: IpAddr, record: &Record| {
        if book.remains.kept_its_proxy(ip) {
            return true;
        }
        let Some((node, starts)) = lives.get(&ip) else { return false };
        let after = starts.partition_point(|start| *start <= record.start + record.duration);
        let next_life = || book.restarted_after(node, record.start);
        starts.get(after).is_some_and(|later| next_life().is_none_or(|next| *later < next))
    };
    let mut found = Found::new();
    for record in book.records.iter().filter(|record| record.direction != Direction::Inbound) {
        found.extend(acknowledged(record).filter_map(|(local, ip, status)| {
            let request = record.request_id.as_deref()?;
            let seen = inbound.get(&(request, local)).is_some_and(|all| all.contains(&status));
            (!seen && lived(ip, record)).then(|| {
                format!(
                    "{} was told {status} for request {request}, which the proxy of {ip} never answered so",
                    record.node
                )
            })
        }));
    }
    found.extend(book.records.iter().filter_map(|record| invented(record, book)));
    found
}

/// The connections on which an endpoint answered, with its address and status.
fn acknowledged(record: &Record) -> impl Iterator<Item = (SocketAddr, IpAddr, u16)> {
    let ended = !record.flags.iter().any(|flag| matches!(flag.to_string().as_str(), "DC" | "DR"));
    record.attempts.iter().filter(move |_| ended).filter_map(|attempt| {
        let leg = attempt.upstream.as_ref()?;
        Some((leg.local, leg.remote.ip(), attempt.status.filter(|status| (200..300).contains(status))?))
    })
}

/// A success that no endpoint told the proxy.
fn invented(record: &Record, book: &Book) -> Option<String> {
    let may_be_ours = ["", "POST", "OPTIONS", "CONNECT"].contains(&&*record.method);
    if may_be_ours || !(200..300).contains(&record.status) {
        return None;
    }
    if record.attempts.last().and_then(|attempt| attempt.status) == Some(record.status) {
        return None;
    }
    let snapshot = book.snapshot_of(record)?;
    let answers = winner(snapshot, record).is_some_and(|route| matches!(route.action, Action::Direct { .. }));
    (!answers).then(|| {
        let what = format!("{} {}{}", record.method, record.authority, record.path);
        format!("{} answered {} to {what}, and no endpoint did", record.node, record.status)
    })
}
