//! The binary as a process of its own, between an xDS server and a program on this machine's loopback, and
//! callers that keep their connections.

#![expect(dead_code, reason = "each test binary uses its part")]

use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3 as cds;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::endpoint::v3 as eds;
use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, Resource};
use envoy_types::pb::google::protobuf::Any;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wavetank_platform::{ConnectOptions, ListenOptions, Platform, Stream};

use crate::resources::{CLUSTER, LISTENER, ROUTE, any, listener, route};
use crate::script::{Exchange, Script};

/// Bound on anything that is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

const LOOK: Duration = Duration::from_millis(5);

/// `127.0.0.1:port`.
pub(crate) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// The next port to be tried: below those that the host gives to callers, others for each test process.
static NEXT_PORT: AtomicUsize = AtomicUsize::new(0);

/// Ports that nobody listens on, and no other test here is given.
pub(crate) async fn free_ports<const N: usize>(platform: &Platform) -> [u16; N] {
    let mut free = Vec::new();
    while free.len() < N {
        let next = NEXT_PORT.fetch_add(1, Ordering::Relaxed) + std::process::id() as usize * 50;
        let port = u16::try_from(18_000 + next % 13_000).expect("below 65,536");
        if platform.net.listen(loopback(port), ListenOptions::default()).await.is_ok() {
            free.push(port);
        }
    }
    std::array::from_fn(|index| free[index])
}

/// Waits until `condition` has an answer.
pub(crate) async fn until<T>(platform: &Platform, what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(answer) = condition().await {
                return answer;
            }
            platform.clock.sleep(LOOK).await;
        }
    };
    platform.clock.timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("{what} did not come"))
}

/// Serves xDS on `xds`: a listener on `mesh` whose every request goes to `origin`. It tells whoever asks.
pub(crate) async fn serve_xds(platform: &Platform, xds: u16, mesh: u16, origin: u16) {
    serve_listener(platform, xds, listener("mesh", mesh.into(), "routes"), origin).await;
}

/// The same, with a listener `mesh` whose routes are `routes`.
pub(crate) async fn serve_listener(platform: &Platform, xds: u16, listener: Any, origin: u16) {
    let mut script = Script::serve(platform, xds, None).await;
    let own = platform.clone();
    platform.spawn.go(async move {
        loop {
            let stream = script.delta().await;
            own.spawn.go(tell(stream, listener.clone(), origin));
        }
    });
}

async fn tell(mut stream: Exchange<DeltaDiscoveryRequest, DeltaDiscoveryResponse>, mesh: Any, origin: u16) {
    let mut said = 0;
    while let Some(request) = stream.try_next().await {
        if !request.response_nonce.is_empty() {
            continue;
        }
        let (name, body) = match request.type_url.as_str() {
            CLUSTER => ("origin", static_cluster("origin", origin)),
            LISTENER => ("mesh", mesh.clone()),
            ROUTE => ("routes", route("routes", "origin")),
            _ => continue,
        };
        said += 1;
        let resource =
            Resource { name: name.to_owned(), version: "1".to_owned(), resource: Some(body), ..Default::default() };
        let response = DeltaDiscoveryResponse {
            type_url: request.type_url,
            nonce: said.to_string(),
            resources: vec![resource],
            ..Default::default()
        };
        stream.send(response).await;
    }
}

fn static_cluster(name: &str, port: u16) -> Any {
    let address = core::Address {
        address: Some(core::address::Address::SocketAddress(core::SocketAddress {
            address: "127.0.0.1".to_owned(),
            port_specifier: Some(core::socket_address::PortSpecifier::PortValue(port.into())),
            ..Default::default()
        })),
    };
    let endpoint = eds::Endpoint { address: Some(address), ..Default::default() };
    let endpoint = eds::LbEndpoint {
        host_identifier: Some(eds::lb_endpoint::HostIdentifier::Endpoint(endpoint)),
        ..Default::default()
    };
    let assignment = eds::ClusterLoadAssignment {
        cluster_name: name.to_owned(),
        endpoints: vec![eds::LocalityLbEndpoints { lb_endpoints: vec![endpoint], ..Default::default() }],
        ..Default::default()
    };
    let kind = cds::cluster::DiscoveryType::Static as i32;
    let cluster = cds::Cluster {
        name: name.to_owned(),
        cluster_discovery_type: Some(cds::cluster::ClusterDiscoveryType::Type(kind)),
        load_assignment: Some(assignment),
        ..Default::default()
    };
    any(CLUSTER, &cluster)
}

/// A program that answers every request with `ok`, after a while, and keeps its connections.
pub(crate) async fn serve_origin(platform: &Platform, delay: Duration) -> (u16, Arc<AtomicUsize>) {
    serve_answer(platform, delay, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await
}

/// A program that answers every request with `answer`, after a while, and keeps its connections.
pub(crate) async fn serve_answer(
    platform: &Platform,
    delay: Duration,
    answer: &'static str,
) -> (u16, Arc<AtomicUsize>) {
    let listener = platform.net.listen(loopback(0), ListenOptions::default()).await.expect("a free port");
    let (port, requests) = (listener.local_addr().port(), Arc::new(AtomicUsize::new(0)));
    let (own, counted) = (platform.clone(), requests.clone());
    platform.spawn.go(async move {
        while let Ok(stream) = listener.accept().await {
            let (platform, counted) = (own.clone(), counted.clone());
            own.spawn.go(async move {
                let mut peer = Peer { stream, read: Vec::new() };
                while peer.head().await.is_some() {
                    counted.fetch_add(1, Ordering::Relaxed);
                    platform.clock.sleep(delay).await;
                    if peer.stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (port, requests)
}

/// One end of an HTTP/1.1 connection.
pub(crate) struct Peer {
    stream: Stream,
    read: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Whether no more can be asked on its connection.
    pub(crate) closes: bool,
    pub(crate) body: String,
}

impl Peer {
    /// Connects to `port`.
    pub(crate) async fn connect(platform: &Platform, port: u16) -> std::io::Result<Self> {
        let stream = platform.net.connect(loopback(port), ConnectOptions::default()).await?;
        Ok(Self { stream, read: Vec::new() })
    }

    /// Asks, and reads the answer. Errs when there is none.
    pub(crate) async fn ask(&mut self, method: &str, path: &str) -> Result<Answer, String> {
        self.send(method, path).await?;
        self.answer().await
    }

    /// Only asks.
    pub(crate) async fn send(&mut self, method: &str, path: &str) -> Result<(), String> {
        let request = format!("{method} {path} HTTP/1.1\r\nhost: mesh\r\ncontent-length: 0\r\n\r\n");
        self.stream.write_all(request.as_bytes()).await.map_err(|error| format!("write: {error}"))
    }

    /// Only reads the answer.
    pub(crate) async fn answer(&mut self) -> Result<Answer, String> {
        let head = self.head().await.ok_or("the connection ended without an answer")?;
        let field = |name: &str| {
            let mut fields = head.lines().filter_map(|line| line.split_once(':'));
            fields.find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
        };
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or("no status")?;
        let length: usize = field("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        while self.read.len() < length {
            self.more().await.ok_or("the connection ended within an answer")?;
        }
        let body = String::from_utf8_lossy(&self.read.drain(..length).collect::<Vec<_>>()).into_owned();
        Ok(Answer { status, closes: field("connection").is_some_and(|value| value == "close"), body })
    }

    /// The next head; `None` at the end of the connection.
    async fn head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = self.read.drain(..end + 4).collect();
                return String::from_utf8(head).ok();
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> Option<()> {
        let mut bytes = [0; 16 * 1024];
        let count = self.stream.read(&mut bytes).await.ok().filter(|count| *count > 0)?;
        self.read.extend_from_slice(&bytes[..count]);
        Some(())
    }
}

/// Asks once, on a connection of its own.
pub(crate) async fn ask(platform: &Platform, port: u16, method: &str, path: &str) -> Result<Answer, String> {
    let mut peer = Peer::connect(platform, port).await.map_err(|error| format!("connect: {error}"))?;
    peer.ask(method, path).await
}

/// The running binary. It is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    admin: u16,
}

impl Process {
    /// Starts one that is configured by the server at `xds`, and has its admin port at `admin`.
    pub(crate) fn start(xds: u16, admin: u16, more: &[&str]) -> Self {
        Self::start_saying(xds, admin, more, Stdio::inherit())
    }

    /// The same, with its standard output led elsewhere.
    pub(crate) fn start_saying(xds: u16, admin: u16, more: &[&str], output: Stdio) -> Self {
        let (xds, address) = (loopback(xds).to_string(), loopback(admin).to_string());
        let child = Command::new(env!("CARGO_BIN_EXE_wavetank-proxy"))
            .args(["--node", "sidecar~127.0.0.1~a.b~b.svc.cluster.local", "--xds", &xds, "--admin", &address])
            .args(["--health", "off", "--stats", "off", "--log", "warn"])
            .args(if more.contains(&"--agent") { &[][..] } else { &["--agent", "off"] })
            .args(more)
            .stdin(Stdio::null())
            .stdout(output)
            .spawn()
            .expect("the binary runs");
        Self { child, admin }
    }

    /// Waits until it says that it is ready.
    pub(crate) async fn ready(&self, platform: &Platform) {
        let is_ready = async || ask(platform, self.admin, "GET", "/ready").await.ok().filter(|said| said.status == 200);
        until(platform, "readiness", is_ready).await;
    }

    /// Sends a signal: `TERM`, `INT`.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("a shell").success(), "{kill}");
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&mut self, platform: &Platform) -> ExitStatus {
        until(platform, "the end of the process", async || self.child.try_wait().expect("a child")).await
    }

    /// Whether it runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}
