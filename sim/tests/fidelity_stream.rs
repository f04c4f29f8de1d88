//! Fidelity of the tank's network: open connections under loss, partitions, narrow links, closing and
//! resets. Each test is a row of the engine's table: what Linux does, or what the engine is known to do
//! instead, with the reason.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wavetank::engine::{Direction, LinkConfig, PodId, PodSpec, Tank, TankConfig, TankHandle};
use wavetank_platform::{ConnectOptions, ListenOptions, Platform, Stream};

const MIB: usize = 1 << 20;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Runs `scenario` in a world of two pods, with a connection from the first to the second.
fn with_pair<F: Future<Output = ()>>(
    link: LinkConfig,
    scenario: impl FnOnce(TankHandle, [PodId; 2], Stream, Stream) -> F,
) {
    let mut tank = Tank::new(TankConfig { default_link: link, ..TankConfig::default() });
    let pods = [0, 1].map(|n| tank.add_pod(PodSpec::new(format!("pod-{n}"), "default")));
    tank.run(|tank| async move {
        let (opened, accepted) = pair(&tank, pods).await;
        scenario(tank, pods, opened, accepted).await;
    });
}

async fn pair(tank: &TankHandle, pods: [PodId; 2]) -> (Stream, Stream) {
    let [client, server] = pods.map(|pod| tank.app_platform(pod));
    let listener = server.net.listen("0.0.0.0:80".parse().unwrap(), ListenOptions::default()).await.unwrap();
    let to = SocketAddr::new(tank.pod_ip(pods[1]), 80);
    let (accepted, opened) = tokio::join!(biased; listener.accept(), client.net.connect(to, ConnectOptions::default()));
    (opened.unwrap(), accepted.unwrap())
}

/// Sends back every byte, and the end of the stream.
fn echo(platform: &Platform, stream: Stream) {
    platform.spawn.go(async move {
        let (mut read, mut write) = tokio::io::split(stream);
        let _ = tokio::io::copy(&mut read, &mut write).await;
    });
}

async fn ping(stream: &mut Stream) -> std::io::Result<()> {
    stream.write_all(b"ping").await?;
    stream.read_exact(&mut [0; 4]).await.map(|_| ())
}

/// How long after the heal of a cut of `cut` a ping sent in its midst is answered.
fn recovery_after(cut: Duration) -> Duration {
    let mut recovered = Duration::ZERO;
    let out = &mut recovered;
    with_pair(LinkConfig::default(), |tank, [a, b], mut stream, accepted| async move {
        echo(&tank.app_platform(b), accepted);
        tank.partition(a, b, Direction::Both);
        let healer = tank.clone();
        tank.app_platform(a).spawn.go(async move {
            healer.sleep(cut).await;
            healer.heal(a, b);
        });
        let healed = tank.now() + cut;
        ping(&mut stream).await.unwrap();
        *out = tank.now() - healed;
    });
    recovered
}

#[test]
fn each_direction_of_a_link_is_set_for_itself_and_jitter_keeps_the_order() {
    with_pair(LinkConfig::default(), |tank, [a, b], mut stream, accepted| async move {
        echo(&tank.app_platform(b), accepted);
        let slow = LinkConfig { latency: ms(10), ..LinkConfig::default() };
        let sent = tank.set_link_one_way(a, b, slow);
        let start = tank.now();
        ping(&mut stream).await.unwrap();
        assert_eq!(tank.now() - start, Duration::from_micros(10_500));
        assert!(sent.touched() > 0);
        tank.set_link(a, b, LinkConfig { jitter: ms(20), ..slow });
        let (mut read, mut write) = tokio::io::split(stream);
        let sent: Vec<u8> = (0..200).collect();
        for byte in &sent {
            write.write_all(&[*byte]).await.unwrap();
            tank.sleep(ms(1)).await;
        }
        let mut got = vec![0; sent.len()];
        read.read_exact(&mut got).await.unwrap();
        assert_eq!(got, sent);
    });
}

#[test]
fn a_cut_stream_recovers_at_the_first_retransmission_after_the_heal() {
    // Retransmissions at 0.201 s × (2^n − 1); the round trip takes 1 ms.
    assert_eq!(recovery_after(ms(250)), ms(201 + 402 + 1 - 250));
    assert_eq!(recovery_after(ms(3000)), ms(201 * 15 + 1 - 3000));
    assert_eq!(recovery_after(ms(30_000)), ms(201 * 255 + 1 - 30_000));
}

#[test]
fn a_stream_cut_for_ever_times_out_when_linux_gives_up() {
    with_pair(LinkConfig::default(), |tank, [a, b], mut stream, accepted| async move {
        echo(&tank.app_platform(b), accepted);
        tank.partition(a, b, Direction::Both);
        let start = tank.now();
        assert_eq!(ping(&mut stream).await.unwrap_err().kind(), ErrorKind::TimedOut);
        let took = (tank.now() - start).as_secs_f64();
        assert!((924.0..927.0).contains(&took), "{took}");
    });
}

#[test]
fn a_stream_whose_acknowledgements_are_cut_times_out_too() {
    with_pair(LinkConfig::default(), |tank, [a, b], mut stream, accepted| async move {
        tank.partition_one_way(b, a);
        let start = tank.now();
        stream.write_all(b"ping").await.unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap_err().kind(), ErrorKind::TimedOut);
        assert!((tank.now() - start).as_secs() >= 924);
        drop(accepted);
    });
    // The same when what is lost is the reset that a closed socket answers with.
    with_pair(LinkConfig::default(), |tank, [a, b], mut stream, accepted| async move {
        tank.partition_one_way(b, a);
        drop(accepted);
        stream.write_all(b"ping").await.unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap_err().kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn lost_packets_cost_time_and_nothing_else() {
    for (loss, p50_max, p99_max, slowest_max) in [(0.01, 1, 203, 650), (0.1, 1, 650, 1500)] {
        with_pair(LinkConfig { loss, ..LinkConfig::default() }, |tank, [_, b], mut stream, accepted| async move {
            echo(&tank.app_platform(b), accepted);
            let mut took = Vec::new();
            for _ in 0..1000 {
                let start = tank.now();
                ping(&mut stream).await.unwrap();
                took.push((tank.now() - start).as_millis());
                tank.sleep(ms(100)).await;
            }
            took.sort_unstable();
            let (p50, p99, slowest) = (took[500], took[990], took[999]);
            assert!(p50 <= p50_max && p99 <= p99_max && slowest <= slowest_max, "{p50} {p99} {slowest}");
            assert!(p99 >= 201 && tank.stats().retransmitted > 0, "{p99}");
        });
    }
}

#[test]
fn many_connections_outlive_heavy_loss() {
    let mut tank =
        Tank::new(TankConfig { default_link: LinkConfig { loss: 0.1, ..Default::default() }, ..Default::default() });
    let pods = [0, 1].map(|n| tank.add_pod(PodSpec::new(format!("pod-{n}"), "default")));
    tank.run(|tank| async move {
        let mut tasks = Vec::new();
        for _ in 0..20 {
            let (mut stream, accepted) = pair(&tank, pods).await;
            echo(&tank.app_platform(pods[1]), accepted);
            let (done, wait) = tokio::sync::oneshot::channel();
            let clock = tank.clone();
            tank.app_platform(pods[0]).spawn.go(async move {
                for _ in 0..50 {
                    ping(&mut stream).await.unwrap();
                    clock.sleep(Duration::from_secs(1)).await;
                }
                let _ = done.send(());
            });
            tasks.push(wait);
        }
        for task in tasks {
            task.await.unwrap();
        }
        tank.sleep(Duration::from_secs(200)).await;
        assert_eq!((tank.stats().connections, tank.stats().sockets), (0, 0));
    });
}

/// Seconds to move 10 MiB one way.
fn transfer(link: LinkConfig) -> f64 {
    let mut seconds = 0.0;
    let out = &mut seconds;
    with_pair(link, |tank, [a, _], mut stream, mut accepted| async move {
        let start = tank.now();
        tank.app_platform(a).spawn.go(async move {
            stream.write_all(&vec![7; 10 * MIB]).await.unwrap();
            stream.shutdown().await.unwrap();
            let _ = stream.read(&mut [0]).await;
        });
        let mut bytes = Vec::new();
        accepted.read_to_end(&mut bytes).await.unwrap();
        assert!(bytes.len() == 10 * MIB && bytes.iter().all(|b| *b == 7));
        *out = (tank.now() - start).as_secs_f64();
    });
    seconds
}

#[test]
fn a_hundred_megabits_carry_ten_mebibytes_in_their_time() {
    let link = LinkConfig { bandwidth: Some(100_000_000), ..LinkConfig::default() };
    let clean = transfer(link);
    assert!((0.85..0.95).contains(&clean), "{clean}");
    // The window covers the link many times over, so fast retransmits hide nearly all of it. There is no
    // congestion window to shrink.
    let lossy = transfer(LinkConfig { loss: 0.01, ..link });
    assert!((0.85..2.0).contains(&lossy), "{lossy}");
    let awful = transfer(LinkConfig { loss: 0.1, ..link });
    assert!((2.0..60.0).contains(&awful), "{awful}");
}

#[test]
fn known_difference_a_window_is_64_kib_at_most_so_long_links_are_slow() {
    // The kernel has no window scaling: 64 KiB a round trip. Linux would fill the link.
    let latency = ms(20);
    let took = transfer(LinkConfig { bandwidth: Some(100_000_000), latency, ..LinkConfig::default() });
    let megabits = 10.0 * MIB as f64 * 8.0 / took / 1e6;
    assert!((11.0..14.0).contains(&megabits), "{megabits}");
}

#[test]
fn a_half_closed_stream_is_read_to_its_end() {
    with_pair(LinkConfig::default(), |tank, [_, b], mut stream, mut accepted| async move {
        stream.shutdown().await.unwrap();
        assert_eq!(stream.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        tank.app_platform(b).spawn.go(async move {
            assert_eq!(accepted.read(&mut [0]).await.unwrap(), 0);
            accepted.write_all(&vec![1; 100_000]).await.unwrap();
        });
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        assert_eq!(bytes.len(), 100_000);
        drop(stream);
        tank.sleep(ms(10)).await;
        assert_eq!((tank.stats().connections, tank.stats().sockets), (0, 0));
    });
}

#[test]
fn closing_with_unread_bytes_resets_the_peer() {
    with_pair(LinkConfig::default(), |tank, _, mut stream, accepted| async move {
        stream.write_all(b"unread").await.unwrap();
        tank.sleep(ms(5)).await;
        drop(accepted);
        assert_eq!(stream.read(&mut [0]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
    // The same when a part was read, and the rest waits outside the kernel.
    with_pair(LinkConfig::default(), |tank, [a, b], mut stream, mut accepted| async move {
        stream.write_all(b"half read").await.unwrap();
        accepted.read_exact(&mut [0; 4]).await.unwrap();
        drop(accepted);
        assert_eq!(stream.read(&mut [0]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        drop(stream);
        tank.sleep(ms(5)).await;
        assert_eq!(tank.stats().connections, 0);
        assert!(!(tank.netstat(a) + &tank.netstat(b)).contains("tcp"));
    });
}

#[test]
fn bytes_that_came_before_a_reset_are_read_before_it() {
    with_pair(LinkConfig::default(), |tank, _, mut stream, mut accepted| async move {
        stream.write_all(b"unread").await.unwrap();
        accepted.write_all(b"answer").await.unwrap();
        tank.sleep(ms(5)).await;
        drop(accepted);
        tank.sleep(ms(5)).await;
        let mut answer = [0; 6];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"answer");
        assert_eq!(stream.read(&mut [0]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn writing_to_a_peer_that_closed_is_reset_after_the_first_write() {
    with_pair(LinkConfig::default(), |tank, [_, b], mut stream, accepted| async move {
        drop(accepted);
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        stream.write_all(b"first").await.unwrap();
        tank.sleep(ms(2)).await;
        assert_eq!(stream.write(b"second").await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        drop(stream);
        tank.sleep(ms(5)).await;
        assert_eq!(tank.stats().connections, 0);
        assert!(!tank.netstat(b).contains("tcp"), "{}", tank.netstat(b));
    });
}

#[test]
fn a_slow_reader_slows_its_writer_and_loses_nothing() {
    with_pair(LinkConfig::default(), |tank, [a, _], mut stream, mut accepted| async move {
        let bytes: Vec<u8> = (0..MIB).map(|n| (n / 4096) as u8).collect();
        let sent = bytes.clone();
        tank.app_platform(a).spawn.go(async move { stream.write_all(&sent).await.unwrap() });
        let mut got = Vec::new();
        let mut chunk = vec![0; 4096];
        loop {
            match accepted.read(&mut chunk).await.unwrap() {
                0 => break,
                n => got.extend_from_slice(&chunk[..n]),
            }
            tank.sleep(ms(10)).await;
        }
        assert!(got == bytes);
        let took = tank.now().since_start().as_secs_f64();
        assert!((2.5..3.5).contains(&took), "{took}");
    });
}

#[test]
fn an_unread_stream_stops_its_writer() {
    with_pair(LinkConfig::default(), |tank, [a, _], mut stream, accepted| async move {
        let write = stream.write_all(&[0; 4 * MIB]);
        assert!(tank.app_platform(a).clock.timeout(Duration::from_secs(60), write).await.is_err());
        drop(accepted);
    });
}

#[test]
fn known_difference_an_idle_peer_that_vanished_is_never_noticed() {
    // The kernel has no SO_KEEPALIVE, and Linux's is off by default: HTTP/2 pings and idle timeouts do it.
    with_pair(LinkConfig::default(), |tank, [a, b], mut stream, accepted| async move {
        tank.power_off(b);
        let read = tank.app_platform(a).clock.timeout(Duration::from_secs(86_400), stream.read(&mut [0])).await;
        assert!(read.is_err());
        drop(accepted);
    });
}
