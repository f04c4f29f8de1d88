//! The binary is told to end while callers use it, and none of them notices but for `connection: close`.

#[path = "tls_support/grpc.rs"]
mod grpc;
mod process_support;
#[path = "ads_support/resources.rs"]
#[expect(dead_code, reason = "each test crate uses its own part")]
mod resources;
#[path = "ads_support/script.rs"]
mod script;

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::TokioIo;
use process_support::*;
use wavetank_platform::hyper_rt::HyperExecutor;
use wavetank_platform::{ConnectOptions, Platform, linux};

const CLIENTS: usize = 50;
const ROUNDS: usize = 20;

/// What keep-alive callers saw.
#[derive(Default)]
struct Seen {
    sent: AtomicUsize,
    answered: AtomicUsize,
    connections: AtomicUsize,
    /// Connections that were reset before they were there, and asked for again.
    resets: AtomicUsize,
    lost: Mutex<Vec<String>>,
    over: AtomicBool,
    /// Callers that have stopped.
    stopped: AtomicUsize,
}

/// One caller: keeps its connection until told to close it, and never asks again for what was lost.
async fn call(platform: Platform, port: u16, seen: Arc<Seen>) {
    let mut peer: Option<Peer> = None;
    while !seen.over.load(Ordering::Relaxed) {
        let mut open = match peer.take() {
            Some(open) => open,
            None => {
                seen.connections.fetch_add(1, Ordering::Relaxed);
                match Peer::connect(&platform, port).await {
                    Ok(open) => open,
                    // No request was on it.
                    Err(_) => {
                        seen.resets.fetch_add(1, Ordering::Relaxed);
                        platform.clock.sleep(Duration::from_millis(1)).await;
                        continue;
                    }
                }
            }
        };
        seen.sent.fetch_add(1, Ordering::Relaxed);
        match open.ask("GET", "/").await {
            Ok(answer) if answer.status == 200 && answer.body == "ok" => {
                seen.answered.fetch_add(1, Ordering::Relaxed);
                peer = (!answer.closes).then_some(open);
            }
            other => seen.lost.lock().unwrap().push(format!("{other:?}")),
        }
        platform.clock.sleep(Duration::from_millis(25)).await;
    }
    seen.stopped.fetch_add(1, Ordering::Relaxed);
}

/// A new process takes over from the old one, twenty times, under fifty callers.
///
/// In a network namespace, where the kernel is told to hand connections that a closing socket has not accepted to the
/// other process: without that it resets them, requests and all. That takes root.
#[test]
fn no_request_is_lost_when_processes_take_over_from_each_other() {
    const NAME: &str = "no_request_is_lost_when_processes_take_over_from_each_other";
    const INSIDE: &str = "WAVETANK_TAKEOVERS_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        return runtime.block_on(takeovers());
    }
    let script = "ip link set lo up && echo 1 > /proc/sys/net/ipv4/tcp_migrate_req";
    let inside = |then: &str| {
        let mut command = Command::new("unshare");
        command.args(["-n", "sh", "-c", &format!("{script} && {then}"), "sh"]).env(INSIDE, "1");
        command
    };
    if !inside("true").status().is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("WAVETANK_NETNS").is_none(), "WAVETANK_NETNS asks for it");
        println!("skipped: no root, no network namespaces, or a kernel without tcp_migrate_req");
        return;
    }
    let own = std::env::current_exe().expect("this program");
    let status = inside("exec \"$@\"").arg(own).args(["--exact", NAME, "--nocapture"]).status();
    assert!(status.expect("unshare runs").success());
}

async fn takeovers() {
    let platform = linux::platform().expect("the door");
    let [xds, mesh, first_admin, second_admin] = free_ports(&platform).await;
    let (origin, requests) = serve_origin(&platform, Duration::from_millis(2)).await;
    serve_xds(&platform, xds, mesh, origin).await;
    let start = |round: usize| {
        let admin = if round.is_multiple_of(2) { first_admin } else { second_admin };
        Process::start(xds, admin, &["--concurrency", "2", "--drain", "20s", "--minimum-drain", "0s"])
    };
    let mut serving = start(0);
    serving.ready(&platform).await;
    let seen = Arc::new(Seen::default());
    for _ in 0..CLIENTS {
        platform.spawn.go(call(platform.clone(), mesh, seen.clone()));
    }
    for round in 1..=ROUNDS {
        let mut ending = std::mem::replace(&mut serving, start(round));
        serving.ready(&platform).await;
        let (before, told) = (seen.answered.load(Ordering::Relaxed), platform.clock.now());
        ending.signal("TERM");
        assert!(ending.ended(&platform).await.success());
        // Every caller has been answered, and asked to leave, long before the time is up.
        assert!(platform.clock.now().saturating_since(told) < Duration::from_secs(15), "round {round}");
        let goes_on = async || (seen.answered.load(Ordering::Relaxed) >= before + CLIENTS).then_some(());
        until(&platform, "traffic after a takeover", goes_on).await;
    }
    seen.over.store(true, Ordering::Relaxed);
    until(&platform, "the last answers", async || (seen.stopped.load(Ordering::Relaxed) == CLIENTS).then_some(()))
        .await;
    let (sent, connections) = (seen.sent.load(Ordering::Relaxed), seen.connections.load(Ordering::Relaxed));
    let resets = seen.resets.load(Ordering::Relaxed);
    println!("{sent} requests on {connections} connections, {resets} of them reset before, {ROUNDS} takeovers");
    assert_eq!(*seen.lost.lock().unwrap(), Vec::<String>::new());
    assert!(resets < CLIENTS, "{resets}");
    // Each caller left every process it was connected to; nothing was sent to the program twice.
    assert!(connections > CLIENTS * ROUNDS / 2, "{connections}");
    assert_eq!(requests.load(Ordering::Relaxed), sent);
}

#[tokio::test]
async fn what_is_under_way_finishes_and_who_idles_holds_the_process_until_the_time_is_up() {
    let platform = linux::platform().expect("the door");
    let [xds, mesh, admin] = free_ports(&platform).await;
    let (origin, _) = serve_origin(&platform, Duration::from_millis(1500)).await;
    serve_xds(&platform, xds, mesh, origin).await;
    let mut process = Process::start(xds, admin, &["--concurrency", "1", "--drain", "3s", "--minimum-drain", "0s"]);
    process.ready(&platform).await;
    let mut busy = Peer::connect(&platform, mesh).await.expect("it listens");
    let mut idle = Peer::connect(&platform, mesh).await.expect("it listens");
    assert!(!idle.ask("GET", "/").await.expect("an answer").closes);
    busy.send("GET", "/").await.expect("sent");
    platform.clock.sleep(Duration::from_millis(300)).await;
    let told = platform.clock.now();
    process.signal("TERM");
    let answer = busy.answer().await.expect("an answer");
    assert_eq!((answer.status, answer.closes), (200, true));
    // A request on a connection that idled is served as well: the process cannot know that it was not on its way.
    let late = idle.ask("GET", "/").await.expect("an answer");
    assert_eq!((late.status, late.closes), (200, true));
    assert!(ask(&platform, mesh, "GET", "/").await.is_err(), "new connections are refused");
    assert!(process.ended(&platform).await.success());
    assert!(platform.clock.now().saturating_since(told) < Duration::from_secs(5));
}

/// In a cluster a pod's processes are told to end when its callers are told to leave, not after.
#[tokio::test]
async fn who_has_not_heard_is_served_while_the_minimum_lasts() {
    let platform = linux::platform().expect("the door");
    let [xds, mesh, admin] = free_ports(&platform).await;
    let (origin, _) = serve_origin(&platform, Duration::ZERO).await;
    serve_xds(&platform, xds, mesh, origin).await;
    let mut process = Process::start(xds, admin, &["--drain", "10m", "--minimum-drain", "10m", "--concurrency", "2"]);
    process.ready(&platform).await;
    let mut early = Peer::connect(&platform, mesh).await.expect("it listens");
    assert!(!early.ask("GET", "/").await.expect("an answer").closes);
    process.signal("TERM");
    let is_asked_to_leave = async || ask(&platform, mesh, "GET", "/").await.expect("an answer").closes.then_some(());
    // A worker after the other hears of it.
    for _ in 0..20 {
        until(&platform, "a drain", is_asked_to_leave).await;
    }
    assert!(early.ask("GET", "/").await.expect("an answer").closes);
    process.signal("TERM");
    assert!(process.ended(&platform).await.success());
}

/// One caller in HTTP/2: keeps four streams under way on its connection until that takes no more, and then goes on with
/// another. What its connection has not begun it sends again; what was begun and has no answer is lost.
async fn call_in_http2(platform: Platform, port: u16, seen: Arc<Seen>) {
    while !seen.over.load(Ordering::Relaxed) {
        let stream = platform.net.connect(loopback(port), ConnectOptions::default()).await.expect("it listens");
        let executor = HyperExecutor::new(&platform);
        let (sender, connection) = http2::handshake(executor, TokioIo::new(stream)).await.expect("HTTP/2");
        seen.connections.fetch_add(1, Ordering::Relaxed);
        platform.spawn.go(async move { drop(connection.await) });
        let streams = (0..4).map(|_| async {
            let mut sender: http2::SendRequest<Empty<Bytes>> = sender.clone();
            while !seen.over.load(Ordering::Relaxed) && sender.ready().await.is_ok() {
                let request = http::Request::get("http://mesh/").body(Empty::new()).expect("a request");
                match sender.try_send_request(request).await {
                    Ok(answer) if answer.status() == 200 => {
                        let body = answer.into_body().collect().await.map(|body| body.to_bytes());
                        match body {
                            Ok(body) if body == "ok" => drop(seen.answered.fetch_add(1, Ordering::Relaxed)),
                            other => seen.lost.lock().unwrap().push(format!("{other:?}")),
                        }
                    }
                    Ok(answer) => seen.lost.lock().unwrap().push(format!("{answer:?}")),
                    Err(mut failed) => {
                        if failed.take_message().is_some() || is_sent_away(failed.error()) {
                            return;
                        }
                        seen.lost.lock().unwrap().push(format!("{failed:?}"));
                    }
                }
            }
        });
        futures_util::future::join_all(streams).await;
    }
    seen.stopped.fetch_add(1, Ordering::Relaxed);
}

/// Whether a stream was not begun because of the peer's GOAWAY (RFC 9113, section 6.8): it may be begun elsewhere.
/// Those that the peer has begun go on.
fn is_sent_away(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<h2::Error>());
    cause.is_some_and(|cause| cause.is_go_away() && cause.is_remote() && cause.reason() == Some(h2::Reason::NO_ERROR))
}

/// Streams under way finish, and new ones go to the process that takes over; who comes while the old one still listens
/// is served by it too.
#[tokio::test]
async fn callers_in_http2_are_told_to_go_away_and_lose_no_stream() {
    const CALLERS: usize = 10;
    let platform = linux::platform().expect("the door");
    let [xds, mesh, first_admin, second_admin] = free_ports(&platform).await;
    let (origin, requests) = serve_origin(&platform, Duration::from_millis(20)).await;
    serve_xds(&platform, xds, mesh, origin).await;
    let times = ["--concurrency", "2", "--drain", "30s", "--minimum-drain", "1s"];
    let mut ending = Process::start(xds, first_admin, &times);
    ending.ready(&platform).await;
    let seen = Arc::new(Seen::default());
    for _ in 0..CALLERS {
        platform.spawn.go(call_in_http2(platform.clone(), mesh, seen.clone()));
    }
    let goes_on = async |more: usize| {
        let wanted = seen.answered.load(Ordering::Relaxed) + more;
        let has = async || (seen.answered.load(Ordering::Relaxed) >= wanted).then_some(());
        until(&platform, "answers", has).await;
    };
    for admin in [second_admin, first_admin] {
        goes_on(CALLERS * 8).await;
        let next = Process::start(xds, admin, &times);
        next.ready(&platform).await;
        ending.signal("TERM");
        assert!(ending.ended(&platform).await.success());
        ending = next;
    }
    goes_on(CALLERS * 8).await;
    seen.over.store(true, Ordering::Relaxed);
    until(&platform, "the last answers", async || (seen.stopped.load(Ordering::Relaxed) == CALLERS).then_some(()))
        .await;
    let (answered, connections) = (seen.answered.load(Ordering::Relaxed), seen.connections.load(Ordering::Relaxed));
    println!("{answered} requests on {connections} connections");
    assert_eq!(*seen.lost.lock().unwrap(), Vec::<String>::new());
    assert!(connections >= 3 * CALLERS, "{connections}");
    assert_eq!(requests.load(Ordering::Relaxed), answered);
}

/// Whoever reads the records of a process that was killed finds whole lines, and at most one that was begun.
#[tokio::test]
async fn what_a_killed_process_has_recorded_is_whole() {
    let platform = linux::platform().expect("the door");
    let [xds, mesh, admin] = free_ports(&platform).await;
    let (origin, _) = serve_origin(&platform, Duration::ZERO).await;
    serve_xds(&platform, xds, mesh, origin).await;
    let file = std::env::temp_dir().join(format!("wavetank-killed-{mesh}.jsonl"));
    let records = file.display().to_string();
    let mut process = Process::start(xds, admin, &["--concurrency", "2", "--records", &records]);
    process.ready(&platform).await;
    let seen = Arc::new(Seen::default());
    for _ in 0..8 {
        platform.spawn.go(keep_asking(platform.clone(), mesh, seen.clone()));
    }
    let lines = || std::fs::read_to_string(&file).unwrap_or_default().lines().count();
    until(&platform, "two hundred records", async || (lines() > 200).then_some(())).await;
    process.signal("KILL");
    process.ended(&platform).await;
    seen.over.store(true, Ordering::Relaxed);
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let (whole, _begun) = text.rsplit_once('\n').unwrap();
    for line in whole.lines() {
        let parsed: Result<serde_json::Value, _> = serde_json::from_str(line);
        assert!(parsed.is_ok_and(|line| line.is_object()), "{line}");
    }
    // The first line is no record; no request has two.
    assert!(whole.lines().count() > 200 && whole.lines().count() <= seen.sent.load(Ordering::Relaxed) + 1);
}

/// Asks again and again on connections of its own until it is over or nobody answers.
async fn keep_asking(platform: Platform, port: u16, seen: Arc<Seen>) {
    while !seen.over.load(Ordering::Relaxed) {
        seen.sent.fetch_add(1, Ordering::Relaxed);
        if ask(&platform, port, "GET", "/").await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let platform = linux::platform().expect("the door");
    let [xds, mesh, admin] = free_ports(&platform).await;
    let (origin, _) = serve_origin(&platform, Duration::from_secs(600)).await;
    serve_xds(&platform, xds, mesh, origin).await;
    let mut process = Process::start(xds, admin, &["--drain", "10m", "--minimum-drain", "0s"]);
    process.ready(&platform).await;
    let mut hanging = Peer::connect(&platform, mesh).await.expect("it listens");
    hanging.send("GET", "/").await.expect("sent");
    let is_refused = async || Peer::connect(&platform, mesh).await.is_err().then_some(());
    process.signal("TERM");
    until(&platform, "closed sockets", is_refused).await;
    assert!(process.is_running());
    process.signal("TERM");
    assert!(process.ended(&platform).await.success());
    assert!(hanging.answer().await.is_err());
}
