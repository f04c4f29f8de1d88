//! What is wrong with a `retries` block. Istio: `ValidateHTTPRetry`.

use crate::config::retries::Retries;
use crate::diagnostic::Diagnostic;
use crate::dialect::Dialect;

use super::codes;

/// Conditions of `retryOn`: those of Envoy's `x-envoy-retry-on` and `x-envoy-retry-grpc-on`.
const CONDITIONS: [&str; 16] = [
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "retriable-4xx",
    "refused-stream",
    "retriable-status-codes",
    "retriable-headers",
    "envoy-ratelimited",
    "http3-post-connect-failure",
    "cancelled",
    "deadline-exceeded",
    "internal",
    "resource-exhausted",
    "unavailable",
];

pub(super) fn check(retries: &Retries, dialect: Dialect, found: &mut Vec<Diagnostic>) {
    let mut error = |message: String| found.push(Diagnostic::error(codes::RETRIES, &retries.span, message));
    if retries.attempts == 0 {
        if !dialect.allows_zero_attempts() {
            error("`attempts` of `retries` is at least 1 in Istio 1.0".to_owned());
        } else if retries.per_try_timeout.is_some() || retries.retry_on.is_some() {
            error("`attempts` is 0, so `perTryTimeout` and `retryOn` say nothing".to_owned());
        }
    }
    for condition in retries.retry_on.iter().flat_map(|conditions| conditions.split(',')) {
        if !CONDITIONS.contains(&condition) && !is_known_status(condition) {
            error(format!("`{condition}` is no condition of `retryOn`"));
        }
    }
}

/// Whether the text is a status code that has a name.
fn is_known_status(text: &str) -> bool {
    let status = text.parse::<u16>().ok().and_then(|code| http::StatusCode::from_u16(code).ok());
    status.is_some_and(|status| status.canonical_reason().is_some())
}
