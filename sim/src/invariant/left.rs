//! Nothing is left open: the first proxy on the way of every answered request has closed its record by the
//! end of the run. A record that never closes is a task that never ended, with the sockets it holds.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::Found;
use crate::explain::Book;
use crate::observe::{Hop, ObservationLog, Party};

pub(super) fn broken(log: &ObservationLog, book: &Book) -> Found {
    let proxied: BTreeSet<&Party> = book.histories.keys().filter_map(|node| party(node, book)).collect();
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

fn party<'a>(node: &str, book: &'a Book) -> Option<&'a Party> {
    let ip: IpAddr = node.split('~').nth(1)?.parse().ok()?;
    book.parties.get(&ip)
}
