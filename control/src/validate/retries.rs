//! Timeouts and retries of a route. Istio: `ValidateHTTPRetry`, `ValidateDuration`.

use std::time::Duration;

use crate::config::retries::Retries;
use crate::config::suggest;
use crate::config::virtual_service::HttpRouteSpec;
use crate::diagnostic::{Diagnostic, Span, Spanned};
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
    let is_zero = |duration: &&Spanned<Duration>| duration.value.is_zero();
    if let Some(timeout) = route.timeout.as_ref().filter(is_zero) {
        let message = "`timeout` of this route is 0, and at least 1ms";
        let finding = Diagnostic::error(codes::RETRIES, &timeout.span, message);
        found.push(finding.with_help("leave it out for no timeout"));
    }
    let Some(retries) = &route.retries else { return };
    for (name, duration) in [("perTryTimeout", &retries.per_try_timeout), ("backoff", &retries.backoff)] {
        if let Some(zero) = duration.as_ref().filter(is_zero) {
            let message = format!("`{name}` of `retries` is 0, and at least 1ms");
            found.push(Diagnostic::error(codes::RETRIES, &zero.span, message));
        }
    }
    let mut error = |message: String| found.push(Diagnostic::error(codes::RETRIES, &retries.span, message));
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
    let mut at = 0;
    for condition in written.value.split(',') {
        let span = part(&written.span, &written.value, at, condition);
        at += condition.len() + 1;
        let status = condition.parse().is_ok_and(|code: u16| {
            http::StatusCode::from_u16(code).is_ok_and(|code| code.canonical_reason().is_some())
        });
        if status || CONDITIONS.contains(&condition) {
            continue;
        }
        let message = format!("`{condition}` in `retryOn` is no condition and no status code");
        let finding = Diagnostic::error(codes::RETRIES, &span, message);
        found.push(if CONDITIONS.contains(&condition.trim()) {
            finding.with_help("write the conditions without spaces between them")
        } else {
            meant(finding, suggest::nearest(condition, CONDITIONS))
        });
    }
}

/// Where a part of a text is written that begins at `at`; the whole text where it is not written as it reads.
fn part(whole: &Span, text: &str, at: usize, part: &str) -> Span {
    let letters = |text: &str| u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
    let width = whole.end_column.saturating_sub(whole.column);
    let quotes = width.saturating_sub(letters(text));
    if whole.line != whole.end_line || part.is_empty() || !matches!(quotes, 0 | 2) {
        return whole.clone();
    }
    let column = whole.column + quotes / 2 + letters(&text[..at]);
    Span { column, end_column: column + letters(part), ..whole.clone() }
}

/// A try that may take longer than the whole request.
fn useless(route: &HttpRouteSpec, retries: &Retries, found: &mut Vec<Diagnostic>) {
    let (Some(all), Some(bound)) = (&route.timeout, &retries.per_try_timeout) else { return };
    let (all, one) = (all.value, bound.value);
    if !all.is_zero() && one > all {
        let message = format!("a try may take {one:?} and the whole request {all:?}: `perTryTimeout` has no effect");
        found.push(Diagnostic::warning(codes::USELESS_TIMEOUT, &bound.span, message));
    }
}
