//! The xDS client against a scripted delta server.

#[path = "tls_support/grpc.rs"]
mod grpc;
#[path = "ads_support/resources.rs"]
mod resources;
#[path = "ads_support/script.rs"]
mod script;
mod tls_support;

use std::time::Duration;

use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, Resource};
use envoy_types::pb::google::protobuf::Any;
use resources::{ASSIGNMENT, CLUSTER, LISTENER, ROUTE, assignment, cluster, listener, route};
use script::{Exchange, Script};
use tls_support::{Authority, World, secret, tls};
use wavetank_platform::Clock;
use wavetank_platform::spawn::OwnedTask;
use wavetank_proxy::bootstrap::{Bootstrap, NodeIdentity, XdsMode, XdsSecurity, XdsServer};
use wavetank_proxy::snapshot::tls::{DownstreamTls, Validation};
use wavetank_proxy::tls::Tls;
use wavetank_proxy::xds::{self, Store};

type Delta = Exchange<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;

const PORT: u16 = 15010;

struct Client {
    world: World,
    store: Store,
    server: Script,
    _running: OwnedTask,
}

async fn client(edit: impl FnOnce(&mut Bootstrap)) -> Client {
    let world = World::new();
    let platform = world.platform(1);
    let node = NodeIdentity { id: "sidecar~10.0.0.3~a.b~b.svc.cluster.local".into(), ..NodeIdentity::default() };
    let server =
        XdsServer { host: "istiod".into(), port: PORT, mode: XdsMode::Delta, security: XdsSecurity::Plaintext };
    let mut bootstrap = Bootstrap::new(node, server);
    edit(&mut bootstrap);
    let server = Script::serve(&world.platform(2), PORT, None).await;
    let store = Store::new();
    let run = xds::run(platform.clone(), bootstrap, Tls::new(&platform), store.clone());
    let running = platform.spawn.go(run).abort_on_drop();
    Client { world, store, server, _running: running }
}

fn response(type_url: &str, nonce: &str, resources: &[(&str, &str, Any)], removed: &[&str]) -> DeltaDiscoveryResponse {
    let resources = resources.iter().map(|(name, version, body)| Resource {
        name: (*name).to_owned(),
        version: (*version).to_owned(),
        resource: Some(body.clone()),
        ..Default::default()
    });
    DeltaDiscoveryResponse {
        type_url: type_url.to_owned(),
        nonce: nonce.to_owned(),
        resources: resources.collect(),
        removed_resources: removed.iter().map(|name| (*name).to_owned()).collect(),
        ..Default::default()
    }
}

async fn acked(stream: &mut Delta, type_url: &str, nonce: &str) {
    let ack = stream.next().await;
    assert_eq!((ack.type_url.as_str(), ack.response_nonce.as_str()), (type_url, nonce));
    assert_eq!(ack.error_detail, None);
}

async fn subscribed(stream: &mut Delta, type_url: &str) -> DeltaDiscoveryRequest {
    let request = stream.next().await;
    assert_eq!((request.type_url.as_str(), request.response_nonce.as_str()), (type_url, ""));
    request
}

/// Brings the client to: cluster `a`, one endpoint, listener `l` with routes `r`.
async fn configured(client: &mut Client) -> Delta {
    let mut stream = client.server.delta().await;
    subscribed(&mut stream, CLUSTER).await;
    stream.send(response(CLUSTER, "c1", &[("a", "1", cluster("a", 1))], &[])).await;
    acked(&mut stream, CLUSTER, "c1").await;
    subscribed(&mut stream, ASSIGNMENT).await;
    stream.send(response(ASSIGNMENT, "e1", &[("a", "1", assignment("a", 80))], &[])).await;
    acked(&mut stream, ASSIGNMENT, "e1").await;
    subscribed(&mut stream, LISTENER).await;
    stream.send(response(LISTENER, "l1", &[("l", "1", listener("l", 15001, "r"))], &[])).await;
    acked(&mut stream, LISTENER, "l1").await;
    subscribed(&mut stream, ROUTE).await;
    stream.send(response(ROUTE, "r1", &[("r", "1", route("r", "a"))], &[])).await;
    acked(&mut stream, ROUTE, "r1").await;
    stream
}

#[tokio::test(start_paused = true)]
async fn clusters_come_first_and_nothing_is_used_before_it_is_warm() {
    let mut client = client(|_| {}).await;
    let mut changes = client.store.subscribe();
    let mut stream = client.server.delta().await;

    let first = subscribed(&mut stream, CLUSTER).await;
    assert_eq!(first.node.unwrap().id, "sidecar~10.0.0.3~a.b~b.svc.cluster.local");
    assert!(first.resource_names_subscribe.is_empty(), "wildcard");
    stream.send(response(CLUSTER, "c1", &[("a", "1", cluster("a", 1))], &[])).await;
    acked(&mut stream, CLUSTER, "c1").await;
    let endpoints = subscribed(&mut stream, ASSIGNMENT).await;
    assert_eq!(endpoints.resource_names_subscribe, ["a"]);
    assert_eq!(endpoints.node, None);
    assert!(client.store.current().clusters.is_empty(), "no endpoints yet");

    stream.send(response(ASSIGNMENT, "e1", &[("a", "1", assignment("a", 80))], &[])).await;
    acked(&mut stream, ASSIGNMENT, "e1").await;
    changes.changed().await.unwrap();
    let snapshot = client.store.current();
    assert_eq!(snapshot.version, 1);
    assert_eq!(snapshot.assignments["a"].endpoints()[0].address.to_string(), "10.0.0.1:80");
    assert!(snapshot.clusters.contains_key("a"));

    subscribed(&mut stream, LISTENER).await;
    stream.send(response(LISTENER, "l1", &[("l", "1", listener("l", 15001, "r"))], &[])).await;
    acked(&mut stream, LISTENER, "l1").await;
    assert_eq!(subscribed(&mut stream, ROUTE).await.resource_names_subscribe, ["r"]);
    assert!(client.store.current().listeners.is_empty(), "no routes yet");
    stream.send(response(ROUTE, "r1", &[("r", "1", route("r", "a"))], &[])).await;
    acked(&mut stream, ROUTE, "r1").await;
    changes.changed().await.unwrap();
    let snapshot = client.store.current();
    assert!(snapshot.listeners.contains_key("l") && snapshot.routes.contains_key("r"));
    assert_eq!(snapshot.version, 2);
}

#[tokio::test(start_paused = true)]
async fn a_nack_names_the_fault_keeps_the_last_good_and_takes_the_rest() {
    let mut client = client(|_| {}).await;
    let mut stream = configured(&mut client).await;
    let mut bad = cluster("a", 1);
    bad.value.truncate(bad.value.len() - 1);
    let update = response(CLUSTER, "c2", &[("a", "2", bad), ("b", "1", cluster("b", 1))], &[]);
    stream.send(update).await;
    let nack = stream.next().await;
    assert_eq!(nack.response_nonce, "c2");
    let detail = nack.error_detail.unwrap();
    assert_eq!(detail.code, 13);
    assert!(detail.message.starts_with("cluster a: "), "{}", detail.message);
    assert_eq!(subscribed(&mut stream, ASSIGNMENT).await.resource_names_subscribe, ["b"]);
    let before = client.store.current();
    assert_eq!(before.clusters["a"].connect_timeout, Duration::from_secs(1));

    let mut changes = client.store.subscribe();
    stream.send(response(ASSIGNMENT, "e2", &[("b", "1", assignment("b", 81))], &[])).await;
    acked(&mut stream, ASSIGNMENT, "e2").await;
    changes.changed().await.unwrap();
    let after = client.store.current();
    assert!(after.clusters.contains_key("a") && after.clusters.contains_key("b"));
}

#[tokio::test(start_paused = true)]
async fn a_reconnect_tells_what_is_held_and_meanwhile_nothing_changes() {
    let mut client = client(|_| {}).await;
    let stream = configured(&mut client).await;
    let before = client.store.current().version;
    drop(stream);
    let mut stream = client.server.delta().await;
    assert_eq!(client.store.current().version, before);
    for (type_url, name) in [(CLUSTER, "a"), (ASSIGNMENT, "a"), (LISTENER, "l"), (ROUTE, "r")] {
        let request = subscribed(&mut stream, type_url).await;
        assert_eq!(request.initial_resource_versions.len(), 1);
        assert_eq!(request.initial_resource_versions[name], "1");
        assert_eq!(request.node.is_some(), type_url == CLUSTER);
    }
    stream.send(response(CLUSTER, "c2", &[], &[])).await;
    acked(&mut stream, CLUSTER, "c2").await;
    assert_eq!(client.store.current().version, before);
}

#[tokio::test(start_paused = true)]
async fn an_equal_resource_is_no_change_and_a_removed_one_is_let_go() {
    let mut client = client(|_| {}).await;
    let mut stream = configured(&mut client).await;
    let before = client.store.current().version;
    stream.send(response(CLUSTER, "c2", &[("a", "2", cluster("a", 1))], &[])).await;
    acked(&mut stream, CLUSTER, "c2").await;
    stream.send(response(LISTENER, "l2", &[], &["l"])).await;
    acked(&mut stream, LISTENER, "l2").await;
    assert_eq!(subscribed(&mut stream, ROUTE).await.resource_names_unsubscribe, ["r"]);
    stream.send(response(CLUSTER, "c3", &[], &["a"])).await;
    acked(&mut stream, CLUSTER, "c3").await;
    assert_eq!(subscribed(&mut stream, ASSIGNMENT).await.resource_names_unsubscribe, ["a"]);
    let after = client.store.current();
    assert_eq!(after.version, before + 2, "the equal cluster counted for nothing");
    assert!(after.clusters.is_empty() && after.listeners.is_empty());
    assert!(after.routes.is_empty() && after.assignments.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_does_not_come_is_waited_for_fifteen_seconds() {
    let mut client = client(|_| {}).await;
    let mut changes = client.store.subscribe();
    let mut stream = client.server.delta().await;
    subscribed(&mut stream, CLUSTER).await;
    stream.send(response(CLUSTER, "c1", &[("a", "1", cluster("a", 1)), ("b", "1", cluster("b", 1))], &[])).await;
    acked(&mut stream, CLUSTER, "c1").await;
    subscribed(&mut stream, ASSIGNMENT).await;
    let asked = client.world.clock.now();
    stream.send(response(ASSIGNMENT, "e1", &[], &["b"])).await;
    acked(&mut stream, ASSIGNMENT, "e1").await;
    changes.changed().await.unwrap();
    assert!(client.store.current().clusters.contains_key("b"), "the server said there are none");
    assert!(!client.store.current().clusters.contains_key("a"));
    changes.changed().await.unwrap();
    assert!(client.store.current().clusters.contains_key("a"));
    let waited = client.world.clock.now() - asked;
    assert!(waited.abs_diff(Duration::from_secs(15)) < Duration::from_millis(10), "{waited:?}");
    subscribed(&mut stream, LISTENER).await;
}

#[tokio::test(start_paused = true)]
async fn noise_is_rejected_or_ignored_and_changes_nothing() {
    let mut client = client(|_| {}).await;
    let mut stream = configured(&mut client).await;
    let before = client.store.current().version;
    let noise = |type_url: &str| Any { type_url: type_url.to_owned(), value: vec![0xff; 40] };
    stream.send(response("type.googleapis.com/never.asked.For", "x", &[("a", "1", noise("y"))], &[])).await;
    for (nonce, name, body) in [
        ("n1", "xdstp://foreign/a?b#c", noise(LISTENER)),
        ("n2", "", noise(CLUSTER)),
        ("n3", "l", listener("other", 1, "r")),
        ("n4", "l", noise("")),
    ] {
        stream.send(response(LISTENER, nonce, &[(name, "9", body)], &["unknown"])).await;
        let nack = stream.next().await;
        assert_eq!(nack.response_nonce, nonce);
        assert!(nack.error_detail.is_some());
    }
    let unasked = [("foreign|80||x.y", "1", assignment("foreign|80||x.y", 80))];
    stream.send(response(ASSIGNMENT, "n5", &unasked, &[])).await;
    acked(&mut stream, ASSIGNMENT, "n5").await;
    assert_eq!(client.store.current().version, before);
}

#[tokio::test(start_paused = true)]
async fn a_message_beyond_the_limit_ends_the_stream_and_the_client_comes_back() {
    let mut client = client(|bootstrap| bootstrap.limits.xds_message_bytes_max = 4096).await;
    let stream = configured(&mut client).await;
    let long = "x".repeat(5000);
    stream.send(response(CLUSTER, "c2", &[(&long, "1", cluster(&long, 1))], &[])).await;
    let mut stream = client.server.delta().await;
    subscribed(&mut stream, CLUSTER).await;
    assert!(client.store.current().clusters.contains_key("a"));
}

#[tokio::test(start_paused = true)]
async fn resources_beyond_the_limit_are_rejected() {
    let mut client = client(|bootstrap| bootstrap.limits.xds_resources_max = 1).await;
    let mut stream = configured(&mut client).await;
    stream.send(response(CLUSTER, "c2", &[("b", "1", cluster("b", 1))], &[])).await;
    let detail = stream.next().await.error_detail.unwrap();
    assert_eq!(detail.message, "cluster b: there are 1 of this type already, the most that are kept");
}

#[tokio::test(start_paused = true)]
async fn with_mutual_tls_the_server_sees_who_asks() {
    let world = World::new();
    let mesh = Authority::new("mesh");
    let own = tls(&world, &mesh, &[], &["istiod.istio-system.svc"], &mesh);
    let config = DownstreamTls {
        certificate: secret("default"),
        validation: Some(Validation { roots: secret("ROOTCA"), subject_alt_names: Vec::new() }),
        require_client_certificate: true,
        alpn: vec!["h2".into()],
    };
    let mut server = Script::serve(&world.platform(2), PORT, Some((own, config))).await;
    let platform = world.platform(1);
    let security = XdsSecurity::Mutual { server_name: "istiod.istio-system.svc".into() };
    let xds = XdsServer { host: "istiod".into(), port: PORT, mode: XdsMode::Delta, security };
    let client = tls(&world, &mesh, &["spiffe://cluster.local/ns/a/sa/b"], &[], &mesh);
    let run = xds::run(platform.clone(), Bootstrap::new(NodeIdentity::default(), xds), client, Store::new());
    let _running = platform.spawn.go(run).abort_on_drop();
    subscribed(&mut server.delta().await, CLUSTER).await;
}

#[tokio::test(start_paused = true)]
async fn an_absent_server_is_sought_ever_more_rarely() {
    let mut client = client(|bootstrap| bootstrap.xds.port = 1).await;
    client.world.sleep(Duration::from_secs(3600)).await;
    assert_eq!(client.store.current().version, 0);
    let late = Script::serve(&client.world.platform(2), 1, None).await;
    client.server = late;
    let sought = client.world.clock.now();
    let _stream = client.server.delta().await;
    let waited = client.world.clock.now() - sought;
    assert!(waited <= Duration::from_secs(31), "{waited:?}");
}
