//! Fidelity of the tank's network at its edges: no latency at all, jitter above the latency, a thousand
//! connections, time that stands still.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wavetank::engine::{LinkConfig, PodId, PodSpec, Stats, Tank, TankConfig, TankHandle};
use wavetank_platform::{ConnectOptions, ListenOptions, Stream};

/// Runs `scenario` in a world of two pods; the second echoes on port 80.
fn with_echo<R, F: Future<Output = R>>(
    config: TankConfig,
    scenario: impl FnOnce(TankHandle, PodId, SocketAddr) -> F,
) -> R {
    let mut tank = Tank::new(config);
    let [client, server] = [0, 1].map(|n| tank.add_pod(PodSpec::new(format!("pod-{n}"), "default")));
    tank.run(|tank| async move {
        let platform = tank.app_platform(server);
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
        let to = SocketAddr::new(tank.pod_ip(server), 80);
        scenario(tank, client, to).await
    })
}

async fn ping(stream: &mut Stream, number: u32) {
    stream.write_u32(number).await.unwrap();
    assert_eq!(stream.read_u32().await.unwrap(), number);
}

/// Opens `count` connections at once, sends three numbers over each, and returns what passed and how long it took.
fn many(count: u32, default_link: LinkConfig) -> ([u8; 32], Stats, Duration) {
    with_echo(TankConfig { default_link, ..TankConfig::default() }, |tank, client, to| async move {
        let platform = tank.app_platform(client);
        let (done, mut all) = tokio::sync::mpsc::channel(1);
        for number in 0..count {
            let (net, done) = (platform.net.clone(), done.clone());
            platform.spawn.go(async move {
                let mut stream = net.connect(to, ConnectOptions::default()).await.unwrap();
                for round in 0..3 {
                    ping(&mut stream, number * 3 + round).await;
                }
                // Kept open until every other connection is as well.
                done.send(stream).await.unwrap();
            });
        }
        drop(done);
        let mut open = Vec::new();
        while let Some(stream) = all.recv().await {
            open.push(stream);
        }
        assert_eq!((open.len(), tank.stats().connections), (count as usize, count as usize));
        let took = tank.now().since_start();
        drop(open);
        // Long enough for what was lost of the closing to be sent again.
        tank.sleep(Duration::from_secs(1200)).await;
        (tank.packets_hash(), tank.stats(), took)
    })
}

#[test]
fn a_thousand_connections_at_once_are_opened_used_and_gone() {
    let (hash, stats, took) = many(1000, LinkConfig::default());
    assert_eq!((stats.connections, stats.lost, took), (0, 0, Duration::from_millis(4)));
    assert_eq!(many(1000, LinkConfig::default()).0, hash);
}

#[test]
fn jitter_above_the_latency_with_loss_keeps_every_byte_in_order() {
    let link = LinkConfig {
        latency: Duration::from_micros(1),
        jitter: Duration::from_millis(50),
        loss: 0.05,
        ..LinkConfig::default()
    };
    let (hash, stats, _) = many(200, link);
    assert!(stats.lost > 20 && stats.connections == 0, "{stats:?}");
    assert_eq!(many(200, link).0, hash);
}

#[test]
fn a_link_may_take_no_time_at_all() {
    let link = LinkConfig { latency: Duration::ZERO, ..LinkConfig::default() };
    let (_, stats, took) = many(100, link);
    assert_eq!((stats.connections, took), (0, Duration::ZERO));
}

#[test]
fn time_that_stands_still_ends_the_run() {
    let link = LinkConfig { latency: Duration::ZERO, ..LinkConfig::default() };
    let config = TankConfig { default_link: link, steps_max: 10_000, ..TankConfig::default() };
    let run = || {
        with_echo(config, |tank, client, to| async move {
            let platform = tank.app_platform(client);
            let mut stream = platform.net.connect(to, ConnectOptions::default()).await.unwrap();
            loop {
                ping(&mut stream, 1).await;
            }
        })
    };
    let panicked = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
    let text = panicked.downcast_ref::<String>().unwrap();
    assert!(text.starts_with("time stands still at "), "{text}");
}
