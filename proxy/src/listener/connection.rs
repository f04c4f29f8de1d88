//! From an accepted socket to the handler of its filter chain: the listener of its original destination,
//! its first bytes, its filter chain, its TLS handshake.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

use wavetank_platform::Stream;

use super::accepted::{Accepted, Facts};
use super::closing::{self, Closing};
use super::inspect::{self, Inspected};
use crate::access_log::logging::Ended;
use crate::drain::Draining;
use crate::filter_chain::{self, ConnectionFacts};
use crate::http::server;
use crate::record::{Flag, Leg, Protocol, TlsState};
use crate::shared::Shared;
use crate::snapshot::listener::{FilterChain, Handler, TransportProtocol};
use crate::snapshot::{Listener, Snapshot};
use crate::tcp;

/// Serves one connection that `captured_by` accepted, to its end.
pub(super) async fn serve(shared: Arc<Shared>, captured_by: Arc<Listener>, stream: Stream, draining: Draining) {
    let start = shared.platform.clock.now();
    let snapshot = shared.store.current();
    let listener = serving_listener(&snapshot, captured_by, stream.original_dst().map(|dst| dst.0));
    // What is over soon is boxed, so that the connection's task does not hold room for it to the end.
    let inspecting = Box::pin(inspect::inspect(&*shared.platform.clock, &listener, stream));
    let Ok((stream, inspected)) = inspecting.await else {
        // Envoy: a peer that leaves before it said anything is not worth a log line.
        return;
    };
    let mut facts = Facts {
        id: shared.clusters.connector().ids.next(),
        start,
        direction: listener.direction,
        listener: listener.name.clone(),
        listener_from: listener.provenance.clone(),
        filter_chain: None,
        leg: Leg { local: stream.local_addr(), remote: stream.peer_addr(), tls: TlsState::Plaintext },
        original_dst: stream.original_dst().map(|dst| dst.0),
        session: None,
        logged: !listener.access_logs.is_empty(),
        told: OnceLock::new(),
        sni: inspected.sni.clone(),
        config_version: snapshot.version,
    };
    let Some(chain) = choose_chain(&listener, &facts, &inspected) else {
        return refuse(&shared, &listener, &facts, Some(Flag::NR), "filter_chain_not_found");
    };
    facts.filter_chain = Some(chain.name.clone());
    drop(snapshot);
    let securing = Box::pin(secure(&shared, &listener, chain, stream, facts));
    let Some((stream, facts)) = securing.await else { return };
    let facts = Arc::new(facts);
    let _logged = Closing::of(&shared, &listener, &facts);
    let accepted = Accepted { stream, facts, draining };
    match &chain.handler {
        Handler::Http(manager) => {
            let (manager, inspected) = (manager.clone(), inspected.application_protocols);
            drop(listener);
            Box::pin(server::serve(shared, manager, accepted, &inspected)).await;
        }
        Handler::Tcp(proxy) => {
            let proxy = proxy.clone();
            drop(listener);
            Box::pin(tcp::serve(shared, proxy, accepted)).await;
        }
    }
}

/// The listener whose chains a connection meets: with `use_original_dst`, the one at its original
/// destination, else the one at the wildcard address of that port, else the one that accepted it.
fn serving_listener(snapshot: &Snapshot, captured_by: Arc<Listener>, original: Option<SocketAddr>) -> Arc<Listener> {
    let Some(original) = original.filter(|_| captured_by.use_original_dst) else { return captured_by };
    let wildcard = match original.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let at = |address: SocketAddr| {
        let mut others = snapshot.listeners.values().filter(|listener| listener.name != captured_by.name);
        others.find(|listener| listener.address == address).cloned()
    };
    at(original).or_else(|| at(SocketAddr::new(wildcard, original.port()))).unwrap_or(captured_by)
}

fn choose_chain<'a>(listener: &'a Listener, facts: &Facts, inspected: &Inspected) -> Option<&'a FilterChain> {
    let connection = ConnectionFacts {
        destination: facts.destination(),
        source: facts.leg.remote,
        transport: inspected.transport.unwrap_or(TransportProtocol::RawBuffer),
        sni: inspected.sni.as_deref(),
        alpn: &inspected.application_protocols,
    };
    filter_chain::select(listener, &connection)
}

/// Terminates TLS where the chain does; a failed handshake is recorded and ends the connection.
async fn secure(
    shared: &Shared,
    listener: &Listener,
    chain: &FilterChain,
    stream: Stream,
    mut facts: Facts,
) -> Option<(Stream, Facts)> {
    let Some(tls) = &chain.tls else { return Some((stream, facts)) };
    let original_dst = stream.original_dst();
    match shared.tls.accept(tls, stream).await {
        Ok((stream, session)) => {
            facts.leg.tls = session.state.clone();
            facts.sni = session.sni.clone().or(facts.sni);
            facts.session = Some(session);
            let stream = Stream::new(stream, facts.leg.local, facts.leg.remote, original_dst);
            Some((stream, facts))
        }
        Err(error) => {
            let details = match error.transport_failure() {
                Some(reason) => format!("downstream_transport_failure{{{reason}}}"),
                None => "downstream_remote_disconnect".into(),
            };
            refuse(shared, listener, &facts, None, &details);
            None
        }
    }
}

/// Records a connection that comes no further.
fn refuse(shared: &Shared, listener: &Listener, facts: &Facts, flag: Option<Flag>, details: &str) {
    let mut record = facts.record(&shared.node, facts.start, Protocol::Tcp);
    record.duration = shared.platform.clock.now().saturating_since(facts.start);
    record.flags.extend(flag);
    record.details = details.into();
    closing::log_end(shared, listener, &record, Ended { facts, cluster: None, link: None, stream_id: None });
    shared.recorder.record(&record);
}
