//! A proxy of ours is configured by another control plane, in either variant of the protocol, over the real
//! loopback, and routes by it.
//!
//! When `WAVETANK_ENVOY` names an Envoy binary, what is about traffic is asked of that Envoy too: so the
//! recording is one that Envoy takes, and both give the same answers.

use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::api_config_source::ApiType;
use wavetank_conformance::envoy::{self, Envoy};
use wavetank_conformance::foreign::mesh::{
    self, ADMIN_LISTENER, LEGACY_CLUSTER, PETS_CLUSTER, Places, SHOP_CLUSTER, SHOP_ENDPOINTS, SHOP_LISTENER,
    SHOP_ROUTES, TCP_LISTENER,
};
use wavetank_conformance::http1::{self, Answer};
use wavetank_conformance::live::{self, free_port, loopback, until};
use wavetank_conformance::origin::Origin;
use wavetank_conformance::records::Records;
use wavetank_conformance::script::{Page, Server, Stream};
use wavetank_platform::Platform;
use wavetank_proxy::Proxy;
use wavetank_proxy::bootstrap::{Bootstrap, NodeIdentity, XdsMode, XdsSecurity, XdsServer};
use wavetank_proxy::record::Protocol;

const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
const ASSIGNMENT: &str = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
const ROUTE: &str = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";

const NODE: &str = "edge-proxy-0";

/// Who takes the recording.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Ours,
    Envoy,
}

/// The one who has taken it. It ends when this is dropped.
enum Taker {
    Ours(Proxy, Arc<Records>),
    Envoy { _running: Envoy },
}

/// A proxy that has taken the opening of the recording, and the two programs behind it.
struct Story {
    platform: Platform,
    mode: XdsMode,
    first: Origin,
    second: Origin,
    places: Places,
    taker: Taker,
    stream: Stream,
    server: Server,
}

impl Story {
    async fn open(platform: Platform, side: Side, mode: XdsMode) -> Self {
        let first = Origin::start(&platform, "first", None).await;
        let second = Origin::start(&platform, "second", None).await;
        let mut free = Vec::new();
        while free.len() < 4 {
            let port = free_port(&platform).await;
            if !free.contains(&port) {
                free.push(port);
            }
        }
        let [nowhere, shop, admin, bytes] = [0, 1, 2, 3].map(|index| loopback(free[index]));
        let places = Places { first: first.address(), second: second.address(), nowhere, shop, admin, bytes };
        let mut server = Server::start(&platform).await;
        let taker = start(&platform, side, mode, &server);
        let stream = server.stream().await;
        let mut story = Self { platform, mode, first, second, places, taker, stream, server };
        story.takes(&mesh::opening(places)).await;
        for listener in [shop, admin, bytes] {
            http1::listens(&story.platform, listener).await;
        }
        story
    }

    /// Our proxy and its records.
    fn ours(&self) -> (&Proxy, &Records) {
        match &self.taker {
            Taker::Ours(proxy, records) => (proxy, records),
            Taker::Envoy { .. } => unreachable!("this story is told of our proxy"),
        }
    }

    /// Replays pages that must all be acknowledged.
    async fn takes(&mut self, pages: &[Page]) {
        let answers = self.stream.replay(pages).await;
        for (page, answer) in pages.iter().zip(answers) {
            assert_eq!(answer, None, "{} is refused", page.nonce);
        }
    }

    async fn shop(&self, path: &str, headers: &[&str]) -> Answer {
        http1::get(&self.platform, self.places.shop, "www.shop.example:8443", path, headers).await
    }

    async fn admin(&self) -> Answer {
        http1::get(&self.platform, self.places.admin, "anything", "/", &[]).await
    }

    /// Asks until [`mesh::moved`] is in force.
    async fn has_moved(&self) {
        let asking = async {
            while self.shop("/sale", &[]).await.status != 418 || !self.shop("/", &[]).await.body.starts_with("second") {
            }
        };
        live::within(&self.platform, "the move", asking).await;
    }

    fn requests(&self) -> (usize, usize) {
        (self.first.requests(), self.second.requests())
    }
}

fn start(platform: &Platform, side: Side, mode: XdsMode, server: &Server) -> Taker {
    let port = server.address().port();
    if side == Side::Envoy {
        let binary = envoy::binary().expect("asked for only where there is one");
        let api = if mode == XdsMode::Delta { ApiType::DeltaGrpc } else { ApiType::Grpc };
        let bootstrap = envoy::bootstrap(NODE, api, server.address(), loopback(9));
        return Taker::Envoy { _running: Envoy::start(&binary, &bootstrap) };
    }
    let node = NodeIdentity { id: NODE.into(), cluster: "edge".into(), ..NodeIdentity::default() };
    let xds = XdsServer { host: "127.0.0.1".into(), port, mode, security: XdsSecurity::Plaintext };
    let records = Arc::new(Records::default());
    let proxy = Proxy::start(platform.clone(), Bootstrap::new(node, xds), records.clone());
    Taker::Ours(proxy.expect("a proxy without identity starts"), records)
}

/// Tells a story of our proxy, in both variants of the protocol.
fn ours(story: impl AsyncFn(&mut Story) + Copy + Send + 'static) {
    tell(Side::Ours, story);
}

/// Tells a story of our proxy and of a real Envoy, in both variants of the protocol.
fn ours_and_envoys(story: impl AsyncFn(&mut Story) + Copy + Send + 'static) {
    tell(Side::Ours, story);
    if envoy::binary().is_some() {
        tell(Side::Envoy, story);
    }
}

fn tell(side: Side, story: impl AsyncFn(&mut Story) + Copy + Send + 'static) {
    for mode in [XdsMode::Delta, XdsMode::StateOfTheWorld] {
        live::run(move |platform| async move { story(&mut Story::open(platform, side, mode).await).await });
    }
}

#[test]
fn what_is_asked_for_are_the_names_that_the_server_chose() {
    ours_and_envoys(async |story| {
        assert_eq!(story.stream.node(), Some(NODE));
        assert!(story.stream.asked(CLUSTER).is_empty(), "all of them");
        assert_eq!(Vec::from_iter(story.stream.asked(ASSIGNMENT)), [PETS_CLUSTER, SHOP_ENDPOINTS]);
        assert_eq!(Vec::from_iter(story.stream.asked(ROUTE)), [SHOP_ROUTES]);
    });
}

#[test]
fn requests_go_where_the_recording_says() {
    ours_and_envoys(async |story| {
        let shop = story.shop("/cart?x=1", &[]).await;
        assert_eq!((shop.status, shop.header("server")), (200, Some("envoy")));
        assert!(shop.body.starts_with("first\nGET /cart?x=1\n"), "{}", shop.body);
        assert!(shop.body.contains("\nhost: www.shop.example\n"), "without its port: {}", shop.body);

        let api = story.shop("/api/items", &[]).await.body;
        assert!(api.starts_with("second\nGET /v2/items\n"), "{api}");
        assert!(api.contains(&format!("\nx-arm: {PETS_CLUSTER}\n")), "{api}");
        let not_api = story.shop("/apiary", &[]).await.body;
        assert!(not_api.starts_with("first\nGET /apiary\n"), "{not_api}");

        assert!(story.shop("/pets/12", &["x-pet: dog"]).await.body.starts_with("second\n"));
        assert!(story.shop("/pets/12", &["x-pet: dogs"]).await.body.starts_with("first\n"));
        assert!(story.shop("/pets/twelve", &["x-pet: dog"]).await.body.starts_with("first\n"));

        let admin = story.admin().await.body;
        assert!(admin.starts_with("second\nGET /\n") && admin.contains("\nhost: legacy.internal\n"), "{admin}");
        assert!(admin.contains("\nx-admin: 100% yes\n"), "{admin}");
        assert_eq!(story.requests(), (4, 3));
    });
}

#[test]
fn answers_of_the_proxys_own_reach_no_program() {
    ours_and_envoys(async |story| {
        let health = story.shop("/healthz", &[]).await;
        assert_eq!((health.status, health.body.as_str()), (200, "fine\n"));
        let old = story.shop("/old/catalogue?y=1", &[]).await;
        assert_eq!((old.status, old.header("location")), (308, Some("http://archive.example/catalogue?y=1")));
        let nobody = http1::get(&story.platform, story.places.shop, "shop.example.evil", "/healthz", &[]).await;
        assert_eq!((nobody.status, nobody.body.as_str()), (404, "no such site\n"));
        assert_eq!(story.requests(), (0, 0));
    });
}

#[test]
fn bytes_pass_as_they_are() {
    ours_and_envoys(async |story| {
        let odd = http1::get(&story.platform, story.places.bytes, "any.thing:1", "//a/../b", &["x-own: 1"]).await;
        assert_eq!((odd.status, odd.header("server")), (200, None));
        assert_eq!(odd.body, "second\nGET //a/../b\nhost: any.thing:1\nconnection: close\nx-own: 1\n");
    });
}

#[test]
fn endpoints_move_and_a_route_comes() {
    ours_and_envoys(async |story| {
        assert!(story.shop("/sale", &[]).await.body.starts_with("first\n"));
        story.takes(&mesh::moved(story.places)).await;
        story.has_moved().await;
        let (first, second) = story.requests();
        assert_eq!(story.shop("/sale", &[]).await.body, "sold out\n");
        assert!(story.shop("/cart", &[]).await.body.starts_with("second\n"));
        assert_eq!(story.requests(), (first, second + 1));
    });
}

#[test]
fn what_cannot_be_done_is_refused_by_name_and_traffic_goes_on() {
    ours_and_envoys(async |story| {
        let answers = story.stream.replay(&mesh::refused(story.places)).await;
        let why = answers[0].clone().expect("a refusal");
        assert!(why.contains(LEGACY_CLUSTER), "{why}");
        assert!(story.admin().await.body.starts_with("second\n"), "the old one serves");
        assert!(story.shop("/cart", &[]).await.body.starts_with("first\n"));
        // A refusal is no end: what comes next is taken.
        story.takes(&mesh::removed()).await;
        http1::closes(&story.platform, story.places.admin).await;
    });
}

#[test]
fn a_removed_listener_closes_and_the_others_serve_on() {
    ours_and_envoys(async |story| {
        story.takes(&mesh::removed()).await;
        http1::closes(&story.platform, story.places.admin).await;
        assert!(story.shop("/cart", &[]).await.body.starts_with("first\n"));
        assert_eq!(story.shop("/healthz", &[]).await.body, "fine\n");
    });
}

#[test]
fn our_refusal_names_the_field_and_our_listeners_are_those_that_stayed() {
    ours(async |story| {
        let answers = story.stream.replay(&mesh::refused(story.places)).await;
        let why = answers[0].clone().expect("a refusal");
        assert!(why.contains("health_checks"), "{why}");
        let names = || Vec::from_iter(story.ours().0.listening().keys().map(ToString::to_string));
        assert_eq!(names(), [ADMIN_LISTENER, SHOP_LISTENER, TCP_LISTENER]);
        story.stream.replay(&mesh::removed()).await;
        let (proxy, _) = story.ours();
        until(&story.platform, "the end of a listener", || (proxy.listening().len() == 2).then_some(())).await;
        let gone = || (!proxy.store().current().clusters.contains_key(LEGACY_CLUSTER)).then_some(());
        until(&story.platform, "the end of a cluster", gone).await;
        assert!(proxy.store().current().clusters.contains_key(SHOP_CLUSTER));
    });
}

#[test]
fn records_say_the_servers_names() {
    ours(async |story| {
        story.shop("/api/items", &[]).await;
        http1::get(&story.platform, story.places.bytes, "x", "/", &[]).await;
        // The looks at the ports were connections too.
        let (_, records) = story.ours();
        let record = records.find(&story.platform, |record| record.status == 200).await;
        let decision = &record.decision;
        assert_eq!(decision.listener.as_deref(), Some(SHOP_LISTENER));
        assert_eq!(decision.filter_chain.as_deref(), Some("listener_http_0-chain"));
        assert_eq!(decision.route_config.as_deref(), Some(SHOP_ROUTES));
        assert_eq!(decision.virtual_host.as_deref(), Some("shop|*.shop.example"));
        assert_eq!(decision.route.as_deref(), Some("api"));
        assert_eq!(decision.cluster.as_deref(), Some(PETS_CLUSTER));
        assert_eq!(decision.route_from, None, "another server says no lines");
        assert_eq!((record.endpoint(), &*record.details), (Some(story.second.address()), "via_upstream"));
        let passed =
            |record: &wavetank_proxy::record::Record| record.protocol == Protocol::Tcp && record.bytes_sent > 0;
        let bytes = records.find(&story.platform, passed).await;
        assert_eq!(bytes.decision.cluster.as_deref(), Some(LEGACY_CLUSTER));
    });
}

#[test]
fn a_stream_that_ends_stops_no_traffic_and_the_next_one_goes_on_from_there() {
    ours_and_envoys(async |story| {
        story.stream.end();
        let cart = http1::get(&story.platform, story.places.shop, "shop.example", "/cart", &[]).await;
        assert!(cart.body.starts_with("first\n"));
        story.stream = story.server.stream().await;
        if story.mode == XdsMode::Delta {
            story.stream.hear_until_asked(ASSIGNMENT, &[PETS_CLUSTER, SHOP_ENDPOINTS]).await;
            story.stream.hear_until_asked(ROUTE, &[SHOP_ROUTES]).await;
            let held = story.stream.remembered(CLUSTER);
            assert_eq!(Vec::from_iter(held.keys()), [PETS_CLUSTER, LEGACY_CLUSTER, SHOP_CLUSTER]);
            assert!(held.values().all(|version| version.starts_with("sha256:")), "{held:?}");
            assert_eq!(story.stream.remembered(ROUTE).len(), 1);
        } else {
            story.takes(&mesh::opening(story.places)).await;
        }
        assert_eq!(story.stream.node(), Some(NODE));
        story.takes(&mesh::moved(story.places)).await;
        story.has_moved().await;
    });
}
