//! What the balancer is told of several changes, and when, on virtual time.

use super::*;
use crate::record::Record;
use crate::snapshot::cluster::{Discovery, Endpoint};
use crate::snapshot::outlier::Consecutive;

/// Keeps nothing.
struct Nobody;

impl Recorder for Nobody {
    fn record(&self, _: &Record) {}

    fn ejection(&self, _: Ejection) {}
}

fn endpoint(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 80))
}

fn two() -> Arc<Assignment> {
    Arc::new(Assignment::new(vec![Endpoint::at(endpoint(1)), Endpoint::at(endpoint(2))]))
}

/// One failure ejects for a second at least; sweeps come every 3 s, and updates are merged within 1 s.
fn cluster() -> Arc<Cluster> {
    let detection = OutlierDetection {
        interval: Duration::from_secs(3),
        base_ejection_time: Duration::from_secs(1),
        consecutive_5xx: Consecutive { count: 1, enforcing_percent: 100 },
        max_ejection_percent: 100,
        ..OutlierDetection::default()
    };
    Arc::new(Cluster {
        outlier_detection: Some(Arc::new(detection)),
        update_merge_window: Duration::from_secs(1),
        ..Cluster::new("one", Discovery::Eds("one".into()))
    })
}

fn outliers(platform: &Platform) -> Outliers {
    Outliers::new(platform.clone(), Reporter { node: "one".into(), recorder: Arc::new(Nobody) }, "one".into())
}

/// How many of the two the balancer takes for healthy.
fn healthy(outliers: &Outliers, endpoints: &Arc<Assignment>) -> usize {
    outliers.known_to_balancer(endpoints).healthy().len()
}

/// Once, all that one sweep let back was told with the first of it.
#[tokio::test(start_paused = true)]
async fn of_two_that_one_sweep_lets_back_the_second_is_told_a_window_later() {
    let platform = wavetank_platform::linux::platform().expect("random bytes");
    let (outliers, endpoints) = (outliers(&platform), two());
    outliers.configure(1, &cluster(), &endpoints);
    outliers.note(endpoint(1), Outcome::Response(500));
    outliers.note(endpoint(2), Outcome::Response(500));
    assert_eq!(healthy(&outliers, &endpoints), 1);
    platform.clock.sleep(Duration::from_millis(1100)).await;
    assert_eq!(healthy(&outliers, &endpoints), 0);
    platform.clock.sleep(Duration::from_millis(2000)).await;
    assert_eq!(healthy(&outliers, &endpoints), 1, "the sweep at 3 s tells of one");
    platform.clock.sleep(Duration::from_millis(1000)).await;
    assert_eq!(healthy(&outliers, &endpoints), 2);
}

/// Once, only a change of the detection itself did. Envoy 1.40 forgets for a new connect timeout, and for new
/// metadata; not for the same resource once more.
#[tokio::test(start_paused = true)]
async fn any_change_of_the_cluster_forgets_who_was_ejected() {
    let platform = wavetank_platform::linux::platform().expect("random bytes");
    let (outliers, endpoints) = (outliers(&platform), two());
    outliers.configure(1, &cluster(), &endpoints);
    outliers.note(endpoint(1), Outcome::Response(500));
    outliers.configure(2, &cluster(), &endpoints);
    assert_eq!(healthy(&outliers, &endpoints), 1);
    let slower = Cluster { connect_timeout: Duration::from_secs(7), ..Cluster::clone(&cluster()) };
    outliers.configure(3, &Arc::new(slower), &endpoints);
    assert_eq!(healthy(&outliers, &endpoints), 2);
}
