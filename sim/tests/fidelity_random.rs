//! Laws of the tank's network under random faults: bytes arrive in order or not at all, nothing panics or
//! hangs, everything is cleaned up in the end, and the same seed does the same again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wavetank::engine::{
    Capture, Container, Direction, LinkConfig, PodId, PodSpec, Stats, Tank, TankConfig, TankHandle,
};
use wavetank_platform::{ConnectOptions, ListenOptions, Platform, Stream};

const PODS: usize = 3;

#[derive(Debug, Clone)]
enum Fault {
    Partition(usize, usize, Direction),
    Heal(usize, usize),
    Loss(usize, usize, f64),
    Kill(usize),
    Restart(usize),
    PowerOff(usize),
    PowerOn(usize),
}

fn fault() -> impl Strategy<Value = Fault> {
    let pod = 0..PODS;
    let direction = prop_oneof![Just(Direction::Both), Just(Direction::Forward), Just(Direction::Backward)];
    prop_oneof![
        3 => (pod.clone(), pod.clone(), direction).prop_map(|(a, b, direction)| Fault::Partition(a, b, direction)),
        4 => (pod.clone(), pod.clone()).prop_map(|(a, b)| Fault::Heal(a, b)),
        3 => (pod.clone(), pod.clone(), 0.0..0.5).prop_map(|(a, b, loss)| Fault::Loss(a, b, loss)),
        1 => pod.clone().prop_map(Fault::Kill),
        2 => pod.clone().prop_map(Fault::Restart),
        1 => pod.clone().prop_map(Fault::PowerOff),
        2 => pod.prop_map(Fault::PowerOn),
    ]
}

/// Byte `n` of every stream: its receiver knows what must come.
fn byte(n: usize) -> u8 {
    (n % 251) as u8
}

/// Broken laws; a task's panic would go unseen.
type Broken = Arc<AtomicUsize>;

fn check(broken: &Broken, holds: bool) {
    broken.fetch_add(usize::from(!holds), Ordering::Relaxed);
}

/// Reads a stream to its end and answers with as many bytes as came.
async fn serve(mut stream: Stream, broken: Broken) {
    let (mut seen, mut buf) = (0, vec![0; 5000]);
    while let Ok(n @ 1..) = stream.read(&mut buf).await {
        check(&broken, buf[..n].iter().enumerate().all(|(i, b)| *b == byte(seen + i)));
        if stream.write_all(&buf[..n]).await.is_err() {
            return;
        }
        seen += n;
    }
}

/// The app of a pod: a server, and clients that come and go.
async fn start(app: Platform, peers: Vec<SocketAddr>, broken: &Broken) {
    let listen = app.net.listen("0.0.0.0:80".parse().unwrap(), ListenOptions::default()).await;
    let (listener, spawn, counter) = (listen.unwrap(), app.spawn.clone(), broken.clone());
    app.spawn.go(async move {
        while let Ok(stream) = listener.accept().await {
            spawn.go(serve(stream, counter.clone()));
        }
    });
    app.clone().spawn.go(clients(app, peers, broken.clone()));
}

async fn clients(app: Platform, peers: Vec<SocketAddr>, broken: Broken) {
    let mut random = app.entropy.stream_named("client");
    loop {
        app.clock.sleep(random.duration_below(Duration::from_millis(300))).await;
        let to = peers[random.below(peers.len() as u64) as usize];
        let (size, patience) = (random.below(100_000) as usize, random.duration_below(Duration::from_secs(5)));
        let (task, broken) = (app.clone(), broken.clone());
        app.spawn.go(async move {
            let _ = task.clock.timeout(patience, client(&task, to, size, &broken)).await;
        });
    }
}

async fn client(app: &Platform, to: SocketAddr, size: usize, broken: &Broken) -> std::io::Result<()> {
    let stream = app.net.connect(to, ConnectOptions::default()).await?;
    let (mut read, mut write) = tokio::io::split(stream);
    let bytes: Vec<u8> = (0..size).map(byte).collect();
    let send = async {
        write.write_all(&bytes).await?;
        write.shutdown().await
    };
    let mut answer = Vec::new();
    let (sent, received) = tokio::join!(biased; send, read.read_to_end(&mut answer));
    check(broken, answer.len() <= size && answer.iter().enumerate().all(|(i, b)| *b == byte(i)));
    sent?;
    received.map(|_| ())
}

/// One world under `faults`, then an hour and a half of peace in which every process is killed. Returns
/// the packets hash, what is left, and how many laws were broken.
fn world(seed: u64, captured: bool, faults: &[(u64, Fault)]) -> ([u8; 32], Stats, String, usize) {
    let default_link = LinkConfig { jitter: Duration::from_micros(300), ..LinkConfig::default() };
    let mut tank = Tank::new(TankConfig { seed, default_link, ..TankConfig::default() });
    let pods: Vec<PodId> = (0..PODS).map(|n| tank.add_pod(PodSpec::new(format!("pod-{n}"), "default"))).collect();
    tank.run(|tank| async move {
        let broken = Broken::default();
        let addrs: Vec<SocketAddr> = pods.iter().map(|pod| SocketAddr::new(tank.pod_ip(*pod), 80)).collect();
        if captured {
            // Inbound connections reach port 80 as if it were the sidecar's.
            let capture = Capture { inbound_port: 80, exclude_outbound_ports: vec![80], ..Capture::default() };
            tank.set_capture(pods[0], Some(capture));
        }
        for pod in &pods {
            start(tank.app_platform(*pod), addrs.clone(), &broken).await;
        }
        for (after, fault) in faults {
            tank.sleep(Duration::from_millis(*after)).await;
            inject(&tank, &pods, &addrs, &broken, fault).await;
        }
        tank.sleep(Duration::from_secs(2)).await;
        for a in &pods {
            for b in &pods {
                tank.heal(*a, *b);
                tank.set_link(*a, *b, LinkConfig::default());
            }
            tank.kill_process(*a, Container::App);
            tank.power_on(*a);
        }
        tank.sleep(Duration::from_secs(5400)).await;
        let rows: String = pods.iter().map(|pod| tank.netstat(*pod)).collect();
        (tank.packets_hash(), tank.stats(), rows, broken.load(Ordering::Relaxed))
    })
}

async fn inject(tank: &TankHandle, pods: &[PodId], addrs: &[SocketAddr], broken: &Broken, fault: &Fault) {
    match *fault {
        Fault::Partition(a, b, direction) => drop(tank.partition(pods[a], pods[b], direction)),
        Fault::Heal(a, b) => tank.heal(pods[a], pods[b]),
        Fault::Loss(a, b, loss) => drop(tank.set_link(pods[a], pods[b], LinkConfig { loss, ..LinkConfig::default() })),
        Fault::Kill(a) => drop(tank.kill_process(pods[a], Container::App)),
        Fault::PowerOff(a) => drop(tank.power_off(pods[a])),
        Fault::PowerOn(a) => tank.power_on(pods[a]),
        Fault::Restart(a) if !tank.has_power(pods[a]) => {}
        Fault::Restart(a) => start(tank.restart_process(pods[a], Container::App), addrs.to_vec(), broken).await,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_faults_break_no_law(
        seed: u64,
        captured: bool,
        faults in proptest::collection::vec((0u64..3000, fault()), 0..12),
    ) {
        let (hash, stats, rows, broken) = world(seed, captured, &faults);
        prop_assert_eq!((broken, stats.connections, stats.sockets), (0, 0, 0));
        prop_assert!(!rows.contains("tcp"), "{}", rows);
        prop_assert!(stats.packets > 100 || !faults.is_empty());
        let again = world(seed, captured, &faults);
        prop_assert_eq!((hash, stats, rows, broken), again);
    }
}
