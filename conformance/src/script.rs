//! An xDS server that says what a recording says, in delta or in state of the world, and notes what it hears.
//!
//! xDS protocol: <https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol>.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use envoy_types::pb::envoy::config::core::v3::ControlPlane;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_server::{
    AggregatedDiscoveryService, AggregatedDiscoveryServiceServer,
};
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse, Resource,
};
use envoy_types::pb::google::protobuf::Any;
use indexmap::IndexMap;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};
use wavetank::target::live::grpc::serve;
use wavetank_platform::Platform;
use wavetank_platform::spawn::OwnedTask;

use crate::live::{loopback, within};

/// One response of a recording.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Type of its resources.
    pub type_url: String,
    /// Nonce.
    pub nonce: String,
    /// Version of the whole, as state of the world has it.
    pub version: String,
    /// Resources: name, version and body; without a body only a time to live is renewed.
    pub resources: Vec<(String, String, Option<Any>)>,
    /// Names that are gone.
    pub removed: Vec<String>,
    /// Names that the client must have asked for before this is said. Empty: the type is enough.
    pub asked: Vec<String>,
}

/// The server. It ends when this handle is dropped.
pub struct Server {
    platform: Platform,
    address: SocketAddr,
    streams: mpsc::UnboundedReceiver<Voice>,
    _serving: OwnedTask,
}

impl Server {
    /// Serves plaintext on a free port of the loopback.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start(platform: &Platform) -> Self {
        let (opened, streams) = mpsc::unbounded_channel();
        let service = AggregatedDiscoveryServiceServer::new(Scripted { opened });
        let (address, serving) = serve(platform, loopback(0), service).await.expect("a free port");
        Self { platform: platform.clone(), address, streams, _serving: serving }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next stream that a client opens.
    ///
    /// # Panics
    /// When none comes.
    pub async fn stream(&mut self) -> Stream {
        let voice = within(&self.platform, "a stream", self.streams.recv()).await.expect("the server runs");
        let platform = self.platform.clone();
        Stream {
            platform,
            voice,
            node: None,
            asked: BTreeMap::new(),
            remembered: BTreeMap::new(),
            answers: BTreeMap::new(),
            held: BTreeMap::new(),
        }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

/// One open stream.
pub struct Stream {
    platform: Platform,
    voice: Voice,
    /// Node id of the client, from the first request that names one.
    node: Option<String>,
    /// Names now asked for, by type.
    asked: BTreeMap<String, BTreeSet<String>>,
    /// Versions that the client says it holds from before, by type and name.
    remembered: BTreeMap<String, BTreeMap<String, String>>,
    /// The first answer to each nonce: `None` where it was acknowledged, else why not.
    answers: BTreeMap<String, Option<String>>,
    /// All there is, by type, for state of the world.
    held: BTreeMap<String, IndexMap<String, Any>>,
}

enum Voice {
    Delta(Streaming<DeltaDiscoveryRequest>, mpsc::Sender<Result<DeltaDiscoveryResponse, Status>>),
    State(Streaming<DiscoveryRequest>, mpsc::Sender<Result<DiscoveryResponse, Status>>),
}

impl Stream {
    /// Says each page as soon as the client has asked for what it needs, and returns, in the order of the
    /// pages, why each was refused; `None` where it was acknowledged.
    ///
    /// In state of the world, removals of clusters and listeners show in the whole that is said; where
    /// nothing else is in a page about other types, nothing is said and `None` returned.
    ///
    /// # Panics
    /// When the client does not ask or answer, or leaves.
    pub async fn replay(&mut self, pages: &[Page]) -> Vec<Option<String>> {
        let mut said = Vec::new();
        for page in pages {
            while !self.is_asked_for(page) {
                self.hear(&format!("a request for {} {:?}", page.type_url, page.asked)).await;
            }
            said.push(self.say(page).await.then(|| page.nonce.clone()));
        }
        let mut answers = Vec::new();
        for nonce in said {
            let Some(nonce) = nonce else {
                answers.push(None);
                continue;
            };
            while !self.answers.contains_key(&nonce) {
                self.hear(&format!("an answer to {nonce}")).await;
            }
            answers.push(self.answers[&nonce].clone());
        }
        answers
    }

    /// Ends the stream: the client hears no more of it.
    pub fn end(&mut self) {
        match &mut self.voice {
            Voice::Delta(_, responses) => *responses = mpsc::channel(1).0,
            Voice::State(_, responses) => *responses = mpsc::channel(1).0,
        }
    }

    /// Names that the client now asks for, of one type.
    pub fn asked(&self, type_url: &str) -> BTreeSet<String> {
        self.asked.get(type_url).cloned().unwrap_or_default()
    }

    /// Listens until the client asks for exactly `names` of a type.
    ///
    /// # Panics
    /// When it never does.
    pub async fn hear_until_asked(&mut self, type_url: &str, names: &[&str]) {
        while !self.asked(type_url).iter().map(String::as_str).eq(names.iter().copied()) {
            self.hear(&format!("a request for exactly {names:?}")).await;
        }
    }

    /// Versions that the client says it holds from an earlier stream, by name; delta alone has words for it.
    pub fn remembered(&self, type_url: &str) -> BTreeMap<String, String> {
        self.remembered.get(type_url).cloned().unwrap_or_default()
    }

    /// Node id of the client.
    pub fn node(&self) -> Option<&str> {
        self.node.as_deref()
    }

    fn is_asked_for(&self, page: &Page) -> bool {
        let names = self.asked.get(&page.type_url);
        names.is_some_and(|names| page.asked.iter().all(|name| names.contains(name)))
    }

    /// Takes note of the next request.
    async fn hear(&mut self, what: &str) {
        let refusals: Vec<_> = self.answers.iter().filter(|(_, refused)| refused.is_some()).collect();
        let what = &format!("{what}, after the refusals {refusals:?},");
        match &mut self.voice {
            Voice::Delta(requests, _) => {
                let request = within(&self.platform, what, requests.message()).await;
                let request = request.expect("a request").expect("the client stays");
                let remembered = self.remembered.entry(request.type_url.clone()).or_default();
                remembered.extend(request.initial_resource_versions);
                let names = self.asked.entry(request.type_url).or_default();
                names.extend(request.resource_names_subscribe);
                for gone in &request.resource_names_unsubscribe {
                    names.remove(gone);
                }
                if !request.response_nonce.is_empty() {
                    let refused = request.error_detail.map(|error| error.message);
                    self.answers.entry(request.response_nonce).or_insert(refused);
                }
                self.node = self.node.take().or(request.node.map(|node| node.id));
            }
            Voice::State(requests, _) => {
                let request = within(&self.platform, what, requests.message()).await;
                let request = request.expect("a request").expect("the client stays");
                self.asked.insert(request.type_url, request.resource_names.into_iter().collect());
                if !request.response_nonce.is_empty() {
                    let refused = request.error_detail.map(|error| error.message);
                    self.answers.entry(request.response_nonce).or_insert(refused);
                }
                self.node = self.node.take().or(request.node.map(|node| node.id));
            }
        }
    }

    /// Says a page; false where state of the world has no words for it.
    async fn say(&mut self, page: &Page) -> bool {
        let control_plane = Some(ControlPlane { identifier: "another-control-plane/7".to_owned() });
        match &mut self.voice {
            Voice::Delta(_, responses) => {
                let resource = |(name, version, body): &(String, String, Option<Any>)| Resource {
                    name: name.clone(),
                    version: version.clone(),
                    resource: body.clone(),
                    ..Default::default()
                };
                let response = DeltaDiscoveryResponse {
                    system_version_info: page.version.clone(),
                    type_url: page.type_url.clone(),
                    nonce: page.nonce.clone(),
                    resources: page.resources.iter().map(resource).collect(),
                    removed_resources: page.removed.clone(),
                    control_plane,
                    ..Default::default()
                };
                responses.send(Ok(response)).await.is_ok()
            }
            Voice::State(_, responses) => {
                let held = self.held.entry(page.type_url.clone()).or_default();
                let bodies = page.resources.iter().filter_map(|(name, _, body)| Some((name.clone(), body.clone()?)));
                let new: IndexMap<String, Any> = bodies.collect();
                held.extend(new.clone());
                held.retain(|name, _| !page.removed.contains(name));
                let is_whole = page.type_url.ends_with(".Cluster") || page.type_url.ends_with(".Listener");
                let resources: Vec<Any> = if is_whole { held.values() } else { new.values() }.cloned().collect();
                if resources.is_empty() && !is_whole {
                    return false;
                }
                let response = DiscoveryResponse {
                    version_info: page.version.clone(),
                    type_url: page.type_url.clone(),
                    nonce: page.nonce.clone(),
                    resources,
                    control_plane,
                    ..Default::default()
                };
                responses.send(Ok(response)).await.is_ok()
            }
        }
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("asked", &self.asked).field("answers", &self.answers).finish_non_exhaustive()
    }
}

/// Hands each opened stream to the one who reads the script.
struct Scripted {
    opened: mpsc::UnboundedSender<Voice>,
}

type Opened<'a, T> = Pin<Box<dyn Future<Output = Result<tonic::Response<T>, Status>> + Send + 'a>>;

impl AggregatedDiscoveryService for Scripted {
    type StreamAggregatedResourcesStream = ReceiverStream<Result<DiscoveryResponse, Status>>;
    type DeltaAggregatedResourcesStream = ReceiverStream<Result<DeltaDiscoveryResponse, Status>>;

    fn stream_aggregated_resources<'a, 'b>(
        &'a self,
        request: tonic::Request<Streaming<DiscoveryRequest>>,
    ) -> Opened<'b, Self::StreamAggregatedResourcesStream>
    where
        'a: 'b,
        Self: 'b,
    {
        let (responses, stream) = mpsc::channel(16);
        // Nobody reads the script any more when the test is over.
        let _over = self.opened.send(Voice::State(request.into_inner(), responses));
        Box::pin(async { Ok(tonic::Response::new(ReceiverStream::new(stream))) })
    }

    fn delta_aggregated_resources<'a, 'b>(
        &'a self,
        request: tonic::Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Opened<'b, Self::DeltaAggregatedResourcesStream>
    where
        'a: 'b,
        Self: 'b,
    {
        let (responses, stream) = mpsc::channel(16);
        // Nobody reads the script any more when the test is over.
        let _over = self.opened.send(Voice::Delta(request.into_inner(), responses));
        Box::pin(async { Ok(tonic::Response::new(ReceiverStream::new(stream))) })
    }
}
