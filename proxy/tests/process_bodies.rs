//! Bodies through a `wavetank-proxy` process: large ones up and down in both framings, and one that nobody
//! reads. What the process holds meanwhile stays flat, read from `/proc`.
//!
//! `WAVETANK_BODY_MIB` sets how large: 64 MiB, if it does not.

#[path = "tls_support/grpc.rs"]
mod grpc;
#[path = "ads_support/resources.rs"]
mod resources;
#[path = "ads_support/script.rs"]
mod script;

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3 as cds;
use envoy_types::pb::envoy::config::endpoint::v3 as eds;
use envoy_types::pb::envoy::service::discovery::v3::DiscoveryResponse;
use envoy_types::pb::google::protobuf::Any;
use prost::Message;
use resources::{ASSIGNMENT, CLUSTER, LISTENER, ROUTE};
use script::Script;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wavetank_platform::linux::platform;
use wavetank_platform::{ConnectOptions, ListenOptions, Platform, Stream};
use wavetank_proxy::bootstrap::{Bootstrap, NodeIdentity, XdsMode, XdsSecurity, XdsServer};

const MIB: u64 = 1024 * 1024;

/// What the process may hold more than before, in KiB: its buffers, and what its allocator keeps.
const GROWTH_KIB_MAX: u64 = 16 * 1024;

/// Half of the time between two looks at what was taken.
const BLOCKED: Duration = Duration::from_millis(500);

/// The process, ended with the test.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Process {
    /// A line of its status, in KiB.
    fn memory(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_start_matches(':').trim_end_matches("kB").trim().parse().unwrap()
    }
}

fn local(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

async fn free_port(platform: &Platform) -> u16 {
    platform.net.listen(local(0), ListenOptions::default()).await.unwrap().local_addr().port()
}

/// A cluster with one endpoint on this machine.
fn cluster(port: u16) -> Any {
    let assignment = resources::assignment("up", port.into());
    let mut assignment = eds::ClusterLoadAssignment::decode(&*assignment.value).unwrap();
    let endpoint = &mut assignment.endpoints[0].lb_endpoints[0];
    if let Some(eds::lb_endpoint::HostIdentifier::Endpoint(endpoint)) = &mut endpoint.host_identifier {
        let address = endpoint.address.as_mut().unwrap().address.as_mut().unwrap();
        let envoy_types::pb::envoy::config::core::v3::address::Address::SocketAddress(address) = address else {
            unreachable!("it is one")
        };
        address.address = "127.0.0.1".to_owned();
    }
    let mut cluster = cds::Cluster::decode(&*resources::cluster("up", 1).value).unwrap();
    let kind = cds::cluster::DiscoveryType::Static as i32;
    cluster.cluster_discovery_type = Some(cds::cluster::ClusterDiscoveryType::Type(kind));
    (cluster.eds_cluster_config, cluster.load_assignment) = (None, Some(assignment));
    resources::any(CLUSTER, &cluster)
}

/// Runs a proxy whose only route leads to `origin`.
async fn start(platform: &Platform, origin: SocketAddr) -> Process {
    let (xds, listening) = (free_port(platform).await, free_port(platform).await);
    let mut server = Script::serve(platform, xds, None).await;
    let resources = [
        (CLUSTER, cluster(origin.port())),
        (LISTENER, resources::listener("l", listening.into(), "r")),
        (ROUTE, resources::route("r", "up")),
    ];
    platform.spawn.go(async move {
        let mut stream = server.state().await;
        loop {
            let request = stream.next().await;
            assert_eq!(request.error_detail, None);
            if !request.response_nonce.is_empty() || request.type_url == ASSIGNMENT {
                continue;
            }
            let (_, resource) = resources.iter().find(|(kind, _)| *kind == request.type_url).unwrap();
            let response = DiscoveryResponse {
                version_info: "1".to_owned(),
                nonce: "1".to_owned(),
                type_url: request.type_url,
                resources: vec![resource.clone()],
                ..Default::default()
            };
            stream.send(response).await;
        }
    });
    let server = XdsServer {
        host: "127.0.0.1".into(),
        port: xds,
        mode: XdsMode::StateOfTheWorld,
        security: XdsSecurity::Plaintext,
    };
    let node = NodeIdentity { id: "router~127.0.0.1~g.b~b.svc.cluster.local".into(), ..NodeIdentity::default() };
    let file = std::env::temp_dir().join(format!("wavetank-process-bodies-{listening}.json"));
    std::fs::write(&file, serde_json::to_string(&Bootstrap::new(node, server)).unwrap()).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_wavetank-proxy"))
        .arg("--bootstrap")
        .arg(&file)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let process = Process { child, address: local(listening) };
    while platform.net.connect(process.address, ConnectOptions::default()).await.is_err() {
        platform.clock.sleep(Duration::from_millis(10)).await;
    }
    std::fs::remove_file(file).unwrap();
    process
}

/// Reads up to the end of a head; what came after it is the beginning of a body.
async fn head(stream: &mut Stream) -> Option<(String, usize)> {
    let mut got = Vec::new();
    loop {
        if let Some(end) = got.windows(4).position(|four| four == b"\r\n\r\n") {
            return Some((String::from_utf8_lossy(&got[..end + 4]).into_owned(), got.len() - end - 4));
        }
        if stream.read_buf(&mut got).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}

/// Reads until so many bytes have come.
async fn read(stream: &mut Stream, mut left: u64) {
    let mut buffer = vec![0; 256 * 1024];
    while left > 0 {
        let count = stream.read(&mut buffer).await.unwrap() as u64;
        assert!(count > 0, "{left} bytes are missing");
        left -= count;
    }
}

/// Bytes of a body of `size` as they go over the wire, in pieces of one MiB.
async fn write(stream: &mut Stream, size: u64, chunked: bool) -> std::io::Result<()> {
    let piece = vec![b'x'; usize::try_from(MIB).unwrap()];
    for _ in 0..size / MIB {
        if chunked {
            stream.write_all(format!("{MIB:x}\r\n").as_bytes()).await?;
        }
        stream.write_all(&piece).await?;
        if chunked {
            stream.write_all(b"\r\n").await?;
        }
    }
    if chunked {
        stream.write_all(b"0\r\n\r\n").await?;
    }
    Ok(())
}

fn framing(size: u64, chunked: bool) -> String {
    if chunked { "transfer-encoding: chunked".to_owned() } else { format!("content-length: {size}") }
}

/// What a chunked body of the proxy's is longer than its data depends on its chunks: it is read to its end.
async fn read_chunked(stream: &mut Stream, already: usize, size: u64) {
    let mut buffer = vec![0; 256 * 1024];
    let (mut data, mut tail) = (already as u64, Vec::new());
    loop {
        let count = stream.read(&mut buffer).await.unwrap();
        assert!(count > 0, "the body ended early");
        data += count as u64;
        tail.extend_from_slice(&buffer[count.saturating_sub(7)..count]);
        tail.drain(..tail.len().saturating_sub(7));
        if tail.ends_with(b"\r\n0\r\n\r\n") {
            assert!(data > size, "{data} bytes of {size}");
            return;
        }
    }
}

/// Serves one request after another: `/up` is read, `/down` answered with a body of `size`, and with
/// `/down-chunked` in chunks. `written` counts what the proxy has taken of `/endless`.
async fn origin(platform: &Platform, size: u64, written: Arc<AtomicU64>) -> SocketAddr {
    let listener = platform.net.listen(local(0), ListenOptions::default()).await.unwrap();
    let (address, owner) = (listener.local_addr(), platform.clone());
    platform.spawn.go(async move {
        while let Ok(mut stream) = listener.accept().await {
            let written = written.clone();
            owner.spawn.go(async move {
                while let Some((head, already)) = head(&mut stream).await {
                    let path = head.split(' ').nth(1).unwrap().to_owned();
                    if path == "/up" && head.contains("chunked") {
                        read_chunked(&mut stream, already, size).await;
                    } else if path == "/up" {
                        read(&mut stream, size - already as u64).await;
                    }
                    let body = if path == "/up" { 0 } else { size };
                    let chunked = path == "/down-chunked";
                    // An interim answer goes before, and no further than the proxy.
                    let early = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
                    let answer = format!("{early}HTTP/1.1 200 OK\r\n{}\r\n\r\n", framing(body, chunked));
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    if path == "/endless" {
                        let piece = vec![b'x'; 64 * 1024];
                        while let Ok(count) = stream.write(&piece).await {
                            written.fetch_add(count as u64, Ordering::Relaxed);
                        }
                        return;
                    }
                    if write(&mut stream, body, chunked).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

async fn upload(platform: &Platform, process: &Process, size: u64, chunked: bool) {
    let mut stream = platform.net.connect(process.address, ConnectOptions::default()).await.unwrap();
    let request = format!("POST /up HTTP/1.1\r\nhost: a.test\r\n{}\r\n\r\n", framing(size, chunked));
    stream.write_all(request.as_bytes()).await.unwrap();
    write(&mut stream, size, chunked).await.unwrap();
    let (head, _) = head(&mut stream).await.unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
}

async fn download(platform: &Platform, process: &Process, size: u64, chunked: bool) {
    let mut stream = platform.net.connect(process.address, ConnectOptions::default()).await.unwrap();
    let path = if chunked { "/down-chunked" } else { "/down" };
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: a.test\r\n\r\n").as_bytes()).await.unwrap();
    let (head, already) = head(&mut stream).await.unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && !head.contains("link:"), "{head}");
    if chunked {
        read_chunked(&mut stream, already, size).await;
    } else {
        read(&mut stream, size - already as u64).await;
    }
}

#[tokio::test]
async fn large_bodies_pass_both_ways_and_are_not_held() {
    let platform = platform().unwrap();
    let mib = std::env::var("WAVETANK_BODY_MIB")
        .map_or(64, |mib| mib.parse().expect("WAVETANK_BODY_MIB: MiB, a whole number"));
    let size: u64 = mib * MIB;
    let written: Arc<AtomicU64> = Arc::default();
    let origin = origin(&platform, size, written.clone()).await;
    let process = start(&platform, origin).await;
    // What is allocated once is allocated now.
    download(&platform, &process, size, false).await;
    let before = process.memory("VmRSS");
    for chunked in [false, true] {
        upload(&platform, &process, size, chunked).await;
        download(&platform, &process, size, chunked).await;
    }
    let peak = process.memory("VmHWM");
    println!("{mib} MiB four times: {before} KiB before, {peak} KiB at most");
    assert!(peak < before + GROWTH_KIB_MAX, "{before} KiB grew to {peak} KiB");
}

/// A process, and a caller of it whose answer has begun and has no end; counts what its origin has written.
async fn endless(platform: &Platform) -> (Process, Stream, Arc<AtomicU64>) {
    let written: Arc<AtomicU64> = Arc::default();
    let origin = origin(platform, 1024 * MIB, written.clone()).await;
    let process = start(platform, origin).await;
    let mut stream = platform.net.connect(process.address, ConnectOptions::default()).await.unwrap();
    stream.write_all(b"GET /endless HTTP/1.1\r\nhost: a.test\r\n\r\n").await.unwrap();
    head(&mut stream).await.unwrap();
    (process, stream, written)
}

#[tokio::test]
async fn an_answer_that_nobody_reads_is_not_held_either() {
    let platform = platform().unwrap();
    let (process, _stream, written) = endless(&platform).await;
    let before = process.memory("VmRSS");
    let mut last = u64::MAX;
    while last != written.load(Ordering::Relaxed) {
        last = written.load(Ordering::Relaxed);
        platform.clock.sleep(2 * BLOCKED).await;
    }
    let peak = process.memory("VmHWM");
    println!("the proxy took {last} bytes: {before} KiB before, {peak} KiB at most");
    // The sockets of both sides hold some MiB by themselves.
    assert!(last < 64 * MIB, "{last} bytes were taken");
    assert!(peak < before + GROWTH_KIB_MAX, "{before} KiB grew to {peak} KiB");
}

#[tokio::test]
async fn who_reads_a_kib_at_a_time_is_sent_no_more_than_it_reads() {
    let platform = platform().unwrap();
    let (process, mut stream, written) = endless(&platform).await;
    let before = process.memory("VmRSS");
    let (mut kib, mut ahead) = ([0; 1024], 0);
    for read in 1..=32 * 1024 {
        stream.read_exact(&mut kib).await.unwrap();
        ahead = ahead.max(written.load(Ordering::Relaxed).saturating_sub(read * 1024));
    }
    let peak = process.memory("VmHWM");
    println!("32 MiB read, at most {ahead} bytes ahead: {before} KiB before, {peak} KiB at most");
    // The sockets of both sides hold some MiB by themselves.
    assert!(ahead < 64 * MIB, "{ahead} bytes ahead");
    assert!(peak < before + GROWTH_KIB_MAX, "{before} KiB grew to {peak} KiB");
}
