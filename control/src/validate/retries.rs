//! Timeouts and retries of a route. Istio: `ValidateHTTPRetry`, `ValidateDuration`.

use std::time::Duration;

use crate::config::retries::Retries;
use crate::config::suggest;
use crate::config::virtual_service::HttpRouteSpec;
use crate::diagnostic::Diagnostic;
use crate::dialect::Dialect;

use super::codes;
use super::known::meant;

/// Conditions of `retryOn`, beside status codes. Envoy: `x-envoy-retry-on`, `x-envoy-retry-grpc-on`.
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

pub(super) fn check(route: &HttpRouteSpec, dialect: Dialect, found: &mut Vec<Diagnostic>) {
    if route.timeout == Some(Duration::ZERO) {
        let finding = Diagnostic::error(codes::RETRIES, &route.span, "`timeout` of this route is 0, and at least 1ms");
        found.push(finding.with_help("leave it out for no timeout"));
    }
    let Some(retries) = &route.retries else { return };
    let mut error = |message: String| found.push(Diagnostic::error(codes::RETRIES, &retries.span, message));
    for (name, duration) in [("perTryTimeout", retries.per_try_timeout), ("backoff", retries.backoff)] {
        if duration == Some(Duration::ZERO) {
            error(format!("`{name}` of `retries` is 0, and at least 1ms"));
        }
    }
    if retries.attempts == 0 {
        let others = retries.per_try_timeout.is_some() || retries.retry_on.is_some();
        if !dialect.allows_zero_attempts() {
            error("`attempts` of `retries` is at least 1 in Istio 1.0".to_owned());
        } else if others {
            error("`retries` with settings, and no `attempts`, which is 0: off".to_owned());
        }
    }
    conditions(retries, dialect, found);
    useless(route, retries, found);
}

fn conditions(retries: &Retries, dialect: Dialect, found: &mut Vec<Diagnostic>) {
    let Some(written) = retries.retry_on.as_ref().filter(|_| dialect == Dialect::V1) else { return };
    for condition in written.split(',') {
        let status = condition.parse().is_ok_and(|code: u16| {
            http::StatusCode::from_u16(code).is_ok_and(|code| code.canonical_reason().is_some())
        });
        if status || CONDITIONS.contains(&condition) {
            continue;
        }
        let message = format!("`{condition}` in `retryOn` is no condition and no status code");
        let finding = Diagnostic::error(codes::RETRIES, &retries.span, message);
        found.push(if CONDITIONS.contains(&condition.trim()) {
            finding.with_help("write the conditions without spaces between them")
        } else {
            meant(finding, suggest::nearest(condition, CONDITIONS))
        });
    }
}

/// A try that may take longer than the whole request.
fn useless(route: &HttpRouteSpec, retries: &Retries, found: &mut Vec<Diagnostic>) {
    let (Some(all), Some(one)) = (route.timeout, retries.per_try_timeout) else { return };
    if !all.is_zero() && one > all {
        let message = format!("a try may take {one:?} and the whole request {all:?}: `perTryTimeout` has no effect");
        found.push(Diagnostic::warning(codes::USELESS_TIMEOUT, &retries.span, message));
    }
}
