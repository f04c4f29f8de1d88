//! A request is answered once: a caller sees one result of each request, and what a proxy tried so many times
//! reaches the other side no more often.

use std::collections::BTreeMap;
use std::net::SocketAddr;

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
    let mut arrived: BTreeMap<(&str, SocketAddr), usize> = BTreeMap::new();
    for record in &book.records {
        let Some(request) = record.request_id.as_deref() else { continue };
        if record.direction == Direction::Inbound {
            *arrived.entry((request, record.downstream.remote)).or_default() += 1;
            continue;
        }
        for leg in record.attempts.iter().filter_map(|attempt| attempt.upstream.as_ref()) {
            *sent.entry((request, leg.local)).or_default() += 1;
        }
    }
    for ((request, connection), count) in arrived {
        // A caller without a proxy leaves no record to compare with.
        if let Some(tries) = sent.get(&(request, connection)).filter(|tries| **tries < count) {
            found.push(format!("request {request} was sent {tries} times from {connection} and arrived {count} times"));
        }
    }
    found
}
