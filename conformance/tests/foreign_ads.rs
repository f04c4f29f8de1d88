//! A proxy of ours is configured by another control plane, in either variant of the protocol, over the real
//! loopback, and routes by it.

use std::sync::Arc;

use wavetank_conformance::foreign::mesh::{
    self, ADMIN_LISTENER, PETS_CLUSTER, Places, SHOP_CLUSTER, SHOP_ENDPOINTS, SHOP_LISTENER, SHOP_ROUTES,
};
use wavetank_conformance::http1::{self, Answer};
use wavetank_conformance::live::{self, free_port, loopback, until};
use wavetank_conformance::origin::Origin;
use wavetank_conformance::records::Records;
use wavetank_conformance::script::{Page, Server, Stream};
use wavetank_platform::Platform;
use wavetank_proxy::Proxy;
use wavetank_proxy::bootstrap::{Bootstrap, NodeIdentity, XdsMode, XdsSecurity, XdsServer};

const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
const ASSIGNMENT: &str = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
const ROUTE: &str = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";

/// A proxy that has taken the opening of the recording, and the two programs behind it.
struct Story {
    platform: Platform,
    first: Origin,
    second: Origin,
    places: Places,
    stream: Stream,
    _server: Server,
    proxy: Proxy,
    records: Arc<Records>,
}

impl Story {
    async fn open(platform: Platform, mode: XdsMode) -> Self {
        let first = Origin::start(&platform, "first", None).await;
        let second = Origin::start(&platform, "second", None).await;
        let nowhere = loopback(free_port(&platform).await);
        let places = Places { first: first.address(), second: second.address(), nowhere };
        let mut server = Server::start(&platform).await;
        let node = NodeIdentity { id: "edge-proxy-0".into(), cluster: "edge".into(), ..NodeIdentity::default() };
        let xds = XdsServer {
            host: "127.0.0.1".into(),
            port: server.address().port(),
            mode,
            security: XdsSecurity::Plaintext,
        };
        let records = Arc::new(Records::default());
        let proxy = Proxy::start(platform.clone(), Bootstrap::new(node, xds), records.clone()).expect("no identity");
        let stream = server.stream().await;
        let mut story = Self { platform, first, second, places, stream, _server: server, proxy, records };
        story.takes(&mesh::opening(places)).await;
        story.listens(&[ADMIN_LISTENER, SHOP_LISTENER]).await;
        story
    }

    /// Replays pages that must all be acknowledged.
    async fn takes(&mut self, pages: &[Page]) {
        let answers = self.stream.replay(pages).await;
        for (page, answer) in pages.iter().zip(answers) {
            assert_eq!(answer, None, "{} is refused", page.nonce);
        }
    }

    /// Waits until exactly these listen.
    async fn listens(&self, names: &[&str]) {
        let look = || self.proxy.listening().keys().map(|name| &**name).eq(names.iter().copied()).then_some(());
        until(&self.platform, "the listeners", look).await;
    }

    async fn get(&self, listener: &str, host: &str, path: &str, headers: &[&str]) -> Answer {
        http1::get(&self.platform, self.proxy.listening()[listener], host, path, headers).await
    }

    async fn shop(&self, path: &str, headers: &[&str]) -> Answer {
        self.get(SHOP_LISTENER, "www.shop.example:8443", path, headers).await
    }
}

fn delta_and_state_of_the_world<Fut>(story: fn(Story) -> Fut)
where
    Fut: Future<Output = ()> + 'static,
{
    for mode in [XdsMode::Delta, XdsMode::StateOfTheWorld] {
        live::run(move |platform| async move { story(Story::open(platform, mode).await).await });
    }
}

#[test]
fn what_is_asked_for_are_the_names_that_the_server_chose() {
    delta_and_state_of_the_world(|story| async move {
        assert_eq!(story.stream.node(), Some("edge-proxy-0"));
        assert!(story.stream.asked(CLUSTER).is_empty(), "all of them");
        assert_eq!(Vec::from_iter(story.stream.asked(ASSIGNMENT)), [PETS_CLUSTER, SHOP_ENDPOINTS]);
        assert_eq!(Vec::from_iter(story.stream.asked(ROUTE)), [SHOP_ROUTES]);
    });
}

#[test]
fn requests_go_where_the_recording_says() {
    delta_and_state_of_the_world(|story| async move {
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

        let admin = story.get(ADMIN_LISTENER, "anything", "/", &[]).await.body;
        assert!(admin.starts_with("second\nGET /\n") && admin.contains("\nhost: legacy.internal\n"), "{admin}");
        assert!(admin.contains("\nx-admin: 100% yes\n"), "{admin}");
        assert_eq!((story.first.requests(), story.second.requests()), (4, 3));
    });
}

#[test]
fn answers_of_the_proxys_own_reach_no_program() {
    delta_and_state_of_the_world(|story| async move {
        let health = story.shop("/healthz", &[]).await;
        assert_eq!((health.status, health.body.as_str()), (200, "fine\n"));
        let old = story.shop("/old/catalogue?y=1", &[]).await;
        assert_eq!((old.status, old.header("location")), (308, Some("http://archive.example/catalogue?y=1")));
        let nobody = story.get(SHOP_LISTENER, "shop.example.evil", "/healthz", &[]).await;
        assert_eq!((nobody.status, nobody.body.as_str()), (404, "no such site\n"));
        assert_eq!((story.first.requests(), story.second.requests()), (0, 0));
    });
}

#[test]
fn records_say_the_servers_names() {
    delta_and_state_of_the_world(|story| async move {
        story.shop("/api/items", &[]).await;
        let record = story.records.nth(&story.platform, 0).await;
        let decision = &record.decision;
        assert_eq!(decision.listener.as_deref(), Some(SHOP_LISTENER));
        assert_eq!(decision.filter_chain.as_deref(), Some("listener_http_0-chain"));
        assert_eq!(decision.route_config.as_deref(), Some(SHOP_ROUTES));
        assert_eq!(decision.virtual_host.as_deref(), Some("shop|*.shop.example"));
        assert_eq!(decision.route.as_deref(), Some("api"));
        assert_eq!(decision.cluster.as_deref(), Some(PETS_CLUSTER));
        assert_eq!(decision.route_from, None, "another server says no lines");
        assert_eq!((record.endpoint(), &*record.details), (Some(story.second.address()), "via_upstream"));
    });
}

#[test]
fn endpoints_move_and_routes_come_without_a_request_lost() {
    delta_and_state_of_the_world(|mut story| async move {
        assert!(story.shop("/sale", &[]).await.body.starts_with("first\n"));
        story.takes(&mesh::moved(story.places)).await;
        let store = story.proxy.store().clone();
        let second = story.second.address();
        let moved = || {
            let snapshot = store.current();
            let endpoints = snapshot.assignments.get(SHOP_ENDPOINTS)?.endpoints();
            let has_route = snapshot.routes.get(SHOP_ROUTES)?.virtual_hosts()[0].routes().len() == 7;
            (has_route && endpoints.iter().any(|endpoint| endpoint.address == second)).then_some(())
        };
        until(&story.platform, "the move", moved).await;
        let sale = story.shop("/sale", &[]).await;
        assert_eq!((sale.status, sale.body.as_str()), (418, "sold out\n"));
        assert!(story.shop("/cart", &[]).await.body.starts_with("second\n"));
        assert_eq!((story.first.requests(), story.second.requests()), (1, 1));
    });
}

#[test]
fn what_we_cannot_do_is_refused_by_name_and_traffic_goes_on() {
    delta_and_state_of_the_world(|mut story| async move {
        let answers = story.stream.replay(&mesh::refused(story.places)).await;
        let why = answers[0].clone().expect("a refusal");
        assert!(why.contains("legacy.static") && why.contains("health_checks"), "{why}");
        assert!(story.get(ADMIN_LISTENER, "x", "/", &[]).await.body.starts_with("second\n"), "the old one serves");
        assert!(story.shop("/cart", &[]).await.body.starts_with("first\n"));
        // A refusal is no end: what comes next is taken.
        story.takes(&mesh::removed()).await;
        story.listens(&[SHOP_LISTENER]).await;
    });
}

#[test]
fn a_removed_listener_closes_and_the_others_serve_on() {
    delta_and_state_of_the_world(|mut story| async move {
        let admin = story.proxy.listening()[ADMIN_LISTENER];
        let shop = story.proxy.listening()[SHOP_LISTENER];
        story.takes(&mesh::removed()).await;
        story.listens(&[SHOP_LISTENER]).await;
        assert!(http1::is_refused(&story.platform, admin).await);
        assert_eq!(story.proxy.listening()[SHOP_LISTENER], shop);
        assert!(story.shop("/cart", &[]).await.body.starts_with("first\n"));
        let gone = || (!story.proxy.store().current().clusters.contains_key(mesh::LEGACY_CLUSTER)).then_some(());
        until(&story.platform, "the cluster to go", gone).await;
        assert!(story.proxy.store().current().clusters.contains_key(SHOP_CLUSTER));
    });
}
