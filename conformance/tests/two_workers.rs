//! A process of two workers is one proxy: the limits of its breakers hold for both together, and what outlier detection
//! takes out is out for both.
//!
//! Each request has a connection of its own, and the kernel spreads those over the workers. That all of twenty meet the
//! same one happens once in half a million runs; then the test shows less, and passes.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use envoy_types::pb::envoy::config::cluster::v3::{Cluster, OutlierDetection};
use envoy_types::pb::envoy::config::core::v3::HealthStatus;
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use wavetank_conformance::clients::mesh::{Behind, Mesh};
use wavetank_conformance::clients::program::beside;
use wavetank_conformance::clients::sidecar::Sidecar;
use wavetank_conformance::differential::shapes::{Limits, limited, ms, retry};
use wavetank_conformance::foreign::shapes::{assignment, number};
use wavetank_conformance::http1;
use wavetank_conformance::live::{self, free_port, loopback, until};
use wavetank_platform::{ListenOptions, Platform, Stream};

const CALLERS: usize = 20;

/// A program that answers when it is let.
#[derive(Clone)]
struct Origin {
    at: SocketAddr,
    /// Requests that have come.
    arrived: Arc<AtomicUsize>,
    /// Connections that are open.
    open: Arc<AtomicUsize>,
    answers: watch::Sender<bool>,
    how: How,
    seen: Arc<Mutex<BTreeSet<String>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Well,
    /// The first request of each path is answered 503 at once.
    SecondTime,
    /// Everything is answered 500 at once.
    Badly,
}

impl Origin {
    async fn start(platform: &Platform, how: How) -> Self {
        let listener = platform.net.listen(loopback(0), ListenOptions::default()).await.expect("a free port");
        let own = Self {
            at: listener.local_addr(),
            arrived: Arc::default(),
            open: Arc::default(),
            answers: watch::Sender::new(false),
            how,
            seen: Arc::default(),
        };
        let (origin, spawn) = (own.clone(), platform.spawn.clone());
        platform.spawn.go(async move {
            while let Ok(stream) = listener.accept().await {
                let origin = origin.clone();
                spawn.go(async move {
                    origin.open.fetch_add(1, Ordering::SeqCst);
                    // A caller that leaves is no error here.
                    let _left = origin.converse(stream).await;
                    origin.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        own
    }

    async fn converse(&self, mut stream: Stream) -> std::io::Result<()> {
        loop {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                if stream.read_buf(&mut head).await? == 0 {
                    return Ok(());
                }
            }
            self.arrived.fetch_add(1, Ordering::SeqCst);
            let path = String::from_utf8_lossy(&head).split(' ').nth(1).unwrap_or_default().to_owned();
            let is_first = self.seen.lock().expect("no thread panics here").insert(path);
            let status = match self.how {
                How::Badly => 500,
                How::SecondTime if is_first => 503,
                _ => {
                    let mut answers = self.answers.subscribe();
                    drop(answers.wait_for(|answers| *answers).await);
                    200
                }
            };
            stream.write_all(format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n").as_bytes()).await?;
        }
    }

    fn arrived(&self) -> usize {
        self.arrived.load(Ordering::SeqCst)
    }
}

/// A process of two workers before these programs, in one cluster.
async fn two_workers(
    platform: &Platform,
    origins: &[&Origin],
    tune: impl FnOnce(&mut HttpConnectionManager),
    change: impl Fn(Cluster) -> Cluster,
) -> Option<(Sidecar, SocketAddr)> {
    let program = beside(env!("CARGO_BIN_EXE_bench"), "wavetank-proxy")?;
    let at = loopback(free_port(platform).await);
    let behind = [Behind { authority: "*", at: origins[0].at, http2: false }];
    let endpoints: Vec<_> = origins.iter().map(|origin| (origin.at, HealthStatus::Unknown)).collect();
    let mesh = Mesh::tuned(at, &behind, tune).with_clusters(|cluster| {
        let whole = Cluster { load_assignment: Some(assignment(&cluster.name, &endpoints)), ..cluster.clone() };
        *cluster = change(whole);
    });
    Some((Sidecar::ours(platform, &program, &[], &mesh, at, &["--concurrency", "2"]).await, at))
}

type Statuses = Arc<Mutex<Vec<u16>>>;

/// Asks from as many connections at the same time; what is answered is noted as it comes.
fn ask_at_once(platform: &Platform, at: SocketAddr) -> Statuses {
    let statuses = Statuses::default();
    for number in 0..CALLERS {
        let (own, told) = (platform.clone(), statuses.clone());
        platform.spawn.go(async move {
            let answer = http1::get(&own, at, "a.test", &format!("/{number}"), &[]).await;
            told.lock().expect("no thread panics here").push(answer.status);
        });
    }
    statuses
}

async fn answers(platform: &Platform, statuses: &Statuses, count: usize) -> Vec<u16> {
    let all = || Some(statuses.lock().expect("no thread panics here").clone()).filter(|all| all.len() >= count);
    let mut all = until(platform, &format!("{count} answers"), all).await;
    all.sort_unstable();
    all
}

fn limits(limits: Limits) -> impl Fn(Cluster) -> Cluster {
    move |cluster| limited(cluster, limits)
}

#[test]
fn requests_are_limited_for_both_workers_together() {
    live::run(|platform| async move {
        let origin = Origin::start(&platform, How::Well).await;
        let three = limits(Limits { requests: Some(3), ..Limits::default() });
        let Some((_ours, at)) = two_workers(&platform, &[&origin], |_| {}, three).await else { return };
        let statuses = ask_at_once(&platform, at);
        assert_eq!(answers(&platform, &statuses, CALLERS - 3).await, [503; CALLERS - 3]);
        until(&platform, "three requests", || (origin.arrived() == 3).then_some(())).await;
        origin.answers.send_replace(true);
        let all = answers(&platform, &statuses, CALLERS).await;
        assert_eq!((&all[..3], origin.arrived()), (&[200; 3][..], 3));
    });
}

/// As with Envoy, a worker without a connection to an endpoint may open one in any case: nobody else would serve what
/// waits there.
#[test]
fn connections_are_limited_for_both_workers_together_and_neither_starves() {
    live::run(|platform| async move {
        let origin = Origin::start(&platform, How::Well).await;
        let one = limits(Limits { connections: Some(1), ..Limits::default() });
        let Some((_ours, at)) = two_workers(&platform, &[&origin], |_| {}, one).await else { return };
        let statuses = ask_at_once(&platform, at);
        until(&platform, "a request", || (origin.arrived() > 0).then_some(())).await;
        assert!(origin.open.load(Ordering::SeqCst) <= 2);
        origin.answers.send_replace(true);
        assert_eq!(answers(&platform, &statuses, CALLERS).await, [200; CALLERS]);
        assert!(origin.open.load(Ordering::SeqCst) <= 2);
    });
}

#[test]
fn retries_are_limited_for_both_workers_together() {
    live::run(|platform| async move {
        let origin = Origin::start(&platform, How::SecondTime).await;
        let one = limits(Limits { retries: Some(1), ..Limits::default() });
        let retrying = |manager: &mut HttpConnectionManager| {
            let Some(RouteSpecifier::RouteConfig(routes)) = &mut manager.route_specifier else { panic!("routes") };
            for route in routes.virtual_hosts.iter_mut().flat_map(|host| &mut host.routes) {
                let Some(Action::Route(action)) = &mut route.action else { panic!("a route to a cluster") };
                action.retry_policy = Some(retry("5xx", 1));
            }
        };
        let Some((_ours, at)) = two_workers(&platform, &[&origin], retrying, one).await else { return };
        let statuses = ask_at_once(&platform, at);
        assert_eq!(answers(&platform, &statuses, CALLERS - 1).await, [503; CALLERS - 1]);
        until(&platform, "the retry", || (origin.arrived() == CALLERS + 1).then_some(())).await;
        origin.answers.send_replace(true);
        let all = answers(&platform, &statuses, CALLERS).await;
        assert_eq!((all[0], origin.arrived()), (200, CALLERS + 1));
    });
}

#[test]
fn what_one_worker_ejects_is_out_for_both() {
    const FAILURES: usize = 3;
    live::run(|platform| async move {
        let (bad, good) = (Origin::start(&platform, How::Badly).await, Origin::start(&platform, How::Well).await);
        good.answers.send_replace(true);
        let detecting = |cluster: Cluster| Cluster {
            outlier_detection: Some(OutlierDetection {
                consecutive_5xx: number(3),
                interval: ms(3_600_000),
                base_ejection_time: ms(3_600_000),
                max_ejection_percent: number(100),
                ..Default::default()
            }),
            ..cluster
        };
        let Some((_ours, at)) = two_workers(&platform, &[&bad, &good], |_| {}, detecting).await else { return };
        let mut asked = 0;
        while bad.arrived() < FAILURES {
            http1::get(&platform, at, "a.test", "/", &[]).await;
            asked += 1;
            assert!(asked < 1000, "the failing endpoint is not reached");
        }
        // One after the other, each by whichever worker: the third failure is the last for both.
        for _ in 0..2 * CALLERS {
            assert_eq!(http1::get(&platform, at, "a.test", "/", &[]).await.status, 200);
        }
        assert_eq!(bad.arrived(), FAILURES);
    });
}
