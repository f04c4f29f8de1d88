//! A request is answered once: a caller sees one result of each request, and what a proxy tried so many times
//! reaches the other side no more often, and on no other connection.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use wavetank_proxy::record::Direction;

use super::Found;
use crate::explain::Book;
use crate::observe::ObservationLog;

pub(super) fn broken(log: &ObservationLog, book: &Book) -> Found {
    let mut found = Found::new();
    let mut calls: BTreeMap<&str, usize> = BTreeMap::new();
    for call in log.calls() {
        *calls.entry(&call.request).or_default() += 1;
    }
    let twice = calls.iter().filter(|(_, count)| **count > 1);
    found.extend(twice.map(|(request, count)| format!("request {request} was answered {count} times")));

    // By request and connection: what was sent, and what arrived.
    let mut sent: BTreeMap<(&str, SocketAddr), usize> = BTreeMap::new();
    let mut arrived: BTreeMap<(&str, SocketAddr), (usize, Option<SocketAddr>)> = BTreeMap::new();
    // By request, caller and endpoint: what a proxy has told the whole story of.
    let mut asked: BTreeSet<(&str, IpAddr, Option<SocketAddr>)> = BTreeSet::new();
    for record in &book.records {
        let Some(request) = record.request_id.as_deref() else { continue };
        if record.direction == Direction::Inbound {
            let arrivals = arrived.entry((request, record.downstream.remote)).or_default();
            *arrivals = (arrivals.0 + 1, record.original_dst);
            continue;
        }
        for leg in record.attempts.iter().filter_map(|attempt| attempt.upstream.as_ref()) {
            *sent.entry((request, leg.local)).or_default() += 1;
            asked.insert((request, leg.local.ip(), Some(leg.remote)));
        }
    }
    for ((request, connection), (count, at)) in arrived {
        match sent.get(&(request, connection)) {
            Some(tries) if *tries < count => found
                .push(format!("request {request} was sent {tries} times from {connection} and arrived {count} times")),
            Some(_) => {}
            // A caller without a proxy, or whose proxy was killed, leaves no record to compare with.
            None if asked.contains(&(request, connection.ip(), at)) => found.push(format!(
                "request {request} arrived from {connection}, on which the caller's proxy never sent it"
            )),
            None => {}
        }
    }
    found
}
