//! Fidelity of the tank's network: opening connections. Each test is a row of the engine's table: what
//! Linux does, or what the engine is known to do instead, with the reason.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wavetank::engine::{Capture, Direction, LinkConfig, PodId, PodSpec, ServiceAddr, Tank, TankConfig, TankHandle};
use wavetank_platform::{ConnectOptions, ListenOptions, Listener, Platform, Stream};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A world of `n` pods, `pod-0` and on, with links of half a millisecond.
fn world(n: usize) -> (Tank, Vec<PodId>) {
    let mut tank = Tank::new(TankConfig::default());
    let pods = (0..n).map(|n| tank.add_pod(PodSpec::new(format!("pod-{n}"), "default"))).collect();
    (tank, pods)
}

fn at(tank: &TankHandle, pod: PodId, port: u16) -> SocketAddr {
    SocketAddr::new(tank.pod_ip(pod), port)
}

async fn listen(platform: &Platform, port: u16) -> Listener {
    platform.net.listen(SocketAddr::from(([0, 0, 0, 0], port)), ListenOptions::default()).await.unwrap()
}

async fn connect(platform: &Platform, to: SocketAddr) -> std::io::Result<Stream> {
    platform.net.connect(to, ConnectOptions::default()).await
}

/// Echoes on every connection, for ever.
async fn echo(platform: &Platform, port: u16) {
    let listener = listen(platform, port).await;
    let spawn = platform.spawn.clone();
    platform.spawn.go(async move {
        while let Ok(stream) = listener.accept().await {
            spawn.go(async move {
                let (mut read, mut write) = tokio::io::split(stream);
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
}

async fn ping(stream: &mut Stream) -> std::io::Result<()> {
    stream.write_all(b"ping").await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await?;
    assert_eq!(&answer, b"ping");
    Ok(())
}

#[test]
fn a_round_trip_takes_twice_the_latency_to_the_nanosecond() {
    let (tank, pods) = world(2);
    tank.run(|tank| async move {
        let (client, server) = (tank.app_platform(pods[0]), tank.app_platform(pods[1]));
        echo(&server, 80).await;
        let mut stream = connect(&client, at(&tank, pods[1], 80)).await.unwrap();
        assert_eq!(tank.now().since_start(), ms(1));
        assert_eq!(stream.peer_addr(), at(&tank, pods[1], 80));
        assert_eq!(stream.local_addr().ip(), tank.pod_ip(pods[0]));
        ping(&mut stream).await.unwrap();
        assert_eq!(tank.now().since_start(), ms(2));
        tank.set_link(pods[0], pods[1], LinkConfig { latency: Duration::from_nanos(123_456), ..LinkConfig::default() });
        ping(&mut stream).await.unwrap();
        assert_eq!(tank.now().since_start(), ms(2) + Duration::from_nanos(246_912));
    });
}

#[test]
fn a_closed_port_refuses_after_one_round_trip() {
    let (tank, pods) = world(2);
    tank.run(|tank| async move {
        let client = tank.app_platform(pods[0]);
        let error = connect(&client, at(&tank, pods[1], 80)).await.unwrap_err();
        assert_eq!((error.kind(), tank.now().since_start()), (ErrorKind::ConnectionRefused, ms(1)));
        let error = connect(&client, "127.0.0.1:80".parse().unwrap()).await.unwrap_err();
        assert_eq!((error.kind(), tank.now().since_start()), (ErrorKind::ConnectionRefused, ms(1)));
    });
}

#[test]
fn a_connect_into_a_partition_hangs_until_its_syns_run_out() {
    let (tank, pods) = world(2);
    tank.run(|tank| async move {
        let (client, server) = (tank.app_platform(pods[0]), tank.app_platform(pods[1]));
        let cut = tank.partition(pods[0], pods[1], Direction::Both);
        echo(&server, 80).await;
        let bounded = client.clock.timeout(Duration::from_secs(3), connect(&client, at(&tank, pods[1], 80))).await;
        assert!(bounded.is_err());
        tank.sleep(Duration::from_secs(10)).await;
        assert_eq!(tank.stats().connections, 0, "an abandoned connect is not retried");
        let start = tank.now();
        let error = connect(&client, at(&tank, pods[1], 80)).await.unwrap_err();
        assert_eq!((error.kind(), tank.now() - start), (ErrorKind::TimedOut, Duration::from_secs(127)));
        assert!(cut.touched() > 7);
        let error = connect(&client, "10.9.9.9:80".parse().unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "an address that is nobody's swallows");
        assert_eq!(tank.stats().connections, 0);
    });
}

#[test]
fn a_connect_whose_answers_are_cut_succeeds_with_the_next_syn_ack_after_the_heal() {
    let (tank, pods) = world(2);
    tank.run(|tank| async move {
        let (client, server) = (tank.app_platform(pods[0]), tank.app_platform(pods[1]));
        echo(&server, 80).await;
        tank.partition_one_way(pods[1], pods[0]);
        let (heal, a, b) = (tank.clone(), pods[0], pods[1]);
        client.spawn.go(async move {
            heal.sleep(ms(2500)).await;
            heal.heal(a, b);
        });
        connect(&client, at(&tank, pods[1], 80)).await.unwrap();
        assert_eq!(tank.now().since_start(), ms(3001));
    });
}

#[test]
fn a_full_backlog_swallows_syns_until_connections_are_accepted() {
    let (tank, pods) = world(2);
    tank.run(|tank| async move {
        let (client, server) = (tank.app_platform(pods[0]), tank.app_platform(pods[1]));
        let options = ListenOptions { backlog: 4, ..ListenOptions::default() };
        let listener = server.net.listen("0.0.0.0:80".parse().unwrap(), options).await.unwrap();
        let (done, mut times) = tokio::sync::mpsc::unbounded_channel();
        for _ in 0..10 {
            let (tank, client, done, to) = (tank.clone(), client.clone(), done.clone(), at(&tank, pods[1], 80));
            client.clone().spawn.go(async move {
                let stream = connect(&client, to).await.unwrap();
                done.send((tank.now().since_start().as_millis(), stream)).unwrap();
            });
        }
        tank.sleep(ms(4000)).await;
        let mut accepted = Vec::new();
        for _ in 0..10 {
            accepted.push(listener.accept().await.unwrap());
        }
        let mut took = Vec::new();
        for _ in 0..10 {
            took.push(times.recv().await.unwrap().0);
        }
        assert_eq!(took, [1, 1, 1, 1, 7001, 7001, 7001, 7001, 15001, 15001]);
    });
}

#[test]
fn a_cancelled_connect_leaves_nothing_and_is_never_accepted() {
    let (tank, pods) = world(2);
    tank.run(|tank| async move {
        let (client, server) = (tank.app_platform(pods[0]), tank.app_platform(pods[1]));
        let listener = listen(&server, 80).await;
        for wait in [0, 300, 600, 900, 1200] {
            let sooner = client.clock.timeout_at(tank.now(), connect(&client, at(&tank, pods[1], 80)));
            let _ = tokio::time::timeout(Duration::from_micros(wait), sooner).await;
            tank.sleep(ms(10)).await;
        }
        let mut stream = connect(&client, at(&tank, pods[1], 80)).await.unwrap();
        let accepted = listener.accept().await.unwrap();
        assert_eq!(accepted.peer_addr(), stream.local_addr(), "the listener shows only the live connection");
        drop((listener, accepted));
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        drop(stream);
        tank.sleep(ms(10)).await;
        assert_eq!((tank.stats().connections, tank.stats().sockets), (0, 0));
        listen(&server, 80).await;
    });
}

#[test]
fn a_port_is_listened_on_once() {
    let (tank, pods) = world(1);
    tank.run(|tank| async move {
        let app = tank.app_platform(pods[0]);
        let first = listen(&app, 80).await;
        let again = |addr: &str, reuse_port| {
            let options = ListenOptions { reuse_port, ..ListenOptions::default() };
            app.net.listen(addr.parse().unwrap(), options)
        };
        assert_eq!(again("0.0.0.0:80", false).await.unwrap_err().kind(), ErrorKind::AddrInUse);
        assert_eq!(again("127.0.0.1:80", true).await.unwrap_err().kind(), ErrorKind::AddrInUse);
        assert_eq!(again("10.9.9.9:81", false).await.unwrap_err().kind(), ErrorKind::AddrNotAvailable);
        assert_eq!(again("[::]:81", false).await.unwrap_err().kind(), ErrorKind::AddrNotAvailable);
        drop(first);
        let (a, b) = (again("0.0.0.0:80", true).await.unwrap(), again("0.0.0.0:80", true).await.unwrap());
        assert_eq!((a.local_addr().port(), b.local_addr().port()), (80, 80));
        assert_ne!(again("0.0.0.0:0", false).await.unwrap().local_addr().port(), 0);
    });
}

#[test]
fn a_service_address_leads_to_its_endpoints_and_stays_the_peers_address() {
    let (tank, pods) = world(3);
    tank.run(|tank| async move {
        let client = tank.app_platform(pods[0]);
        let service = ServiceAddr { ip: [10, 96, 0, 1].into(), port: 80 };
        let vip = SocketAddr::new(service.ip, 80);
        let mut hits = [0; 3];
        let (hit, mut hit_by) = tokio::sync::mpsc::unbounded_channel();
        for n in [1, 2] {
            let listener = listen(&tank.app_platform(pods[n]), 8080).await;
            let hit = hit.clone();
            tank.app_platform(pods[n]).spawn.go(async move {
                while let Ok(stream) = listener.accept().await {
                    assert_eq!((stream.original_dst(), stream.local_addr().port()), (None, 8080));
                    let _ = hit.send(n);
                }
            });
        }
        tank.set_service(service, vec![at(&tank, pods[1], 8080), at(&tank, pods[2], 8080)]);
        for _ in 0..40 {
            assert_eq!(connect(&client, vip).await.unwrap().peer_addr(), vip);
            hits[hit_by.recv().await.unwrap()] += 1;
        }
        assert!(hits[1] > 8 && hits[2] > 8, "{hits:?}");
        tank.set_service(service, vec![]);
        assert_eq!(connect(&client, vip).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        tank.remove_service(service);
        assert_eq!(connect(&client, vip).await.unwrap_err().kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn a_pod_resolves_short_namespaced_and_full_names() {
    let (tank, pods) = world(1);
    tank.run(|tank| async move {
        let app = tank.app_platform(pods[0]);
        let ip = "10.96.0.7".parse().unwrap();
        tank.set_dns("reviews.default.svc.cluster.local", vec![ip]);
        for name in
            ["reviews", "reviews.default", "reviews.default.svc", "reviews.default.svc.cluster.local", "10.96.0.7"]
        {
            assert_eq!(app.resolver.resolve(name).await.unwrap(), [ip], "{name}");
        }
        assert_eq!(app.resolver.resolve("pod-0").await.unwrap(), [tank.pod_ip(pods[0])]);
        assert_eq!(app.resolver.resolve("ratings").await.unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn capture_defaults_leave_other_pods_alone() {
    let (tank, pods) = world(2);
    tank.run(|tank| async move {
        tank.set_capture(pods[0], Some(Capture::default()));
        echo(&tank.app_platform(pods[1]), 80).await;
        let mut direct = connect(&tank.sidecar_platform(pods[0]), at(&tank, pods[1], 80)).await.unwrap();
        ping(&mut direct).await.unwrap();
        let captured = connect(&tank.app_platform(pods[0]), at(&tank, pods[1], 80)).await;
        assert_eq!(captured.unwrap_err().kind(), ErrorKind::ConnectionRefused, "no sidecar listens on 15001");
    });
}
