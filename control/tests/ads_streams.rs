//! A proxy's side of xDS and of the authority, spoken to a running control plane over the loopback.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use envoy_types::pb::google::rpc::Status as Refusal;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, KeyPair, SanType};
use rustls::ClientConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::{Code, Request, Streaming};
use tonic_prost::ProstCodec;
use wavetank_control::ads::ResourceType::{Cluster, Endpoint, Listener, Route};
use wavetank_control::ads::{DebounceConfig, NoObserver, ResourceType};
use wavetank_control::ca::{IstioCertificateRequest, IstioCertificateResponse};
use wavetank_control::config::{Kind, SourceFile};
use wavetank_control::{Control, ControlConfig};
use wavetank_platform::hyper_rt::HyperExecutor;
use wavetank_platform::{ConnectOptions, Entropy, Platform};

const SLEEP: &str = "sidecar~10.0.0.5~sleep-0.default~default.svc.cluster.local";

/// tonic's client over one hyper connection.
#[derive(Clone)]
struct Channel(SendRequest<Body>);

impl tower_service::Service<http::Request<Body>> for Channel {
    type Response = http::Response<hyper::body::Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

type Client = AggregatedDiscoveryServiceClient<Channel>;

struct Host {
    platform: Platform,
    control: Control,
}

impl Host {
    /// A control plane with the canary mesh in force.
    async fn start() -> Self {
        let platform = wavetank_platform::linux::platform().expect("a platform");
        let platform = Platform { entropy: Entropy::from_seed(1), ..platform };
        let config = ControlConfig {
            debounce: DebounceConfig { quiet: Duration::ZERO, max: Duration::ZERO },
            listen: "127.0.0.1".parse().expect("an address"),
            plaintext_port: 0,
            secure_port: 0,
            ..ControlConfig::default()
        };
        let control = Control::start(platform.clone(), config, Arc::new(NoObserver)).await.expect("ports");
        let mut seen = control.generation();
        for (name, text) in [
            ("workloads.yaml", include_str!("canary/workloads.yaml")),
            ("routing.yaml", include_str!("canary/routing.yaml")),
        ] {
            assert!(!control.apply(&SourceFile::new(name, text)).has_errors());
            seen = control.next_generation(seen).await;
        }
        Self { platform, control }
    }

    async fn connect(&self, addr: SocketAddr) -> wavetank_platform::Stream {
        self.platform.net.connect(addr, ConnectOptions::default()).await.expect("a connection")
    }

    async fn channel(&self, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Channel {
        let executor = HyperExecutor::new(&self.platform);
        let (sender, connection) = http2::handshake(executor, TokioIo::new(io)).await.expect("HTTP/2");
        self.platform.spawn.go(async move { drop(connection.await) });
        Channel(sender)
    }

    async fn plaintext(&self) -> Client {
        let stream = self.connect(self.control.plaintext_addr()).await;
        AggregatedDiscoveryServiceClient::with_origin(self.channel(stream).await, origin())
    }

    async fn secure(&self, identity: Option<(&[String], &KeyPair)>) -> Channel {
        let mut roots = rustls::RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.control.root_certificate_pem().as_bytes()).expect("a root");
        roots.add(root).expect("a root");
        let crypto = &self.platform.crypto;
        let config = ClientConfig::builder_with_details(crypto.provider.clone(), crypto.time.clone())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = match identity {
            None => config.with_no_client_auth(),
            Some((chain, key)) => {
                let certificate = |pem: &String| CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate");
                let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
                config.with_client_auth_cert(chain.iter().map(certificate).collect(), key).expect("an identity")
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = self.connect(self.control.secure_addr()).await;
        let name = ServerName::try_from("istiod.istio-system.svc").expect("a name");
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("TLS");
        self.channel(stream).await
    }

    async fn settled(&self, node: &str) {
        let generation = Some(self.control.generation());
        while !self.control.status().iter().any(|status| status.node == node && status.settled == generation) {
            tokio::task::yield_now().await;
        }
    }
}

fn origin() -> http::Uri {
    http::Uri::from_static("http://istiod.istio-system.svc")
}

fn node(id: &str) -> Option<Node> {
    Some(Node { id: id.to_owned(), ..Default::default() })
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

struct Sotw {
    requests: mpsc::Sender<DiscoveryRequest>,
    responses: Streaming<DiscoveryResponse>,
}

impl Sotw {
    async fn open(mut client: Client, first: DiscoveryRequest) -> Result<Self, tonic::Status> {
        let (requests, stream) = mpsc::channel(16);
        requests.send(first).await.expect("room");
        let responses = client.stream_aggregated_resources(ReceiverStream::new(stream)).await?.into_inner();
        Ok(Self { requests, responses })
    }

    async fn ask(&self, kind: ResourceType, resource_names: Vec<String>) {
        let request = DiscoveryRequest { type_url: kind.type_url().to_owned(), resource_names, ..Default::default() };
        self.requests.send(request).await.expect("an open stream");
    }

    async fn next(&mut self, kind: ResourceType) -> DiscoveryResponse {
        let response = self.responses.message().await.expect("an open stream").expect("a response");
        assert_eq!(response.type_url, kind.type_url());
        response
    }

    async fn answer(&self, response: &DiscoveryResponse, resource_names: Vec<String>, error: Option<&str>) {
        let request = DiscoveryRequest {
            version_info: response.version_info.clone(),
            type_url: response.type_url.clone(),
            response_nonce: response.nonce.clone(),
            resource_names,
            error_detail: error.map(|message| Refusal { message: message.to_owned(), ..Default::default() }),
            ..Default::default()
        };
        self.requests.send(request).await.expect("an open stream");
    }
}

const ASSIGNMENTS: [&str; 6] = [
    "outbound|80||istio-ingressgateway.istio-system.svc.cluster.local",
    "outbound|6379||redis.data.svc.cluster.local",
    "outbound|9121||redis.data.svc.cluster.local",
    "outbound|80||service-go.default.svc.cluster.local",
    "outbound|80|v1|service-go.default.svc.cluster.local",
    "outbound|80|v2|service-go.default.svc.cluster.local",
];
const ROUTES: [&str; 2] = ["80", "redis.data.svc.cluster.local:9121"];

fn first_request() -> DiscoveryRequest {
    DiscoveryRequest { node: node(SLEEP), type_url: Cluster.type_url().to_owned(), ..Default::default() }
}

/// Brings a state-of-the-world proxy to the present mesh.
async fn converge(stream: &mut Sotw) {
    let clusters = stream.next(Cluster).await;
    stream.answer(&clusters, Vec::new(), None).await;
    stream.ask(Endpoint, names(&ASSIGNMENTS)).await;
    let endpoints = stream.next(Endpoint).await;
    assert_eq!(endpoints.resources.len(), ASSIGNMENTS.len());
    stream.answer(&endpoints, names(&ASSIGNMENTS), None).await;
    stream.ask(Listener, Vec::new()).await;
    let listeners = stream.next(Listener).await;
    stream.answer(&listeners, Vec::new(), None).await;
    stream.ask(Route, names(&ROUTES)).await;
    let routes = stream.next(Route).await;
    stream.answer(&routes, names(&ROUTES), None).await;
}

/// The second endpoint of `service-go` is no longer ready.
fn unready() -> SourceFile {
    let text = include_str!("canary/workloads.yaml");
    let changed =
        text.replace("- addresses: [10.0.0.12]\n", "- addresses: [10.0.0.12]\n  conditions:\n    ready: false\n");
    assert_ne!(text, changed);
    SourceFile::new("workloads.yaml", changed)
}

#[tokio::test]
async fn an_endpoint_that_changes_is_pushed_alone() {
    let host = Host::start().await;
    let mut stream = Sotw::open(host.plaintext().await, first_request()).await.expect("a stream");
    converge(&mut stream).await;
    host.settled(SLEEP).await;

    host.control.apply(&unready());
    let pushed = stream.next(Endpoint).await;
    // The service as a whole, and the subset the endpoint is in.
    assert_eq!(pushed.resources.len(), 2);
    stream.answer(&pushed, names(&ASSIGNMENTS), None).await;
    host.settled(SLEEP).await;
}

#[tokio::test]
async fn a_refusal_is_known_and_stops_the_push() {
    let host = Host::start().await;
    let mut stream = Sotw::open(host.plaintext().await, first_request()).await.expect("a stream");
    let clusters = stream.next(Cluster).await;
    stream.answer(&clusters, Vec::new(), Some("no such thing")).await;
    stream.ask(Listener, Vec::new()).await;
    while !host.control.status()[0].types.contains_key(&Listener) {
        tokio::task::yield_now().await;
    }
    let status = host.control.status().remove(0);
    assert_eq!((status.node.as_str(), status.connected, status.settled), (SLEEP, true, None));
    assert_eq!(status.types[&Cluster].nack.as_deref(), Some("no such thing"));
    assert_eq!(status.types[&Cluster].acked, None);
    assert_eq!(status.types[&Listener].sent, "");
}

#[tokio::test]
async fn a_stream_without_a_known_node_is_refused() {
    let host = Host::start().await;
    for id in ["", "somebody"] {
        let first = DiscoveryRequest { node: node(id), ..first_request() };
        let mut stream = Sotw::open(host.plaintext().await, first).await.expect("a stream");
        let status = stream.responses.message().await.expect_err("no response");
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    }
    assert!(host.control.status().is_empty());
}

#[tokio::test]
async fn replacing_deletes_what_is_not_written_unless_something_is_wrong() {
    let host = Host::start().await;
    let workloads = || SourceFile::new("workloads.yaml", include_str!("canary/workloads.yaml"));
    let seen = host.control.generation();
    let applied = host.control.replace(&[workloads(), SourceFile::new("bad.yaml", "kind: VirtualService\nspec: 1\n")]);
    assert!(applied.has_errors());
    assert_eq!(host.control.mesh().virtual_services.len(), 2);

    let applied = host.control.replace(&[workloads()]);
    assert!(!applied.has_errors());
    host.control.next_generation(seen).await;
    assert!(host.control.mesh().virtual_services.is_empty());
    assert_eq!(host.control.mesh().services.len(), 3);
}

/// A delta stream that takes everything.
struct DeltaStream {
    requests: mpsc::Sender<DeltaDiscoveryRequest>,
    responses: Streaming<DeltaDiscoveryResponse>,
}

impl DeltaStream {
    async fn open(mut client: Client) -> Self {
        let (requests, stream) = mpsc::channel(16);
        for kind in [Cluster, Endpoint, Listener, Route] {
            let subscribe: &[&str] = match kind {
                Endpoint => &ASSIGNMENTS,
                Route => &ROUTES,
                Cluster | Listener => &[],
            };
            let request = DeltaDiscoveryRequest {
                node: node(SLEEP),
                type_url: kind.type_url().to_owned(),
                resource_names_subscribe: names(subscribe),
                ..Default::default()
            };
            requests.send(request).await.expect("room");
        }
        let responses = client.delta_aggregated_resources(ReceiverStream::new(stream)).await.expect("a stream");
        Self { requests, responses: responses.into_inner() }
    }

    /// The next response, taken: type, names, names that go.
    async fn next(&mut self) -> (ResourceType, Vec<String>, Vec<String>) {
        let response = self.responses.message().await.expect("an open stream").expect("a response");
        let ack = DeltaDiscoveryRequest {
            type_url: response.type_url.clone(),
            response_nonce: response.nonce,
            ..Default::default()
        };
        self.requests.send(ack).await.expect("an open stream");
        let kind = ResourceType::from_type_url(&response.type_url).expect("a known type");
        (kind, response.resources.into_iter().map(|resource| resource.name).collect(), response.removed_resources)
    }
}

#[tokio::test]
async fn delta_makes_before_it_breaks() {
    let host = Host::start().await;
    let mut stream = DeltaStream::open(host.plaintext().await).await;
    let mut kinds = Vec::new();
    for _ in 0..4 {
        kinds.push(stream.next().await.0);
    }
    assert_eq!(kinds, [Cluster, Endpoint, Listener, Route]);
    host.settled(SLEEP).await;

    // Routes leave the subsets first, then the subsets' clusters go, then their endpoints.
    let seen = host.control.generation();
    assert!(host.control.delete(Kind::VirtualService, "default", "service-go"));
    let whole = names(&["outbound|80||service-go.default.svc.cluster.local"]);
    assert_eq!(stream.next().await, (Route, names(&["80"]), vec![]));
    host.control.next_generation(seen).await;
    assert!(host.control.delete(Kind::DestinationRule, "default", "service-go"));
    let gone = names(&ASSIGNMENTS[4..]);
    // Without the rule the cluster of the whole host has other breakers, and its endpoints come again.
    assert_eq!(stream.next().await, (Cluster, whole.clone(), vec![]));
    assert_eq!(stream.next().await, (Endpoint, whole, vec![]));
    assert_eq!(stream.next().await, (Cluster, vec![], gone.clone()));
    assert_eq!(stream.next().await, (Endpoint, vec![], gone));
    host.settled(SLEEP).await;
}

async fn certificate(
    channel: Channel,
    token: &str,
    key: &KeyPair,
    name: &str,
) -> Result<IstioCertificateResponse, tonic::Status> {
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI(name.try_into().expect("a URI"))];
    let csr = params.serialize_request(key).expect("a request").pem().expect("PEM");
    let mut request = Request::new(IstioCertificateRequest { csr, validity_duration: 3600, metadata: None });
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().expect("a header"));
    let mut grpc = tonic::client::Grpc::with_origin(channel, origin());
    grpc.ready().await.expect("a connection");
    let path = http::uri::PathAndQuery::from_static("/istio.v1.auth.IstioCertificateService/CreateCertificate");
    let codec = ProstCodec::<IstioCertificateRequest, IstioCertificateResponse>::default();
    grpc.unary(request, path, codec).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn the_secure_port_asks_for_an_identity_and_gives_one() {
    const NAME: &str = "spiffe://cluster.local/ns/default/sa/sleep";
    let host = Host::start().await;
    let entropy = Entropy::from_seed(2);
    let key = wavetank_control::ca::key::generate(Default::default(), &entropy).expect("a key");
    let token = host.control.issue_token("default", "sleep").expect("a token");

    let anonymous = host.secure(None).await;
    let client = AggregatedDiscoveryServiceClient::with_origin(anonymous.clone(), origin());
    let refused = Sotw::open(client, first_request()).await.err().expect("a refusal");
    assert_eq!(refused.code(), Code::Unauthenticated);
    let refused = certificate(anonymous.clone(), "guessed", &key, NAME).await.expect_err("a refusal");
    assert_eq!(refused.code(), Code::Unauthenticated);
    let other = "spiffe://cluster.local/ns/default/sa/service-go";
    let refused = certificate(anonymous.clone(), &token, &key, other).await.expect_err("a refusal");
    assert_eq!(refused.code(), Code::PermissionDenied);
    let chain = certificate(anonymous, &token, &key, NAME).await.expect("a certificate").cert_chain;
    assert_eq!(chain.len(), 2);

    let channel = host.secure(Some((&chain[..1], &key))).await;
    let client = || AggregatedDiscoveryServiceClient::with_origin(channel.clone(), origin());
    let mut stream = Sotw::open(client(), first_request()).await.expect("a stream");
    converge(&mut stream).await;
    let id = "sidecar~10.0.0.11~service-go-v1-0.default~default.svc.cluster.local";
    let mut stream = Sotw::open(client(), DiscoveryRequest { node: node(id), ..first_request() }).await.expect("one");
    let refused = stream.responses.message().await.expect_err("a refusal");
    assert_eq!(refused.code(), Code::PermissionDenied);
}
