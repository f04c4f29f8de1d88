//! Outlier detection on real sockets: what is reported, what a change of configuration keeps, and what
//! retries and the TCP proxy make of it.

mod io_support;

use std::sync::Arc;
use std::time::Duration;

use io_support::*;
use wavetank_proxy::ejection::{EjectionAction, EjectionKind};
use wavetank_proxy::json_lines::JsonLines;
use wavetank_proxy::record::Recorder;
use wavetank_proxy::snapshot::Snapshot;
use wavetank_proxy::snapshot::cluster::{Assignment, Cluster, Discovery, Endpoint};
use wavetank_proxy::snapshot::outlier::{Consecutive, OutlierDetection};
use wavetank_proxy::snapshot::route::{ClusterChoice, Forward, RetryOn, RetryPolicy};

const FAILED: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\n\r\nno";

/// Three failures eject, all may be out, and the balancer hears of it at once.
fn detecting(cluster: Cluster) -> Cluster {
    let detection = OutlierDetection {
        consecutive_5xx: Consecutive { count: 3, enforcing_percent: 100 },
        max_ejection_percent: 100,
        ..OutlierDetection::default()
    };
    Cluster {
        outlier_detection: Some(Arc::new(detection)),
        panic_threshold_percent: 0.0,
        update_merge_window: Duration::ZERO,
        ..cluster
    }
}

async fn status(bench: &Bench) -> String {
    bench.ask(GET).await.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn an_ejection_is_reported_and_the_endpoint_gets_no_more() {
    let platform = host();
    let origin = Origin::start(&platform, &[Act::Answer(FAILED)]).await;
    let clusters = vec![detecting(cluster("up", &[origin.address]))];
    let bench = Bench::start(&platform, snapshot(http(manager(vec![route_to("up")])), clusters)).await;
    for wanted in ["500", "500", "500", "503"] {
        assert_eq!(status(&bench).await, wanted);
    }
    assert_eq!(origin.requests().len(), 3);
    let reports = bench.records.ejections();
    assert_eq!(reports.len(), 1);
    assert_eq!((&*reports[0].node, &*reports[0].cluster, reports[0].endpoint), ("node", "up", origin.address));
    let kind = EjectionKind::Consecutive5xx;
    assert_eq!(reports[0].action, EjectionAction::Eject { kind, enforced: true, rates: None });
    assert_eq!((reports[0].ejections, reports[0].since_last_action), (1, None));
}

#[tokio::test]
async fn an_endpoint_comes_back_at_a_sweep_after_its_time() {
    let platform = host();
    let origin =
        Origin::start(&platform, &[Act::Answer(FAILED), Act::Answer(FAILED), Act::Answer(FAILED), Act::Answer(OK)])
            .await;
    let mut up = detecting(cluster("up", &[origin.address]));
    let short = Duration::from_millis(30);
    let detection = OutlierDetection {
        interval: short,
        base_ejection_time: short,
        ..OutlierDetection::clone(up.outlier_detection.as_ref().unwrap())
    };
    up.outlier_detection = Some(Arc::new(detection));
    let bench = Bench::start(&platform, snapshot(http(manager(vec![route_to("up")])), vec![up])).await;
    for _ in 0..3 {
        assert_eq!(status(&bench).await, "500");
    }
    while bench.records.ejections().len() < 2 {
        platform.clock.sleep(short).await;
    }
    assert_eq!(bench.records.ejections()[1].action, EjectionAction::Uneject);
    assert!(bench.records.ejections()[1].since_last_action >= Some(short));
    assert_eq!(status(&bench).await, "200");
}

#[tokio::test]
async fn ejections_survive_a_change_of_configuration_and_leave_with_their_endpoint() {
    let platform = host();
    let origin = Origin::start(&platform, &[Act::Answer(FAILED)]).await;
    let of = |endpoints: &[std::net::SocketAddr], version: u64| {
        let up = detecting(Cluster::new("up", Discovery::Eds("up".into())));
        let endpoints = endpoints.iter().copied().map(Endpoint::at).collect();
        let mut snapshot = snapshot(http(manager(vec![route_to("up")])), vec![up]);
        snapshot.assignments.insert("up".into(), Arc::new(Assignment::new(endpoints)));
        Snapshot { version, ..snapshot }
    };
    let bench = Bench::start(&platform, of(&[origin.address], 1)).await;
    for _ in 0..3 {
        assert_eq!(status(&bench).await, "500");
    }
    bench.proxy.store().publish(of(&[origin.address], 2));
    assert_eq!(status(&bench).await, "503", "the same endpoint is still out");
    bench.proxy.store().publish(of(&[], 3));
    assert_eq!(status(&bench).await, "503");
    bench.proxy.store().publish(of(&[origin.address], 4));
    assert_eq!(status(&bench).await, "500", "an endpoint that comes anew is counted anew");
    assert_eq!(bench.records.ejections().len(), 1);
}

#[tokio::test]
async fn a_retry_goes_where_nobody_is_ejected() {
    let platform = host();
    let origin = Origin::start(&platform, &[Act::Answer(OK)]).await;
    let gone = refusing(&platform).await;
    let mut conditions = RetryOn::default();
    conditions.add("connect-failure").unwrap();
    let mut policy = RetryPolicy::new(conditions, 9);
    policy.backoff_base = Duration::from_millis(1);
    policy.backoff_max = Duration::from_millis(2);
    let mut to = Forward::to(ClusterChoice::Single("up".into()));
    to.retry_policy = Some(policy.into());
    let clusters = vec![detecting(cluster("up", &[gone, origin.address]))];
    let bench = Bench::start(&platform, snapshot(http(manager(vec![forward(to)])), clusters)).await;
    for _ in 0..12 {
        assert_eq!(status(&bench).await, "200");
    }
    let tries = |record: &wavetank_proxy::record::Record| {
        record.attempts.iter().filter(|attempt| attempt.endpoint == Some(gone)).count()
    };
    assert_eq!(bench.records.wait(12).await.iter().map(tries).sum::<usize>(), 3);
    assert_eq!(bench.records.ejections().len(), 1);
}

#[tokio::test]
async fn a_tcp_proxy_ejects_for_connects_that_fail() {
    let platform = host();
    let gone = refusing(&platform).await;
    let bench = Bench::start(&platform, snapshot(tcp(&[("up", 1)]), vec![detecting(cluster("up", &[gone]))])).await;
    for count in 1..=4 {
        let mut stream = bench.connect().await;
        assert_eq!(read_rest(&mut stream).await, "");
        bench.records.wait(count).await;
    }
    let flags: Vec<String> = bench.records.wait(4).await.iter().map(|own| format!("{:?}", own.flags)).collect();
    assert_eq!(flags, ["[UF, URX]", "[UF, URX]", "[UF, URX]", "[UH]"]);
}

#[tokio::test]
async fn an_ejection_is_a_line_of_its_own() {
    let platform = host();
    let origin = Origin::start(&platform, &[Act::Answer(FAILED)]).await;
    let clusters = vec![detecting(cluster("up", &[origin.address]))];
    let bench = Bench::start(&platform, snapshot(http(manager(vec![route_to("up")])), clusters)).await;
    for _ in 0..3 {
        status(&bench).await;
    }
    let mut report = bench.records.ejections().remove(0);
    (report.at, report.endpoint) = (wavetank_platform::Instant::from_start(Duration::from_millis(1500)), any_port());
    let mut written = Vec::new();
    JsonLines::new(&mut written).ejection(report);
    assert_eq!(
        String::from_utf8(written).unwrap(),
        "{\"ejection\":{\"node\":\"node\",\"at\":1500000000,\"cluster\":\"up\",\"endpoint\":\"127.0.0.1:0\",\
         \"action\":\"eject\",\"kind\":\"consecutive_5xx\",\"enforced\":true,\"rates\":null,\"ejections\":1,\
         \"since_last_action\":null}}\n"
    );
}
