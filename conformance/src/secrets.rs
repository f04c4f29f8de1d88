//! Serves an Envoy its certificate and the mesh's roots, as an agent beside it does: the secrets `default`
//! and `ROOTCA` over the secret discovery service.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

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
use rcgen::{CertificateParams, SanType};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use wavetank_control::Control;
use wavetank_control::ca::{Identity, KeyType, key};
use wavetank_platform::Platform;
use wavetank_platform::spawn::OwnedTask;

use crate::foreign::shapes::any;
use crate::script::serve;

/// Starts the service on a free port of the loopback, with a certificate of `control` for `identity`. It
/// ends when the returned task is dropped.
///
/// # Panics
/// When the authority refuses, or there is no free port.
pub async fn start(platform: &Platform, control: &Control, identity: &str) -> (SocketAddr, OwnedTask) {
    let secrets = Arc::new(issued(platform, control, identity));
    let platform_of_streams = platform.clone();
    let service = SecretDiscoveryServiceServer::new(Agent { platform: platform_of_streams, secrets });
    serve(platform, service).await
}

fn issued(platform: &Platform, control: &Control, identity: &str) -> [Secret; 2] {
    let who = Identity::parse(identity).expect("an identity of the mesh");
    let key = key::generate(KeyType::EcdsaP256, &platform.entropy.fork("agent")).expect("a key");
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI(identity.try_into().expect("ASCII"))];
    let request = params.serialize_request(&key).and_then(|request| request.pem()).expect("a signing request");
    let token = control.issue_token(&who.namespace, &who.service_account).expect("room for a token");
    let chain = control.authority().sign(&token, &request, Duration::from_secs(3600)).expect("a certificate");
    let text = |pem: String| {
        Some(DataSource { specifier: Some(data_source::Specifier::InlineString(pem)), ..Default::default() })
    };
    let certificate = TlsCertificate {
        certificate_chain: text(chain.concat()),
        private_key: text(key.serialize_pem()),
        ..Default::default()
    };
    let roots = CertificateValidationContext {
        trusted_ca: text(control.root_certificate_pem().to_owned()),
        ..Default::default()
    };
    [
        Secret { name: "default".to_owned(), r#type: Some(secret::Type::TlsCertificate(certificate)) },
        Secret { name: "ROOTCA".to_owned(), r#type: Some(secret::Type::ValidationContext(roots)) },
    ]
}

/// Answers the first request of each stream and keeps the stream open.
struct Agent {
    platform: Platform,
    secrets: Arc<[Secret; 2]>,
}

impl Agent {
    async fn answer(
        secrets: Arc<[Secret; 2]>,
        mut requests: Streaming<DiscoveryRequest>,
        responses: mpsc::Sender<Result<DiscoveryResponse, Status>>,
    ) {
        while let Ok(Some(request)) = requests.message().await {
            if !request.response_nonce.is_empty() {
                continue;
            }
            let wanted = secrets.iter().filter(|secret| request.resource_names.contains(&secret.name));
            let response = DiscoveryResponse {
                version_info: "1".to_owned(),
                nonce: "1".to_owned(),
                type_url: request.type_url,
                resources: wanted.map(any).collect(),
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
        _request: Request<Streaming<DeltaDiscoveryRequest>>,
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

    fn fetch_secrets<'a, 'b>(&'a self, _request: Request<DiscoveryRequest>) -> Answered<'b, DiscoveryResponse>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async { Err(Status::unimplemented("secrets come on a stream")) })
    }
}
