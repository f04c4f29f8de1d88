//! The client itself: one stream at a time to the server, from start to end of the process. While there
//! is none, the configuration in force stays.

use std::time::Duration;

use http::uri::PathAndQuery;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic_prost::ProstCodec;
use wavetank_platform::{Platform, RandomStream};

use super::channel::{Channel, ConnectError, Target};
use super::delta::Delta;
use super::inventory::Inventory;
use super::state_of_the_world::StateOfTheWorld;
use super::store::Store;
use super::variant::{Received, Variant};
use super::wire::Node;
use crate::bootstrap::{Bootstrap, XdsMode, XdsSecurity};
use crate::identity;
use crate::snapshot::tls::{SanMatcher, UpstreamTls, Validation};
use crate::tls::Tls;

/// The first delay before a reconnect is less than this; each further bound is twice as long.
const BACKOFF_BASE: Duration = Duration::from_millis(500);
/// The longest delay before a reconnect.
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// Requests that may wait for the server to read them; beyond, the stream ends.
const REQUESTS_MAX: usize = 256;

/// Keeps `store` up to date with what the server says. Runs until it is dropped.
///
/// With mutual TLS, waits for the identity first.
pub async fn run(platform: Platform, bootstrap: Bootstrap, tls: Tls, store: Store) {
    let mut random = platform.entropy.stream_named("xds/backoff");
    let mut inventory = Inventory::new(bootstrap.limits.xds_resources_max);
    let target = target(&bootstrap);
    if target.tls.is_some() {
        identity::ready(tls.secrets()).await;
    }
    let mut failures = 0;
    loop {
        let mut stream = Stream { platform: &platform, bootstrap: &bootstrap, store: &store, responses: 0 };
        let end = match Channel::connect(&platform, &tls, &target).await {
            Ok(channel) => match bootstrap.xds.mode {
                XdsMode::Delta => stream.run::<Delta>(channel, &mut inventory).await,
                XdsMode::StateOfTheWorld => stream.run::<StateOfTheWorld>(channel, &mut inventory).await,
            },
            Err(error) => StreamEnd::Connect(error),
        };
        failures = if stream.responses > 0 { 1 } else { failures + 1 };
        let delay = backoff(failures, &mut random);
        tracing::warn!(host = %bootstrap.xds.host, %end, ?delay, "xDS stream ended; configuration stays");
        // Without a stream, what is waited for may still run out of time.
        let retry_at = platform.clock.now() + delay;
        while let Some(deadline) = inventory.next_deadline(platform.clock.now()).filter(|at| *at < retry_at) {
            platform.clock.sleep_until(deadline).await;
            publish(&mut inventory, &store, &platform);
        }
        platform.clock.sleep_until(retry_at).await;
    }
}

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
enum StreamEnd {
    #[error(transparent)]
    Connect(ConnectError),
    #[error("server said {}: {}", .0.code(), .0.message())]
    Status(tonic::Status),
    #[error("server closed the stream")]
    Closed,
    #[error("server does not read our requests")]
    Unread,
}

fn target(bootstrap: &Bootstrap) -> Target {
    let tls = match &bootstrap.xds.security {
        XdsSecurity::Plaintext => None,
        XdsSecurity::Mutual { server_name } => Some(UpstreamTls {
            certificate: Some(identity::certificate_name()),
            validation: Some(Validation {
                roots: identity::roots_name(),
                subject_alt_names: vec![SanMatcher::Exact(server_name.as_str().into())],
            }),
            sni: Some(server_name.as_str().into()),
            alpn: vec!["h2".into()],
        }),
    };
    Target { host: bootstrap.xds.host.clone(), port: bootstrap.xds.port, tls }
}

/// Delay before the `failures`-th attempt in a row: drawn from the upper half of a window that doubles.
pub(crate) fn backoff(failures: u32, random: &mut RandomStream) -> Duration {
    let window = BACKOFF_BASE.saturating_mul(1 << failures.min(16).saturating_sub(1)).min(BACKOFF_MAX);
    window / 2 + random.duration_below(window / 2)
}

fn publish(inventory: &mut Inventory, store: &Store, platform: &Platform) {
    if let Some(snapshot) = inventory.settle(platform.clock.now()) {
        store.publish(snapshot);
    }
}

/// One stream's surroundings.
struct Stream<'a> {
    platform: &'a Platform,
    bootstrap: &'a Bootstrap,
    store: &'a Store,
    /// Responses received.
    responses: u64,
}

impl Stream<'_> {
    async fn run<V: Variant>(&mut self, channel: Channel, inventory: &mut Inventory) -> StreamEnd {
        match self.exchange::<V>(channel, inventory).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn exchange<V: Variant>(
        &mut self,
        channel: Channel,
        inventory: &mut Inventory,
    ) -> Result<std::convert::Infallible, StreamEnd> {
        let clock = &self.platform.clock;
        let mut variant = V::new(Node::from(&self.bootstrap.node));
        let (requests, queue) = mpsc::channel(REQUESTS_MAX);
        send(&requests, variant.ask(inventory, clock.now()))?;
        let origin = channel.origin();
        let mut grpc =
            Grpc::with_origin(channel, origin).max_decoding_message_size(self.bootstrap.limits.xds_message_bytes_max);
        grpc.ready().await.map_err(|error| StreamEnd::Status(tonic::Status::unavailable(error.to_string())))?;
        let codec = ProstCodec::<V::Request, V::Response>::default();
        let opened = grpc
            .streaming(tonic::Request::new(ReceiverStream::new(queue)), PathAndQuery::from_static(V::METHOD), codec)
            .await;
        let mut responses = opened.map_err(StreamEnd::Status)?.into_inner();
        loop {
            let deadline = inventory.next_deadline(clock.now());
            let message = match deadline {
                Some(deadline) => clock.timeout_at(deadline, responses.message()).await.ok(),
                None => Some(responses.message().await),
            };
            if let Some(message) = message {
                let response = message.map_err(StreamEnd::Status)?.ok_or(StreamEnd::Closed)?;
                self.responses += 1;
                if let Some(received) = variant.receive(inventory, response, clock.now()) {
                    report(&received);
                    send(&requests, vec![received.answer])?;
                }
            }
            send(&requests, variant.ask(inventory, clock.now()))?;
            publish(inventory, self.store, self.platform);
        }
    }
}

fn send<R>(requests: &mpsc::Sender<R>, all: Vec<R>) -> Result<(), StreamEnd> {
    all.into_iter().try_for_each(|request| {
        requests.try_send(request).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StreamEnd::Unread,
            mpsc::error::TrySendError::Closed(_) => StreamEnd::Closed,
        })
    })
}

fn report<R>(received: &Received<R>) {
    for rejection in &received.rejections {
        tracing::warn!(%rejection, "xDS resource rejected; its last good version stays");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_platform::Entropy;

    #[test]
    fn delays_double_up_to_half_a_minute_and_are_never_equal_for_all() {
        let mut random = Entropy::from_seed(1).stream();
        for (failures, at_least, below) in [(1, 250, 500), (2, 500, 1000), (6, 8000, 16_000), (7, 15_000, 30_000)] {
            for _ in 0..100 {
                let delay = backoff(failures, &mut random);
                assert!((Duration::from_millis(at_least)..Duration::from_millis(below)).contains(&delay), "{delay:?}");
            }
        }
        assert!(backoff(u32::MAX, &mut random) < BACKOFF_MAX);
        assert_ne!(backoff(5, &mut random), backoff(5, &mut random));
    }
}
