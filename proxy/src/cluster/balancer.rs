//! Picks an endpoint of a cluster. Envoy: `lb_policy`, `healthy_panic_threshold`,
//! `host_selection_retry_max_attempts`.

use std::net::SocketAddr;
use std::sync::Arc;

use wavetank_platform::RandomStream;

use super::schedule::{Schedule, interval};
use crate::snapshot::cluster::{Assignment, Balancer, Cluster, Endpoint};

/// What a balancer remembers between picks. Kept by cluster name, one per worker; survives a change of
/// endpoints.
#[derive(Debug, Clone, Default)]
pub struct BalancerState {
    /// Unweighted round robin; `None` until the first pick draws where it begins.
    turns: Option<Turns>,
    weighted: Option<Weighted>,
}

/// Next positions of an unweighted round robin. Envoy takes turns among the healthy and, in panic, among all
/// apart from each other, from the same start.
#[derive(Debug, Clone, Copy)]
struct Turns {
    healthy: u64,
    all: u64,
}

/// A schedule, and the endpoints it was made for.
#[derive(Debug, Clone)]
struct Weighted {
    assignment: Arc<Assignment>,
    panic: bool,
    schedule: Schedule,
}

/// Endpoints that a retry should not go to again.
#[derive(Debug, Clone, Copy)]
pub struct Avoid<'a> {
    /// Tried before.
    pub previous: &'a [SocketAddr],
    /// Picks until the last one stands, whatever it is; at least 1.
    pub attempts_max: u32,
}

impl Avoid<'_> {
    /// The first attempt avoids nothing.
    pub const NOTHING: Avoid<'static> = Avoid { previous: &[], attempts_max: 1 };
}

/// No endpoint can be picked: 503 `no healthy upstream`, flag `UH`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unpickable;

/// An endpoint of `assignment`, by the cluster's balancer.
///
/// Healthy endpoints only, unless their share is below the panic threshold: then all are used. With a
/// threshold of 0 and none healthy, there is none. `active` says how many requests an endpoint has now.
/// Errs also for [`Balancer::Provided`], whose endpoint is the connection's original destination.
pub fn pick<'a>(
    cluster: &Cluster,
    assignment: &'a Arc<Assignment>,
    state: &mut BalancerState,
    avoid: Avoid<'_>,
    active: &dyn Fn(SocketAddr) -> u32,
    random: &mut RandomStream,
) -> Result<&'a Endpoint, Unpickable> {
    let eligible = Eligible::of(assignment, cluster.panic_threshold_percent);
    let mut picked = Err(Unpickable);
    for _ in 0..avoid.attempts_max.max(1) {
        let endpoint = match cluster.balancer {
            Balancer::RoundRobin => state.round_robin(&eligible, random),
            Balancer::LeastRequest { choices } => state.least_request(&eligible, choices, active, random),
            Balancer::Random => eligible.at_random(random),
            Balancer::Provided => None,
        };
        let endpoint = endpoint.ok_or(Unpickable)?;
        picked = Ok(endpoint);
        if !avoid.previous.contains(&endpoint.address) {
            break;
        }
    }
    picked
}

/// The endpoints that may be picked now.
struct Eligible<'a> {
    assignment: &'a Arc<Assignment>,
    panic: bool,
}

impl<'a> Eligible<'a> {
    fn of(assignment: &'a Arc<Assignment>, panic_threshold_percent: f64) -> Self {
        let (healthy, all) = (assignment.healthy().len(), assignment.endpoints().len());
        let panic = (healthy as f64) * 100.0 < panic_threshold_percent * (all as f64);
        Self { assignment, panic }
    }

    fn len(&self) -> usize {
        if self.panic { self.assignment.endpoints().len() } else { self.assignment.healthy().len() }
    }

    fn at(&self, position: usize) -> Option<&'a Endpoint> {
        let endpoints = self.assignment.endpoints();
        if self.panic {
            return endpoints.get(position);
        }
        endpoints.get(usize::try_from(*self.assignment.healthy().get(position)?).ok()?)
    }

    fn iter(&self) -> impl Iterator<Item = &'a Endpoint> + '_ {
        (0..self.len()).filter_map(|position| self.at(position))
    }

    fn at_random(&self, random: &mut RandomStream) -> Option<&'a Endpoint> {
        let count = u64::try_from(self.len()).ok().filter(|count| *count > 0)?;
        self.at(usize::try_from(random.below(count)).ok()?)
    }

    fn is_weighted(&self) -> bool {
        self.assignment.is_weighted()
    }
}

impl BalancerState {
    /// In turn from a random start; by weight where weights differ.
    fn round_robin<'a>(&mut self, eligible: &Eligible<'a>, random: &mut RandomStream) -> Option<&'a Endpoint> {
        if eligible.is_weighted() {
            return self.by_schedule(eligible, |endpoint| interval(endpoint.weight, 0), random);
        }
        let count = u64::try_from(eligible.len()).ok().filter(|count| *count > 0)?;
        // The start is drawn from a range that every usual number of endpoints divides almost evenly.
        let turns = self.turns.get_or_insert_with(|| {
            let start = random.next_u64() >> 1;
            Turns { healthy: start, all: start }
        });
        let turn = if eligible.panic { &mut turns.all } else { &mut turns.healthy };
        *turn += 1;
        eligible.at(usize::try_from((*turn - 1) % count).ok()?)
    }

    /// The least busy of `choices` drawn at random, the first of equals. Where weights differ: in turn, by
    /// weight over requests.
    fn least_request<'a>(
        &mut self,
        eligible: &Eligible<'a>,
        choices: u32,
        active: &dyn Fn(SocketAddr) -> u32,
        random: &mut RandomStream,
    ) -> Option<&'a Endpoint> {
        if eligible.is_weighted() {
            let wait = |endpoint: &Endpoint| interval(endpoint.weight, active(endpoint.address));
            return self.by_schedule(eligible, wait, random);
        }
        let mut best: Option<(&Endpoint, u32)> = None;
        for _ in 0..choices.max(1) {
            let candidate = eligible.at_random(random)?;
            let requests = active(candidate.address);
            if best.is_none_or(|(_, fewest)| requests < fewest) {
                best = Some((candidate, requests));
            }
        }
        best.map(|(endpoint, _)| endpoint)
    }

    fn by_schedule<'a>(
        &mut self,
        eligible: &Eligible<'a>,
        wait: impl Fn(&Endpoint) -> u128,
        random: &mut RandomStream,
    ) -> Option<&'a Endpoint> {
        let fits = |kept: &Weighted| kept.panic == eligible.panic && Arc::ptr_eq(&kept.assignment, eligible.assignment);
        if !self.weighted.as_ref().is_some_and(fits) {
            self.weighted = Some(Weighted::new(eligible, &wait, random)?);
        }
        let wait_of = |item: u32| eligible.at(item as usize).map_or(1, &wait);
        let item = self.weighted.as_mut()?.schedule.next(wait_of)?;
        eligible.at(item as usize)
    }
}

impl Weighted {
    /// A schedule that begins at a random turn, so that proxies with the same endpoints do not all send
    /// their first request to the same one.
    fn new(eligible: &Eligible<'_>, wait: impl Fn(&Endpoint) -> u128, random: &mut RandomStream) -> Option<Self> {
        let mut schedule = Schedule::new(eligible.iter().map(&wait));
        let count = u64::try_from(eligible.len()).ok().filter(|count| *count > 0)?;
        for _ in 0..random.below(count) {
            schedule.next(|item| eligible.at(item as usize).map_or(1, &wait));
        }
        Some(Self { assignment: eligible.assignment.clone(), panic: eligible.panic, schedule })
    }
}

#[cfg(test)]
mod tests;
