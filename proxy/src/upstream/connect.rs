//! TCP and TLS set-up towards an endpoint.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use wavetank_platform::{ConnectOptions, Platform, Stream};

use super::reset::Reset;
use crate::record::{Leg, TlsState};
use crate::route::ResetReason;
use crate::snapshot::tls::TransportSocket;
use crate::tls::Tls;

/// What every connection of a proxy is made with.
#[derive(Clone)]
pub(crate) struct Connector {
    /// The world.
    pub(crate) platform: Platform,
    /// Certificates and handshakes.
    pub(crate) tls: Tls,
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
        match &target.socket {
            TransportSocket::Raw => Ok(Opened { stream, leg: Leg { local, remote, tls: TlsState::Plaintext } }),
            TransportSocket::Tls(context) => {
                let (stream, session) = self.tls.connect(context, stream).await.map_err(|error| Reset::tls(&error))?;
                let leg = Leg { local, remote, tls: session.state };
                Ok(Opened { stream: Stream::new(stream, local, remote, None), leg })
            }
        }
    }
}
