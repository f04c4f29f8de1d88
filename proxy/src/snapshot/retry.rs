//! Retry policies, as routes and virtual hosts carry them.

use std::time::Duration;

use serde::Serialize;

/// `RetryPolicy`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RetryPolicy {
    /// Conditions.
    pub on: RetryOn,
    /// Further attempts after the first.
    pub retries_max: u32,
    /// Bound of one attempt; `None` or zero: none.
    pub per_try_timeout: Option<Duration>,
    /// Statuses that `retriable-status-codes` means.
    pub retriable_status_codes: Vec<u16>,
    /// Avoids hosts already tried.
    pub avoid_previous_hosts: bool,
    /// Picks of the balancer for a retry until the last one stands; at least 1, and 1 unless previous
    /// hosts are avoided.
    pub host_selection_attempts_max: u32,
    /// Base of the back-off; Envoy: 25 ms.
    pub backoff_base: Duration,
    /// Cap of the back-off; Envoy: ten times the base.
    pub backoff_max: Duration,
}

impl RetryPolicy {
    /// Retries `retries_max` times on `on`, with Envoy's defaults for the rest.
    pub fn new(on: RetryOn, retries_max: u32) -> Self {
        Self {
            on,
            retries_max,
            per_try_timeout: None,
            retriable_status_codes: Vec::new(),
            avoid_previous_hosts: false,
            host_selection_attempts_max: 1,
            backoff_base: Duration::from_millis(25),
            backoff_max: Duration::from_millis(250),
        }
    }
}

/// `retry_on`, as a set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RetryOn {
    /// `5xx`: any 5xx, reset, connect failure, per-try timeout.
    pub server_error: bool,
    /// `gateway-error`: 502, 503, 504 and the failures that give them.
    pub gateway_error: bool,
    /// `reset`.
    pub reset: bool,
    /// `reset-before-request`.
    pub reset_before_request: bool,
    /// `connect-failure`.
    pub connect_failure: bool,
    /// `refused-stream`.
    pub refused_stream: bool,
    /// `retriable-4xx`: 409.
    pub retriable_4xx: bool,
    /// `retriable-status-codes`.
    pub retriable_status_codes: bool,
    /// gRPC `cancelled`.
    pub grpc_cancelled: bool,
    /// gRPC `deadline-exceeded`.
    pub grpc_deadline_exceeded: bool,
    /// gRPC `internal`.
    pub grpc_internal: bool,
    /// gRPC `resource-exhausted`.
    pub grpc_resource_exhausted: bool,
    /// gRPC `unavailable`.
    pub grpc_unavailable: bool,
}

impl RetryOn {
    /// Adds the conditions of a comma-separated list, as in `retry_on` and `x-envoy-retry-on`.
    ///
    /// Errs with the first name it does not know; the others are added all the same.
    pub fn add(&mut self, list: &str) -> Result<(), UnknownCondition> {
        let mut unknown = None;
        for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match self.condition(name) {
                Some(condition) => *condition = true,
                None => unknown = unknown.or_else(|| Some(UnknownCondition(name.into()))),
            }
        }
        unknown.map_or(Ok(()), Err)
    }

    fn condition(&mut self, name: &str) -> Option<&mut bool> {
        Some(match name {
            "5xx" => &mut self.server_error,
            "gateway-error" => &mut self.gateway_error,
            "reset" => &mut self.reset,
            "reset-before-request" => &mut self.reset_before_request,
            "connect-failure" => &mut self.connect_failure,
            "refused-stream" => &mut self.refused_stream,
            "retriable-4xx" => &mut self.retriable_4xx,
            "retriable-status-codes" => &mut self.retriable_status_codes,
            "cancelled" => &mut self.grpc_cancelled,
            "deadline-exceeded" => &mut self.grpc_deadline_exceeded,
            "internal" => &mut self.grpc_internal,
            "resource-exhausted" => &mut self.grpc_resource_exhausted,
            "unavailable" => &mut self.grpc_unavailable,
            _ => return None,
        })
    }
}

/// A retry condition this proxy does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownCondition(pub String);
