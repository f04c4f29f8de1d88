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

use process_support::*;
use wavetank_platform::{Platform, linux};

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
