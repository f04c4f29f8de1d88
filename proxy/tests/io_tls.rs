//! Mutual TLS between two proxies: who is recorded, what is said when it fails.

mod io_support;
mod tls_support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use io_support::*;
use tls_support::{Authority, World, secret, tls};
use wavetank_proxy::record::{Flag, Record, TlsState};
use wavetank_proxy::snapshot::cluster::Cluster;
use wavetank_proxy::snapshot::listener::{ForwardClientCert, Handler, Listener};
use wavetank_proxy::snapshot::tls::{DownstreamTls, SanMatcher, TransportSocket, UpstreamTls, Validation};

const CLIENT: &str = "spiffe://cluster.local/ns/default/sa/client";
const SERVER: &str = "spiffe://cluster.local/ns/default/sa/server";

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn listening(port: u16, handler: Handler) -> Listener {
    let mut listener = Listener::new("l", at(port));
    listener.filter_chains.push(chain(handler));
    listener
}

/// A listener on 1002 that wants a certificate of the mesh, before an origin.
async fn inbound(world: &World, mesh: &Authority) -> (Bench, Origin) {
    let platform = world.platform(2);
    let origin = Origin::start(&platform, &[Act::Answer(OK)]).await;
    let mut hcm = manager(vec![route_to("app")]);
    hcm.forward_client_cert = ForwardClientCert::SanitizeSet;
    hcm.client_cert_details.uri = true;
    let mut listener = listening(1002, http(hcm));
    listener.inspect_tls = true;
    listener.filter_chains[0].tls = Some(Arc::new(DownstreamTls {
        certificate: secret("default"),
        validation: Some(Validation { roots: secret("ROOTCA"), subject_alt_names: Vec::new() }),
        require_client_certificate: true,
        alpn: vec!["istio-peer-exchange".into(), "h2".into(), "http/1.1".into()],
    }));
    let tls = tls(world, mesh, &[SERVER], &[], mesh);
    (Bench::with_tls(&platform, of(listener, vec![cluster("app", &[origin.address])]), tls).await, origin)
}

/// A listener on 1001 whose cluster speaks TLS to `port` and wants this peer.
async fn outbound(world: &World, own: &Authority, mesh: &Authority, peer: &str, port: u16) -> Bench {
    let platform = world.platform(1);
    let mut up: Cluster = cluster("up", &[at(port)]);
    up.connect_timeout = Duration::from_secs(1);
    up.transport_socket = TransportSocket::Tls(Arc::new(UpstreamTls {
        certificate: Some(secret("default")),
        validation: Some(Validation {
            roots: secret("ROOTCA"),
            subject_alt_names: vec![SanMatcher::Exact(peer.into())],
        }),
        sni: Some("outbound_.80_._.app.default.svc.cluster.local".into()),
        alpn: vec!["istio".into(), "http/1.1".into()],
    }));
    let tls = tls(world, own, &[CLIENT], &[], mesh);
    Bench::with_tls(&platform, of(listening(1001, http(manager(vec![route_to("up")]))), vec![up]), tls).await
}

fn failed(record: &Record, flag: Flag) -> (String, String) {
    assert_eq!(record.flags, [flag]);
    let attempt = &record.attempts[0];
    (attempt.failure.as_deref().unwrap_or_default().into(), attempt.transport_failure.as_deref().unwrap_or("-").into())
}

#[tokio::test(start_paused = true)]
async fn both_proxies_record_who_the_other_is() {
    let (world, mesh) = (World::new(), Authority::new("mesh"));
    let (server, origin) = inbound(&world, &mesh).await;
    let client = outbound(&world, &mesh, &mesh, SERVER, 1002).await;
    assert!(client.ask(GET).await.ends_with("ok"));
    let out = client.record().await;
    assert_eq!(out.downstream.tls, TlsState::Plaintext);
    assert_eq!(out.upstream().unwrap().tls, TlsState::Mutual { peer: SERVER.into() });
    let inside = server.record().await;
    assert_eq!(inside.downstream.tls, TlsState::Mutual { peer: CLIENT.into() });
    assert_eq!(inside.upstream().unwrap().tls, TlsState::Plaintext);
    assert_eq!(inside.sni.as_deref(), Some("outbound_.80_._.app.default.svc.cluster.local"));
    let seen = &origin.requests()[0];
    assert!(seen.contains(&format!("x-forwarded-client-cert: By={SERVER};Hash=")), "{seen}");
    assert!(seen.contains(&format!(";URI={CLIENT}\r\n")) && seen.contains("x-forwarded-proto: http\r\n"), "{seen}");
}

#[tokio::test(start_paused = true)]
async fn a_server_of_another_name_is_refused_and_named() {
    let (world, mesh) = (World::new(), Authority::new("mesh"));
    let (_server, origin) = inbound(&world, &mesh).await;
    let client = outbound(&world, &mesh, &mesh, "spiffe://cluster.local/ns/default/sa/other", 1002).await;
    assert!(client.ask(GET).await.starts_with("HTTP/1.1 503 "));
    let (failure, transport) = failed(&client.record().await, Flag::UF);
    assert_eq!(failure, "remote_connection_failure");
    assert!(transport.contains("SAN_matcher") && transport.contains(SERVER), "{transport}");
    assert!(origin.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_client_certificate_that_is_refused_ends_a_connection_that_stood() {
    let (world, mesh, foreign) = (World::new(), Authority::new("mesh"), Authority::new("foreign"));
    let (server, origin) = inbound(&world, &mesh).await;
    let client = outbound(&world, &foreign, &mesh, SERVER, 1002).await;
    assert!(client.ask(GET).await.starts_with("HTTP/1.1 503 "));
    // Our side of a TLS 1.3 handshake is over when the server judges our certificate; so it is for Envoy.
    let record = client.record().await;
    assert_eq!(&*record.details, "upstream_reset_before_response_started{connection_termination}");
    let (failure, transport) = failed(&record, Flag::UC);
    assert_eq!(failure, "connection_termination");
    assert!(transport.contains("ALERT_UNKNOWN_CA"), "{transport}");
    let refused = server.record().await;
    assert!(refused.details.starts_with("downstream_transport_failure{TLS_error:"), "{}", refused.details);
    assert!(origin.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn tls_to_a_silent_peer_is_a_connect_timeout() {
    let (world, mesh) = (World::new(), Authority::new("mesh"));
    let platform = world.platform(3);
    let silent = platform.net.listen(at(1003), Default::default()).await.unwrap();
    let client = outbound(&world, &mesh, &mesh, SERVER, 1003).await;
    assert!(client.ask(GET).await.ends_with("reset reason: connection timeout"));
    assert_eq!(failed(&client.record().await, Flag::UF), ("connection_timeout".into(), "-".into()));
    drop(silent);
}
