//! Fidelity of the tank's network: killed processes, lost power, restarts, and what a run as a whole
//! promises: same seed, same packets; idle time costs nothing; nothing is left behind.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wavetank::engine::{Container, LinkConfig, PodId, PodSpec, Tank, TankConfig, TankHandle};
use wavetank_platform::{ConnectOptions, ListenOptions, Platform, Stream};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn world(n: usize, config: TankConfig) -> (Tank, Vec<PodId>) {
    let mut tank = Tank::new(config);
    let pods = (0..n).map(|n| tank.add_pod(PodSpec::new(format!("pod-{n}"), "default"))).collect();
    (tank, pods)
}

fn at(tank: &TankHandle, pod: PodId) -> SocketAddr {
    SocketAddr::new(tank.pod_ip(pod), 80)
}

async fn echo(platform: &Platform) {
    let listener = platform.net.listen("0.0.0.0:80".parse().unwrap(), ListenOptions::default()).await.unwrap();
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

async fn connect(platform: &Platform, to: SocketAddr) -> std::io::Result<Stream> {
    platform.net.connect(to, ConnectOptions::default()).await
}

async fn ping(stream: &mut Stream) -> std::io::Result<()> {
    stream.write_all(b"ping").await?;
    stream.read_exact(&mut [0; 4]).await.map(|_| ())
}

#[test]
fn a_killed_process_ends_its_streams_and_its_port_refuses() {
    let (tank, pods) = world(2, TankConfig::default());
    tank.run(|tank| async move {
        let (client, server) = (tank.app_platform(pods[0]), tank.app_platform(pods[1]));
        echo(&server).await;
        let mut stream = connect(&client, at(&tank, pods[1])).await.unwrap();
        ping(&mut stream).await.unwrap();
        let start = tank.now();
        assert_eq!(tank.kill_process(pods[1], Container::App), 2);
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(tank.now() - start, Duration::from_micros(500));
        let error = connect(&client, at(&tank, pods[1])).await.unwrap_err();
        assert_eq!((error.kind(), tank.now() - start), (ErrorKind::ConnectionRefused, Duration::from_micros(1500)));
        assert!(server.spawn.go(async {}).is_finished(), "a dead process starts nothing");
        let dead = server.net.listen("0.0.0.0:81".parse().unwrap(), ListenOptions::default()).await;
        assert_eq!(dead.unwrap_err().kind(), ErrorKind::ConnectionAborted);
        assert_eq!(connect(&server, at(&tank, pods[0])).await.unwrap_err().kind(), ErrorKind::ConnectionAborted);
    });
}

#[test]
fn the_tasks_of_a_killed_process_end_and_the_other_containers_go_on() {
    let (tank, pods) = world(1, TankConfig::default());
    tank.run(|tank| async move {
        let counts = [Container::App, Container::Sidecar].map(|container| {
            let count = Arc::new(AtomicUsize::new(0));
            let (platform, counter) = (tank.platform(pods[0], container), count.clone());
            platform.clone().spawn.go(async move {
                loop {
                    platform.clock.sleep(ms(10)).await;
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            });
            count
        });
        tank.sleep(ms(101)).await;
        tank.kill_process(pods[0], Container::App);
        tank.sleep(ms(100)).await;
        assert_eq!(counts.map(|count| count.load(Ordering::Relaxed)), [10, 20]);
    });
}

#[test]
fn a_restarted_process_listens_on_its_old_port_while_old_connections_linger() {
    let (tank, pods) = world(2, TankConfig::default());
    tank.run(|tank| async move {
        let client = tank.app_platform(pods[0]);
        echo(&tank.app_platform(pods[1])).await;
        // The client never closes, so the kernel's half of the old connection never goes.
        let mut old = connect(&client, at(&tank, pods[1])).await.unwrap();
        ping(&mut old).await.unwrap();
        let first = tank.app_platform(pods[1]).entropy.stream().next_u64();
        let restarted = tank.restart_process(pods[1], Container::App);
        assert_ne!(restarted.entropy.stream().next_u64(), first);
        echo(&restarted).await;
        let mut new = connect(&client, at(&tank, pods[1])).await.unwrap();
        assert_eq!(new.peer_addr(), at(&tank, pods[1]));
        ping(&mut new).await.unwrap();
        assert_eq!(old.read(&mut [0]).await.unwrap(), 0);
        let local = connect(&restarted, "127.0.0.1:80".parse().unwrap()).await;
        ping(&mut local.unwrap()).await.unwrap();
    });
}

#[test]
fn a_live_process_listens_again_on_a_port_whose_connections_go_on() {
    let (tank, pods) = world(2, TankConfig::default());
    tank.run(|tank| async move {
        let (client, server) = (tank.app_platform(pods[0]), tank.app_platform(pods[1]));
        let any = "0.0.0.0:80".parse().unwrap();
        let listener = server.net.listen(any, ListenOptions::default()).await.unwrap();
        let (accepted, opened) = tokio::join!(biased; listener.accept(), connect(&client, at(&tank, pods[1])));
        let (mut accepted, mut opened) = (accepted.unwrap(), opened.unwrap());
        drop(listener);
        let listener = server.net.listen(any, ListenOptions::default()).await.unwrap();
        assert_eq!(listener.local_addr(), any);
        let (again, _) = tokio::join!(biased; listener.accept(), connect(&client, at(&tank, pods[1])));
        assert_eq!(again.unwrap().local_addr(), at(&tank, pods[1]));
        opened.write_all(b"x").await.unwrap();
        assert_eq!(accepted.read_u8().await.unwrap(), b'x');
    });
}

#[test]
fn a_pod_without_power_is_silent_and_forgets_its_connections() {
    let (tank, pods) = world(2, TankConfig::default());
    tank.run(|tank| async move {
        let (client, server) = (tank.app_platform(pods[0]), pods[1]);
        echo(&tank.app_platform(server)).await;
        let [mut idle, mut busy] =
            [connect(&client, at(&tank, server)).await, connect(&client, at(&tank, server)).await].map(Result::unwrap);
        ping(&mut idle).await.unwrap();
        ping(&mut busy).await.unwrap();
        let lost = tank.power_off(server);
        assert!(client.clock.timeout(Duration::from_secs(600), idle.read(&mut [0])).await.is_err());
        let start = tank.now();
        assert_eq!(ping(&mut busy).await.unwrap_err().kind(), ErrorKind::TimedOut);
        assert!((924..927).contains(&(tank.now() - start).as_secs()));
        assert!(lost.touched() >= 16);
        assert!(!tank.has_power(server));
        tank.power_on(server);
        assert!(!tank.netstat(server).contains("tcp"), "{}", tank.netstat(server));
        let start = tank.now();
        assert_eq!(ping(&mut idle).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(tank.now() - start, ms(1));
        echo(&tank.restart_process(server, Container::App)).await;
        ping(&mut connect(&client, at(&tank, server)).await.unwrap()).await.unwrap();
    });
}

#[test]
fn a_connect_to_a_pod_without_power_succeeds_when_it_comes_back() {
    let (tank, pods) = world(2, TankConfig::default());
    tank.run(|tank| async move {
        tank.power_off(pods[1]);
        let (back, server) = (tank.clone(), pods[1]);
        tank.app_platform(pods[0]).spawn.go(async move {
            back.sleep(ms(5000)).await;
            back.power_on(server);
            echo(&back.restart_process(server, Container::App)).await;
            back.sleep(ms(100_000)).await;
        });
        connect(&tank.app_platform(pods[0]), at(&tank, server)).await.unwrap();
        assert_eq!(tank.now().since_start(), ms(7001));
    });
}

#[test]
fn a_spare_pod_becomes_a_new_one_with_a_fresh_address() {
    let (tank, pods) = world(2, TankConfig { spare_pods: 1, ..TankConfig::default() });
    tank.run(|tank| async move {
        let client = tank.app_platform(pods[0]);
        let fresh = tank.claim_pod(PodSpec::new("reviews-v2-abc", "default")).unwrap();
        assert_eq!(tank.claim_pod(PodSpec::new("one-more", "default")), None);
        assert!(!pods.iter().any(|pod| tank.pod_ip(*pod) == tank.pod_ip(fresh)));
        assert_eq!(tank.pod_spec(fresh).name, "reviews-v2-abc");
        echo(&tank.app_platform(fresh)).await;
        ping(&mut connect(&client, at(&tank, fresh)).await.unwrap()).await.unwrap();
    });
}

/// Three pods in a row, with everything that draws random numbers; returns the hash of all packets.
fn busy_world(seed: u64) -> [u8; 32] {
    let default_link = LinkConfig { jitter: ms(1), loss: 0.02, bandwidth: Some(50_000_000), ..LinkConfig::default() };
    let (tank, pods) = world(4, TankConfig { seed, default_link, ..TankConfig::default() });
    tank.run(|tank| async move {
        echo(&tank.app_platform(pods[0])).await;
        let mut waits = Vec::new();
        for pod in &pods[1..] {
            let (platform, to) = (tank.app_platform(*pod), at(&tank, pods[0]));
            let (done, wait) = tokio::sync::oneshot::channel();
            platform.clone().spawn.go(async move {
                let mut random = platform.entropy.stream_named("arrivals");
                for _ in 0..30 {
                    let mut stream = connect(&platform, to).await.unwrap();
                    for _ in 0..3 {
                        ping(&mut stream).await.unwrap();
                        platform.clock.sleep(random.duration_below(ms(20))).await;
                    }
                }
                let _ = done.send(());
            });
            waits.push(wait);
        }
        for wait in waits {
            wait.await.unwrap();
        }
        tank.packets_hash()
    })
}

#[test]
fn the_same_seed_gives_the_same_packets_and_another_seed_does_not() {
    let hashes: Vec<_> = [1, 1, 2].map(busy_world).to_vec();
    assert_eq!(hashes[0], hashes[1]);
    assert_ne!(hashes[0], hashes[2]);
    assert_eq!(std::thread::spawn(|| busy_world(1)).join().unwrap(), hashes[0]);
}

#[test]
fn an_idle_day_makes_no_events() {
    let (tank, pods) = world(20, TankConfig::default());
    tank.run(|tank| async move {
        echo(&tank.app_platform(pods[1])).await;
        let mut stream = connect(&tank.app_platform(pods[0]), at(&tank, pods[1])).await.unwrap();
        ping(&mut stream).await.unwrap();
        let before = tank.stats();
        tank.sleep(Duration::from_secs(86_400)).await;
        let after = tank.stats();
        assert!(after.events - before.events <= 2 && after.passes - before.passes <= 2, "{before:?} {after:?}");
        ping(&mut stream).await.unwrap();
    });
}

#[test]
fn a_run_leaves_nothing_behind() {
    let alive = Arc::new(());
    let (tank, pods) = world(3, TankConfig::default());
    let held = alive.clone();
    let (handle, stream, platform) = tank.run(|tank| async move {
        let (a, b) = (tank.app_platform(pods[0]), tank.sidecar_platform(pods[1]));
        echo(&b).await;
        for platform in [&a, &b] {
            let held = held.clone();
            platform.spawn.go(async move {
                let _held = held;
                std::future::pending::<()>().await;
            });
        }
        let mut stream = connect(&a, at(&tank, pods[1])).await.unwrap();
        ping(&mut stream).await.unwrap();
        drop(held);
        (tank, stream, a)
    });
    assert_eq!(Arc::strong_count(&alive), 1, "every task is gone");
    assert_eq!(handle.stats().sockets, 1, "only the stream that was kept");
    let now = handle.now();
    assert_eq!(now, platform.clock.now(), "time stands still after the run");
    drop(stream);
    assert_eq!(handle.stats().sockets, 0);
    assert!(platform.spawn.go(async {}).is_finished());
    let (next, pods) = world(1, TankConfig::default());
    next.run(|tank| async move { echo(&tank.app_platform(pods[0])).await });
}

#[test]
#[should_panic(expected = "waits for what never comes")]
fn a_run_in_which_nothing_can_happen_any_more_panics() {
    let (tank, _) = world(1, TankConfig::default());
    tank.run(|_| std::future::pending::<()>());
}

#[test]
#[should_panic(expected = "a bug in a task")]
fn a_panic_in_a_task_of_the_world_fails_the_run() {
    let (tank, pods) = world(1, TankConfig::default());
    tank.run(|tank| async move {
        tank.app_platform(pods[0]).spawn.go(async { panic!("a bug in a task") });
        tank.sleep(ms(1)).await;
    });
}

#[test]
fn a_hundred_pods_talk_to_each_other() {
    let (tank, pods) = world(100, TankConfig::default());
    tank.run(|tank| async move {
        for pod in &pods {
            echo(&tank.app_platform(*pod)).await;
        }
        let mut waits = Vec::new();
        for (n, pod) in pods.iter().enumerate() {
            let (platform, to) = (tank.app_platform(*pod), at(&tank, pods[(n + 1) % 100]));
            let (done, wait) = tokio::sync::oneshot::channel();
            platform.clone().spawn.go(async move {
                let mut stream = connect(&platform, to).await.unwrap();
                for _ in 0..10 {
                    ping(&mut stream).await.unwrap();
                    platform.clock.sleep(ms(5)).await;
                }
                let _ = done.send(());
            });
            waits.push(wait);
        }
        for wait in waits {
            wait.await.unwrap();
        }
        tank.sleep(ms(10)).await;
        assert_eq!(tank.stats().connections, 0);
    });
}
