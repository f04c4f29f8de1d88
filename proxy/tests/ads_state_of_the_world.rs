//! The xDS client against a scripted state-of-the-world server.

#[path = "tls_support/grpc.rs"]
mod grpc;
#[path = "ads_support/resources.rs"]
mod resources;
#[path = "ads_support/script.rs"]
mod script;
mod tls_support;

use std::time::Duration;

use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use envoy_types::pb::google::protobuf::Any;
use resources::{ASSIGNMENT, CLUSTER, LISTENER, ROUTE, assignment, cluster, listener, route};
use script::{Exchange, Script};
use tls_support::World;
use wavetank_platform::spawn::OwnedTask;
use wavetank_proxy::bootstrap::{Bootstrap, NodeIdentity, XdsMode, XdsSecurity, XdsServer};
use wavetank_proxy::tls::Tls;
use wavetank_proxy::xds::{self, Store};

type State = Exchange<DiscoveryRequest, DiscoveryResponse>;

async fn client() -> (Store, Script, OwnedTask) {
    let world = World::new();
    let platform = world.platform(1);
    let xds = XdsServer {
        host: "istiod".into(),
        port: 15010,
        mode: XdsMode::StateOfTheWorld,
        security: XdsSecurity::Plaintext,
    };
    let node = NodeIdentity { id: "router~10.0.0.9~g.b~b.svc.cluster.local".into(), ..NodeIdentity::default() };
    let server = Script::serve(&world.platform(2), 15010, None).await;
    let store = Store::new();
    let run = xds::run(platform.clone(), Bootstrap::new(node, xds), Tls::new(&platform), store.clone());
    (store, server, platform.spawn.go(run).abort_on_drop())
}

fn response(type_url: &str, version: &str, resources: &[Any]) -> DiscoveryResponse {
    DiscoveryResponse {
        version_info: version.to_owned(),
        type_url: type_url.to_owned(),
        nonce: format!("nonce-{version}"),
        resources: resources.to_vec(),
        ..Default::default()
    }
}

/// The next request: type, version, nonce, names; and that it rejects nothing.
async fn next(stream: &mut State) -> (String, String, String, Vec<String>) {
    let request = stream.next().await;
    assert_eq!(request.error_detail, None);
    (request.type_url, request.version_info, request.response_nonce, request.resource_names)
}

fn request(type_url: &str, version: &str, nonce: &str, names: &[&str]) -> (String, String, String, Vec<String>) {
    (type_url.into(), version.into(), nonce.into(), names.iter().map(|name| (*name).to_owned()).collect())
}

async fn configured(server: &mut Script) -> State {
    let mut stream = server.state().await;
    assert_eq!(next(&mut stream).await, request(CLUSTER, "", "", &[]));
    stream.send(response(CLUSTER, "c1", &[cluster("b", 1), cluster("a", 1)])).await;
    assert_eq!(next(&mut stream).await, request(CLUSTER, "c1", "nonce-c1", &[]));
    assert_eq!(next(&mut stream).await, request(ASSIGNMENT, "", "", &["a", "b"]));
    stream.send(response(ASSIGNMENT, "e1", &[assignment("a", 80), assignment("b", 80)])).await;
    assert_eq!(next(&mut stream).await, request(ASSIGNMENT, "e1", "nonce-e1", &["a", "b"]));
    assert_eq!(next(&mut stream).await, request(LISTENER, "", "", &[]));
    stream.send(response(LISTENER, "l1", &[listener("l", 15001, "r")])).await;
    assert_eq!(next(&mut stream).await, request(LISTENER, "l1", "nonce-l1", &[]));
    assert_eq!(next(&mut stream).await, request(ROUTE, "", "", &["r"]));
    stream.send(response(ROUTE, "r1", &[route("r", "a")])).await;
    assert_eq!(next(&mut stream).await, request(ROUTE, "r1", "nonce-r1", &["r"]));
    stream
}

#[tokio::test(start_paused = true)]
async fn each_type_is_asked_for_acknowledged_and_used() {
    let (store, mut server, _running) = client().await;
    let mut changes = store.subscribe();
    let _stream = configured(&mut server).await;
    while store.current().listeners.is_empty() {
        changes.changed().await.unwrap();
    }
    let snapshot = store.current();
    assert_eq!(snapshot.clusters.keys().map(|name| &**name).collect::<Vec<_>>(), ["a", "b"]);
    assert!(snapshot.routes.contains_key("r"));
}

#[tokio::test(start_paused = true)]
async fn a_nack_repeats_the_last_good_version_and_keeps_the_bad_resource_as_it_was() {
    let (store, mut server, _running) = client().await;
    let mut stream = configured(&mut server).await;
    let mut bad = cluster("a", 9);
    bad.value.push(0xff);
    stream.send(response(CLUSTER, "c2", &[bad, cluster("b", 7)])).await;
    let nack = stream.next().await;
    assert_eq!((nack.version_info.as_str(), nack.response_nonce.as_str()), ("c1", "nonce-c2"));
    assert!(nack.error_detail.unwrap().message.starts_with("cluster "));
    stream.send(response(ROUTE, "r2", &[route("r", "b")])).await;
    next(&mut stream).await;
    let snapshot = store.current();
    assert_eq!(snapshot.clusters["a"].connect_timeout, Duration::from_secs(1));
    assert_eq!(snapshot.clusters["b"].connect_timeout, Duration::from_secs(7));
}

#[tokio::test(start_paused = true)]
async fn a_cluster_left_out_is_gone_but_endpoints_left_out_stay() {
    let (store, mut server, _running) = client().await;
    let mut stream = configured(&mut server).await;
    stream.send(response(ASSIGNMENT, "e2", &[assignment("b", 81)])).await;
    next(&mut stream).await;
    stream.send(response(CLUSTER, "c2", &[cluster("a", 1)])).await;
    next(&mut stream).await;
    assert_eq!(next(&mut stream).await, request(ASSIGNMENT, "e2", "nonce-e2", &["a"]));
    let snapshot = store.current();
    assert_eq!(snapshot.clusters.keys().map(|name| &**name).collect::<Vec<_>>(), ["a"]);
    assert!(snapshot.assignments.contains_key("a") && !snapshot.assignments.contains_key("b"));
}

#[tokio::test(start_paused = true)]
async fn a_new_stream_starts_afresh_and_keeps_what_is_in_force() {
    let (store, mut server, _running) = client().await;
    drop(configured(&mut server).await);
    let mut stream = server.state().await;
    let before = store.current().version;
    let first = stream.next().await;
    assert!(first.node.is_some());
    assert_eq!((first.version_info.as_str(), first.response_nonce.as_str()), ("", ""));
    assert_eq!(next(&mut stream).await, request(ASSIGNMENT, "", "", &["a", "b"]));
    assert_eq!(next(&mut stream).await, request(LISTENER, "", "", &[]));
    assert_eq!(next(&mut stream).await, request(ROUTE, "", "", &["r"]));
    stream.send(response(CLUSTER, "c1", &[cluster("a", 1), cluster("b", 1)])).await;
    next(&mut stream).await;
    assert_eq!(store.current().version, before);
}
