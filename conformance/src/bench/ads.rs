//! An xDS server for the race: each node its own configuration, in delta, said at once, and changed on demand.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_server::{
    AggregatedDiscoveryService, AggregatedDiscoveryServiceServer,
};
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse, Resource,
};
use envoy_types::pb::google::protobuf::Any;
use tokio::sync::{broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use wavetank::target::live::grpc::serve;
use wavetank_platform::Platform;
use wavetank_platform::spawn::OwnedTask;

use crate::live::loopback;

/// Changes not yet heard by a stream, at most.
const CHANGES_MAX: usize = 64;

/// Resources of one node: by type, by name.
pub type Resources = BTreeMap<String, BTreeMap<String, Any>>;

/// The server. It ends when this handle is dropped.
#[derive(Debug)]
pub struct Ads {
    shared: Arc<Shared>,
    address: SocketAddr,
    _serving: OwnedTask,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Node and type that changed, with the names.
    changes: broadcast::Sender<(String, String, Vec<String>)>,
    platform: Platform,
}

#[derive(Debug, Default)]
struct State {
    resources: BTreeMap<String, Resources>,
    heard: BTreeMap<String, Heard>,
    version: u64,
}

/// What a node has answered.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    /// Acknowledgements by type.
    pub acknowledged: BTreeMap<String, u64>,
    /// Refusals, as they were worded.
    pub refused: Vec<String>,
}

impl Ads {
    /// Serves plaintext on a free port of the loopback.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start(platform: &Platform) -> Self {
        let (changes, _) = broadcast::channel(CHANGES_MAX);
        let shared = Arc::new(Shared { state: Mutex::default(), changes, platform: platform.clone() });
        let service = AggregatedDiscoveryServiceServer::new(Service { shared: shared.clone() });
        let (address, serving) =
            serve(platform, loopback(0), service.max_decoding_message_size(64 << 20)).await.expect("a free port");
        Self { shared, address, _serving: serving }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What `node` will be told when it asks.
    pub fn hold(&self, node: &str, resources: Resources) {
        let mut state = self.shared.state();
        state.resources.insert(node.to_owned(), resources);
        state.heard.remove(node);
    }

    /// Changes one resource of `node`, and says so if it listens.
    pub fn change(&self, node: &str, name: &str, resource: Any) {
        let kind = resource.type_url.clone();
        {
            let mut state = self.shared.state();
            state.version += 1;
            let of_node = state.resources.entry(node.to_owned()).or_default();
            of_node.entry(kind.clone()).or_default().insert(name.to_owned(), resource);
        }
        // Nobody need listen.
        let _heard = self.shared.changes.send((node.to_owned(), kind, vec![name.to_owned()]));
    }

    /// What `node` has answered so far.
    pub fn heard(&self, node: &str) -> Heard {
        self.shared.state().heard.get(node).cloned().unwrap_or_default()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, node: &str, request: &DeltaDiscoveryRequest) {
        if request.response_nonce.is_empty() {
            return;
        }
        let mut state = self.state();
        let heard = state.heard.entry(node.to_owned()).or_default();
        match &request.error_detail {
            Some(error) => heard.refused.push(error.message.clone()),
            None => *heard.acknowledged.entry(request.type_url.clone()).or_default() += 1,
        }
    }

    /// A response with these resources of a node; names that it does not have are said to be gone.
    fn response(&self, node: &str, kind: &str, names: Option<&BTreeSet<String>>, nonce: u64) -> DeltaDiscoveryResponse {
        let state = self.state();
        let version = state.version.to_string();
        let all = state.resources.get(node).and_then(|resources| resources.get(kind));
        let wanted = |name: &String| names.is_none_or(|names| names.contains(name));
        let resource = |(name, resource): (&String, &Any)| Resource {
            name: name.clone(),
            version: version.clone(),
            resource: Some(resource.clone()),
            ..Default::default()
        };
        let resources = all.into_iter().flatten().filter(|(name, _)| wanted(name)).map(resource).collect();
        let missing = |name: &&String| !all.is_some_and(|all| all.contains_key(*name));
        DeltaDiscoveryResponse {
            system_version_info: version.clone(),
            type_url: kind.to_owned(),
            nonce: nonce.to_string(),
            resources,
            removed_resources: names.into_iter().flatten().filter(missing).cloned().collect(),
            ..Default::default()
        }
    }
}

/// Talks with one client to its end.
async fn converse(
    shared: Arc<Shared>,
    mut requests: Streaming<DeltaDiscoveryRequest>,
    responses: mpsc::Sender<Result<DeltaDiscoveryResponse, Status>>,
) {
    let mut changes = shared.changes.subscribe();
    let (mut node, mut nonce) = (String::new(), 0_u64);
    let mut asked: BTreeMap<String, Option<BTreeSet<String>>> = BTreeMap::new();
    loop {
        let response = tokio::select! {
            biased;
            request = requests.message() => {
                let Ok(Some(request)) = request else { return };
                if let Some(named) = &request.node && node.is_empty() {
                    node.clone_from(&named.id);
                }
                shared.note(&node, &request);
                let names = request.resource_names_subscribe.iter().cloned().collect::<BTreeSet<_>>();
                let new = match asked.get_mut(&request.type_url) {
                    None => {
                        let wanted = (!names.is_empty() && !names.contains("*")).then_some(names);
                        asked.insert(request.type_url.clone(), wanted.clone());
                        Some(wanted)
                    }
                    Some(_) if names.is_empty() => None,
                    Some(Some(known)) => {
                        known.extend(names.clone());
                        Some(Some(names))
                    }
                    Some(None) => Some(Some(names)),
                };
                new.map(|names| (request.type_url, names))
            }
            change = changes.recv() => match change {
                Ok((of, kind, names)) if of == node && asked.contains_key(&kind) => {
                    Some((kind, Some(names.into_iter().collect())))
                }
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => None,
                Err(broadcast::error::RecvError::Closed) => return,
            },
        };
        let Some((kind, names)) = response else { continue };
        nonce += 1;
        let response = shared.response(&node, &kind, names.as_ref(), nonce);
        if responses.send(Ok(response)).await.is_err() {
            return;
        }
    }
}

struct Service {
    shared: Arc<Shared>,
}

type Opened<'a, T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send + 'a>>;

impl AggregatedDiscoveryService for Service {
    type StreamAggregatedResourcesStream = ReceiverStream<Result<DiscoveryResponse, Status>>;
    type DeltaAggregatedResourcesStream = ReceiverStream<Result<DeltaDiscoveryResponse, Status>>;

    fn stream_aggregated_resources<'a, 'b>(
        &'a self,
        _request: Request<Streaming<DiscoveryRequest>>,
    ) -> Opened<'b, Self::StreamAggregatedResourcesStream>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async { Err(Status::unimplemented("this server speaks delta alone")) })
    }

    fn delta_aggregated_resources<'a, 'b>(
        &'a self,
        request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Opened<'b, Self::DeltaAggregatedResourcesStream>
    where
        'a: 'b,
        Self: 'b,
    {
        let (responses, stream) = mpsc::channel(16);
        // Ends when the client closes the stream.
        self.shared.platform.spawn.go(converse(self.shared.clone(), request.into_inner(), responses));
        Box::pin(async { Ok(Response::new(ReceiverStream::new(stream))) })
    }
}
