//! The programs of the world on real loopback: what the book's app and httpbin answer.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use wavetank::world::app::Program;
use wavetank::world::app::lab::LabService;
use wavetank::world::client::{Call, CallFailure, Reply, Target, call_once};
use wavetank_platform::net::BoxFuture;
use wavetank_platform::{ConnectOptions, ListenOptions, Listener, Net, Platform, Resolver, Stream};

/// Loopback with Service names: a name resolves to an address of its own, and connecting there reaches the
/// program started for it.
struct Names {
    inner: Arc<dyn Net>,
    by_ip: BTreeMap<IpAddr, SocketAddr>,
    by_name: BTreeMap<String, IpAddr>,
}

impl Net for Names {
    fn listen(&self, addr: SocketAddr, options: ListenOptions) -> BoxFuture<'_, io::Result<Listener>> {
        self.inner.listen(addr, options)
    }

    fn connect(&self, addr: SocketAddr, options: ConnectOptions) -> BoxFuture<'_, io::Result<Stream>> {
        self.inner.connect(self.by_ip.get(&addr.ip()).copied().unwrap_or(addr), options)
    }
}

impl Resolver for Names {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let found = self.by_name.get(name).map(|ip| vec![*ip]);
        Box::pin(async move { found.ok_or_else(|| io::ErrorKind::NotFound.into()) })
    }
}

/// Starts `programs`, leaves first: each can call those before it by name.
async fn world(programs: &[(&str, Program)]) -> Platform {
    let mut platform = wavetank_platform::linux::platform().expect("random bytes");
    let base = platform.net.clone();
    let (mut by_ip, mut by_name) = (BTreeMap::new(), BTreeMap::new());
    for (index, (name, program)) in programs.iter().enumerate() {
        let loopback = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
        let bound = program.start_on(&platform, loopback).await.expect("a free port");
        let ip = IpAddr::V4(Ipv4Addr::new(10, 96, 0, index as u8 + 1));
        by_ip.insert(ip, bound);
        by_name.insert((*name).to_owned(), ip);
        let names = Arc::new(Names { inner: base.clone(), by_ip: by_ip.clone(), by_name: by_name.clone() });
        platform.net = names.clone();
        platform.resolver = names;
    }
    platform
}

fn lab(service: LabService, version: &str) -> (&'static str, Program) {
    (service.service_name(), Program::Lab { service, version: version.to_owned() })
}

async fn ask(platform: &Platform, call: Call) -> Result<Reply, CallFailure> {
    call_once(platform, call, 0, Duration::from_secs(30)).await
}

async fn body_of(platform: &Platform, host: &str, path: &str) -> (u16, Bytes) {
    let reply = ask(platform, Call::get(Target::new(host, path))).await.expect("a reply");
    (reply.status.as_u16(), reply.body)
}

#[tokio::test]
async fn env_of_a_leaf_is_its_message_alone() {
    let platform = world(&[lab(LabService::Go, "v1"), lab(LabService::Lua, "v2")]).await;
    assert_eq!(body_of(&platform, "service-go", "/env").await, (200, Bytes::from(r#"{"message":"go v1"}"#)));
    assert_eq!(body_of(&platform, "service-lua", "/env").await, (200, Bytes::from("{\"message\":\"lua v2\"}\n")));
    assert_eq!(body_of(&platform, "service-go", "/status").await, (200, Bytes::from("ok")));
    assert_eq!(body_of(&platform, "service-go", "/other").await.0, 404);
}

#[tokio::test]
async fn env_of_python_shows_the_whole_chain() {
    let platform = world(&[
        lab(LabService::Go, "v1"),
        lab(LabService::Lua, "v1"),
        lab(LabService::Node, "v2"),
        lab(LabService::Python, "v1"),
    ])
    .await;
    let (status, body) = body_of(&platform, "service-python", "/env").await;
    let mut shown: Value = serde_json::from_slice(&body).expect("JSON");
    assert!(shown["upstream"][0]["response_time"].take().is_f64());
    let node = &mut shown["upstream"][1];
    assert!(node["response_time"].take().is_f64());
    assert!(node["upstream"][0]["response_time"].take().is_string());
    let go = json!({"message": "go v1", "response_time": null});
    let expected = json!({"message": "python v1", "upstream": [
        {"message": "lua v1", "response_time": null},
        {"message": "node v2", "response_time": null, "upstream": [go]},
    ]});
    assert_eq!((status, shown), (200, expected));
}

#[tokio::test]
async fn a_failed_callee_is_left_out_and_the_reply_is_200() {
    // go answers 404 to node's question; python finds nobody at all.
    let httpbin_on_gos_port = [("service-go", Program::Httpbin { port: 8000 }), lab(LabService::Node, "v1")];
    let platform = world(&httpbin_on_gos_port).await;
    let expected = Bytes::from(r#"{"message":"node v1","upstream":[]}"#);
    assert_eq!(body_of(&platform, "service-node", "/env").await, (200, expected));

    let platform = world(&[lab(LabService::Python, "v2")]).await;
    let expected = Bytes::from("{\"message\":\"python v2\",\"upstream\":[]}\n");
    assert_eq!(body_of(&platform, "service-python", "/env").await, (200, expected));
}

#[tokio::test]
async fn httpbin_answers_what_it_is_asked_to() {
    let platform = world(&[("httpbin", Program::Httpbin { port: 8000 })]).await;
    let at = |path: &str| Target { port: 8000, ..Target::new("httpbin", path) };
    assert_eq!(ask(&platform, Call::get(at("/status/503"))).await.expect("a reply").status.as_u16(), 503);

    let call = Call::get(at("/headers")).header("x-b3-traceid", "1");
    let reply = ask(&platform, call).await.expect("a reply");
    let shown: Value = serde_json::from_slice(&reply.body).expect("JSON");
    assert_eq!(shown, json!({"headers": {"Host": "httpbin:8000", "X-B3-Traceid": "1"}}));

    let mut call = Call::get(at("/anything/x?a=1"));
    call.method = http::Method::POST;
    call.body = Bytes::from("{\"b\":2}");
    let reply = ask(&platform, call).await.expect("a reply");
    let shown: Value = serde_json::from_slice(&reply.body).expect("JSON");
    assert_eq!(
        (&shown["method"], &shown["args"], &shown["json"], &shown["url"]),
        (&json!("POST"), &json!({"a": "1"}), &json!({"b": 2}), &json!("http://httpbin:8000/anything/x?a=1"))
    );
    let ip = ask(&platform, Call::get(at("/ip"))).await.expect("a reply");
    assert_eq!(ip.body, "{\n  \"origin\": \"127.0.0.1\"\n}\n");
}

#[tokio::test]
async fn a_name_without_address_and_a_closed_port_are_told_apart() {
    let platform = wavetank_platform::linux::platform().expect("random bytes");
    let nobody = world(&[("other", Program::Httpbin { port: 8000 })]).await;
    let unknown = ask(&nobody, Call::get(Target::new("nowhere", "/"))).await;
    assert_eq!(unknown.expect_err("no such name"), CallFailure::Dns);
    let closed = Target { port: 1, ..Target::new("127.0.0.1", "/") };
    assert_eq!(ask(&platform, Call::get(closed)).await.expect_err("nobody listens"), CallFailure::Refused);
}
