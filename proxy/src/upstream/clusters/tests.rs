//! What is known of an endpoint ends when it leaves its cluster.

use super::*;
use crate::ejection::Ejection;
use crate::record::{Record, Recorder};
use crate::snapshot::cluster::Balancer;
use crate::tls::Tls;
use crate::upstream::outliers::Reporter;

/// Keeps nothing.
struct Nobody;

impl Recorder for Nobody {
    fn record(&self, _: &Record) {}

    fn ejection(&self, _: Ejection) {}
}

fn endpoint(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 80))
}

fn snapshot(endpoints: &[SocketAddr]) -> Snapshot {
    let cluster = Cluster {
        balancer: Balancer::LeastRequest { choices: 2 },
        ..Cluster::new("one", Discovery::Eds("one".into()))
    };
    let assignment = Assignment::new(endpoints.iter().copied().map(Endpoint::at).collect());
    Snapshot {
        clusters: [("one".into(), Arc::new(cluster))].into(),
        assignments: [("one".into(), Arc::new(assignment))].into(),
        ..Snapshot::default()
    }
}

/// How often each of two endpoints is picked.
async fn picks(state: &ClusterState, known: &Snapshot) -> [usize; 2] {
    let mut picks = [0; 2];
    for _ in 0..400 {
        let picked = state.pick(known, &known.clusters["one"], None, Avoid::NOTHING).await.expect("an endpoint");
        picks[usize::from(picked.address == endpoint(2))] += 1;
    }
    picks
}

/// Envoy: an endpoint that comes back is a new host, whose statistics begin at zero. Once, requests that hung
/// at a pod without power kept others away from it after it was back.
#[tokio::test]
async fn requests_of_an_earlier_life_do_not_burden_an_endpoint_that_came_back() {
    let platform = wavetank_platform::linux::platform().expect("random bytes");
    let reporter = Reporter { node: "one".into(), recorder: Arc::new(Nobody) };
    let registry = Arc::new(Registry::new(platform.clone(), reporter));
    let clusters =
        Clusters::new(Arc::new(Connector { tls: Tls::new(&platform), ids: Arc::default(), platform }), registry);
    let both = snapshot(&[endpoint(1), endpoint(2)]);
    let state = clusters.state(&"one".into());
    let hung: Vec<Active> = (0..3).map(|_| state.begin(endpoint(2))).collect();
    let burdened = picks(&state, &both).await;
    assert!(burdened[1] < 150, "{burdened:?}");

    clusters.reconcile(&both);
    assert!(picks(&state, &both).await[1] < 150, "it is there, and so are its requests");
    clusters.reconcile(&snapshot(&[endpoint(1)]));
    clusters.reconcile(&both);
    let fresh = picks(&state, &both).await;
    assert!((150..250).contains(&fresh[1]), "{fresh:?}");

    // The end of an old request takes nothing from the new ones.
    let now: Vec<Active> = (0..3).map(|_| state.begin(endpoint(2))).collect();
    drop(hung);
    assert!(picks(&state, &both).await[1] < 150);
    drop(now);
    assert!((150..250).contains(&picks(&state, &both).await[1]));
}

/// Once, every look-up opened a window in which changes of health were held back.
#[tokio::test(start_paused = true)]
async fn a_lookup_that_finds_the_same_addresses_keeps_the_endpoints() {
    let platform = wavetank_platform::linux::platform().expect("random bytes");
    let reporter = Reporter { node: "one".into(), recorder: Arc::new(Nobody) };
    let registry = Arc::new(Registry::new(platform.clone(), reporter));
    let connector = Connector { tls: Tls::new(&platform), ids: Arc::default(), platform: platform.clone() };
    let clusters = Clusters::new(Arc::new(connector), registry);
    let state = clusters.state(&"one".into());
    let host = |name: &str| (Arc::<str>::from(name), 80);
    let first = state.resolve(&[host("127.0.0.1"), host("127.0.0.2")]).await;
    platform.clock.sleep(DNS_REFRESH).await;
    let second = state.resolve(&[host("127.0.0.2"), host("127.0.0.1")]).await;
    assert!(Arc::ptr_eq(&first, &second));
    platform.clock.sleep(DNS_REFRESH).await;
    let third = state.resolve(&[host("127.0.0.1")]).await;
    assert_eq!(third.endpoints(), &first.endpoints()[..1]);
}
