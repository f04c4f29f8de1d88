//! TCP and TLS set-up towards an endpoint.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wavetank_platform::{ConnectOptions, Platform, Stream};

use super::reset::Reset;
use crate::record::{Leg, TlsState};
use crate::route::ResetReason;
use crate::snapshot::tls::TransportSocket;
use crate::tls::{Tls, TlsSession};

/// What every connection of a proxy is made with.
#[derive(Clone)]
pub(crate) struct Connector {
    /// The world.
    pub(crate) platform: Platform,
    /// Certificates and handshakes.
    pub(crate) tls: Tls,
    /// Numbers of connections.
    pub(crate) ids: Arc<ConnectionIds>,
}

/// Gives every connection of the process a number, whoever opened it. Envoy numbers them alike.
#[derive(Debug, Default)]
pub(crate) struct ConnectionIds(AtomicU64);

impl ConnectionIds {
    /// The next number; the first is 1.
    pub(crate) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Where and how to connect.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The endpoint.
    pub(crate) address: SocketAddr,
    /// Local address; `None` leaves the choice to the host.
    pub(crate) source: Option<IpAddr>,
    /// Raw or TLS.
    pub(crate) socket: TransportSocket,
    /// TCP and TLS set-up together.
    pub(crate) timeout: Duration,
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The bytes.
    pub(crate) stream: Stream,
    /// Its two ends and how it is secured, from socket and session.
    pub(crate) leg: Leg,
    /// What else logs tell of it.
    pub(crate) link: Arc<Link>,
}

/// What access logs tell of a connection to an endpoint beside its two ends.
#[derive(Debug)]
pub(crate) struct Link {
    /// Its number.
    pub(crate) id: u64,
    /// Its TLS session.
    pub(crate) session: Option<TlsSession>,
}

impl Connector {
    /// Connects to `target`, TLS included.
    ///
    /// Errs as Envoy reports it: a timeout, or a failure with what the transport said.
    pub(crate) async fn open(&self, target: &Target) -> Result<Opened, Reset> {
        if target.timeout.is_zero() {
            return self.set_up(target).await;
        }
        match self.platform.clock.timeout(target.timeout, self.set_up(target)).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => Err(ResetReason::ConnectionTimeout.into()),
        }
    }

    async fn set_up(&self, target: &Target) -> Result<Opened, Reset> {
        let options = ConnectOptions { source: target.source };
        let stream =
            self.platform.net.connect(target.address, options).await.map_err(|error| Reset::connect(&error))?;
        let (local, remote) = (stream.local_addr(), stream.peer_addr());
        let id = self.ids.next();
        match &target.socket {
            TransportSocket::Raw => {
                let leg = Leg { local, remote, tls: TlsState::Plaintext };
                Ok(Opened { stream, leg, link: Arc::new(Link { id, session: None }) })
            }
            TransportSocket::Tls(context) => {
                let (stream, session) = self.tls.connect(context, stream).await.map_err(|error| Reset::tls(&error))?;
                let leg = Leg { local, remote, tls: session.state.clone() };
                let link = Arc::new(Link { id, session: Some(session) });
                Ok(Opened { stream: Stream::new(stream, local, remote, None), leg, link })
            }
        }
    }
}
