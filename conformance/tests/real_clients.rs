//! Clients of the field through a proxy that is a process: curl, h2load, and gRPC's own, in HTTP/1.1 and HTTP/2. What
//! they see is written here; where `WAVETANK_ENVOY` names an Envoy binary, they must see the same through it.
//!
//! Each test needs its client, and says so where there is none. `WAVETANK_BODY_MIB` sets how large large bodies are: 64
//! MiB, if it does not. h2load has no way to show a certificate, so it does not speak TLS here.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use wavetank_conformance::clients::mesh::{Behind, Mesh};
use wavetank_conformance::clients::origin::Origin;
use wavetank_conformance::clients::program::{Running, Said, beside, is_installed, python_with, run};
use wavetank_conformance::clients::sidecar::Sidecar;
use wavetank_conformance::envoy;
use wavetank_conformance::live::{self, free_port, loopback};
use wavetank_platform::Platform;

const MIB: u64 = 1024 * 1024;
/// What the process may hold more than before, in KiB: a stream's window of 16 MiB on each side, its buffers, and what its
/// allocator keeps.
const GROWTH_KIB_MAX: u64 = 48 * 1024;

const CALLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/grpc_calls.py");
/// What a gRPC client sees without a proxy, and with one.
const CALLED: &str = "\
unary: b'cba' OK yes
large: 3145728
server stream: [b'0', b'1', b'2', b'3'] OK
client stream: b'5'
both: [b'ONE', b'TWO', b'THREE']
many at once: 200
Fail: FAILED_PRECONDITION 'not now: 100%, ü'
Nowhere: UNIMPLEMENTED 'Method not found!'
FailLate: [b'first'] RESOURCE_EXHAUSTED 'no more'
deadline: DEADLINE_EXCEEDED
deadline, at the server: b'ended'
cancelled: b'begun' True CANCELLED
cancelled, at the server: b'ended'
";

/// Ours, where it is built.
async fn ours(platform: &Platform, behind: &[Behind]) -> Option<(Sidecar, SocketAddr)> {
    let program = beside(env!("CARGO_BIN_EXE_bench"), "wavetank-proxy")?;
    let at = loopback(free_port(platform).await);
    let more = ["--concurrency", "2"];
    Some((Sidecar::ours(platform, &program, &[], &Mesh::new(at, behind), at, &more).await, at))
}

/// Ours, and Envoy, where they are.
async fn both(platform: &Platform, behind: &[Behind]) -> Vec<(Sidecar, SocketAddr)> {
    let mut all: Vec<_> = ours(platform, behind).await.into_iter().collect();
    if let Some(binary) = envoy::binary() {
        let at = loopback(free_port(platform).await);
        all.push((Sidecar::envoy(platform, &binary, &Mesh::new(at, behind), at).await, at));
    }
    all
}

fn behind(origin: &Origin) -> [Behind; 3] {
    [
        Behind { authority: "early.test", at: origin.early, http2: false },
        Behind { authority: "h1.test", at: origin.http1, http2: false },
        Behind { authority: "h2.test", at: origin.http2, http2: true },
    ]
}

/// One request of curl's: version, authority, path, more arguments.
type Asked = (&'static str, &'static str, &'static str, &'static [&'static str]);

const H1: &str = "--http1.1";
const H2: &str = "--http2-prior-knowledge";
const SIZE: &[&str] = &["-o", "/dev/null", "-w", "%{size_download}"];
const CHUNKED: &[&str] = &["-H", "transfer-encoding: chunked", "-d", "hello"];
const OFFERED: &[&str] = &["-H", "expect: 100-continue", "--expect100-timeout", "20", "-d", "hello"];
const OFFERED_SHORTLY: &[&str] = &["-H", "expect: 100-continue", "--expect100-timeout", "0.2", "-d", "hello"];

async fn curl(platform: &Platform, at: SocketAddr, (version, authority, path, more): Asked) -> Said {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "120", "--noproxy", "*", version, "-D", "-"]);
    command.args(["-H", &format!("host: {authority}")]).args(more).arg(format!("http://{at}{path}"));
    run(platform, command).await
}

/// Heads and body in one line, without what varies.
fn short(said: &Said) -> String {
    let varies = |line: &&str| ["date:", "x-envoy-upstream-service-time:"].iter().any(|name| line.starts_with(name));
    let lines: Vec<&str> = said.out.lines().filter(|line| !varies(line)).collect();
    format!("{}{}", lines.join(" | "), said.err).trim_end_matches(" | ").trim_end().to_owned()
}

#[test]
fn curl_is_answered_in_both_versions_whatever_the_upstream_speaks() {
    let sized = "HTTP/1.1 200 OK | server: envoy | transfer-encoding: chunked |  | 100000";
    let echoed = "HTTP/1.1 200 OK | trailer: x-bytes | server: envoy | transfer-encoding: chunked |  | hello";
    let told = "HTTP/1.1 100 Continue |  | HTTP/1.1 200 OK | server: envoy | transfer-encoding: chunked |  | 5";
    let rows: [(Asked, &str); 13] = [
        ((H1, "h1.test", "/bytes/100000", SIZE), sized),
        ((H1, "h2.test", "/bytes/100000", SIZE), sized),
        ((H2, "h1.test", "/bytes/100000", SIZE), "HTTP/2 200  | server: envoy |  | 100000"),
        ((H2, "h2.test", "/bytes/100000", SIZE), "HTTP/2 200  | server: envoy |  | 100000"),
        ((H1, "h1.test", "/echo", CHUNKED), echoed),
        ((H1, "h2.test", "/echo", CHUNKED), echoed),
        ((H2, "h1.test", "/echo", CHUNKED), "HTTP/2 200  | trailer: x-bytes | server: envoy |  | hello"),
        // Trailers pass where both sides speak HTTP/2.
        ((H2, "h2.test", "/echo", CHUNKED), "HTTP/2 200  | trailer: x-bytes | server: envoy |  | hellox-bytes: 5"),
        ((H1, "h1.test", "/count", OFFERED), told),
        ((H1, "h2.test", "/count", OFFERED), told),
        // 103 goes no further than the proxy.
        ((H1, "early.test", "/", &[]), "HTTP/1.1 200 OK | content-length: 5 | server: envoy |  | early"),
        ((H2, "early.test", "/", &[]), "HTTP/2 200  | content-length: 5 | server: envoy |  | early"),
        ((H2, "nobody.test", "/", &[]), "HTTP/2 404  | server: envoy"),
    ];
    if !is_installed("curl") {
        return;
    }
    live::run(move |platform| async move {
        let origin = Origin::start(&platform).await;
        for (sidecar, at) in both(&platform, &behind(&origin)).await {
            for (asked, wanted) in rows {
                let said = short(&curl(&platform, at, asked).await);
                assert_eq!(said, wanted, "{asked:?} through {}", sidecar.name());
            }
        }
    });
}

/// In HTTP/2 nobody is told to go on; curl goes on by itself after a while.
#[test]
fn a_body_that_is_offered_in_http2_passes() {
    if !is_installed("curl") {
        return;
    }
    live::run(|platform| async move {
        let origin = Origin::start(&platform).await;
        let Some((_ours, at)) = ours(&platform, &behind(&origin)).await else { return };
        for authority in ["h1.test", "h2.test"] {
            let said = curl(&platform, at, (H2, authority, "/count", OFFERED_SHORTLY)).await;
            assert_eq!(short(&said), "HTTP/2 200  | server: envoy |  | 5", "{authority}");
        }
    });
}

#[test]
fn large_bodies_pass_in_http2_and_are_not_held() {
    if !is_installed("curl") {
        return;
    }
    let mib = std::env::var("WAVETANK_BODY_MIB");
    let size = mib.map_or(64, |mib| mib.parse::<u64>().expect("WAVETANK_BODY_MIB: MiB, a whole number")) * MIB;
    live::run(move |platform| async move {
        let origin = Origin::start(&platform).await;
        let Some((ours, at)) = ours(&platform, &behind(&origin)).await else { return };
        let down = async |version: &str, authority: &str| {
            let line =
                format!("curl -sS --noproxy '*' {version} -H 'host: {authority}' http://{at}/bytes/{size} | wc -c");
            shell(&platform, &line).await
        };
        let up = async |version: &str, authority: &str| {
            let send =
                format!("curl -sS --noproxy '*' {version} -H 'host: {authority}' -H 'expect:' -T - http://{at}/count");
            shell(&platform, &format!("head -c {size} /dev/zero | {send}")).await
        };
        // What is allocated once is allocated now.
        assert_eq!(down(H2, "h2.test").await, size.to_string());
        let (before, _) = ours.memory().expect("ours");
        for (version, authority) in [(H2, "h2.test"), (H2, "h1.test"), (H1, "h2.test"), (H1, "h1.test")] {
            assert_eq!(down(version, authority).await, size.to_string(), "{version} {authority}");
            assert_eq!(up(version, authority).await, size.to_string(), "{version} {authority}");
        }
        let (_, peak) = ours.memory().expect("ours");
        println!("{} MiB eight times: {before} KiB before, {peak} KiB at most", size / MIB);
        assert!(peak < before + GROWTH_KIB_MAX, "{before} KiB grew to {peak} KiB");
    });
}

async fn shell(platform: &Platform, line: &str) -> String {
    let mut command = Command::new("sh");
    command.args(["-c", line]);
    let said = run(platform, command).await;
    assert!(said.success && said.err.is_empty(), "{line}: {}", said.err);
    said.out.trim().to_owned()
}

#[test]
fn h2load_has_all_its_streams_answered() {
    const REQUESTS: &str = "10000";
    if !is_installed("h2load") {
        return;
    }
    live::run(|platform| async move {
        let origin = Origin::start(&platform).await;
        for (sidecar, at) in both(&platform, &behind(&origin)).await {
            for authority in ["h2.test", "h1.test"] {
                let mut command = Command::new("h2load");
                // Fewer at once than a cluster's breakers allow.
                command.args(["-n", REQUESTS, "-c", "8", "-m", "100", "-p", "h2c"]);
                command.args(["-H", &format!(":authority: {authority}"), &format!("http://{at}/bytes/100")]);
                let said = run(&platform, command).await;
                let line = |name: &str| said.out.lines().find(|line| line.starts_with(name)).unwrap_or_default();
                let (requests, codes) = (line("requests:"), line("status codes:"));
                let wanted = format!("{REQUESTS} done, {REQUESTS} succeeded, 0 failed, 0 errored, 0 timeout");
                assert!(requests.ends_with(&wanted), "{} {authority}: {}{}", sidecar.name(), said.out, said.err);
                let wanted = format!("status codes: {REQUESTS} 2xx, 0 3xx, 0 4xx, 0 5xx");
                assert_eq!(codes, wanted, "{} {authority}", sidecar.name());
            }
        }
    });
}

/// Starts gRPC's own server, with `launch` before it, on a free port of `host`.
fn serve_calls(launch: &[&str], python: &Path, host: &str) -> (Running, SocketAddr) {
    let python = python.display().to_string();
    let mut words = launch.to_vec();
    words.extend([python.as_str(), CALLS, "serve", host]);
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut running = Running(command.spawn().expect("it runs"));
    let mut line = String::new();
    let said = running.0.stdout.take().expect("piped");
    BufReader::new(said).read_line(&mut line).expect("a line");
    let port: u16 = line.trim().parse().expect("a port");
    (running, SocketAddr::new(host.parse().expect("an address"), port))
}

async fn calls(platform: &Platform, python: &Path, at: SocketAddr) -> String {
    let mut command = Command::new(python);
    command.args([CALLS, "call", &at.to_string()]).env("PYTHONIOENCODING", "utf-8");
    let said = run(platform, command).await;
    assert!(said.success, "{}{}", said.out, said.err);
    said.out
}

#[test]
fn a_grpc_client_sees_through_the_proxy_what_it_sees_without() {
    let Some(python) = python_with("grpc") else { return };
    live::run(|platform| async move {
        let (_server, place) = serve_calls(&[], &python, "127.0.0.1");
        assert_eq!(calls(&platform, &python, place).await, CALLED);
        let behind = [Behind { authority: "*", at: place, http2: true }];
        for (sidecar, at) in both(&platform, &behind).await {
            assert_eq!(calls(&platform, &python, at).await, CALLED, "{}", sidecar.name());
        }
    });
}

/// A namespace of its own, with a neighbour that is reached through a pair of links; runs what comes after.
const NAMESPACE: &str = r#"
set -eu
ip link set lo up
unshare -n sleep 600 > /dev/null 2>&1 & neighbour=$!
trap 'kill $neighbour' EXIT
while [ "$(readlink /proc/$neighbour/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done
ip link add here type veth peer name there netns $neighbour
ip addr add 10.78.0.1/24 dev here
ip link set here up
nsenter -t $neighbour -n ip link set lo up
nsenter -t $neighbour -n ip addr add 10.78.0.2/24 dev there
nsenter -t $neighbour -n ip link set there up
iptables-save -t nat > /dev/null
WAVETANK_NEIGHBOUR=$neighbour "$@"
"#;

/// The client knows of no proxy: its connections are led through one that runs as user 1337.
#[test]
fn a_grpc_client_whose_connections_are_captured_sees_the_same() {
    const NAME: &str = "a_grpc_client_whose_connections_are_captured_sees_the_same";
    let Some(python) = python_with("grpc") else { return };
    let Some(program) = beside(env!("CARGO_BIN_EXE_bench"), "wavetank-proxy") else { return };
    if let Ok(neighbour) = std::env::var("WAVETANK_NEIGHBOUR") {
        return live::run(move |platform| async move { captured(&platform, &python, &program, &neighbour).await });
    }
    let inside = |words: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["-n", "bash", "-c", NAMESPACE, "bash"]).args(words);
        command
    };
    if !inside(&["setpriv", "--version"]).output().is_ok_and(|output| output.status.success()) {
        assert!(std::env::var_os("WAVETANK_NETNS").is_none(), "WAVETANK_NETNS asks for it");
        println!("skipped: no root, no network namespaces, or no iptables");
        return;
    }
    let own = std::env::current_exe().expect("this program").display().to_string();
    let status = inside(&[&own, "--exact", NAME, "--nocapture"]).status();
    assert!(status.expect("unshare runs").success());
}

async fn captured(platform: &Platform, python: &Path, program: &Path, neighbour: &str) {
    let (_server, place) = serve_calls(&["nsenter", "-t", neighbour, "-n"], python, "10.78.0.2");
    let at = loopback(15_001);
    let mesh = Mesh::new(at, &[Behind { authority: "*", at: place, http2: true }]);
    let records = std::env::temp_dir().join(format!("wavetank-captured-{}.jsonl", std::process::id()));
    let file = records.display().to_string();
    let as_proxy = ["setpriv", "--reuid", "1337", "--regid", "1337", "--clear-groups"];
    let _ours = Sidecar::ours(platform, program, &as_proxy, &mesh, at, &["--records", &file]).await;
    let mut install = Command::new(program);
    install.args(["redirect", "install"]);
    let installed = run(platform, install).await;
    assert!(installed.success, "{}", installed.err);
    assert_eq!(calls(platform, python, place).await, CALLED);
    // They went through the proxy: it has a record of each.
    let told = || {
        let text = std::fs::read_to_string(&records).unwrap_or_default();
        (text.matches("/wavetank.Calls/").count() >= 210 && text.contains(&place.to_string())).then_some(())
    };
    live::until(platform, "records of the calls", told).await;
    std::fs::remove_file(&records).expect("a file of ours");
}
