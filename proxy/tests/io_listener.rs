//! Listeners: TCP proxy, original destination, changes in place, drain.

mod io_support;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use io_support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wavetank_platform::net::{Accept, BoxFuture};
use wavetank_platform::{ConnectOptions, ListenOptions, Net, OriginalDst, Platform, Stream};
use wavetank_proxy::DrainTimes;
use wavetank_proxy::record::{Direction, Flag, Protocol, Record};
use wavetank_proxy::snapshot::Snapshot;
use wavetank_proxy::snapshot::cluster::{Breakers, Cluster, Discovery};
use wavetank_proxy::snapshot::listener::{FilterChainMatch, Handler, Listener};
use wavetank_proxy::snapshot::route::{Action, Route, RouteMatch};

const CLOSE_AT_ONCE: DrainTimes = DrainTimes { minimum: Duration::ZERO, maximum: Duration::from_secs(60) };

fn flags(record: &Record) -> String {
    record.flags.iter().map(Flag::to_string).collect::<Vec<_>>().join(",")
}

/// A route that answers by itself.
fn says(text: &'static str) -> Handler {
    let route = Route::new(RouteMatch::prefix("/"), Action::Direct { status: 200, body: text.into() });
    http(manager(vec![route]))
}

/// Answers what it was sent, once the peer has closed its side.
async fn echo_at_end(platform: &Platform) -> SocketAddr {
    let listener = platform.net.listen(any_port(), ListenOptions::default()).await.unwrap();
    let address = listener.local_addr();
    let spawn = platform.spawn.clone();
    platform.spawn.go(async move {
        while let Ok(mut stream) = listener.accept().await {
            spawn.go(async move {
                let mut got = Vec::new();
                stream.read_to_end(&mut got).await.unwrap();
                stream.write_all(&got).await.unwrap();
            });
        }
    });
    address
}

#[tokio::test]
async fn tcp_bytes_pass_both_ways_and_each_side_closes_on_its_own() {
    let platform = host();
    let echo = echo_at_end(&platform).await;
    let bench = Bench::start(&platform, snapshot(tcp(&[("up", 1)]), vec![cluster("up", &[echo])])).await;
    let mut stream = bench.connect().await;
    let sent = vec![b'x'; 300_000];
    stream.write_all(&sent).await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(read_rest(&mut stream).await.len(), sent.len());
    let record = bench.record().await;
    assert_eq!((record.protocol, record.status, flags(&record).as_str(), &*record.details), (Protocol::Tcp, 0, "", ""));
    assert_eq!((record.bytes_received, record.bytes_sent), (300_000, 300_000));
    assert_eq!(record.upstream().map(|leg| leg.remote), Some(echo));
    assert_eq!(record.decision.cluster.as_deref(), Some("up"));
}

#[tokio::test]
async fn tcp_failures_have_envoys_flags() {
    let platform = host();
    let gone = refusing(&platform).await;
    let mut full = cluster("up", &[gone]);
    full.breakers = Breakers { connections_max: 0, ..Breakers::default() };
    for (clusters, wanted, attempts) in [
        (vec![], "NC", 0),
        (vec![cluster("up", &[])], "UH", 0),
        (vec![cluster("up", &[gone])], "UF,URX", 1),
        (vec![full], "UO", 0),
    ] {
        let bench = Bench::start(&platform, snapshot(tcp(&[("up", 1)]), clusters)).await;
        let mut stream = bench.connect().await;
        assert_eq!(read_rest(&mut stream).await, "");
        let record = bench.record().await;
        assert_eq!((flags(&record).as_str(), record.attempts.len()), (wanted, attempts));
    }
}

#[tokio::test]
async fn no_chain_is_a_closed_connection_and_nr() {
    let platform = host();
    let mut listener = Listener::new("l", any_port());
    let mut only = chain(says("x"));
    only.matches = FilterChainMatch { destination_port: Some(1), ..FilterChainMatch::default() };
    listener.filter_chains.push(only);
    let bench = Bench::start(&platform, of(listener, vec![])).await;
    assert_eq!(bench.ask(GET).await, "");
    let record = bench.record().await;
    assert_eq!((flags(&record).as_str(), &*record.details), ("NR", "filter_chain_not_found"));
}

#[tokio::test]
async fn a_changed_listener_keeps_its_socket_and_asks_old_connections_to_leave() {
    let platform = host();
    let bench = Bench::start(&platform, snapshot(says("old"), vec![])).await;
    let mut before = bench.connect().await;
    assert!(ask_on(&mut before, GET).await.ends_with("old"));
    let mut version = bench.proxy.store().subscribe();
    bench.proxy.store().publish(snapshot(says("new"), vec![]));
    version.changed().await.unwrap();
    while !bench.ask(GET).await.ends_with("new") {}
    assert_eq!(bench.proxy.listening()["l"], bench.address);
    let last = ask_on(&mut before, GET).await;
    assert!(last.contains("connection: close\r\n") && last.ends_with("old"), "{last}");
    assert_eq!(read_rest(&mut before).await, "");
    assert_eq!(bench.proxy.config_version(), 1);
}

#[tokio::test]
async fn a_removed_listener_refuses_and_one_that_appears_is_bound() {
    let platform = host();
    let bench = Bench::start(&platform, snapshot(says("x"), vec![])).await;
    bench.proxy.store().publish(Snapshot::default());
    while platform.net.connect(bench.address, ConnectOptions::default()).await.is_ok() {
        tokio::task::yield_now().await;
    }
    bench.proxy.store().publish(snapshot(says("x"), vec![]));
    while !bench.proxy.listening().contains_key("l") {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_drain_lets_requests_finish_and_closes_the_door() {
    let platform = host();
    let origin = Origin::start(&platform, &[Act::Answer(OK), Act::Answer(OK)]).await;
    let clusters = vec![cluster("up", &[origin.address])];
    let bench = Bench::start(&platform, snapshot(http(manager(vec![route_to("up")])), clusters)).await;
    let mut stream = bench.connect().await;
    assert!(ask_on(&mut stream, GET).await.ends_with("ok"));
    let draining = bench.proxy.drain(CLOSE_AT_ONCE);
    let rest = async {
        while platform.net.connect(bench.address, ConnectOptions::default()).await.is_ok() {
            tokio::task::yield_now().await;
        }
        let last = ask_on(&mut stream, GET).await;
        assert!(last.contains("connection: close\r\n") && last.ends_with("ok"), "{last}");
        assert_eq!(read_rest(&mut stream).await, "");
    };
    // The drain ends when the last connection does, long before its grace.
    tokio::join!(draining, rest);
}

/// Who has not heard that the proxy leaves still calls it, for as long as the minimum lasts.
#[tokio::test]
async fn a_drain_takes_new_callers_while_its_minimum_lasts_and_asks_them_to_leave() {
    let platform = host();
    let bench = Bench::start(&platform, snapshot(says("x"), vec![])).await;
    let mut stream = bench.connect().await;
    assert!(!ask_on(&mut stream, GET).await.contains("connection: close"));
    let hour = Duration::from_secs(3600);
    let rest = async {
        while !ask_on(&mut stream, GET).await.contains("connection: close\r\n") {
            tokio::task::yield_now().await;
        }
        let answer = bench.ask(GET).await;
        assert!(answer.contains("connection: close\r\n") && answer.ends_with('x'), "{answer}");
        // A change of the listener changes nothing in that.
        let mut version = bench.proxy.store().subscribe();
        bench.proxy.store().publish(snapshot(says("y"), vec![]));
        version.changed().await.unwrap();
        loop {
            let answer = bench.ask(GET).await;
            assert!(answer.contains("connection: close\r\n"), "{answer}");
            if answer.ends_with('y') {
                break;
            }
        }
        // Nor does another listener.
        let mut more = snapshot(says("y"), vec![]);
        let mut late = Listener::new("late", any_port());
        late.filter_chains.push(chain(says("z")));
        more.listeners.insert("late".into(), Arc::new(late));
        bench.proxy.store().publish(more);
        let late = loop {
            if let Some(late) = bench.proxy.listening().get("late") {
                break *late;
            }
            tokio::task::yield_now().await;
        };
        let mut stream = platform.net.connect(late, ConnectOptions::default()).await.unwrap();
        let answer = ask_on(&mut stream, GET).await;
        assert!(answer.contains("connection: close\r\n"), "{answer}");
    };
    tokio::select! {
        biased;
        () = bench.proxy.drain(DrainTimes { minimum: hour, maximum: hour }) => panic!("it has an hour"),
        () = rest => {}
    }
}

/// To answer its callers, the workload may have to call others.
#[tokio::test]
async fn the_workload_may_call_until_its_last_caller_has_gone() {
    let platform = host();
    let mut config = Snapshot::default();
    for (name, direction) in [("l", Direction::Inbound), ("own", Direction::Outbound)] {
        let mut listener = Listener::new(name, any_port());
        listener.filter_chains.push(chain(says(name)));
        listener.direction = direction;
        config.listeners.insert(name.into(), Arc::new(listener));
    }
    let bench = Bench::start(&platform, config).await;
    let own = bench.proxy.listening()["own"];
    let is_open = async |address| platform.net.connect(address, ConnectOptions::default()).await.is_ok();
    let mut caller = bench.connect().await;
    assert!(ask_on(&mut caller, GET).await.ends_with('l'));
    let rest = async {
        while is_open(bench.address).await {
            tokio::task::yield_now().await;
        }
        let mut workload = platform.net.connect(own, ConnectOptions::default()).await.unwrap();
        let answer = ask_on(&mut workload, GET).await;
        assert!(answer.ends_with("own") && !answer.contains("connection: close"), "{answer}");
        let last = ask_on(&mut caller, GET).await;
        assert!(last.contains("connection: close\r\n"), "{last}");
        while is_open(own).await {
            tokio::task::yield_now().await;
        }
        let last = ask_on(&mut workload, GET).await;
        assert!(last.contains("connection: close\r\n"), "{last}");
    };
    tokio::join!(bench.proxy.drain(CLOSE_AT_ONCE), rest);
}

/// A network whose accepted connections were all meant for another address.
struct Captured {
    net: Arc<dyn Net>,
    meant: SocketAddr,
}

struct CapturedListener {
    listener: wavetank_platform::Listener,
    meant: SocketAddr,
}

impl Net for Captured {
    fn listen(
        &self,
        addr: SocketAddr,
        options: ListenOptions,
    ) -> BoxFuture<'_, io::Result<wavetank_platform::Listener>> {
        Box::pin(async move {
            let listener = self.net.listen(addr, options).await?;
            let local = listener.local_addr();
            Ok(wavetank_platform::Listener::new(CapturedListener { listener, meant: self.meant }, local))
        })
    }

    fn connect(&self, addr: SocketAddr, options: ConnectOptions) -> BoxFuture<'_, io::Result<Stream>> {
        self.net.connect(addr, options)
    }
}

impl Accept for CapturedListener {
    fn accept(&self) -> BoxFuture<'_, io::Result<Stream>> {
        Box::pin(async move {
            let stream = self.listener.accept().await?;
            let (local, peer) = (stream.local_addr(), stream.peer_addr());
            Ok(Stream::new(stream, local, peer, Some(OriginalDst(self.meant))))
        })
    }
}

fn at(name: &str, address: &str, handler: Handler) -> Listener {
    let mut listener = Listener::new(name, address.parse().unwrap());
    listener.bind_to_port = false;
    listener.filter_chains.push(chain(handler));
    listener
}

#[tokio::test]
async fn a_captured_connection_meets_the_listener_of_its_original_destination() {
    let platform = host();
    let origin = Origin::start(&platform, &[Act::Answer(OK)]).await;
    for (meant, wanted) in [
        ("10.0.0.1:80".parse().unwrap(), "exact"),
        ("10.0.0.2:80".parse().unwrap(), "wildcard"),
        (origin.address, "ok"),
    ] {
        let mut captured = platform.clone();
        captured.net = Arc::new(Captured { net: platform.net.clone(), meant });
        let mut door = Listener::new("l", any_port());
        door.use_original_dst = true;
        door.filter_chains.push(chain(http(manager(vec![route_to("passthrough")]))));
        let mut all = of(door, vec![Cluster::new("passthrough", Discovery::OriginalDst)]);
        for listener in [at("a", "0.0.0.0:80", says("wildcard")), at("b", "10.0.0.1:80", says("exact"))] {
            all.listeners.insert(listener.name.clone(), Arc::new(listener));
        }
        let bench = Bench::start(&captured, all).await;
        let answer = bench.ask(GET).await;
        assert!(answer.ends_with(wanted), "{answer}");
        assert_eq!(bench.record().await.original_dst, Some(meant));
    }
}

#[tokio::test]
async fn first_bytes_choose_between_http_and_anything_else() {
    let platform = host();
    let echo = echo_at_end(&platform).await;
    let mut listener = Listener::new("l", any_port());
    listener.inspect_http = true;
    listener.inspect_tls = true;
    let mut http_only = chain(says("http"));
    http_only.matches.application_protocols = vec!["http/1.1".into(), "h2c".into()];
    listener.filter_chains.push(http_only);
    listener.filter_chains.push(chain(tcp(&[("up", 1)])));
    let bench = Bench::start(&platform, of(listener, vec![cluster("up", &[echo])])).await;
    assert!(bench.ask(GET).await.ends_with("http"));
    let mut stream = bench.connect().await;
    stream.write_all(b"\x00hello").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(read_rest(&mut stream).await, "\u{0}hello");
    let records = bench.records.wait(2).await;
    assert_eq!([records[0].protocol, records[1].protocol], [Protocol::Http1, Protocol::Tcp]);
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_timeout() {
    let platform = host();
    let mut hcm = manager(vec![route_to("up")]);
    hcm.idle_timeout = Some(Duration::from_millis(40));
    let bench = Bench::start(&platform, snapshot(http(hcm), vec![])).await;
    let mut silent = bench.connect().await;
    let mut used = bench.connect().await;
    assert!(ask_on(&mut used, GET).await.starts_with("HTTP/1.1 503 "));
    assert_eq!(read_rest(&mut silent).await, "");
    assert_eq!(read_rest(&mut used).await, "");
    assert_eq!(bench.records.wait(1).await.len(), 1);
}
