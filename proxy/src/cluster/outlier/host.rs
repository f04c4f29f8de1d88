//! What is counted of one endpoint. Envoy: `DetectorHostMonitorImpl`.

use std::time::Duration;

use wavetank_platform::Instant;

use super::Outcome;
use super::success_rate::Window;
use crate::ejection::EjectionKind;
use crate::snapshot::outlier::OutlierDetection;

/// Whose failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The endpoint's answer.
    External,
    /// The connection's.
    Local,
}

/// One endpoint's counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Host {
    in_a_row_5xx: u32,
    in_a_row_gateway_failure: u32,
    in_a_row_local_failure: u32,
    external: Window,
    local: Window,
    /// Since when it is out, and the time that chance adds.
    out: Option<(Instant, Duration)>,
    ejections: u32,
    /// Times the base is how long the current or last ejection lasts; falls while the endpoint behaves.
    multiplier: u32,
    unejected: Option<Instant>,
}

impl Host {
    /// Counts `outcome`; returns what has just reached its threshold, in Envoy's order.
    pub(super) fn note(&mut self, config: &OutlierDetection, outcome: Outcome) -> Vec<EjectionKind> {
        let split = config.split_external_local_origin_errors;
        match outcome {
            Outcome::Response(status) => self.answered(config, status),
            Outcome::Connected if !split => Vec::new(),
            Outcome::ConnectedForGood if !split => self.answered(config, 200),
            Outcome::Failed if !split => self.answered(config, 503),
            Outcome::TimedOut if !split => self.answered(config, 504),
            Outcome::Connected | Outcome::ConnectedForGood => {
                self.local.count(true);
                self.in_a_row_local_failure = 0;
                Vec::new()
            }
            Outcome::Failed | Outcome::TimedOut => {
                self.local.count(false);
                self.in_a_row_local_failure = self.in_a_row_local_failure.saturating_add(1);
                let reached = self.in_a_row_local_failure == config.consecutive_local_origin_failure.count;
                Vec::from_iter(reached.then_some(EjectionKind::ConsecutiveLocalOriginFailure))
            }
        }
    }

    fn answered(&mut self, config: &OutlierDetection, status: u16) -> Vec<EjectionKind> {
        let failed = (500..600).contains(&status);
        self.external.count(!failed);
        if !failed {
            (self.in_a_row_5xx, self.in_a_row_gateway_failure) = (0, 0);
            return Vec::new();
        }
        let mut reached = Vec::new();
        if (502..=504).contains(&status) {
            self.in_a_row_gateway_failure = self.in_a_row_gateway_failure.saturating_add(1);
            if self.in_a_row_gateway_failure == config.consecutive_gateway_failure.count {
                reached.push(EjectionKind::ConsecutiveGatewayFailure);
            }
        } else {
            self.in_a_row_gateway_failure = 0;
        }
        self.in_a_row_5xx = self.in_a_row_5xx.saturating_add(1);
        if self.in_a_row_5xx == config.consecutive_5xx.count {
            reached.push(EjectionKind::Consecutive5xx);
        }
        reached
    }

    /// Counts failures of this kind from 0 again.
    pub(super) fn reset(&mut self, kind: EjectionKind) {
        match kind {
            EjectionKind::Consecutive5xx => self.in_a_row_5xx = 0,
            EjectionKind::ConsecutiveGatewayFailure => self.in_a_row_gateway_failure = 0,
            EjectionKind::ConsecutiveLocalOriginFailure => self.in_a_row_local_failure = 0,
            EjectionKind::SuccessRate
            | EjectionKind::SuccessRateLocalOrigin
            | EjectionKind::FailurePercentage
            | EjectionKind::FailurePercentageLocalOrigin => {}
        }
    }

    /// What was counted since the last call.
    pub(super) fn close_window(&mut self, origin: Origin) -> Window {
        std::mem::take(match origin {
            Origin::External => &mut self.external,
            Origin::Local => &mut self.local,
        })
    }

    pub(super) fn is_ejected(&self) -> bool {
        self.out.is_some()
    }

    pub(super) fn ejections(&self) -> u32 {
        self.ejections
    }

    /// Time since it was last let back.
    pub(super) fn since_uneject(&self, now: Instant) -> Option<Duration> {
        self.unejected.map(|at| now.saturating_since(at))
    }

    pub(super) fn eject(&mut self, config: &OutlierDetection, now: Instant, jitter: Duration) {
        self.out = Some((now, jitter));
        self.ejections = self.ejections.saturating_add(1);
        let base = config.base_ejection_time;
        if base.saturating_mul(self.multiplier) < config.max_ejection_time.saturating_add(base) {
            self.multiplier = self.multiplier.saturating_add(1);
        }
    }

    /// Whether its ejection is over.
    pub(super) fn is_due(&self, config: &OutlierDetection, now: Instant) -> bool {
        self.out.is_some_and(|(since, jitter)| {
            let time = config.base_ejection_time.saturating_mul(self.multiplier).min(config.max_ejection_time);
            time.saturating_add(jitter) <= now.saturating_since(since)
        })
    }

    /// Lets it back; returns how long it was out.
    pub(super) fn uneject(&mut self, now: Instant) -> Option<Duration> {
        let since = self.out.take().map(|(since, _)| now.saturating_since(since));
        (self.in_a_row_5xx, self.in_a_row_gateway_failure, self.in_a_row_local_failure) = (0, 0, 0);
        self.unejected = Some(now);
        since
    }

    /// A whole interval without an ejection takes one off the multiplier.
    pub(super) fn decay(&mut self, interval: Duration, now: Instant) {
        if !self.is_ejected() && self.since_uneject(now).is_some_and(|since| since >= interval) {
            self.multiplier = self.multiplier.saturating_sub(1);
        }
    }

    pub(super) fn needs_sweep(&self) -> bool {
        self.is_ejected() || self.multiplier > 0 || !self.external.is_empty() || !self.local.is_empty()
    }
}
