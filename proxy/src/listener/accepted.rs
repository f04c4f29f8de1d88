//! One accepted connection, known as far as its filter chain.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use wavetank_platform::{Instant, Stream};

use super::closing::Told;
use crate::drain::Draining;
use crate::record::{Decision, Direction, Leg, Protocol, Provenance, Record, TlsState};
use crate::tls::TlsSession;

/// A connection that its chain's handler takes over.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// The bytes, decrypted.
    pub(crate) stream: Stream,
    /// What is known of it.
    pub(crate) facts: Arc<Facts>,
    /// When to leave.
    pub(crate) draining: Draining,
}

/// What is known of a downstream connection; the same for all its requests.
#[derive(Debug)]
pub(crate) struct Facts {
    /// Its number in the process.
    pub(crate) id: u64,
    /// When it was accepted.
    pub(crate) start: Instant,
    /// Side of the workload.
    pub(crate) direction: Direction,
    /// Listener name.
    pub(crate) listener: Arc<str>,
    /// Line that brought the listener.
    pub(crate) listener_from: Option<Provenance>,
    /// Filter chain name.
    pub(crate) filter_chain: Option<Arc<str>>,
    /// Its two ends and how it is secured.
    pub(crate) leg: Leg,
    /// Destination before capture.
    pub(crate) original_dst: Option<SocketAddr>,
    /// The TLS session that was terminated here.
    pub(crate) session: Option<TlsSession>,
    /// The listener's logs tell of it.
    pub(crate) logged: bool,
    /// What they tell of its handler.
    pub(crate) told: OnceLock<Told>,
    /// Server name, terminated or only looked at.
    pub(crate) sni: Option<Arc<str>>,
    /// Configuration that chose the chain.
    pub(crate) config_version: u64,
}

impl Facts {
    /// Where an original-destination cluster connects to.
    pub(crate) fn destination(&self) -> SocketAddr {
        self.original_dst.unwrap_or(self.leg.local)
    }

    /// Whether TLS was terminated here.
    pub(crate) fn is_tls(&self) -> bool {
        self.leg.tls != TlsState::Plaintext
    }

    /// A record of something on this connection that began at `start`, with nothing in it yet.
    pub(crate) fn record(&self, node: &Arc<str>, start: Instant, protocol: Protocol) -> Record {
        let empty: Arc<str> = "".into();
        Record {
            node: node.clone(),
            direction: self.direction,
            start,
            duration: std::time::Duration::ZERO,
            protocol,
            downstream: self.leg.clone(),
            original_dst: self.original_dst,
            sni: self.sni.clone(),
            method: empty.clone(),
            authority: empty.clone(),
            path: empty.clone(),
            request_id: None,
            user_agent: None,
            status: 0,
            grpc: None,
            flags: Vec::new(),
            details: empty,
            bytes_received: 0,
            bytes_sent: 0,
            decision: Decision {
                listener: Some(self.listener.clone()),
                filter_chain: self.filter_chain.clone(),
                config_version: self.config_version,
                ..Decision::default()
            },
            attempts: Vec::new(),
        }
    }
}
