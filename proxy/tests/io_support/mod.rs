//! A proxy between raw sockets on loopback: what goes in and comes out is bytes.

#![expect(dead_code, reason = "each test binary uses its part")]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use wavetank_platform::linux::platform;
use wavetank_platform::{ConnectOptions, ListenOptions, Platform, Stream};
use wavetank_proxy::access_log::AccessLogs;
use wavetank_proxy::bootstrap::Limits;
use wavetank_proxy::ejection::Ejection;
use wavetank_proxy::proxy::Proxy;
use wavetank_proxy::record::{Record, Recorder};
use wavetank_proxy::snapshot::Snapshot;
use wavetank_proxy::snapshot::cluster::{Assignment, Cluster, Discovery, Endpoint};
use wavetank_proxy::snapshot::listener::{
    FilterChain, FilterChainMatch, Handler, HttpManager, Listener, RouteSource, TcpProxy,
};
use wavetank_proxy::snapshot::route::{Action, ClusterChoice, Forward, Route, RouteConfig, RouteMatch, VirtualHost};
use wavetank_proxy::tls::Tls;
use wavetank_proxy::xds::Store;

/// Records in memory.
#[derive(Default)]
pub(crate) struct Records {
    all: Mutex<Vec<Record>>,
    ejections: Mutex<Vec<Ejection>>,
    logged: Mutex<Vec<u8>>,
    more: Notify,
}

impl Recorder for Records {
    fn record(&self, record: &Record) {
        self.all.lock().unwrap().push(record.clone());
        self.more.notify_one();
    }

    fn ejection(&self, ejection: Ejection) {
        self.ejections.lock().unwrap().push(ejection);
        self.more.notify_one();
    }

    fn access_log(&self, path: &Arc<str>, write: &mut dyn FnMut(&mut Vec<u8>)) {
        let mut logged = self.logged.lock().unwrap();
        logged.extend_from_slice(format!("{path}: ").as_bytes());
        write(&mut logged);
        self.more.notify_one();
    }
}

impl Records {
    /// What outlier detection did so far.
    pub(crate) fn ejections(&self) -> Vec<Ejection> {
        self.ejections.lock().unwrap().clone()
    }

    /// Waits for `count` lines of access logs, each with its file.
    pub(crate) async fn lines(&self, count: usize) -> Vec<String> {
        loop {
            let logged = String::from_utf8(self.logged.lock().unwrap().clone()).unwrap();
            if logged.lines().count() >= count {
                return logged.lines().map(str::to_owned).collect();
            }
            self.more.notified().await;
        }
    }

    /// Waits for `count` records.
    pub(crate) async fn wait(&self, count: usize) -> Vec<Record> {
        loop {
            let all = self.all.lock().unwrap().clone();
            if all.len() >= count {
                return all;
            }
            self.more.notified().await;
        }
    }
}

/// A proxy, its records, and the address it listens on.
pub(crate) struct Bench {
    pub(crate) platform: Platform,
    pub(crate) proxy: Proxy,
    pub(crate) records: Arc<Records>,
    pub(crate) address: SocketAddr,
}

pub(crate) fn any_port() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// An address that refuses connections.
pub(crate) async fn refusing(platform: &Platform) -> SocketAddr {
    platform.net.listen(any_port(), ListenOptions::default()).await.unwrap().local_addr()
}

/// A chain that takes every connection.
pub(crate) fn chain(handler: Handler) -> FilterChain {
    FilterChain { name: "chain".into(), matches: FilterChainMatch::default(), tls: None, handler }
}

/// A connection manager with one virtual host of these routes; ids are not made.
pub(crate) fn manager(routes: Vec<Route>) -> HttpManager {
    let host = VirtualHost::new("vh", &["a.test"], routes);
    let config = RouteConfig::new("rc", vec![host.into()]).unwrap();
    let mut manager = HttpManager::new("h", RouteSource::Inline(config.into()));
    manager.generate_request_id = false;
    manager
}

/// A route of every path to a cluster.
pub(crate) fn route_to(cluster: &str) -> Route {
    forward(Forward::to(ClusterChoice::Single(cluster.into())))
}

pub(crate) fn forward(forward: Forward) -> Route {
    let mut route = Route::new(RouteMatch::prefix("/"), Action::Forward(Box::new(forward)));
    route.name = "r".into();
    route
}

pub(crate) fn cluster(name: &str, addresses: &[SocketAddr]) -> Cluster {
    let endpoints = addresses.iter().copied().map(Endpoint::at).collect();
    Cluster::new(name, Discovery::Static(Arc::new(Assignment::new(endpoints))))
}

pub(crate) fn snapshot(handler: Handler, clusters: Vec<Cluster>) -> Snapshot {
    let mut listener = Listener::new("l", any_port());
    listener.filter_chains.push(chain(handler));
    of(listener, clusters)
}

pub(crate) fn of(listener: Listener, clusters: Vec<Cluster>) -> Snapshot {
    Snapshot {
        listeners: [(listener.name.clone(), Arc::new(listener))].into(),
        clusters: clusters.into_iter().map(|cluster| (cluster.name.clone(), Arc::new(cluster))).collect(),
        ..Snapshot::default()
    }
}

pub(crate) fn http(manager: HttpManager) -> Handler {
    Handler::Http(Arc::new(manager))
}

pub(crate) fn tcp(clusters: &[(&str, u32)]) -> Handler {
    Handler::Tcp(Arc::new(TcpProxy {
        stat_prefix: "t".into(),
        clusters: clusters.iter().map(|(name, weight)| ((*name).into(), *weight)).collect(),
        idle_timeout: None,
        connect_attempts_max: 1,
        access_logs: AccessLogs::default(),
    }))
}

impl Bench {
    pub(crate) async fn start(platform: &Platform, snapshot: Snapshot) -> Self {
        Self::with_tls(platform, snapshot, Tls::new(platform)).await
    }

    pub(crate) async fn with_tls(platform: &Platform, snapshot: Snapshot, tls: Tls) -> Self {
        let records = Arc::new(Records::default());
        let store = Store::from_snapshot(snapshot);
        let proxy = Proxy::with_store(platform.clone(), "node", store, tls, &Limits::default(), records.clone());
        proxy.ready().await;
        let address = proxy.listening()["l"];
        Self { platform: platform.clone(), proxy, records, address }
    }

    pub(crate) async fn connect(&self) -> Stream {
        self.platform.net.connect(self.address, ConnectOptions::default()).await.unwrap()
    }

    /// One request on a connection of its own; the answer, dates and times blanked.
    pub(crate) async fn ask(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        ask_on(&mut stream, request).await
    }

    /// The only record so far.
    pub(crate) async fn record(&self) -> Record {
        let mut all = self.records.wait(1).await;
        assert_eq!(all.len(), 1);
        all.remove(0)
    }
}

pub(crate) const GET: &str = "GET / HTTP/1.1\r\nhost: a.test\r\n\r\n";
pub(crate) const OK: &str = "HTTP/1.1 200 X\r\ncontent-length: 2\r\n\r\nok";

/// Sends `request` and reads one whole answer, or all there is before the end.
pub(crate) async fn ask_on(stream: &mut Stream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    read_answer(stream, request.starts_with("HEAD")).await
}

pub(crate) async fn read_answer(stream: &mut Stream, head_only: bool) -> String {
    let mut got = Vec::new();
    let mut byte = [0];
    while !is_whole(&got, head_only) {
        match stream.read(&mut byte).await {
            Ok(1) => got.push(byte[0]),
            _ => break,
        }
    }
    blank(&String::from_utf8(got).unwrap())
}

/// Reads to the end of the stream.
pub(crate) async fn read_rest(stream: &mut Stream) -> String {
    let mut got = Vec::new();
    let _broken = stream.read_to_end(&mut got).await;
    blank(&String::from_utf8(got).unwrap())
}

fn is_whole(got: &[u8], head_only: bool) -> bool {
    let text = String::from_utf8_lossy(got);
    let text = text.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(&text);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    if head_only || head.contains(" 204 ") || head.contains(" 304 ") || head.contains(" 101 ") {
        return true;
    }
    if head.contains("transfer-encoding: chunked") {
        return body.ends_with("0\r\n\r\n");
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).and_then(|n| n.parse().ok());
    length.is_some_and(|length: usize| body.len() >= length)
}

/// Dates and service times vary.
fn blank(answer: &str) -> String {
    let lines = answer.split("\r\n").map(|line| match line.split_once(": ") {
        Some(("date", _)) => "date: D".to_owned(),
        Some(("x-envoy-upstream-service-time", _)) => "x-envoy-upstream-service-time: N".to_owned(),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\r\n")
}

/// What an origin does with a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    /// Answers and keeps the connection.
    Answer(&'static str),
    /// Answers and closes.
    Last(&'static str),
    /// Closes without a byte.
    Close,
    /// Closes as soon as it is connected to.
    Refuse,
    /// Answers (or not) and does nothing more.
    Stall(&'static str),
}

/// An HTTP/1 server that does as it is told, and remembers what it was sent.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Mutex<Vec<String>>>,
    pub(crate) connections: Arc<AtomicUsize>,
}

impl Origin {
    /// `acts` by request, in order of arrival; the last one goes on.
    pub(crate) async fn start(platform: &Platform, acts: &'static [Act]) -> Self {
        let listener = platform.net.listen(any_port(), ListenOptions::default()).await.unwrap();
        let address = listener.local_addr();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let connections = Arc::new(AtomicUsize::new(0));
        let (all_seen, count, spawn) = (seen.clone(), connections.clone(), platform.spawn.clone());
        platform.spawn.go(async move {
            while let Ok(stream) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let seen = all_seen.clone();
                spawn.go(serve(stream, seen, acts));
            }
        });
        Self { address, seen, connections }
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(mut stream: Stream, seen: Arc<Mutex<Vec<String>>>, acts: &'static [Act]) {
    if matches!(acts, [Act::Refuse]) {
        return;
    }
    loop {
        let request = read_request(&mut stream).await;
        if request.is_empty() {
            return;
        }
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.push(request);
            seen.len() - 1
        };
        match acts[number.min(acts.len() - 1)] {
            Act::Answer(bytes) => stream.write_all(bytes.as_bytes()).await.unwrap(),
            Act::Last(bytes) => {
                stream.write_all(bytes.as_bytes()).await.unwrap();
                return;
            }
            Act::Close | Act::Refuse => return,
            Act::Stall(bytes) => {
                stream.write_all(bytes.as_bytes()).await.unwrap();
                let mut rest = Vec::new();
                let _ended = stream.read_to_end(&mut rest).await;
                return;
            }
        }
    }
}

/// Reads a head and the body that its content-length or chunks say.
async fn read_request(stream: &mut Stream) -> String {
    let mut got = Vec::new();
    let mut byte = [0];
    loop {
        match stream.read(&mut byte).await {
            Ok(1) => got.push(byte[0]),
            _ => return String::from_utf8(got).unwrap(),
        }
        let text = String::from_utf8_lossy(&got);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let whole = match length {
                Some(length) => body.len() >= length.parse::<usize>().unwrap(),
                None => !head.contains("transfer-encoding: chunked") || body.ends_with("0\r\n\r\n"),
            };
            if whole {
                return String::from_utf8(got).unwrap();
            }
        }
    }
}

/// The host of a test.
pub(crate) fn host() -> Platform {
    platform().unwrap()
}
