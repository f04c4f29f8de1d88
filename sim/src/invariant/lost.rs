//! No request is lost that was acknowledged: where a proxy says that an endpoint answered, the endpoint's own
//! proxy has the request, with the same status.
//!
//! A sidecar that was killed took its open records with it: only one that recorded something later is asked.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use wavetank_platform::Instant;
use wavetank_proxy::record::{Direction, Record};

use super::Found;
use crate::explain::Book;
use crate::observe::ObservationLog;

pub(super) fn broken(_log: &ObservationLog, book: &Book) -> Found {
    let mut inbound: BTreeMap<(&str, SocketAddr), Vec<u16>> = BTreeMap::new();
    let mut last: BTreeMap<IpAddr, Instant> = BTreeMap::new();
    for record in &book.records {
        let Some(ip) = record.node.split('~').nth(1).and_then(|ip| ip.parse().ok()) else { continue };
        let newest = last.entry(ip).or_insert(record.start);
        *newest = (*newest).max(record.start);
        if let (Direction::Inbound, Some(request)) = (record.direction, record.request_id.as_deref()) {
            inbound.entry((request, record.downstream.remote)).or_default().push(record.status);
        }
    }
    let mut found = Found::new();
    for record in book.records.iter().filter(|record| record.direction != Direction::Inbound) {
        found.extend(acknowledged(record).filter_map(|(local, ip, status)| {
            let request = record.request_id.as_deref()?;
            let lived = last.get(&ip).is_some_and(|newest| *newest > record.start + record.duration);
            let seen = inbound.get(&(request, local)).is_some_and(|all| all.contains(&status));
            (lived && !seen).then(|| {
                format!(
                    "{} was told {status} for request {request}, which the proxy of {ip} never answered so",
                    record.node
                )
            })
        }));
    }
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
