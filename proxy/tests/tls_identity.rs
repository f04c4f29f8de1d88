//! The proxy's identity, from a tiny certificate authority that speaks the real protocol.

#[path = "tls_support/grpc.rs"]
mod grpc;
mod tls_support;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use tls_support::{Authority, World, secret, tls};
use tonic_prost::ProstCodec;
use tower_service::Service;
use wavetank_platform::Clock;
use wavetank_proxy::bootstrap::{CaConfig, KeyType, Limits, Token};
use wavetank_proxy::identity::authority::{CertificateRequest, CertificateResponse};
use wavetank_proxy::identity::{self, Identity, IdentityError};
use wavetank_proxy::snapshot::tls::DownstreamTls;
use wavetank_proxy::tls::Tls;

const NAME: &str = "istiod.istio-system.svc";
const SPIFFE: &str = "spiffe://cluster.local/ns/default/sa/go";

/// Signs what it is asked for, when the token is `good`.
#[derive(Clone)]
struct Signer {
    world: World,
    mesh: Arc<Authority>,
    lifetime: i64,
    served: Arc<Mutex<Vec<Duration>>>,
    broken: Arc<Mutex<bool>>,
}

impl tonic::server::UnaryService<CertificateRequest> for Signer {
    type Response = CertificateResponse;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<CertificateResponse>, tonic::Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<CertificateRequest>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            this.served.lock().unwrap().push(this.world.clock.now().since_start());
            if *this.broken.lock().unwrap() {
                return Err(tonic::Status::unavailable("out of order"));
            }
            if request.metadata().get("authorization").is_none_or(|token| token != "Bearer good") {
                return Err(tonic::Status::unauthenticated("who are you?"));
            }
            assert_eq!(request.get_ref().validity_duration, 3600);
            let cert_chain = this.mesh.sign(&request.get_ref().csr, this.world.clock.unix(), this.lifetime);
            Ok(tonic::Response::new(CertificateResponse { cert_chain }))
        })
    }
}

impl Service<Request<Incoming>> for Signer {
    type Response = Response<tonic::body::Body>;
    type Error = std::convert::Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            assert_eq!(request.uri().path(), "/istio.v1.auth.IstioCertificateService/CreateCertificate");
            let codec = ProstCodec::<CertificateResponse, CertificateRequest>::default();
            Ok(tonic::server::Grpc::new(codec).unary(this, request).await)
        })
    }
}

/// The authority listens on 15012; its own certificate is of `mesh` and names `NAME`.
async fn authority(world: &World, mesh: &Arc<Authority>, lifetime: i64) -> Signer {
    let config = DownstreamTls {
        certificate: secret("default"),
        validation: None,
        require_client_certificate: false,
        alpn: vec!["h2".into()],
    };
    let own = tls(world, mesh, &[], &[NAME], mesh);
    let served = Arc::default();
    let signer = Signer { world: world.clone(), mesh: mesh.clone(), lifetime, served, broken: Arc::default() };
    grpc::serve(&world.platform(2), 15012, Some((own, config)), signer.clone()).await;
    signer
}

fn config(mesh: &Authority) -> CaConfig {
    CaConfig {
        host: "istiod".into(),
        port: 15012,
        server_name: NAME.into(),
        roots_pem: mesh.root_pem(),
        identity: SPIFFE.into(),
        token: Token("good".into()),
        key_type: KeyType::Ed25519,
        lifetime: Duration::from_secs(3600),
        refresh_at: 0.8,
    }
}

fn client(world: &World, config: CaConfig) -> (Identity, Tls) {
    let platform = world.platform(3);
    let tls = Tls::new(&platform);
    (Identity::new(platform, config, &Limits::default(), tls.clone()).unwrap(), tls)
}

#[tokio::test(start_paused = true)]
async fn the_certificate_and_the_roots_become_secrets() {
    let (world, mesh) = (World::new(), Arc::new(Authority::new("mesh")));
    authority(&world, &mesh, 3600).await;
    for key_type in [KeyType::Ed25519, KeyType::EcdsaP256] {
        let (mut identity, tls) = client(&world, CaConfig { key_type, ..config(&mesh) });
        let life = identity.renew().await.unwrap();
        assert!(life <= Duration::from_secs(3600) && life > Duration::from_secs(3590), "{life:?}");
        let certificate = tls.secrets().certificate(&identity::certificate_name()).unwrap();
        assert_eq!(certificate.uri().map(|uri| &**uri), Some(SPIFFE));
        assert!(tls.secrets().roots(&identity::roots_name()).is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_token_a_wrong_server_and_another_authority_are_refused() {
    let (world, mesh) = (World::new(), Arc::new(Authority::new("mesh")));
    authority(&world, &mesh, 3600).await;
    let failure = async |config: CaConfig| client(&world, config).0.renew().await.unwrap_err();

    let refused = failure(CaConfig { token: Token("bad".into()), ..config(&mesh) }).await;
    assert!(matches!(refused, IdentityError::Refused(status) if status.code() == tonic::Code::Unauthenticated));
    let wrong = failure(CaConfig { server_name: "other.svc".into(), ..config(&mesh) }).await;
    assert!(wrong.to_string().contains("SAN matcher"), "{wrong}");
    let other = failure(CaConfig { roots_pem: Authority::new("other").root_pem(), ..config(&mesh) }).await;
    assert!(other.to_string().contains("unable to get local issuer"), "{other}");
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_is_over_or_not_ours_is_not_installed() {
    let (world, mesh) = (World::new(), Arc::new(Authority::new("mesh")));
    authority(&world, &mesh, 0).await;
    let (mut identity, tls) = client(&world, config(&mesh));
    assert!(matches!(identity.renew().await, Err(IdentityError::Expired)));
    assert!(tls.secrets().certificate(&identity::certificate_name()).is_none());
}

#[tokio::test(start_paused = true)]
async fn renewal_comes_before_the_end_and_a_failed_one_keeps_the_old_certificate() {
    let (world, mesh) = (World::new(), Arc::new(Authority::new("mesh")));
    let signer = authority(&world, &mesh, 3600).await;
    let (identity, tls) = client(&world, config(&mesh));
    let run = async {
        identity.run().await;
    };
    let _running = world.platform(3).spawn.go(run).abort_on_drop();
    identity::ready(tls.secrets()).await;
    let first = tls.secrets().certificate(&identity::certificate_name()).unwrap();
    let mut changes = tls.secrets().subscribe();

    *signer.broken.lock().unwrap() = true;
    world.sleep(Duration::from_secs(3000)).await;
    assert!(signer.served.lock().unwrap().len() > 3, "it keeps trying");
    let kept = tls.secrets().certificate(&identity::certificate_name()).unwrap();
    assert!(Arc::ptr_eq(&first, &kept));
    *signer.broken.lock().unwrap() = false;
    changes.changed().await.unwrap();
    let second = tls.secrets().certificate(&identity::certificate_name()).unwrap();
    assert!(second.not_after() > first.not_after());

    let served = signer.served.lock().unwrap().clone();
    assert!(served[1] >= Duration::from_secs(2520) && served[1] <= Duration::from_secs(2881), "{served:?}");
    assert!(*served.last().unwrap() < Duration::from_secs(3600));
}
