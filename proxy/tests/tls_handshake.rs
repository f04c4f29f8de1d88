//! Handshakes between two sides of the proxy's own TLS, over pipes, by a date set by hand.

mod tls_support;

use std::sync::Arc;

use tls_support::{Authority, World, secret, tls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wavetank_proxy::record::TlsState;
use wavetank_proxy::snapshot::tls::{DownstreamTls, SanMatcher, UpstreamTls, Validation};
use wavetank_proxy::tls::error::Distrust;
use wavetank_proxy::tls::secret::{Certificate, roots_from_der};
use wavetank_proxy::tls::{Tls, TlsError, TlsSession, TlsStream};

const CLIENT: &str = "spiffe://cluster.local/ns/foo/sa/cli";
const SERVER: &str = "spiffe://cluster.local/ns/foo/sa/srv";

type Side = Result<(TlsStream<tokio::io::DuplexStream>, TlsSession), TlsError>;

fn downstream() -> DownstreamTls {
    DownstreamTls {
        certificate: secret("default"),
        validation: Some(Validation { roots: secret("ROOTCA"), subject_alt_names: Vec::new() }),
        require_client_certificate: true,
        alpn: vec!["istio-peer-exchange".into(), "h2".into(), "http/1.1".into()],
    }
}

fn upstream(accepted: SanMatcher) -> UpstreamTls {
    UpstreamTls {
        certificate: Some(secret("default")),
        validation: Some(Validation { roots: secret("ROOTCA"), subject_alt_names: vec![accepted] }),
        sni: Some("outbound_.80_._.srv.foo.svc.cluster.local".into()),
        alpn: vec!["istio-peer-exchange".into(), "istio".into()],
    }
}

fn exactly(name: &str) -> SanMatcher {
    SanMatcher::Exact(name.into())
}

async fn handshake(client: (&Tls, &UpstreamTls), server: (&Tls, &DownstreamTls)) -> (Side, Side) {
    let (near, far) = tokio::io::duplex(64 << 10);
    tokio::join!(biased; client.0.connect(client.1, near), server.0.accept(server.1, far))
}

fn pair(world: &World) -> (Tls, Tls) {
    let mesh = Authority::new("mesh");
    (tls(world, &mesh, &[CLIENT], &["cli.test"], &mesh), tls(world, &mesh, &[SERVER], &["srv.test"], &mesh))
}

fn refusal(side: Side) -> TlsError {
    side.map(|_| ()).unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn both_sides_learn_who_the_other_is() {
    let world = World::new();
    let (client, server) = pair(&world);
    let (near, far) = handshake((&client, &upstream(exactly(SERVER))), (&server, &downstream())).await;
    let ((mut near, near_session), (mut far, far_session)) = (near.unwrap(), far.unwrap());

    assert_eq!(near_session.state, TlsState::Mutual { peer: SERVER.into() });
    assert_eq!(far_session.state, TlsState::Mutual { peer: CLIENT.into() });
    for session in [&near_session, &far_session] {
        assert_eq!(session.sni.as_deref(), Some("outbound_.80_._.srv.foo.svc.cluster.local"));
        assert_eq!(session.alpn.as_deref(), Some("istio-peer-exchange"));
    }
    assert_eq!(near_session.local_uri.as_deref(), Some(CLIENT));
    let peer = far_session.peer.unwrap();
    assert_eq!(peer.uri_sans, [CLIENT.into()]);
    assert_eq!(peer.dns_sans, ["cli.test".into()]);
    assert_eq!(peer.hash_sha256.len(), 64);

    near.write_all(b"ping").await.unwrap();
    near.flush().await.unwrap();
    let mut bytes = [0; 4];
    far.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"ping");
}

#[tokio::test(start_paused = true)]
async fn a_server_of_another_authority_is_refused_and_told() {
    let world = World::new();
    let (mesh, other) = (Authority::new("mesh"), Authority::new("other"));
    let client = tls(&world, &mesh, &[CLIENT], &[], &mesh);
    let server = tls(&world, &other, &[SERVER], &[], &mesh);
    let (near, far) = handshake((&client, &upstream(exactly(SERVER))), (&server, &downstream())).await;
    assert_eq!(refusal(near), TlsError::Untrusted(Distrust::UnknownIssuer));
    assert_eq!(refusal(far), TlsError::Alert(rustls::AlertDescription::UnknownCA));
}

#[tokio::test(start_paused = true)]
async fn a_client_of_another_authority_is_refused() {
    let world = World::new();
    let (mesh, other) = (Authority::new("mesh"), Authority::new("other"));
    let client = tls(&world, &other, &[CLIENT], &[], &mesh);
    let server = tls(&world, &mesh, &[SERVER], &[], &mesh);
    let (near, far) = handshake((&client, &upstream(exactly(SERVER))), (&server, &downstream())).await;
    assert_eq!(refusal(far), TlsError::Untrusted(Distrust::UnknownIssuer));
    let (mut near, _) = near.unwrap();
    let error = near.read_u8().await.unwrap_err();
    assert_eq!(TlsError::of_stream(&error), Some(TlsError::Alert(rustls::AlertDescription::UnknownCA)));
}

#[tokio::test(start_paused = true)]
async fn a_server_with_another_name_is_refused() {
    let world = World::new();
    let (client, server) = pair(&world);
    let wanted = upstream(exactly("spiffe://cluster.local/ns/foo/sa/other"));
    let (near, far) = handshake((&client, &wanted), (&server, &downstream())).await;
    let names = vec![SERVER.into(), "srv.test".into()];
    assert_eq!(refusal(near), TlsError::Untrusted(Distrust::NoAcceptedName(names)));
    assert_eq!(refusal(far), TlsError::Alert(rustls::AlertDescription::CertificateUnknown));
}

#[tokio::test(start_paused = true)]
async fn prefix_suffix_and_dns_names_are_accepted() {
    let world = World::new();
    let (client, server) = pair(&world);
    let prefix = SanMatcher::Prefix("spiffe://cluster.local/ns/foo/".into());
    for accepted in [prefix, SanMatcher::Suffix("/sa/srv".into()), exactly("srv.test")] {
        let (near, far) = handshake((&client, &upstream(accepted)), (&server, &downstream())).await;
        assert!(near.is_ok() && far.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_certificate_is_judged_by_the_clock_at_every_connection() {
    let world = World::new();
    let (client, server) = pair(&world);
    let config = upstream(exactly(SERVER));
    assert!(handshake((&client, &config), (&server, &downstream())).await.0.is_ok());
    world.clock.set_date(tls_support::JUNE_2026 + 365 * 86_400);
    let (near, far) = handshake((&client, &config), (&server, &downstream())).await;
    assert_eq!(refusal(near), TlsError::Untrusted(Distrust::Expired));
    assert_eq!(refusal(far), TlsError::Alert(rustls::AlertDescription::CertificateExpired));
    world.clock.set_date(tls_support::JUNE_2026 - 365 * 86_400);
    let (near, _) = handshake((&client, &config), (&server, &downstream())).await;
    assert_eq!(refusal(near), TlsError::Untrusted(Distrust::NotValidYet));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_was_trusted_is_refused_once_the_roots_are_others() {
    let world = World::new();
    let (client, server) = pair(&world);
    let config = upstream(exactly(SERVER));
    for _ in 0..2 {
        let (near, far) = handshake((&client, &config), (&server, &downstream())).await;
        assert!(near.is_ok() && far.is_ok());
    }
    let other = Authority::new("mesh");
    server.secrets().set_roots(secret("ROOTCA"), roots_from_der(vec![other.root.clone()]).unwrap());
    let (_, far) = handshake((&client, &config), (&server, &downstream())).await;
    assert!(matches!(refusal(far), TlsError::Untrusted(_)));
    client.secrets().set_roots(secret("ROOTCA"), roots_from_der(vec![other.root.clone()]).unwrap());
    let (near, _) = handshake((&client, &config), (&server, &downstream())).await;
    assert!(matches!(refusal(near), TlsError::Untrusted(_)));
}

#[tokio::test(start_paused = true)]
async fn a_client_without_a_certificate_is_refused_only_where_one_is_required() {
    let world = World::new();
    let (client, server) = pair(&world);
    let anonymous = UpstreamTls { certificate: None, ..upstream(exactly(SERVER)) };
    let (near, far) = handshake((&client, &anonymous), (&server, &downstream())).await;
    assert_eq!(refusal(far), TlsError::NoPeerCertificate);
    let error = near.unwrap().0.read_u8().await.unwrap_err();
    let failure = TlsError::of_stream(&error).unwrap();
    assert_eq!(failure, TlsError::Alert(rustls::AlertDescription::CertificateRequired));

    let optional = DownstreamTls { require_client_certificate: false, ..downstream() };
    let (near, far) = handshake((&client, &anonymous), (&server, &optional)).await;
    let (near, far) = (near.unwrap().1, far.unwrap().1);
    assert_eq!((near.state, far.state), (TlsState::Simple, TlsState::Simple));
    assert_eq!(far.peer, None);
    assert_eq!(near.peer.unwrap().uri_sans, [SERVER.into()]);
}

#[tokio::test(start_paused = true)]
async fn without_a_protocol_in_common_the_connection_has_none() {
    let world = World::new();
    let (client, server) = pair(&world);
    let protocols = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect::<Vec<_>>();
    for (offered, agreed) in [
        (protocols(&["istio"]), None),
        (protocols(&["http/1.1", "h2"]), Some("h2")),
        (protocols(&["http/1.1"]), Some("http/1.1")),
        (protocols(&[]), None),
    ] {
        let config = UpstreamTls { alpn: offered, ..upstream(exactly(SERVER)) };
        let (near, far) = handshake((&client, &config), (&server, &downstream())).await;
        assert_eq!(near.unwrap().1.alpn.as_deref(), agreed);
        assert_eq!(far.unwrap().1.alpn.as_deref(), agreed);
    }
}

/// Seen of Envoy 1.40; of the suites of TLS 1.3 it is the client's order that decides.
#[tokio::test(start_paused = true)]
async fn ciphers_are_offered_in_the_order_of_envoy() {
    let world = World::new();
    let (client, _) = pair(&world);
    let (near, mut far) = tokio::io::duplex(64 << 10);
    let mut hello = [0; 128];
    let (config, reading) = (upstream(exactly(SERVER)), far.read_exact(&mut hello));
    let (sent, _) = tokio::join!(biased; reading, async {
        tokio::select! {
            biased;
            _ = client.connect(&config, near) => {}
            () = world.sleep(std::time::Duration::from_secs(1)) => {}
        }
    });
    sent.unwrap();
    // Record and handshake headers, version, random, session id.
    let ciphers = 5 + 4 + 2 + 32 + 1 + usize::from(hello[43]);
    assert_eq!(hello[ciphers + 2..][..6], [0x13, 0x01, 0x13, 0x02, 0x13, 0x03]);
}

#[tokio::test(start_paused = true)]
async fn a_server_name_that_is_no_host_name_is_left_out() {
    let world = World::new();
    let (client, server) = pair(&world);
    for sni in [Some("outbound|80||srv.foo.svc.cluster.local".into()), None] {
        let config = UpstreamTls { sni, ..upstream(exactly(SERVER)) };
        let (near, far) = handshake((&client, &config), (&server, &downstream())).await;
        assert_eq!((near.unwrap().1.sni, far.unwrap().1.sni), (None, None));
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotated_certificate_serves_the_next_connection() {
    let world = World::new();
    let mesh = Authority::new("mesh");
    let client = tls(&world, &mesh, &[CLIENT], &[], &mesh);
    let server = tls(&world, &mesh, &[SERVER], &[], &mesh);
    let config = upstream(SanMatcher::Prefix("spiffe://cluster.local/".into()));
    let (before, _) = handshake((&client, &config), (&server, &downstream())).await;
    let (chain, key) = mesh.issue(&[SERVER], &[]);
    let provider = world.platform(1).crypto.provider;
    server.secrets().set_certificate(secret("default"), Certificate::new(chain, key, &provider).unwrap());
    let (after, _) = handshake((&client, &config), (&server, &downstream())).await;
    let hash = |side: Side| side.unwrap().1.peer.unwrap().hash_sha256;
    assert_ne!(hash(before), hash(after));
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_has_not_come_fails_the_connection() {
    let world = World::new();
    let (client, server) = pair(&world);
    let config = DownstreamTls { certificate: secret("kubernetes://gateway"), ..downstream() };
    let (_, far) = handshake((&client, &upstream(exactly(SERVER))), (&server, &config)).await;
    let failure = refusal(far);
    assert_eq!(failure, TlsError::SecretMissing(secret("kubernetes://gateway")));
    assert_eq!(failure.transport_failure().as_deref(), Some("TLS_error:_Secret_is_not_supplied_by_SDS"));
}

#[tokio::test(start_paused = true)]
async fn plaintext_to_a_tls_server_is_told_apart() {
    let world = World::new();
    let (_, server) = pair(&world);
    for (sent, failure, answered) in [
        (&b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"[..], TlsError::HttpRequest, false),
        (&b"\x00\x01\x02\x03garbage"[..], TlsError::NotTls, true),
        (&b"\x16\x03\x01"[..], TlsError::Closed, false),
    ] {
        let (mut near, far) = tokio::io::duplex(1024);
        near.write_all(sent).await.unwrap();
        near.shutdown().await.unwrap();
        let side = server.accept(&downstream(), far).await;
        assert_eq!(refusal(side), failure);
        let mut answer = Vec::new();
        near.read_to_end(&mut answer).await.unwrap();
        assert_eq!(!answer.is_empty(), answered, "{failure}");
    }
}

#[tokio::test(start_paused = true)]
async fn noise_is_an_error_on_either_side() {
    let world = World::new();
    let (client, server) = pair(&world);
    let mut random = world.platform(9).entropy.stream();
    for round in 0..500u32 {
        let mut noise = vec![0; 1 + random.below(300) as usize];
        random.fill(&mut noise);
        if round % 2 == 0 {
            // A record of a handshake message, so that the noise is read.
            let len = (noise.len() as u16).to_be_bytes();
            noise.splice(0..0, [22, 3, 3, len[0], len[1]]);
        }
        for accepts in [true, false] {
            let (mut near, far) = tokio::io::duplex(4096);
            near.write_all(&noise).await.unwrap();
            near.shutdown().await.unwrap();
            let side = match accepts {
                true => server.accept(&downstream(), far).await,
                false => client.connect(&upstream(exactly(SERVER)), far).await,
            };
            assert!(side.is_err());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_plaintext_server_is_no_tls_server() {
    let world = World::new();
    let (client, _) = pair(&world);
    let (near, mut far) = tokio::io::duplex(4096);
    far.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    let side = client.connect(&upstream(exactly(SERVER)), near).await;
    assert_eq!(refusal(side), TlsError::NotTls);
}
