//! Outlier detection: which endpoints of a cluster are taken out because they fail, and when they are let
//! back. Envoy: `OutlierDetection`, `DetectorImpl`.
//!
//! The book of a cluster is shared by all workers, as Envoy's host monitors are. Time, configuration and
//! random numbers are arguments; what happened is returned.

mod host;
mod success_rate;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use wavetank_platform::{Instant, RandomStream};

use self::host::{Host, Origin};
use self::success_rate::Window;
use crate::ejection::{EjectionAction, EjectionKind, Rates};
use crate::snapshot::outlier::OutlierDetection;

/// How one attempt at an endpoint went, or one step of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A response head came, with this status; of gRPC, the one that its `grpc-status` stands for.
    Response(u16),
    /// An HTTP request was given a connection.
    Connected,
    /// A TCP proxy was given a connection. Nothing more will be known.
    ConnectedForGood,
    /// Connecting failed, or the connection or stream ended before the response did.
    Failed,
    /// A timeout of ours passed.
    TimedOut,
}

/// What happened to one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The endpoint.
    pub endpoint: SocketAddr,
    /// What.
    pub action: EjectionAction,
    /// How often it has been ejected by now.
    pub ejections: u32,
    /// Since the last change the other way.
    pub since_last_action: Option<Duration>,
}

impl Change {
    /// Whether the balancer must hear of it.
    pub fn is_of_health(&self) -> bool {
        !matches!(self.action, EjectionAction::Eject { enforced: false, .. })
    }
}

/// What is known of the endpoints of one cluster.
#[derive(Debug, Clone, Default)]
pub struct Book {
    hosts: BTreeMap<SocketAddr, Host>,
}

impl Book {
    /// Knows exactly these endpoints from now on; what is known of those that stay is kept.
    ///
    /// Returns whether any came or went.
    pub fn set_endpoints(&mut self, endpoints: impl IntoIterator<Item = SocketAddr>) -> bool {
        let wanted: BTreeSet<SocketAddr> = endpoints.into_iter().collect();
        let before = self.hosts.len();
        self.hosts.retain(|address, _| wanted.contains(address));
        let mut changed = self.hosts.len() != before;
        for address in wanted {
            self.hosts.entry(address).or_insert_with(|| {
                changed = true;
                Host::default()
            });
        }
        changed
    }

    /// The endpoints that are out.
    pub fn ejected(&self) -> BTreeSet<SocketAddr> {
        self.hosts.iter().filter(|(_, host)| host.is_ejected()).map(|(address, _)| *address).collect()
    }

    /// Whether the next sweep could change anything.
    pub fn needs_sweep(&self) -> bool {
        self.hosts.values().any(Host::needs_sweep)
    }

    /// Takes note of `outcome` at `endpoint`. An endpoint that is not in the book has left meanwhile.
    pub fn note(
        &mut self,
        config: &OutlierDetection,
        endpoint: SocketAddr,
        outcome: Outcome,
        now: Instant,
        random: &mut RandomStream,
    ) -> Vec<Change> {
        let Some(host) = self.hosts.get_mut(&endpoint) else { return Vec::new() };
        let reached = host.note(config, outcome);
        reached.into_iter().filter_map(|kind| self.found_failing(config, endpoint, kind, now, random)).collect()
    }

    /// Lets endpoints back whose time is over, and compares the rates of the interval that ends now.
    pub fn sweep(&mut self, config: &OutlierDetection, now: Instant, random: &mut RandomStream) -> Vec<Change> {
        let mut changes = Vec::new();
        for (address, host) in &mut self.hosts {
            if host.is_due(config, now) {
                let since_last_action = host.uneject(now);
                let (endpoint, ejections) = (*address, host.ejections());
                changes.push(Change { endpoint, action: EjectionAction::Uneject, ejections, since_last_action });
            }
        }
        for origin in [Origin::External, Origin::Local] {
            let windows: Vec<(SocketAddr, Window)> =
                self.hosts.iter_mut().map(|(address, host)| (*address, host.close_window(origin))).collect();
            let windows = windows.into_iter().filter(|(address, _)| !self.is_ejected(*address)).collect();
            changes.extend(self.compare(config, origin, windows, now, random));
        }
        for host in self.hosts.values_mut() {
            host.decay(config.interval, now);
        }
        changes
    }

    fn is_ejected(&self, endpoint: SocketAddr) -> bool {
        self.hosts.get(&endpoint).is_some_and(Host::is_ejected)
    }

    /// Endpoint `endpoint` has failed often enough in a row. One that is out already is left alone, and its
    /// count runs on.
    fn found_failing(
        &mut self,
        config: &OutlierDetection,
        endpoint: SocketAddr,
        kind: EjectionKind,
        now: Instant,
        random: &mut RandomStream,
    ) -> Option<Change> {
        if self.is_ejected(endpoint) {
            return None;
        }
        let change = self.eject(config, endpoint, (kind, None), now, random);
        if let Some(host) = self.hosts.get_mut(&endpoint) {
            host.reset(kind);
        }
        change
    }

    /// Judges the rates of endpoints that are not out: first against each other, then each for itself.
    fn compare(
        &mut self,
        config: &OutlierDetection,
        origin: Origin,
        windows: Vec<(SocketAddr, Window)>,
        now: Instant,
        random: &mut RandomStream,
    ) -> Vec<Change> {
        let (by_rate, by_percentage) = match origin {
            Origin::External => (EjectionKind::SuccessRate, EjectionKind::FailurePercentage),
            Origin::Local => (EjectionKind::SuccessRateLocalOrigin, EjectionKind::FailurePercentageLocalOrigin),
        };
        let outliers = success_rate::outliers(&config.success_rate, &windows).into_iter().map(|found| (found, by_rate));
        let failing = success_rate::failing(&config.failure_percentage, &windows).into_iter();
        let found: Vec<_> = outliers.chain(failing.map(|found| (found, by_percentage))).collect();
        let eject = |((endpoint, rates), kind): ((SocketAddr, Rates), EjectionKind)| match self.is_ejected(endpoint) {
            // Envoy takes one that is an outlier and failing out twice at once; once is what it means.
            true => None,
            false => self.eject(config, endpoint, (kind, Some(rates)), now, random),
        };
        found.into_iter().filter_map(eject).collect()
    }

    /// Takes `endpoint` out, if as many may be out and chance enforces it. `None`: too many are.
    fn eject(
        &mut self,
        config: &OutlierDetection,
        endpoint: SocketAddr,
        (kind, rates): (EjectionKind, Option<Rates>),
        now: Instant,
        random: &mut RandomStream,
    ) -> Option<Change> {
        let out = self.hosts.values().filter(|host| host.is_ejected()).count();
        if !may_eject(config, out, self.hosts.len()) {
            return None;
        }
        let host = self.hosts.get_mut(&endpoint)?;
        let since_last_action = host.since_uneject(now);
        let enforced = enforces(enforcing_percent(config, kind), random);
        if enforced {
            host.eject(config, now, jitter(config.max_ejection_time_jitter, random));
        }
        let action = EjectionAction::Eject { kind, enforced, rates };
        Some(Change { endpoint, action, ejections: host.ejections(), since_last_action })
    }
}

/// Whether one more of `all` endpoints may be out where `out` are.
pub fn may_eject(config: &OutlierDetection, out: usize, all: usize) -> bool {
    let percent = 100.0 * (out as f64 + 1.0) / all as f64;
    percent <= f64::from(config.max_ejection_percent.min(100)) || (config.always_eject_one_host && out == 0)
}

fn enforcing_percent(config: &OutlierDetection, kind: EjectionKind) -> u32 {
    match kind {
        EjectionKind::Consecutive5xx => config.consecutive_5xx.enforcing_percent,
        EjectionKind::ConsecutiveGatewayFailure => config.consecutive_gateway_failure.enforcing_percent,
        EjectionKind::ConsecutiveLocalOriginFailure => config.consecutive_local_origin_failure.enforcing_percent,
        EjectionKind::SuccessRate => config.success_rate.enforcing_percent,
        EjectionKind::SuccessRateLocalOrigin => config.success_rate.enforcing_local_origin_percent,
        EjectionKind::FailurePercentage => config.failure_percentage.enforcing_percent,
        EjectionKind::FailurePercentageLocalOrigin => config.failure_percentage.enforcing_local_origin_percent,
    }
}

/// Draws only where chance decides.
fn enforces(percent: u32, random: &mut RandomStream) -> bool {
    match percent {
        0 => false,
        100.. => true,
        percent => random.below(100) < u64::from(percent),
    }
}

fn jitter(max: Duration, random: &mut RandomStream) -> Duration {
    match u64::try_from(max.as_millis()) {
        Ok(0) | Err(_) => Duration::ZERO,
        Ok(millis) => Duration::from_millis(random.below(millis.saturating_add(1))),
    }
}

#[cfg(test)]
mod tests;
