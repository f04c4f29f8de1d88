//! Whether a failed attempt is tried again, and after which wait. Envoy: `RetryPolicy`, `RetryStateImpl`.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, StatusCode};
use wavetank_platform::RandomStream;

use crate::http::headers::HeaderList;
use crate::http::names;
use crate::snapshot::route::{RetryOn, RetryPolicy};

/// Why an attempt ended before its response head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResetReason {
    /// The endpoint refused, or its TLS handshake failed.
    RemoteConnectionFailure,
    /// We could not open the connection.
    LocalConnectionFailure,
    /// The connection was not ready within the cluster's connect timeout.
    ConnectionTimeout,
    /// The connection closed after the request was sent.
    ConnectionTermination,
    /// A circuit breaker refused.
    Overflow,
    /// What the endpoint sent was no HTTP.
    ProtocolError,
    /// We gave the stream up.
    LocalReset,
    /// The endpoint reset the HTTP/2 stream.
    RemoteReset,
    /// The endpoint reset the HTTP/2 stream with `REFUSED_STREAM`.
    RemoteRefusedStreamReset,
    /// The per-try timeout passed.
    PerTryTimeout,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy)]
pub enum AttemptOutcome<'a> {
    /// With a response head.
    Response {
        /// Its status.
        status: StatusCode,
        /// Its headers.
        headers: &'a HeaderList,
    },
    /// Without one.
    Reset {
        /// Why.
        reason: ResetReason,
        /// Whether any byte of the request had gone to the endpoint.
        request_started: bool,
    },
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryVerdict {
    /// Try again after this long, if the retries breaker lets it (flag `UO` if not).
    Retry {
        /// The wait.
        after: Duration,
    },
    /// It stands.
    No,
    /// It would be tried again, but no retry is left (flag `URX`).
    LimitReached,
}

/// Judges an attempt that ended with `outcome` after `retries` retries were made.
///
/// Draws one number when the verdict is to retry.
pub fn judge(
    policy: &RetryPolicy,
    outcome: &AttemptOutcome<'_>,
    retries: u32,
    random: &mut RandomStream,
) -> RetryVerdict {
    let retriable = match outcome {
        AttemptOutcome::Response { status, headers } => response_is_retriable(policy, *status, headers),
        AttemptOutcome::Reset { reason, request_started } => reset_is_retriable(&policy.on, *reason, *request_started),
    };
    match retriable {
        false => RetryVerdict::No,
        true if retries >= policy.retries_max => RetryVerdict::LimitReached,
        true => RetryVerdict::Retry { after: random.duration_below(backoff_window(policy, retries.saturating_add(1))) },
    }
}

/// Retry `n` waits uniformly in `[0, window)`, window = `base × 2^(n-1)`, at most the cap.
///
/// `n` counts from 1.
pub fn backoff_window(policy: &RetryPolicy, n: u32) -> Duration {
    let factor = 2u32.checked_pow(n.saturating_sub(1)).unwrap_or(u32::MAX);
    policy.backoff_base.saturating_mul(factor).min(policy.backoff_max)
}

fn response_is_retriable(policy: &RetryPolicy, status: StatusCode, headers: &HeaderList) -> bool {
    let on = &policy.on;
    let code = status.as_u16();
    // Envoy: a response to a rate-limited request is not retried by these conditions.
    if headers.contains_key(&names::RATELIMITED) {
        return false;
    }
    (on.server_error && (500..600).contains(&code))
        || (on.gateway_error && (502..=504).contains(&code))
        || (on.retriable_4xx && code == 409)
        || (on.retriable_status_codes && policy.retriable_status_codes.contains(&code))
        || grpc_status_is_retriable(on, headers)
}

/// The condition looks at the head of the response only, and at any response that has the header.
fn grpc_status_is_retriable(on: &RetryOn, headers: &HeaderList) -> bool {
    let status = headers.get(&names::GRPC_STATUS).and_then(|value| value.to_str().ok()?.parse::<u32>().ok());
    match status {
        Some(1) => on.grpc_cancelled,
        Some(4) => on.grpc_deadline_exceeded,
        Some(8) => on.grpc_resource_exhausted,
        Some(13) => on.grpc_internal,
        Some(14) => on.grpc_unavailable,
        _ => false,
    }
}

fn reset_is_retriable(on: &RetryOn, reason: ResetReason, request_started: bool) -> bool {
    use ResetReason::{
        ConnectionTimeout, LocalConnectionFailure, Overflow, RemoteConnectionFailure, RemoteRefusedStreamReset,
    };
    if reason == Overflow {
        return false;
    }
    let connect_failure = matches!(reason, RemoteConnectionFailure | LocalConnectionFailure | ConnectionTimeout);
    on.reset
        || on.server_error
        || on.gateway_error
        || (on.reset_before_request && !request_started)
        || (on.connect_failure && connect_failure)
        || (on.refused_stream && reason == RemoteRefusedStreamReset)
}

/// The policy of one request: the configured one with the conditions of `x-envoy-retry-on`,
/// `x-envoy-retry-grpc-on`, `x-envoy-max-retries` and `x-envoy-retriable-status-codes` added. These headers
/// reach this point only from callers that are trusted. `None`: no retries.
pub fn with_headers(configured: Option<&Arc<RetryPolicy>>, headers: &HeaderList) -> Option<Arc<RetryPolicy>> {
    if !headers.iter().any(|(name, _)| names::is_envoys(name) && names::ALL_RETRY.contains(name)) {
        return configured.cloned();
    }
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let mut policy = configured.map_or_else(|| RetryPolicy::new(RetryOn::default(), 1), |policy| (**policy).clone());
    for list in [names::RETRY_ON, names::RETRY_GRPC_ON].iter().filter_map(text) {
        // Envoy passes over names it does not know.
        let _ = policy.on.add(list);
    }
    if let Some(retries) = text(&names::MAX_RETRIES).and_then(|value| value.parse().ok()) {
        policy.retries_max = retries;
    }
    if let Some(codes) = text(&names::RETRIABLE_STATUS_CODES) {
        policy.retriable_status_codes.extend(codes.split(',').filter_map(|code| code.trim().parse::<u16>().ok()));
    }
    (policy.on != RetryOn::default()).then(|| Arc::new(policy))
}

#[cfg(test)]
mod tests;
