//! A gRPC connection of our own: resolve, connect, TLS, HTTP/2, all through the door. Carries the xDS
//! stream and the requests for certificates.
//!
//! tonic's generated calls run over it; tonic's own transport would spawn and keep time past the door.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::TokioIo;
use tower_service::Service;
use wavetank_platform::hyper_rt::{HyperExecutor, HyperTimer};
use wavetank_platform::spawn::OwnedTask;
use wavetank_platform::{ConnectOptions, Io, Platform, Stream};

use crate::snapshot::tls::UpstreamTls;
use crate::tls::{Tls, TlsError};

/// Bound on connecting and on the handshakes together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A quiet connection is probed this often.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// A probe without an answer ends the connection after this.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Flow-control window of the connection and of a stream.
const WINDOW: u32 = 1 << 20;

/// Where to connect, and how.
#[derive(Debug, Clone)]
pub struct Target {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// `None`: plaintext.
    pub tls: Option<UpstreamTls>,
}

/// An open gRPC connection. Clones share it; it closes when the last one is dropped.
#[derive(Clone)]
pub struct Channel {
    sender: http2::SendRequest<tonic::body::Body>,
    origin: Uri,
    _driver: Arc<OwnedTask>,
}

/// Why a connection could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name could not be resolved.
    #[error("cannot resolve {host}: {error}")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        error: io::Error,
    },
    /// No address accepted a connection; the error is the last one's.
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    /// The TLS handshake failed.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The HTTP/2 handshake failed.
    #[error("HTTP/2 handshake failed: {0}")]
    Http2(hyper::Error),
    /// The target's host cannot be an authority.
    #[error("`{0}` is no host name")]
    Host(String),
    /// It took longer than ten seconds.
    #[error("connecting timed out")]
    TimedOut,
}

impl Channel {
    /// Opens a connection to the first address of the target that accepts one, within ten seconds.
    pub async fn connect(platform: &Platform, tls: &Tls, target: &Target) -> Result<Self, ConnectError> {
        let connecting = async {
            let stream = dial(platform, target).await?;
            match &target.tls {
                None => Self::handshake(platform, target, stream).await,
                Some(config) => {
                    let (stream, _session) = tls.connect(config, stream).await?;
                    Self::handshake(platform, target, stream).await
                }
            }
        };
        platform.clock.timeout(CONNECT_TIMEOUT, connecting).await.unwrap_or(Err(ConnectError::TimedOut))
    }

    /// The base of request URIs.
    pub fn origin(&self) -> Uri {
        self.origin.clone()
    }

    async fn handshake(platform: &Platform, target: &Target, io: impl Io) -> Result<Self, ConnectError> {
        let scheme = if target.tls.is_some() { "https" } else { "http" };
        let origin = Uri::builder()
            .scheme(scheme)
            .authority(format!("{}:{}", bracketed(&target.host), target.port))
            .path_and_query("/")
            .build()
            .map_err(|_invalid| ConnectError::Host(target.host.clone()))?;
        let mut builder = http2::Builder::new(HyperExecutor::new(platform));
        builder
            .timer(HyperTimer)
            .keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW);
        let (sender, connection) = builder.handshake(TokioIo::new(io)).await.map_err(ConnectError::Http2)?;
        let driver = platform.spawn.go(async move {
            // Its streams learn of the end themselves.
            let _ = connection.await;
        });
        Ok(Self { sender, origin, _driver: Arc::new(driver.abort_on_drop()) })
    }
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Service<Request<tonic::body::Body>> for Channel {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.sender.poll_ready(cx)
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        Box::pin(self.sender.send_request(request))
    }
}

async fn dial(platform: &Platform, target: &Target) -> Result<Stream, ConnectError> {
    let addresses = platform.resolver.resolve(&target.host).await;
    let addresses = addresses.map_err(|error| ConnectError::Resolve { host: target.host.clone(), error })?;
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        match platform.net.connect(SocketAddr::new(address, target.port), ConnectOptions::default()).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(ConnectError::Connect(last))
}

/// IPv6 literals take brackets in an authority.
fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}
