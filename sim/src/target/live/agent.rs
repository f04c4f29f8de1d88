//! The agent beside an Envoy: obtains the pod's certificate and serves it, with the mesh's roots, over the secret
//! discovery service.
//!
//! A run ends long before its certificates do, so none is renewed.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::{DataSource, data_source};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, Secret, TlsCertificate, secret,
};
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use envoy_types::pb::envoy::service::secret::v3::secret_discovery_service_server::{
    SecretDiscoveryService, SecretDiscoveryServiceServer,
};
use envoy_types::pb::google::protobuf::Any;
use prost::{Message, Name};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use wavetank_platform::Platform;
use wavetank_platform::spawn::OwnedTask;
use wavetank_proxy::bootstrap::{CaConfig, KeyType, Limits};
use wavetank_proxy::identity::Identity;
use wavetank_proxy::identity::key::Key;
use wavetank_proxy::tls::Tls;

use super::grpc;

/// Port of the service, on the pod's loopback.
pub(super) const PORT: u16 = 15011;
/// Names of the secrets.
pub(super) const OWN: &str = "default";
pub(super) const ROOTS: &str = "ROOTCA";

type Secrets = Arc<[Secret; 2]>;

/// Obtains a certificate from the authority that `ca` names, by connections of `outside`, and serves it on `addr` in the
/// network of `platform` until the returned task is dropped. Returns the bound address.
///
/// Errs when the authority refuses or cannot be reached, or the port is taken.
pub async fn start(
    outside: &Platform,
    platform: &Platform,
    addr: SocketAddr,
    ca: CaConfig,
) -> io::Result<(SocketAddr, OwnedTask)> {
    let secrets = obtain(outside, ca).await?;
    let service = SecretDiscoveryServiceServer::new(Agent { platform: platform.clone(), secrets });
    grpc::serve(platform, addr, service).await
}

async fn obtain(platform: &Platform, ca: CaConfig) -> io::Result<Secrets> {
    let failed = |error: &dyn std::fmt::Display| io::Error::other(format!("no certificate: {error}"));
    // Envoy offers no Ed25519.
    let key = Key::generate(KeyType::EcdsaP256, &mut platform.entropy.stream_named("agent"));
    let key = key.map_err(|error| failed(&error))?;
    let request = key.signing_request(&ca.identity).map_err(|error| failed(&error))?;
    let client = Identity::new(platform.clone(), ca, &Limits::default(), Tls::new(platform));
    let client = client.map_err(|error| failed(&error))?;
    let mut chain = client.ask(request).await.map_err(|error| failed(&error))?;
    let roots = chain.pop().ok_or_else(|| failed(&"the authority's answer is empty"))?;
    Ok(Arc::new(secrets(chain.concat(), key.pair().serialize_pem(), roots)))
}

/// The secrets of a proxy: its chain and key, and the mesh's roots, all in PEM.
pub fn secrets(chain: String, key: String, roots: String) -> [Secret; 2] {
    let text = |pem: String| {
        Some(DataSource { specifier: Some(data_source::Specifier::InlineString(pem)), ..Default::default() })
    };
    let certificate = TlsCertificate { certificate_chain: text(chain), private_key: text(key), ..Default::default() };
    let roots = CertificateValidationContext { trusted_ca: text(roots), ..Default::default() };
    [
        Secret { name: OWN.to_owned(), r#type: Some(secret::Type::TlsCertificate(certificate)) },
        Secret { name: ROOTS.to_owned(), r#type: Some(secret::Type::ValidationContext(roots)) },
    ]
}

/// Answers the first request of each stream and keeps the stream open.
struct Agent {
    platform: Platform,
    secrets: Secrets,
}

impl Agent {
    async fn answer(
        secrets: Secrets,
        mut requests: Streaming<DiscoveryRequest>,
        responses: mpsc::Sender<Result<DiscoveryResponse, Status>>,
    ) {
        while let Ok(Some(request)) = requests.message().await {
            // An acknowledgement asks for nothing new.
            if !request.response_nonce.is_empty() {
                continue;
            }
            let wanted = secrets.iter().filter(|secret| request.resource_names.contains(&secret.name));
            let resources = wanted.map(|secret| Any { type_url: Secret::type_url(), value: secret.encode_to_vec() });
            let response = DiscoveryResponse {
                version_info: "1".to_owned(),
                nonce: "1".to_owned(),
                resources: resources.collect(),
                type_url: request.type_url,
                ..Default::default()
            };
            if responses.send(Ok(response)).await.is_err() {
                return;
            }
        }
    }
}

type Answered<'a, T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send + 'a>>;

impl SecretDiscoveryService for Agent {
    type DeltaSecretsStream = ReceiverStream<Result<DeltaDiscoveryResponse, Status>>;
    type StreamSecretsStream = ReceiverStream<Result<DiscoveryResponse, Status>>;

    fn delta_secrets<'a, 'b>(
        &'a self,
        _: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Answered<'b, Self::DeltaSecretsStream>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async { Err(Status::unimplemented("secrets come in state of the world")) })
    }

    fn stream_secrets<'a, 'b>(
        &'a self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Answered<'b, Self::StreamSecretsStream>
    where
        'a: 'b,
        Self: 'b,
    {
        let (responses, stream) = mpsc::channel(4);
        // Ends when Envoy closes the stream.
        self.platform.spawn.go(Self::answer(self.secrets.clone(), request.into_inner(), responses));
        Box::pin(async { Ok(Response::new(ReceiverStream::new(stream))) })
    }

    fn fetch_secrets<'a, 'b>(&'a self, _: Request<DiscoveryRequest>) -> Answered<'b, DiscoveryResponse>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async { Err(Status::unimplemented("secrets come on a stream")) })
    }
}
