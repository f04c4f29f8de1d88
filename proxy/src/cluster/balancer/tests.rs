//! Balancers: turns, shares, panic, avoidance.

use std::collections::BTreeMap;

use proptest::prelude::*;
use wavetank_platform::Entropy;

use super::*;
use crate::snapshot::cluster::Discovery;

fn address(number: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, u8::try_from(number).unwrap()], 80))
}

/// Endpoints 0, 1, … of these weights; a negative one is unhealthy.
fn endpoints(weights: &[i64]) -> Arc<Assignment> {
    let endpoint = |(number, weight): (usize, &i64)| Endpoint {
        healthy: *weight > 0,
        weight: u32::try_from(weight.abs()).unwrap(),
        ..Endpoint::at(address(number))
    };
    Arc::new(Assignment::new(weights.iter().enumerate().map(endpoint).collect()))
}

fn cluster(balancer: Balancer) -> Cluster {
    Cluster { balancer, ..Cluster::new("c", Discovery::Eds("c".into())) }
}

struct Bench {
    cluster: Cluster,
    assignment: Arc<Assignment>,
    state: BalancerState,
    random: RandomStream,
}

impl Bench {
    fn new(balancer: Balancer, weights: &[i64], seed: u64) -> Self {
        Self {
            cluster: cluster(balancer),
            assignment: endpoints(weights),
            state: BalancerState::default(),
            random: Entropy::from_seed(seed).stream(),
        }
    }

    fn pick(&mut self, avoid: Avoid<'_>, active: &dyn Fn(SocketAddr) -> u32) -> Option<usize> {
        let picked = pick(&self.cluster, &self.assignment, &mut self.state, avoid, active, &mut self.random);
        let address = picked.ok()?.address;
        self.assignment.endpoints().iter().position(|endpoint| endpoint.address == address)
    }

    fn picks(&mut self, count: usize) -> Vec<usize> {
        (0..count).filter_map(|_| self.pick(Avoid::NOTHING, &|_| 0)).collect()
    }
}

const LEAST_REQUEST: Balancer = Balancer::LeastRequest { choices: 2 };

/// Envoy keeps a turn of its own for each set of endpoints that it picks from.
#[test]
fn panic_has_turns_of_its_own() {
    let mut bench = Bench::new(Balancer::RoundRobin, &[1, 1], 1);
    let first = bench.picks(1)[0];
    bench.assignment = endpoints(&[-1, -1]);
    assert_eq!(bench.picks(2), [first, 1 - first], "as if nothing had been picked");
    bench.assignment = endpoints(&[1, 1]);
    assert_eq!(bench.picks(2), [1 - first, first], "on from where it was");
}

#[test]
fn round_robin_alternates_strictly() {
    let picks = Bench::new(Balancer::RoundRobin, &[1, 1], 4).picks(1000);
    assert!(picks.windows(2).all(|pair| pair[0] != pair[1]));
}

#[test]
fn round_robin_starts_at_a_random_endpoint() {
    let starts: std::collections::BTreeSet<_> =
        (0..50).map(|seed| Bench::new(Balancer::RoundRobin, &[1, 1, 1], seed).picks(1)[0]).collect();
    assert_eq!(starts.len(), 3);
}

#[test]
fn round_robin_goes_on_after_endpoints_change() {
    let mut bench = Bench::new(Balancer::RoundRobin, &[1, 1, 1, 1], 4);
    let last = *bench.picks(5).last().unwrap();
    bench.assignment = endpoints(&[1, 1, 1, 1]);
    assert_eq!(bench.picks(1), [(last + 1) % 4]);
}

#[test]
fn weights_3_to_1_are_exact() {
    let picks = Bench::new(Balancer::RoundRobin, &[3, 1], 4).picks(10_000);
    assert_eq!(picks.iter().filter(|pick| **pick == 0).count(), 7500);
}

#[test]
fn a_weighted_schedule_is_made_anew_for_new_endpoints() {
    let mut bench = Bench::new(Balancer::RoundRobin, &[3, 1], 4);
    bench.picks(3);
    bench.assignment = endpoints(&[1, 2, 1]);
    let mut counts = BTreeMap::new();
    for pick in bench.picks(400) {
        *counts.entry(pick).or_insert(0) += 1;
    }
    assert_eq!(counts, BTreeMap::from([(0, 100), (1, 200), (2, 100)]));
}

#[test]
fn least_request_prefers_the_idle_endpoint() {
    let mut bench = Bench::new(LEAST_REQUEST, &[1, 1], 4);
    let busy = |at: SocketAddr| if at == address(0) { 10 } else { 0 };
    let picks: Vec<_> = (0..2000).filter_map(|_| bench.pick(Avoid::NOTHING, &busy)).collect();
    // The busy one is picked only when both draws hit it: a quarter; 500 ± 140 is seven deviations.
    let busy_picks = picks.iter().filter(|pick| **pick == 0).count();
    assert!((360..=640).contains(&busy_picks), "{busy_picks}");
}

#[test]
fn no_endpoint_is_unpickable_under_every_balancer() {
    for balancer in [Balancer::RoundRobin, LEAST_REQUEST, Balancer::Random, Balancer::Provided] {
        assert_eq!(Bench::new(balancer, &[], 1).pick(Avoid::NOTHING, &|_| 0), None);
    }
}

#[test]
fn all_unhealthy_are_served_in_panic_and_refused_without_a_threshold() {
    for balancer in [Balancer::RoundRobin, LEAST_REQUEST, Balancer::Random] {
        let mut bench = Bench::new(balancer, &[-1, -2], 1);
        assert!(bench.pick(Avoid::NOTHING, &|_| 0).is_some());
        bench.cluster.panic_threshold_percent = 0.0;
        assert_eq!(bench.pick(Avoid::NOTHING, &|_| 0), None);
    }
}

#[test]
fn at_the_panic_threshold_only_the_healthy_are_used_and_below_it_all() {
    assert!(Bench::new(Balancer::RoundRobin, &[1, -1], 1).picks(100).iter().all(|pick| *pick == 0));
    let below = Bench::new(Balancer::RoundRobin, &[1, -1, -1], 1).picks(300);
    assert_eq!((0..3).map(|at| below.iter().filter(|pick| **pick == at).count()).collect::<Vec<_>>(), [100; 3]);
}

#[test]
fn a_retry_goes_to_the_other_endpoint_while_there_is_one() {
    for balancer in [Balancer::RoundRobin, Balancer::Random] {
        let mut bench = Bench::new(balancer, &[1, 1], 9);
        let first = bench.picks(1)[0];
        let avoid = Avoid { previous: &[address(first)], attempts_max: 60 };
        assert_eq!(bench.pick(avoid, &|_| 0), Some(1 - first));
        // All tried: the last pick stands.
        let all = Avoid { previous: &[address(0), address(1)], attempts_max: 6 };
        assert!(bench.pick(all, &|_| 0).is_some());
    }
}

proptest! {
    #[test]
    fn round_robin_is_fair(weights in prop::collection::vec(1i64..6, 1..8), rounds in 1usize..4, seed: u64) {
        let period: i64 = weights.iter().sum();
        let picks = Bench::new(Balancer::RoundRobin, &weights, seed).picks(usize::try_from(period).unwrap() * rounds);
        for (at, weight) in weights.iter().enumerate() {
            let count = i64::try_from(picks.iter().filter(|pick| **pick == at).count()).unwrap();
            let due = weight * i64::try_from(rounds).unwrap();
            // Unweighted turns are exact; weighted ones begin in the middle of a period.
            prop_assert!((count - due).abs() <= i64::from(weights.iter().any(|other| other != weight)));
        }
    }

    #[test]
    fn outside_panic_only_healthy_endpoints_are_picked(
        weights in prop::collection::vec((1i64..4, any::<bool>()), 1..8),
        seed: u64,
        kind in 0..3,
    ) {
        let weights: Vec<i64> = weights.into_iter().map(|(weight, healthy)| if healthy { weight } else { -weight }).collect();
        let balancer = [Balancer::RoundRobin, LEAST_REQUEST, Balancer::Random][kind as usize];
        let mut bench = Bench::new(balancer, &weights, seed);
        bench.cluster.panic_threshold_percent = 0.0;
        let picks = bench.picks(30);
        prop_assert!(picks.iter().all(|pick| weights[*pick] > 0));
        prop_assert_eq!(picks.is_empty(), weights.iter().all(|weight| *weight < 0));
    }
}
