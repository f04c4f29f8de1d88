//! Ports, TLS and HTTP/2: from an accepted connection to the service that its requests name.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_server::AggregatedDiscoveryServiceServer;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tonic::body::Body;
use tower_service::Service;
use wavetank_platform::hyper_rt::{HyperExecutor, HyperTimer};
use wavetank_platform::spawn::OwnedTask;
use wavetank_platform::{ListenOptions, Listener, Platform, Stream};

use super::config::ServerLimits;
use crate::ads::{AdsService, Peer};
use crate::ca::service::CREATE_CERTIFICATE;
use crate::ca::{CaService, Identity};

/// Pause after a connection that could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// The services behind every port.
#[derive(Clone)]
pub(super) struct Services {
    ads: AggregatedDiscoveryServiceServer<AdsService>,
    ca: CaService,
}

impl Services {
    pub(super) fn new(ads: AdsService, ca: CaService, request_bytes_max: usize) -> Self {
        let ads = AggregatedDiscoveryServiceServer::new(ads)
            .max_decoding_message_size(request_bytes_max)
            .max_encoding_message_size(usize::MAX);
        Self { ads, ca }
    }

    async fn answer(mut self, mut request: http::Request<Incoming>, peer: Peer) -> http::Response<Body> {
        if request.uri().path() == CREATE_CERTIFICATE {
            return self.ca.call(request).await;
        }
        request.extensions_mut().insert(peer);
        // Paths that are not its own it answers with UNIMPLEMENTED.
        match self.ads.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// Serves connections.
#[derive(Clone)]
pub(super) struct Server {
    platform: Platform,
    services: Services,
    limits: ServerLimits,
}

impl Server {
    pub(super) fn new(platform: Platform, services: Services, limits: ServerLimits) -> Self {
        Self { platform, services, limits }
    }

    /// Opens a port, with TLS or without, and serves it until the returned task is dropped.
    pub(super) async fn listen(
        &self,
        addr: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
    ) -> io::Result<(SocketAddr, OwnedTask)> {
        let listener = self.platform.net.listen(addr, ListenOptions::default()).await?;
        let bound = listener.local_addr();
        let task = self.platform.spawn.go(self.clone().accept(listener, tls)).abort_on_drop();
        Ok((bound, task))
    }

    /// Owns the connections of a port, so that they end with it.
    async fn accept(self, listener: Listener, tls: Option<Arc<ServerConfig>>) {
        let mut connections: Vec<OwnedTask> = Vec::new();
        loop {
            let stream = match listener.accept().await {
                Ok(stream) => stream,
                Err(error) => {
                    tracing::debug!(%error, "a connection could not be accepted");
                    // Out of file descriptors, say, the next try fails too.
                    self.platform.clock.sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            connections.retain(|connection| !connection.is_finished());
            if connections.len() >= self.limits.connections_max {
                tracing::warn!(peer = %stream.peer_addr(), "too many connections");
                continue;
            }
            let connection = self.clone().connection(stream, tls.clone());
            connections.push(self.platform.spawn.go(connection).abort_on_drop());
        }
    }

    async fn connection(self, stream: Stream, tls: Option<Arc<ServerConfig>>) {
        let address = stream.peer_addr();
        let Some(tls) = tls else {
            return self.serve(stream, Peer { tls: false, identity: None }).await;
        };
        let clock = self.platform.clock.clone();
        match clock.timeout(self.limits.handshake_max, TlsAcceptor::from(tls).accept(stream)).await {
            Ok(Ok(stream)) => {
                let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
                let identity = certificates.first().and_then(|leaf| identity(leaf));
                self.serve(stream, Peer { tls: true, identity }).await;
            }
            Ok(Err(error)) => tracing::debug!(%address, %error, "TLS handshake failed"),
            Err(elapsed) => tracing::debug!(%address, %elapsed, "TLS handshake took too long"),
        }
    }

    async fn serve(self, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: Peer) {
        let Self { platform, services, limits } = self;
        let service = service_fn(move |request| {
            let answer = services.clone().answer(request, peer.clone());
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let connection = hyper::server::conn::http2::Builder::new(HyperExecutor::new(&platform))
            .timer(HyperTimer)
            // hyper would write it from the system's clock.
            .auto_date_header(false)
            .max_concurrent_streams(limits.streams_per_connection_max)
            // A proxy that lost its power says no goodbye; its streams end when it does not answer.
            .keep_alive_interval(limits.keepalive_interval)
            .keep_alive_timeout(limits.keepalive_timeout)
            .serve_connection(TokioIo::new(io), service);
        if let Err(error) = connection.await {
            tracing::debug!(%error, "connection ended");
        }
    }
}

/// The SPIFFE identity of a certificate that TLS has verified.
fn identity(certificate: &[u8]) -> Option<Identity> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    names.value.general_names.iter().find_map(|name| match name {
        x509_parser::extensions::GeneralName::URI(uri) => Identity::parse(uri),
        _ => None,
    })
}
