//! The world in the tank without a mesh: the book's app over Service addresses, and that equal seeds give
//! equal packets.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use wavetank::engine::{Tank, TankConfig};
use wavetank::traffic::browser::Browser;
use wavetank::traffic::{Load, Plan, Sent, Spacing, drive};
use wavetank::world::cast::Cast;
use wavetank::world::client::{Call, Target};
use wavetank::world::kubelet::{Delays, Kubelet, Roster};

fn plan(count: u64) -> Plan {
    Plan {
        name: "browser".to_owned(),
        call: Call::get(Target::new("service-python", "/env")),
        at: Duration::ZERO,
        load: Load::Open { rate: 100.0, spacing: Spacing::Poisson },
        count: Some(count),
        duration: None,
        timeout: Duration::from_secs(30),
    }
}

/// The book's app without sidecars; calls from `sleep`.
fn run(seed: u64, count: u64) -> (Vec<Sent>, [u8; 32], usize) {
    let mut cast = Cast::mesh().with_istio_lab();
    cast.without_sidecars();
    let cast = Arc::new(cast);
    let mut tank = Tank::new(TankConfig { seed, ..TankConfig::default() });
    let roster = Roster::admit(&cast, &mut tank);
    let slices = Arc::new(Mutex::new(0));
    let counted = slices.clone();
    tank.run(|tank| async move {
        let watch = Arc::new(move |_file| *counted.lock().expect("no panic") += 1);
        let kubelet = Kubelet::new(tank.clone(), cast.clone(), roster.clone(), Delays::default(), watch);
        kubelet.start_programs().await.expect("free ports");
        let all: Vec<_> = cast.pods.iter().map(|pod| pod.ip).collect();
        kubelet.report(&all, true).await;
        let sleep = cast.pods.iter().position(|pod| pod.app() == "sleep").expect("sleep");
        let platform = tank.app_platform(roster.pod(sleep));
        let caller = Browser::new(platform, "service-python", 80);
        let sent = drive(Arc::new(plan(count)), vec![caller], &tank.entropy(), tank.now()).await;
        let published = *slices.lock().expect("no panic");
        (sent, tank.packets_hash(), published)
    })
}

#[test]
fn two_thousand_calls_go_through_the_books_app_and_repeat_to_the_packet() {
    let (sent, packets, published) = run(1, 2000);
    assert_eq!(sent.len(), 2000);
    assert_eq!(published, 8, "one EndpointSlice for each Service");
    let mut go_v1 = 0;
    for one in &sent {
        let reply = one.result.as_ref().expect("a reply");
        assert_eq!(reply.status.as_u16(), 200);
        let body: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
        let go = &body["upstream"][1]["upstream"][0]["message"];
        go_v1 += u64::from(go == "go v1");
        assert!(go == "go v1" || go == "go v2", "{body}");
    }
    // kube-proxy picks uniformly: 2000 draws miss 1000 ± 120 with probability below 1e-6.
    assert!((880..=1120).contains(&go_v1), "{go_v1}");

    let times = |sent: &[Sent]| sent.iter().map(|one| (one.at, one.took)).collect::<Vec<_>>();
    let (again, packets_again, _) = run(1, 2000);
    assert_eq!((times(&sent), packets), (times(&again), packets_again));
    let (other, packets_other, _) = run(2, 2000);
    assert_ne!((times(&sent), packets), (times(&other), packets_other));
}

#[test]
fn a_crashed_program_leaves_its_service_and_comes_back_at_the_same_address() {
    let mut cast = Cast::mesh().with_istio_lab();
    cast.without_sidecars();
    let cast = Arc::new(cast);
    let mut tank = Tank::new(TankConfig::default());
    let roster = Roster::admit(&cast, &mut tank);
    let (before, sent) = tank.run(|tank| async move {
        let kubelet = Kubelet::new(tank.clone(), cast.clone(), roster.clone(), Delays::default(), Arc::new(|_| ()));
        kubelet.start_programs().await.expect("free ports");
        let all: Vec<_> = cast.pods.iter().map(|pod| pod.ip).collect();
        kubelet.report(&all, true).await;
        let place = |name: &str| cast.pods.iter().position(|pod| pod.name == name).expect("a pod");
        let platform = tank.app_platform(roster.pod(place("sleep-0")));
        // A connection per request, as kube-proxy picks when a connection is opened.
        let mut closing = plan(400);
        closing.call = Call::get(Target::new("service-go", "/env")).header("connection", "close");
        let caller = Browser::new(platform.clone(), "service-go", 80);
        let (start, entropy, crashing) = (tank.now(), tank.entropy(), kubelet.clone());
        let go_v1 = place("service-go-v1-0");
        let clock = tank.clock();
        platform.spawn.go(async move {
            clock.sleep(Duration::from_secs(1)).await;
            crashing.crash(go_v1).await.expect("the port is free again");
        });
        (start, drive(Arc::new(closing), vec![caller], &entropy, start).await)
    });
    // Crash at 1 s; the probe misses it at 1.1 s, endpoints change at 1.15 s; restart at 2 s; back at 2.15 s.
    let during = |from: u64, to: u64| {
        let window = Duration::from_millis(from)..Duration::from_millis(to);
        sent.iter().filter(move |one| window.contains(&(one.at - before)))
    };
    let v1 = |one: &&Sent| one.result.as_ref().is_ok_and(|reply| reply.body.ends_with(b"v1\"}"));
    assert!(during(0, 990).all(|one| one.result.is_ok()) && during(0, 990).filter(v1).count() > 10);
    let refused = during(1010, 1140).filter(|one| one.result.is_err()).count();
    assert!(refused > 0, "kube-proxy still sends callers to the dead process");
    assert!(during(1160, 2140).all(|one| one.result.is_ok()) && during(1160, 2140).filter(v1).count() == 0);
    assert!(during(2160, 4000).all(|one| one.result.is_ok()) && during(2160, 4000).filter(v1).count() > 10);
}
