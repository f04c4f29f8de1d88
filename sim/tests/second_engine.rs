//! The door behaves alike on both engines: capture, Services, refusals, streams and time.

use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use wavetank::engine::{Capture, Engine, PodId, PodSpec, ServiceAddr, Tank, TankConfig, TankHandle};
use wavetank_platform::{ConnectOptions, ListenOptions, OriginalDst, Platform, Stream};

/// Runs `scenario` in a world of three pods, on each engine in turn.
fn on_both<F: Future<Output = ()> + 'static>(scenario: impl Fn(TankHandle, [PodId; 3]) -> F) {
    for engine in [Engine::Tank, Engine::Turmoil] {
        let mut tank = Tank::new(TankConfig::default());
        let pods = [0, 1, 2].map(|n| tank.add_pod(PodSpec::new(format!("pod-{n}"), "default")));
        let scenario = |tank| scenario(tank, pods);
        match engine {
            Engine::Tank => tank.run(scenario),
            Engine::Turmoil => tank.run_on_turmoil(scenario),
        }
    }
}

fn at(tank: &TankHandle, pod: PodId, port: u16) -> SocketAddr {
    SocketAddr::new(tank.pod_ip(pod), port)
}

/// Does `work` as a task of a process, which its sockets must be used by.
async fn within<T: Send + 'static>(platform: &Platform, work: impl Future<Output = T> + Send + 'static) -> T {
    let (done, result) = oneshot::channel();
    platform.spawn.go(async move {
        let _ = done.send(work.await);
    });
    result.await.expect("the task ends")
}

/// How one end of a connection sees it.
#[derive(Debug, PartialEq)]
struct Seen {
    local: SocketAddr,
    peer: SocketAddr,
    original_dst: Option<OriginalDst>,
    read: String,
}

async fn seen(mut stream: Stream, said: &str) -> Seen {
    stream.write_all(said.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut read = String::new();
    stream.read_to_string(&mut read).await.unwrap();
    let (local, peer, original_dst) = (stream.local_addr(), stream.peer_addr(), stream.original_dst());
    Seen { local, peer, original_dst, read }
}

/// Listens on `port`, connects to `to`, lets both ends speak, end and listen, and returns what the accepting
/// and the opening end saw.
async fn meet(server: &Platform, port: u16, client: &Platform, to: SocketAddr) -> (Seen, Seen) {
    let any = SocketAddr::from(([0, 0, 0, 0], port));
    let listener = server.net.listen(any, ListenOptions::default()).await.unwrap();
    let opener = client.clone();
    let opening = within(client, async move {
        seen(opener.net.connect(to, ConnectOptions::default()).await.unwrap(), "from the client").await
    });
    let accepting = within(server, async move { seen(listener.accept().await.unwrap(), "from the server").await });
    tokio::join!(biased; accepting, opening)
}

async fn refused(client: &Platform, to: SocketAddr) -> ErrorKind {
    let opener = client.clone();
    within(client, async move { opener.net.connect(to, ConnectOptions::default()).await.unwrap_err().kind() }).await
}

#[test]
fn pods_reach_each_other_and_both_ends_hear_the_other_to_its_end() {
    on_both(|tank, [a, b, _]| async move {
        let (client, server) = (tank.app_platform(a), tank.app_platform(b));
        let (accepted, opened) = meet(&server, 8080, &client, at(&tank, b, 8080)).await;
        assert_eq!((&*accepted.read, &*opened.read), ("from the client", "from the server"));
        assert_eq!((accepted.local, opened.peer), (at(&tank, b, 8080), at(&tank, b, 8080)));
        assert_eq!((accepted.peer, accepted.original_dst), (opened.local, None));
        // The port is free again.
        meet(&server, 8080, &client, at(&tank, b, 8080)).await;
    });
}

#[test]
fn capture_hands_connections_to_the_sidecar_with_their_destination() {
    on_both(|tank, [a, b, _]| async move {
        for pod in [a, b] {
            tank.set_capture(pod, Some(Capture::default()));
        }
        let vip: SocketAddr = "10.96.0.1:80".parse().unwrap();
        let (app, sidecar) = (tank.app_platform(a), tank.sidecar_platform(a));
        let (accepted, opened) = meet(&sidecar, 15001, &app, vip).await;
        assert_eq!((accepted.original_dst, opened.peer), (Some(OriginalDst(vip)), vip));
        assert_eq!((opened.local.ip(), accepted.peer), (tank.pod_ip(a), opened.local));

        let dialled = at(&tank, b, 8080);
        let (accepted, opened) = meet(&tank.sidecar_platform(b), 15006, &sidecar, dialled).await;
        assert_eq!((accepted.original_dst, opened.peer), (Some(OriginalDst(dialled)), dialled));
        assert_eq!((accepted.local, accepted.peer), (at(&tank, b, 15006), opened.local));

        let (accepted, _) =
            meet(&tank.app_platform(b), 8080, &tank.sidecar_platform(b), "127.0.0.1:8080".parse().unwrap()).await;
        assert_eq!((accepted.original_dst, accepted.peer.ip().is_loopback()), (None, true));
    });
}

#[test]
fn a_service_leads_to_its_endpoint_and_nothing_leads_to_nobody() {
    on_both(|tank, [a, b, _]| async move {
        let vip: SocketAddr = "10.96.0.1:80".parse().unwrap();
        let client = tank.app_platform(a);
        let service = ServiceAddr { ip: vip.ip(), port: vip.port() };
        tank.set_service(service, Vec::new());
        assert_eq!(refused(&client, vip).await, ErrorKind::ConnectionRefused);
        tank.set_service(service, vec![at(&tank, b, 8080)]);
        let (accepted, opened) = meet(&tank.app_platform(b), 8080, &client, vip).await;
        assert_eq!((accepted.local, opened.peer), (at(&tank, b, 8080), vip));

        assert_eq!(refused(&client, at(&tank, b, 9)).await, ErrorKind::ConnectionRefused);
        assert_eq!(refused(&client, "127.0.0.1:9".parse().unwrap()).await, ErrorKind::ConnectionRefused);
        let before = tank.now();
        assert_eq!(refused(&client, "10.7.7.7:80".parse().unwrap()).await, ErrorKind::TimedOut);
        let waited = (tank.now() - before).as_secs_f64().round();
        assert_eq!(waited, 127.0, "nobody answers");
    });
}

#[test]
fn a_port_is_taken_once_and_sleep_takes_its_time() {
    on_both(|tank, [a, _, _]| async move {
        let platform = tank.app_platform(a);
        let any = "0.0.0.0:80".parse().unwrap();
        let _first = platform.net.listen(any, ListenOptions::default()).await.unwrap();
        let second = platform.net.listen("127.0.0.1:80".parse().unwrap(), ListenOptions::default()).await;
        assert_eq!(second.unwrap_err().kind(), ErrorKind::AddrInUse);
        let before = (tank.now(), tank.clock().unix());
        tank.sleep(Duration::from_secs(90)).await;
        let slept = (tank.now() - before.0, tank.clock().unix().as_secs() - before.1.as_secs());
        assert_eq!(slept, (Duration::from_secs(90), 90));
    });
}
