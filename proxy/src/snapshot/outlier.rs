//! Outlier detection: `envoy.config.cluster.v3.OutlierDetection`, with Envoy's defaults.

use std::time::Duration;

use serde::Serialize;

/// When an endpoint of a cluster is taken out, and for how long.
///
/// A cluster of type `ORIGINAL_DST` picks nothing, so it ejects nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutlierDetection {
    /// Time between sweeps, which let endpoints back and compare success rates. Envoy: 10 s; at least 1 ms.
    pub interval: Duration,
    /// An endpoint's first ejection in a row lasts this long, its `n`-th `n` times as long. Envoy: 30 s.
    pub base_ejection_time: Duration,
    /// But no longer than this. Envoy: 300 s, or the base where that is longer.
    pub max_ejection_time: Duration,
    /// Up to so much is added to each ejection's time, drawn in whole milliseconds. Envoy: 0.
    pub max_ejection_time_jitter: Duration,
    /// An ejection after which more of the endpoints than this were out does not happen. Envoy: 10.
    pub max_ejection_percent: u32,
    /// The first one happens even then. Envoy: false.
    pub always_eject_one_host: bool,
    /// Whether failures of the connection are counted apart from answers. Envoy: false.
    pub split_external_local_origin_errors: bool,
    /// Answers with 5xx. Envoy: 5, always enforced.
    pub consecutive_5xx: Consecutive,
    /// Answers with 502, 503 or 504. Envoy: 5, never enforced.
    pub consecutive_gateway_failure: Consecutive,
    /// Failures of the connection, where they are counted apart. Envoy: 5, always enforced.
    pub consecutive_local_origin_failure: Consecutive,
    /// Endpoints that succeed far less often than the others.
    pub success_rate: SuccessRate,
    /// Endpoints that fail too often, whatever the others do.
    pub failure_percentage: FailurePercentage,
}

/// So many failures in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Consecutive {
    /// How many; 0: off.
    pub count: u32,
    /// How often the ejection is carried out, in percent; the rest is only reported.
    pub enforcing_percent: u32,
}

/// Endpoints below the mean success rate by more than some standard deviations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SuccessRate {
    /// With fewer endpoints that had enough requests nothing is compared. Envoy: 5.
    pub minimum_hosts: u32,
    /// An endpoint had enough requests in an interval with so many. Envoy: 100.
    pub request_volume: u32,
    /// Standard deviations, in thousandths. Envoy: 1900.
    pub stdev_factor: u32,
    /// As of [`Consecutive`]. Envoy: 100.
    pub enforcing_percent: u32,
    /// The same for failures of the connection, where they are counted apart. Envoy: 100.
    pub enforcing_local_origin_percent: u32,
}

/// Endpoints whose requests fail too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct FailurePercentage {
    /// So often, in percent. Envoy: 85.
    pub threshold: u32,
    /// With fewer endpoints that had enough requests nobody is judged. Envoy: 5.
    pub minimum_hosts: u32,
    /// An endpoint had enough requests in an interval with so many. Envoy: 50.
    pub request_volume: u32,
    /// As of [`Consecutive`]. Envoy: 0.
    pub enforcing_percent: u32,
    /// The same for failures of the connection, where they are counted apart. Envoy: 0.
    pub enforcing_local_origin_percent: u32,
}

impl Default for OutlierDetection {
    /// Envoy's.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(10),
            base_ejection_time: Duration::from_secs(30),
            max_ejection_time: Duration::from_secs(300),
            max_ejection_time_jitter: Duration::ZERO,
            max_ejection_percent: 10,
            always_eject_one_host: false,
            split_external_local_origin_errors: false,
            consecutive_5xx: Consecutive { count: 5, enforcing_percent: 100 },
            consecutive_gateway_failure: Consecutive { count: 5, enforcing_percent: 0 },
            consecutive_local_origin_failure: Consecutive { count: 5, enforcing_percent: 100 },
            success_rate: SuccessRate {
                minimum_hosts: 5,
                request_volume: 100,
                stdev_factor: 1900,
                enforcing_percent: 100,
                enforcing_local_origin_percent: 100,
            },
            failure_percentage: FailurePercentage {
                threshold: 85,
                minimum_hosts: 5,
                request_volume: 50,
                enforcing_percent: 0,
                enforcing_local_origin_percent: 0,
            },
        }
    }
}
