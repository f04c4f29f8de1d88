//! The control plane and a gateway proxy on the real door: certificates against signing requests, xDS over
//! mTLS, and a request through real sockets of this machine.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use wavetank_conformance::edge::{Edge, GATEWAY_IDENTITY, GATEWAY_NODE, ROUTING, SHOP_ROUTE, WEB_IDENTITY};
use wavetank_conformance::http1::{self, Answer};
use wavetank_conformance::live::{self, until};
use wavetank_conformance::records::Records;
use wavetank_control::Dialect;
use wavetank_platform::Platform;
use wavetank_proxy::bootstrap::XdsMode;
use wavetank_proxy::record::{Protocol, Record, TlsState};
use wavetank_proxy::{DrainTimes, Proxy};

const MODES: [XdsMode; 2] = [XdsMode::Delta, XdsMode::StateOfTheWorld];

/// A mesh with its gateway, which has taken everything and listens.
struct Story {
    platform: Platform,
    edge: Edge,
    proxy: Proxy,
    records: Arc<Records>,
}

impl Story {
    async fn open(platform: Platform, dialect: Dialect, mode: XdsMode) -> Self {
        let edge = Edge::start(&platform, dialect).await;
        let records = Arc::new(Records::default());
        let proxy = Proxy::start(platform.clone(), edge.bootstrap(mode), records.clone()).expect("good roots");
        edge.settled().await;
        until(&platform, "the listener", || (!proxy.listening().is_empty()).then_some(())).await;
        Self { platform, edge, proxy, records }
    }

    async fn get(&self, path: &str) -> (Answer, Record) {
        let index = self.records.count();
        let answer = http1::get(&self.platform, self.edge.gateway, "shop.example", path, &[]).await;
        (answer, self.records.nth(&self.platform, index).await)
    }
}

fn in_every_mode(dialect: Dialect, story: impl AsyncFn(&Story) + Copy + Send + 'static) {
    for mode in MODES {
        live::run(move |platform| async move { story(&Story::open(platform, dialect, mode).await).await });
    }
}

fn assert_decided(record: &Record, web: SocketAddr) {
    let decision = &record.decision;
    let (line, column) = SHOP_ROUTE;
    let from = decision.route_from.as_ref().expect("the route's line");
    assert_eq!(from.to_string(), format!("{ROUTING}:{line}:{column}"));
    let host = decision.virtual_host_from.as_ref().expect("the host's line");
    assert_eq!((&*host.file, host.line), (ROUTING, 16));
    let subset = decision.cluster_from.as_ref().expect("the subset's line");
    assert_eq!((&*subset.file, subset.line), (ROUTING, 31));
    assert_eq!(decision.cluster.as_deref(), Some("outbound|80|v1|web.default.svc.cluster.local"));
    assert_eq!((&*record.node, record.endpoint()), (GATEWAY_NODE, Some(web)));
    assert_eq!((record.protocol, record.status, &*record.details), (Protocol::Http1, 200, "via_upstream"));
    assert_eq!((&*record.path, &*record.authority), ("/shop/cart?x=1", "shop.example"));
    assert_eq!((record.attempts.len(), record.flags.as_slice()), (1, &[][..]));
    assert_eq!(record.downstream.tls, TlsState::Plaintext);
}

#[test]
fn a_request_passes_today_over_mutual_tls_and_its_record_says_why() {
    in_every_mode(Dialect::V1, async |story| {
        let (answer, record) = story.get("/shop/cart?x=1").await;
        assert_eq!((answer.status, answer.header("server")), (200, Some("istio-envoy")));
        assert!(answer.header("x-envoy-upstream-service-time").is_some(), "{answer:?}");
        assert!(answer.body.starts_with("web\nGET /shop/cart?x=1\n"), "{}", answer.body);
        assert!(answer.body.contains("\nhost: shop.example\n"), "{}", answer.body);
        assert_decided(&record, story.edge.web.address());
        let upstream = record.upstream().expect("a connection");
        assert_eq!(upstream.tls, TlsState::Mutual { peer: WEB_IDENTITY.into() });
        assert_eq!(upstream.remote, story.edge.web.address());
        assert_eq!(story.edge.web.requests(), 1);
        assert!(answer.body.ends_with(&format!("\npeer: {GATEWAY_IDENTITY}\n")), "{}", answer.body);
        let id = record.request_id.as_deref().expect("a request id");
        assert!(answer.body.contains(id), "{}", answer.body);
        let web = story.edge.web.address();
        let line = story.records.logged();
        let begin = "\"GET /shop/cart?x=1 HTTP/1.1\" 200 - via_upstream - \"-\" 0 ";
        assert!(line.contains(begin), "{line}");
        let end = format!("\"{id}\" \"shop.example\" \"{web}\" outbound|80|v1|web.default.svc.cluster.local ");
        assert!(line.contains(&end) && line.lines().count() == 1, "{line}");
    });
}

#[test]
fn a_request_passes_in_the_book_in_plaintext() {
    in_every_mode(Dialect::V1_0, async |story| {
        let (answer, record) = story.get("/shop/cart?x=1").await;
        assert_eq!((answer.status, answer.header("server")), (200, Some("envoy")));
        assert!(answer.body.starts_with("web\nGET /shop/cart?x=1\n"), "{}", answer.body);
        assert_decided(&record, story.edge.web.address());
        assert_eq!(record.upstream().expect("a connection").tls, TlsState::Plaintext);
    });
}

#[test]
fn what_no_route_takes_reaches_nobody() {
    in_every_mode(Dialect::V1, async |story| {
        let (answer, record) = story.get("/other").await;
        assert_eq!((answer.status, &*record.details), (404, "route_not_found"));
        assert_eq!(record.decision.route_from, None);
        assert_eq!(story.edge.web.requests(), 0);
    });
}

#[test]
fn a_drained_gateway_closes_its_door() {
    in_every_mode(Dialect::V1, async |story| {
        story.get("/shop").await;
        let times = DrainTimes { minimum: Duration::ZERO, maximum: live::PATIENCE };
        story.proxy.drain(times).await;
        assert!(http1::is_refused(&story.platform, story.edge.gateway).await);
    });
}

#[test]
fn the_authority_gives_the_gateway_no_name_but_its_own() {
    live::run(|platform| async move {
        let edge = Edge::start(&platform, Dialect::V1).await;
        let mut bootstrap = edge.bootstrap(XdsMode::Delta);
        let ca = bootstrap.ca.as_mut().expect("an authority");
        assert_eq!(ca.identity, GATEWAY_IDENTITY);
        ca.identity = WEB_IDENTITY.to_owned();
        let tls = wavetank_proxy::tls::Tls::new(&platform);
        let identity = wavetank_proxy::identity::Identity::new(platform.clone(), ca.clone(), &bootstrap.limits, tls);
        let refused = identity.expect("good roots").renew().await.expect_err("someone else's name");
        assert!(refused.to_string().contains("certificate authority said"), "{refused}");
    });
}
