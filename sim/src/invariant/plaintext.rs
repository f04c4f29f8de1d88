//! No plaintext where mTLS is promised: a try to an endpoint for which the cluster has TLS is made over TLS,
//! and a connection that was taken by a filter chain with TLS came over TLS.

use wavetank_proxy::record::{Attempt, Record, TlsState};
use wavetank_proxy::snapshot::Snapshot;
use wavetank_proxy::snapshot::cluster::TransportSocketMatch;
use wavetank_proxy::snapshot::tls::TransportSocket;

use super::Found;
use crate::explain::Book;
use crate::explain::words::assignment;
use crate::observe::ObservationLog;

pub(super) fn broken(_log: &ObservationLog, book: &Book) -> Found {
    let mut found = Found::new();
    for record in &book.records {
        let Some(snapshot) = book.snapshot_of(record) else { continue };
        for attempt in record.attempts.iter().filter(|attempt| promised(snapshot, attempt)) {
            if attempt.upstream.as_ref().is_some_and(|leg| leg.tls == TlsState::Plaintext) {
                let to = attempt.endpoint.map(|to| to.to_string()).unwrap_or_default();
                found.push(format!("{} spoke plaintext to {to}, for which {} has TLS", record.node, attempt.cluster));
            }
        }
        if record.downstream.tls == TlsState::Plaintext && demanded(snapshot, record) {
            let chain = record.decision.filter_chain.as_deref().unwrap_or_default();
            found.push(format!(
                "{} took plaintext from {} in filter chain {chain}, which has TLS",
                record.node, record.downstream.remote
            ));
        }
    }
    found
}

/// Whether the cluster has TLS for the endpoint of this try.
fn promised(snapshot: &Snapshot, attempt: &Attempt) -> bool {
    let Some(cluster) = snapshot.clusters.get(&attempt.cluster) else { return false };
    let endpoints = assignment(snapshot, cluster).map(|own| own.endpoints()).unwrap_or_default();
    let endpoint = endpoints.iter().find(|own| Some(own.address) == attempt.endpoint);
    endpoint.is_some_and(|endpoint| {
        // Told here once more, so that a proxy which chooses wrongly is found.
        let holds = |wanted: &&TransportSocketMatch| {
            wanted.metadata.iter().all(|(key, value)| endpoint.transport_socket_match.get(key) == Some(value))
        };
        let first = cluster.transport_socket_matches.iter().find(holds);
        !matches!(first.map_or(&cluster.transport_socket, |own| &own.socket), TransportSocket::Raw)
    })
}

/// Whether the filter chain that took the connection has TLS.
fn demanded(snapshot: &Snapshot, record: &Record) -> bool {
    let listener = record.decision.listener.as_ref().and_then(|name| snapshot.listeners.get(name));
    let (Some(listener), Some(name)) = (listener, &record.decision.filter_chain) else { return false };
    let mut chains =
        listener.filter_chains.iter().chain(&listener.default_filter_chain).filter(|chain| chain.name == *name);
    let first = chains.next();
    // A name that several chains have says nothing.
    chains.next().is_none() && !name.is_empty() && first.is_some_and(|chain| chain.tls.is_some())
}
