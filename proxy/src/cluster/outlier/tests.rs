//! Books of endpoints: who is ejected, for what, for how long, and how many at once.

use proptest::prelude::*;
use wavetank_platform::Entropy;

use super::*;
use crate::snapshot::outlier::Consecutive;

const ENFORCED: fn(u32) -> Consecutive = |count| Consecutive { count, enforcing_percent: 100 };
const OFF: Consecutive = Consecutive { count: 0, enforcing_percent: 0 };

/// A cluster, its book and its clock.
struct Bench {
    config: OutlierDetection,
    book: Book,
    now: Instant,
    random: RandomStream,
}

impl Bench {
    fn new(hosts: u8, config: OutlierDetection) -> Self {
        let mut book = Book::default();
        assert!(book.set_endpoints((1..=hosts).map(host)));
        let random = Entropy::from_seed(1).stream_named("outlier/test");
        Self { config, book, now: Instant::START, random }
    }

    /// `times` outcomes at endpoint `n`; what came of them.
    fn note(&mut self, n: u8, outcome: Outcome, times: usize) -> Vec<Change> {
        let note = |_| self.book.note(&self.config, host(n), outcome, self.now, &mut self.random);
        (0..times).flat_map(note).collect()
    }

    /// A sweep `after` so many milliseconds.
    fn sweep(&mut self, after: u64) -> Vec<Change> {
        self.now = self.now + Duration::from_millis(after);
        self.book.sweep(&self.config, self.now, &mut self.random)
    }

    fn out(&self) -> Vec<SocketAddr> {
        self.book.ejected().into_iter().collect()
    }
}

fn host(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n], 80))
}

/// Three gateway failures, all may be out.
fn gateway() -> OutlierDetection {
    OutlierDetection {
        consecutive_gateway_failure: ENFORCED(3),
        consecutive_5xx: OFF,
        max_ejection_percent: 100,
        ..OutlierDetection::default()
    }
}

fn kinds(changes: &[Change]) -> Vec<(EjectionKind, bool)> {
    let kind = |change: &Change| match change.action {
        EjectionAction::Eject { kind, enforced, .. } => Some((kind, enforced)),
        EjectionAction::Uneject => None,
    };
    changes.iter().filter_map(kind).collect()
}

#[test]
fn the_third_gateway_failure_in_a_row_ejects() {
    let mut bench = Bench::new(2, gateway());
    assert_eq!(bench.note(1, Outcome::Response(503), 2), []);
    let changes = bench.note(1, Outcome::Response(502), 1);
    assert_eq!(kinds(&changes), [(EjectionKind::ConsecutiveGatewayFailure, true)]);
    assert_eq!((changes[0].endpoint, changes[0].ejections, changes[0].since_last_action), (host(1), 1, None));
    assert_eq!(bench.out(), [host(1)]);
}

#[test]
fn a_success_or_another_5xx_begins_the_gateway_failures_anew() {
    for between in [200, 404, 500, 501, 505] {
        let mut bench = Bench::new(2, gateway());
        bench.note(1, Outcome::Response(503), 2);
        bench.note(1, Outcome::Response(between), 1);
        assert_eq!(bench.note(1, Outcome::Response(504), 2), [], "{between}");
        assert_eq!(bench.note(1, Outcome::Response(504), 1).len(), 1, "{between}");
    }
}

#[test]
fn without_a_split_failures_of_the_connection_count_as_answers() {
    for outcome in [Outcome::Failed, Outcome::TimedOut] {
        let mut bench = Bench::new(2, gateway());
        bench.note(1, outcome, 2);
        // A connection alone is no success.
        bench.note(1, Outcome::Connected, 1);
        assert_eq!(bench.note(1, outcome, 1).len(), 1);
        bench.note(2, outcome, 2);
        bench.note(2, Outcome::ConnectedForGood, 1);
        assert_eq!(bench.note(2, outcome, 1), [], "a TCP connection is a success");
    }
}

#[test]
fn with_a_split_they_are_counted_apart() {
    let config = OutlierDetection {
        split_external_local_origin_errors: true,
        consecutive_local_origin_failure: ENFORCED(2),
        ..gateway()
    };
    let mut bench = Bench::new(2, config);
    bench.note(1, Outcome::Response(503), 2);
    bench.note(1, Outcome::Failed, 1);
    bench.note(1, Outcome::Connected, 1);
    assert_eq!(bench.note(1, Outcome::Failed, 1), [], "a connection is a success");
    assert_eq!(kinds(&bench.note(1, Outcome::TimedOut, 1)), [(EjectionKind::ConsecutiveLocalOriginFailure, true)]);
    assert_eq!(kinds(&bench.note(2, Outcome::Response(503), 3)), [(EjectionKind::ConsecutiveGatewayFailure, true)]);
}

#[test]
fn by_default_five_5xx_eject_and_gateway_failures_are_only_reported() {
    let mut bench = Bench::new(2, OutlierDetection { max_ejection_percent: 50, ..OutlierDetection::default() });
    let changes = bench.note(1, Outcome::Response(503), 5);
    assert_eq!(
        kinds(&changes),
        [(EjectionKind::ConsecutiveGatewayFailure, false), (EjectionKind::Consecutive5xx, true)]
    );
    assert_eq!(changes[0].ejections, 0);
    assert_eq!(bench.out(), [host(1)]);
}

#[test]
fn the_share_that_may_be_out_is_checked_with_the_one_that_would_go() {
    // (endpoints, percent, always one) -> how many of them go.
    let cases = [
        ((2, 10, false), 0),
        ((1, 10, false), 0),
        ((2, 10, true), 1),
        ((1, 0, true), 1),
        ((2, 49, false), 0),
        ((2, 50, false), 1),
        ((3, 66, false), 1),
        ((3, 67, false), 2),
        ((10, 10, false), 1),
        ((11, 10, false), 1),
        ((3, 100, false), 3),
    ];
    for ((hosts, percent, always), wanted) in cases {
        let config = OutlierDetection { max_ejection_percent: percent, always_eject_one_host: always, ..gateway() };
        let mut bench = Bench::new(hosts, config);
        for n in 1..=hosts {
            bench.note(n, Outcome::Response(503), 3);
        }
        assert_eq!(bench.out().len(), wanted, "{hosts} endpoints, {percent} %, always one: {always}");
    }
}

#[test]
fn one_that_was_not_ejected_for_its_share_is_counted_anew() {
    let mut bench = Bench::new(2, OutlierDetection { max_ejection_percent: 50, ..gateway() });
    bench.note(1, Outcome::Response(503), 3);
    assert_eq!(bench.note(2, Outcome::Response(503), 3), []);
    assert!(bench.book.set_endpoints([host(2), host(3)]));
    assert_eq!(bench.note(2, Outcome::Response(503), 2), []);
    assert_eq!(bench.note(2, Outcome::Response(503), 1).len(), 1);
}

#[test]
fn an_ejection_ends_with_the_first_sweep_after_its_time() {
    let config = OutlierDetection { base_ejection_time: Duration::from_millis(700), ..gateway() };
    let mut bench = Bench::new(2, config);
    bench.note(1, Outcome::Response(503), 3);
    assert_eq!(bench.sweep(500), []);
    let changes = bench.sweep(500);
    assert_eq!(changes.len(), 1);
    assert_eq!((changes[0].action, changes[0].ejections), (EjectionAction::Uneject, 1));
    assert_eq!(changes[0].since_last_action, Some(Duration::from_secs(1)));
    assert_eq!(bench.out(), []);
}

#[test]
fn each_ejection_in_a_row_is_longer_until_the_cap() {
    let config = OutlierDetection {
        interval: Duration::from_secs(1),
        base_ejection_time: Duration::from_secs(10),
        max_ejection_time: Duration::from_secs(25),
        ..gateway()
    };
    let mut bench = Bench::new(2, config);
    let mut seconds = Vec::new();
    for _ in 0..5 {
        bench.note(1, Outcome::Response(503), 3);
        let swept = (1..).find(|_| !bench.sweep(1000).is_empty());
        seconds.extend(swept);
    }
    assert_eq!(seconds, [10, 20, 25, 25, 25]);
}

#[test]
fn every_interval_in_peace_takes_one_off() {
    let config =
        OutlierDetection { interval: Duration::from_secs(1), base_ejection_time: Duration::from_secs(2), ..gateway() };
    let mut bench = Bench::new(2, config);
    let eject = |bench: &mut Bench| {
        assert_eq!(bench.note(1, Outcome::Response(503), 3).len(), 1);
        (1..).find(|_| !bench.sweep(1000).is_empty())
    };
    assert_eq!([eject(&mut bench), eject(&mut bench), eject(&mut bench)], [Some(2), Some(4), Some(6)]);
    bench.sweep(1000);
    bench.sweep(1000);
    assert_eq!(eject(&mut bench), Some(4), "3 - 2 + 1 times the base");
}

#[test]
fn an_endpoint_that_is_back_must_fail_as_often_as_before() {
    let mut bench = Bench::new(2, gateway());
    bench.note(1, Outcome::Response(503), 3);
    // Requests that were under way when it was ejected.
    assert_eq!(bench.note(1, Outcome::Response(503), 2), []);
    assert_eq!(bench.sweep(30_000).len(), 1);
    assert_eq!(bench.note(1, Outcome::Response(503), 2), []);
    let again = bench.note(1, Outcome::Response(503), 1);
    assert_eq!((again[0].ejections, again[0].since_last_action), (2, Some(Duration::ZERO)));
}

#[test]
fn an_endpoint_that_left_takes_its_ejection_with_it() {
    let mut bench = Bench::new(2, gateway());
    bench.note(1, Outcome::Response(503), 3);
    assert!(bench.book.set_endpoints([host(2)]));
    assert!(!bench.book.set_endpoints([host(2)]));
    assert_eq!(bench.note(1, Outcome::Response(503), 3), []);
    assert!(bench.book.set_endpoints([host(1), host(2)]));
    assert_eq!(bench.out(), []);
}

#[test]
fn a_success_rate_far_below_the_others_ejects_at_the_sweep() {
    let mut bench = Bench::new(5, OutlierDetection { consecutive_5xx: OFF, ..gateway() });
    for n in 1..=5 {
        for _ in 0..50 {
            bench.note(n, Outcome::Response(if n == 1 { 500 } else { 200 }), 1);
            bench.note(n, Outcome::Response(200), 1);
        }
    }
    let changes = bench.sweep(10_000);
    let rates = Some(Rates { host: 50, cluster: Some((90, 52)) });
    assert_eq!(changes.len(), 1);
    assert_eq!(
        (changes[0].endpoint, changes[0].action),
        (host(1), EjectionAction::Eject { kind: EjectionKind::SuccessRate, enforced: true, rates })
    );
    assert_eq!(bench.sweep(10_000), [], "an interval without requests judges nobody");
}

#[test]
fn success_rates_of_connections_are_compared_apart_where_they_are_split() {
    let mut bench = Bench::new(5, OutlierDetection { split_external_local_origin_errors: true, ..gateway() });
    bench.config.consecutive_local_origin_failure = OFF;
    for n in 1..=5 {
        for _ in 0..50 {
            bench.note(n, if n == 1 { Outcome::Failed } else { Outcome::Connected }, 1);
            bench.note(n, Outcome::Connected, 1);
        }
    }
    let changes = bench.sweep(10_000);
    assert_eq!(kinds(&changes), [(EjectionKind::SuccessRateLocalOrigin, true)]);
    assert_eq!(bench.out(), [host(1)]);
}

#[test]
fn enforcement_is_drawn_where_it_is_a_share() {
    let enforced = |percent| {
        let mut bench = Bench::new(1, gateway());
        bench.config.consecutive_gateway_failure.enforcing_percent = percent;
        let mut drawn = 0;
        for _ in 0..1000 {
            let changes = bench.note(1, Outcome::Response(503), 3);
            drawn += kinds(&changes).iter().filter(|(_, enforced)| *enforced).count();
            bench.book = Book::default();
            bench.book.set_endpoints([host(1)]);
        }
        drawn
    };
    assert_eq!([enforced(0), enforced(100)], [0, 1000]);
    // Seed 1, 1000 draws at 30 %: outside of this with less than 1e-6.
    assert!((230..=370).contains(&enforced(30)));
}

/// One thing that happens to a cluster.
#[derive(Debug, Clone)]
enum Happens {
    Noted(u8, Outcome),
    Swept(u64),
    Endpoints(Vec<u8>),
}

fn happens() -> impl Strategy<Value = Happens> {
    let outcome = prop_oneof![
        prop::sample::select(vec![200, 404, 500, 502, 503, 504]).prop_map(Outcome::Response),
        prop::sample::select(vec![Outcome::Connected, Outcome::ConnectedForGood, Outcome::Failed, Outcome::TimedOut]),
    ];
    prop_oneof![
        20 => (1..=6u8, outcome).prop_map(|(n, outcome)| Happens::Noted(n, outcome)),
        3 => (1..20_000u64).prop_map(Happens::Swept),
        1 => prop::collection::vec(1..=6u8, 0..6).prop_map(Happens::Endpoints),
    ]
}

proptest! {
    /// Whatever happens: each ejection leaves no more out than may be, of endpoints that are there, and each
    /// change is one.
    #[test]
    fn no_ejection_takes_more_out_than_may_be(
        all in prop::collection::vec(happens(), 0..300),
        percent in 0..=100u32,
        always in any::<bool>(),
        split in any::<bool>(),
    ) {
        let config = OutlierDetection {
            max_ejection_percent: percent,
            always_eject_one_host: always,
            split_external_local_origin_errors: split,
            consecutive_5xx: ENFORCED(2),
            consecutive_local_origin_failure: ENFORCED(2),
            success_rate: crate::snapshot::outlier::SuccessRate {
                minimum_hosts: 2,
                request_volume: 1,
                stdev_factor: 500,
                ..OutlierDetection::default().success_rate
            },
            ..gateway()
        };
        let mut bench = Bench::new(6, config);
        for own in all {
            let mut out: BTreeSet<SocketAddr> = bench.book.ejected();
            let changes = match own {
                Happens::Noted(n, outcome) => bench.note(n, outcome, 1),
                Happens::Swept(after) => bench.sweep(after),
                Happens::Endpoints(hosts) => {
                    bench.book.set_endpoints(hosts.into_iter().map(host));
                    continue;
                }
            };
            let hosts = bench.book.hosts.len();
            for change in changes {
                match change.action {
                    EjectionAction::Uneject => prop_assert!(out.remove(&change.endpoint)),
                    EjectionAction::Eject { enforced, .. } => {
                        prop_assert!(bench.book.hosts.contains_key(&change.endpoint));
                        prop_assert!(!out.contains(&change.endpoint));
                        let within = (out.len() + 1) * 100 <= percent as usize * hosts;
                        prop_assert!(within || (always && out.is_empty()));
                        if enforced {
                            out.insert(change.endpoint);
                        }
                    }
                }
            }
            prop_assert_eq!(out, bench.book.ejected());
        }
    }
}
