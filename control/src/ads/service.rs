//! The aggregated discovery service: who may open a stream, and what it is fed from.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_server::AggregatedDiscoveryService;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use futures_core::Stream;
use tonic::{Request, Response, Status, Streaming};
use wavetank_platform::Platform;
use wavetank_platform::watch;

use super::resource::Snapshot;
use super::session::SessionLimits;
use super::status::{Observer, StatusBoard};
use super::stream;
use super::variant::{Delta, StateOfTheWorld};
use crate::ca::Identity;

/// What proxies are fed from.
pub trait Source: Send + Sync {
    /// The resources of `node` in the present state of the mesh. `peer` is the identity its TLS session
    /// proved; `None` on the plaintext port.
    ///
    /// Errs, with a status for the proxy, when the node is not one of the mesh or claims to be another.
    fn snapshot(&self, node: &Node, peer: Option<&Identity>) -> Result<Snapshot, Status>;
}

/// The other end of a connection, put into each request's extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Whether the connection is TLS.
    pub tls: bool,
    /// The identity of its client certificate; `None` without one.
    pub identity: Option<Identity>,
}

/// Bounds of the service.
#[derive(Debug, Clone, Copy)]
pub struct AdsLimits {
    /// Open streams.
    pub streams_max: usize,
    /// Size of one request in bytes.
    pub request_bytes_max: usize,
    /// Bounds of one stream.
    pub session: SessionLimits,
}

impl Default for AdsLimits {
    /// 4096 streams, requests of 4 MiB.
    fn default() -> Self {
        Self { streams_max: 4096, request_bytes_max: 4 << 20, session: SessionLimits::default() }
    }
}

/// What all streams share.
pub(super) struct Hub {
    pub(super) platform: Platform,
    pub(super) source: Arc<dyn Source>,
    /// Changes when the source has something new.
    pub(super) changes: watch::Receiver<u64>,
    pub(super) board: Arc<StatusBoard>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) limits: AdsLimits,
    streams: AtomicUsize,
}

/// Gives its place among the streams back when dropped.
pub(super) struct StreamPermit(Arc<Hub>);

impl Drop for StreamPermit {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The service. Cheap to clone.
#[derive(Clone)]
pub struct AdsService {
    hub: Arc<Hub>,
}

impl std::fmt::Debug for AdsService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdsService").field("limits", &self.hub.limits).finish_non_exhaustive()
    }
}

impl AdsService {
    /// A service that feeds proxies from `source`, again whenever `changes` changes.
    pub fn new(
        platform: Platform,
        source: Arc<dyn Source>,
        changes: watch::Receiver<u64>,
        board: Arc<StatusBoard>,
        observer: Arc<dyn Observer>,
        limits: AdsLimits,
    ) -> Self {
        let streams = AtomicUsize::new(0);
        Self { hub: Arc::new(Hub { platform, source, changes, board, observer, limits, streams }) }
    }

    fn admit<T>(&self, request: &Request<T>) -> Result<(StreamPermit, Option<Identity>), Status> {
        let peer = request.extensions().get::<Peer>();
        let identity = peer.and_then(|peer| peer.identity.clone());
        if peer.is_some_and(|peer| peer.tls) && identity.is_none() {
            return Err(Status::unauthenticated("a client certificate of this mesh is required"));
        }
        let open = self.hub.streams.fetch_add(1, Ordering::Relaxed);
        let permit = StreamPermit(self.hub.clone());
        if open >= self.hub.limits.streams_max {
            return Err(Status::resource_exhausted("too many streams"));
        }
        Ok((permit, identity))
    }
}

type ResponseStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl AggregatedDiscoveryService for AdsService {
    type StreamAggregatedResourcesStream = ResponseStream<DiscoveryResponse>;
    type DeltaAggregatedResourcesStream = ResponseStream<DeltaDiscoveryResponse>;

    async fn stream_aggregated_resources(
        &self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamAggregatedResourcesStream>, Status> {
        let (permit, identity) = self.admit(&request)?;
        let responses = stream::serve::<StateOfTheWorld>(self.hub.clone(), request.into_inner(), identity, permit);
        Ok(Response::new(Box::pin(responses)))
    }

    async fn delta_aggregated_resources(
        &self,
        request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        let (permit, identity) = self.admit(&request)?;
        let responses = stream::serve::<Delta>(self.hub.clone(), request.into_inner(), identity, permit);
        Ok(Response::new(Box::pin(responses)))
    }
}
