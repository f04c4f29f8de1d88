//! Ejections: what outlier detection did, in the terms of Envoy's outlier event log
//! (`envoy.data.cluster.v3.OutlierDetectionEvent`).

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wavetank_platform::Instant;

use crate::record::nanos;

/// An endpoint was found failing, or was let back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ejection {
    /// Node id of the proxy.
    pub node: Arc<str>,
    /// When.
    #[serde(with = "nanos")]
    pub at: Instant,
    /// The cluster.
    pub cluster: Arc<str>,
    /// The endpoint.
    pub endpoint: SocketAddr,
    /// What happened to it.
    #[serde(flatten)]
    pub action: EjectionAction,
    /// How often it has been ejected by now.
    pub ejections: u32,
    /// Since it was let back, or, where it is let back now, since it was ejected; `None`: never before.
    pub since_last_action: Option<Duration>,
}

/// What happened to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "lowercase")]
pub enum EjectionAction {
    /// It was found failing.
    Eject {
        /// By what.
        kind: EjectionKind,
        /// Whether it was taken out. False: only reported, by the share that is not enforced.
        enforced: bool,
        /// The rates that it was judged by; `None` for failures in a row.
        rates: Option<Rates>,
    },
    /// It was let back.
    Uneject,
}

/// What found an endpoint failing; Envoy's `OutlierEjectionType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EjectionKind {
    /// Answers with 5xx in a row.
    #[serde(rename = "consecutive_5xx")]
    Consecutive5xx,
    /// Answers with 502, 503 or 504 in a row.
    ConsecutiveGatewayFailure,
    /// Failures of the connection in a row.
    ConsecutiveLocalOriginFailure,
    /// A success rate far below that of the others.
    SuccessRate,
    /// The same, of connections.
    SuccessRateLocalOrigin,
    /// Too many failures.
    FailurePercentage,
    /// Too many failures of the connection.
    FailurePercentageLocalOrigin,
}

impl fmt::Display for EjectionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Consecutive5xx => "consecutive_5xx",
            Self::ConsecutiveGatewayFailure => "consecutive_gateway_failure",
            Self::ConsecutiveLocalOriginFailure => "consecutive_local_origin_failure",
            Self::SuccessRate => "success_rate",
            Self::SuccessRateLocalOrigin => "success_rate_local_origin",
            Self::FailurePercentage => "failure_percentage",
            Self::FailurePercentageLocalOrigin => "failure_percentage_local_origin",
        })
    }
}

/// Success rates in percent, rounded down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    /// The endpoint's.
    pub host: u32,
    /// The mean of all, and the rate below which an endpoint is ejected; `None` for a failure percentage.
    pub cluster: Option<(u32, u32)>,
}

impl Ejection {
    /// Whether it takes the endpoint out.
    pub fn takes_out(&self) -> bool {
        matches!(self.action, EjectionAction::Eject { enforced: true, .. })
    }
}
