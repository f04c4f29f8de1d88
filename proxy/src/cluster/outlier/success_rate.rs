//! Which endpoints succeed too rarely. Envoy: `success_rate_*`, `failure_percentage_*`.

use std::net::SocketAddr;

use crate::ejection::Rates;
use crate::snapshot::outlier::{FailurePercentage, SuccessRate};

/// Requests of one endpoint in one interval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Window {
    requests: u32,
    successes: u32,
}

impl Window {
    pub(super) fn count(&mut self, success: bool) {
        self.requests = self.requests.saturating_add(1);
        self.successes = self.successes.saturating_add(u32::from(success));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.requests == 0
    }

    /// In percent; `None` where there were fewer requests than `volume`, or none.
    fn rate(self, volume: u32) -> Option<f64> {
        let enough = self.requests > 0 && self.requests >= volume;
        enough.then(|| f64::from(self.successes) * 100.0 / f64::from(self.requests))
    }
}

/// The endpoints whose rate is below the mean by more than the configured number of standard deviations.
pub(super) fn outliers(config: &SuccessRate, windows: &[(SocketAddr, Window)]) -> Vec<(SocketAddr, Rates)> {
    let rates = rates(windows, config.request_volume, config.minimum_hosts);
    let (mean, threshold) = mean_and_threshold(&rates, f64::from(config.stdev_factor) / 1000.0);
    let cluster = Some((whole(mean), whole(threshold)));
    let below = rates.into_iter().filter(|(_, rate)| *rate < threshold);
    below.map(|(address, rate)| (address, Rates { host: whole(rate), cluster })).collect()
}

/// The endpoints that fail at least as often as configured.
pub(super) fn failing(config: &FailurePercentage, windows: &[(SocketAddr, Window)]) -> Vec<(SocketAddr, Rates)> {
    let rates = rates(windows, config.request_volume, config.minimum_hosts);
    let failing = rates.into_iter().filter(|(_, rate)| 100.0 - rate >= f64::from(config.threshold));
    failing.map(|(address, rate)| (address, Rates { host: whole(rate), cluster: None })).collect()
}

/// The rates of endpoints with enough requests; none at all where those are too few.
fn rates(windows: &[(SocketAddr, Window)], volume: u32, hosts_min: u32) -> Vec<(SocketAddr, f64)> {
    let rates: Vec<_> =
        windows.iter().filter_map(|(address, window)| window.rate(volume).map(|rate| (*address, rate))).collect();
    if rates.len() < hosts_min as usize { Vec::new() } else { rates }
}

/// The mean, and the mean less `factor` standard deviations.
fn mean_and_threshold(rates: &[(SocketAddr, f64)], factor: f64) -> (f64, f64) {
    if rates.is_empty() {
        return (0.0, 0.0);
    }
    let count = rates.len() as f64;
    let mean = rates.iter().map(|(_, rate)| rate).sum::<f64>() / count;
    let variance = rates.iter().map(|(_, rate)| (rate - mean) * (rate - mean)).sum::<f64>() / count;
    (mean, mean - factor * variance.sqrt())
}

/// Percent, rounded down; below 0 is 0.
fn whole(percent: f64) -> u32 {
    percent as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(successes: &[u32]) -> Vec<(SocketAddr, Window)> {
        let address = |n: usize| SocketAddr::from(([10, 0, 0, n as u8], 80));
        successes.iter().enumerate().map(|(n, good)| (address(n), Window { requests: 100, successes: *good })).collect()
    }

    #[test]
    fn one_of_five_below_the_mean_by_two_deviations_is_an_outlier() {
        let config = SuccessRate {
            minimum_hosts: 5,
            request_volume: 100,
            stdev_factor: 1900,
            enforcing_percent: 100,
            enforcing_local_origin_percent: 100,
        };
        // Envoy's own example: mean 90, deviation 20, threshold 90 - 1.9 × 20 = 52.
        let found = outliers(&config, &windows(&[50, 100, 100, 100, 100]));
        assert_eq!(found, [(SocketAddr::from(([10, 0, 0, 0], 80)), Rates { host: 50, cluster: Some((90, 52)) })]);
        assert_eq!(outliers(&config, &windows(&[62, 100, 100, 100, 88])), []);
        assert_eq!(outliers(&config, &windows(&[0, 100, 100, 100])), [], "too few endpoints");
        assert_eq!(outliers(&SuccessRate { request_volume: 101, ..config }, &windows(&[50, 100, 100, 100, 100])), []);
    }

    #[test]
    fn a_failure_percentage_is_reached_with_equality() {
        let config = FailurePercentage {
            threshold: 85,
            minimum_hosts: 2,
            request_volume: 50,
            enforcing_percent: 0,
            enforcing_local_origin_percent: 0,
        };
        let found = failing(&config, &windows(&[15, 16]));
        assert_eq!(found, [(SocketAddr::from(([10, 0, 0, 0], 80)), Rates { host: 15, cluster: None })]);
        assert_eq!(failing(&config, &windows(&[0])), [], "too few endpoints");
    }
}
