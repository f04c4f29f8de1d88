//! An xDS server whose every word is the test's.
#![expect(dead_code, reason = "each test crate uses its own part")]

use std::future::Future;
use std::pin::Pin;

use envoy_types::pb::envoy::service::discovery::v3 as xds;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};
use wavetank_platform::Platform;
use wavetank_proxy::snapshot::tls::DownstreamTls;
use wavetank_proxy::tls::Tls;
use xds::aggregated_discovery_service_server::{AggregatedDiscoveryService, AggregatedDiscoveryServiceServer};

use crate::grpc;

/// The server.
pub(crate) struct Script {
    delta: mpsc::UnboundedReceiver<Exchange<xds::DeltaDiscoveryRequest, xds::DeltaDiscoveryResponse>>,
    state: mpsc::UnboundedReceiver<Exchange<xds::DiscoveryRequest, xds::DiscoveryResponse>>,
}

impl Script {
    /// Serves on `port`.
    pub(crate) async fn serve(platform: &Platform, port: u16, tls: Option<(Tls, DownstreamTls)>) -> Self {
        let (delta_sender, delta) = mpsc::unbounded_channel();
        let (state_sender, state) = mpsc::unbounded_channel();
        let service = AggregatedDiscoveryServiceServer::new(Scripted { delta: delta_sender, state: state_sender });
        grpc::serve(platform, port, tls, service).await;
        Self { delta, state }
    }

    /// The next delta stream that a client opens.
    pub(crate) async fn delta(&mut self) -> Exchange<xds::DeltaDiscoveryRequest, xds::DeltaDiscoveryResponse> {
        self.delta.recv().await.unwrap()
    }

    /// The next state-of-the-world stream that a client opens.
    pub(crate) async fn state(&mut self) -> Exchange<xds::DiscoveryRequest, xds::DiscoveryResponse> {
        self.state.recv().await.unwrap()
    }
}

/// One open stream. Dropping it closes the stream.
pub(crate) struct Exchange<Req, Resp> {
    requests: Streaming<Req>,
    responses: mpsc::Sender<Result<Resp, Status>>,
}

impl<Req, Resp> Exchange<Req, Resp> {
    pub(crate) async fn next(&mut self) -> Req {
        self.requests.message().await.unwrap().unwrap()
    }

    /// `None` when the client has left.
    pub(crate) async fn try_next(&mut self) -> Option<Req> {
        self.requests.message().await.ok().flatten()
    }

    pub(crate) async fn send(&self, response: Resp) {
        assert!(self.responses.send(Ok(response)).await.is_ok());
    }
}

struct Scripted {
    delta: mpsc::UnboundedSender<Exchange<xds::DeltaDiscoveryRequest, xds::DeltaDiscoveryResponse>>,
    state: mpsc::UnboundedSender<Exchange<xds::DiscoveryRequest, xds::DiscoveryResponse>>,
}

type Opened<'a, T> = Pin<Box<dyn Future<Output = Result<tonic::Response<T>, Status>> + Send + 'a>>;

impl AggregatedDiscoveryService for Scripted {
    type StreamAggregatedResourcesStream = ReceiverStream<Result<xds::DiscoveryResponse, Status>>;
    type DeltaAggregatedResourcesStream = ReceiverStream<Result<xds::DeltaDiscoveryResponse, Status>>;

    fn stream_aggregated_resources<'a, 'b>(
        &'a self,
        request: tonic::Request<Streaming<xds::DiscoveryRequest>>,
    ) -> Opened<'b, Self::StreamAggregatedResourcesStream>
    where
        'a: 'b,
        Self: 'b,
    {
        let (responses, stream) = mpsc::channel(16);
        let _ = self.state.send(Exchange { requests: request.into_inner(), responses });
        Box::pin(async { Ok(tonic::Response::new(ReceiverStream::new(stream))) })
    }

    fn delta_aggregated_resources<'a, 'b>(
        &'a self,
        request: tonic::Request<Streaming<xds::DeltaDiscoveryRequest>>,
    ) -> Opened<'b, Self::DeltaAggregatedResourcesStream>
    where
        'a: 'b,
        Self: 'b,
    {
        let (responses, stream) = mpsc::channel(16);
        let _ = self.delta.send(Exchange { requests: request.into_inner(), responses });
        Box::pin(async { Ok(tonic::Response::new(ReceiverStream::new(stream))) })
    }
}
