//! Retry judgement, by the rows of the Envoy tables.

use http::HeaderValue;
use proptest::prelude::*;
use wavetank_platform::Entropy;

use super::*;

fn on(list: &str) -> RetryPolicy {
    let mut on = RetryOn::default();
    on.add(list).unwrap();
    RetryPolicy::new(on, 2)
}

fn verdict(policy: &RetryPolicy, outcome: &AttemptOutcome<'_>, retries: u32) -> RetryVerdict {
    judge(policy, outcome, retries, &mut Entropy::from_seed(1).stream())
}

fn retries_status(list: &str, status: u16, grpc: Option<&'static str>) -> bool {
    let mut policy = on(list);
    policy.retriable_status_codes = vec![503];
    let mut headers = HeaderList::new();
    if let Some(status) = grpc {
        headers.insert(names::GRPC_STATUS, HeaderValue::from_static(status));
    }
    let status = StatusCode::from_u16(status).unwrap();
    matches!(verdict(&policy, &AttemptOutcome::Response { status, headers: &headers }, 0), RetryVerdict::Retry { .. })
}

fn retries_reset(list: &str, reason: ResetReason, request_started: bool) -> bool {
    let outcome = AttemptOutcome::Reset { reason, request_started };
    matches!(verdict(&on(list), &outcome, 0), RetryVerdict::Retry { .. })
}

const ISTIO: &str = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes";

#[test]
fn statuses_are_retried_as_envoy_does() {
    for (list, status, grpc, wanted) in [
        ("5xx", 500, None, true),
        ("5xx", 404, None, false),
        ("gateway-error", 502, None, true),
        ("gateway-error", 500, None, false),
        ("retriable-4xx", 409, None, true),
        ("retriable-4xx", 404, None, false),
        (ISTIO, 503, None, true),
        (ISTIO, 500, None, false),
        (ISTIO, 200, Some("14"), true),
        (ISTIO, 200, Some("1"), true),
        (ISTIO, 200, Some("13"), false),
        ("internal,deadline-exceeded,resource-exhausted", 200, Some("4"), true),
        ("internal,deadline-exceeded,resource-exhausted", 200, Some("8"), true),
        ("internal,deadline-exceeded,resource-exhausted", 200, Some("13"), true),
        ("internal,deadline-exceeded,resource-exhausted", 200, Some("0"), false),
        ("", 503, None, false),
    ] {
        assert_eq!(retries_status(list, status, grpc), wanted, "{list} {status} {grpc:?}");
    }
}

#[test]
fn resets_are_retried_as_envoy_does() {
    use ResetReason::*;
    for (list, reason, request_started, wanted) in [
        (ISTIO, RemoteConnectionFailure, false, true),
        (ISTIO, ConnectionTimeout, false, true),
        (ISTIO, RemoteRefusedStreamReset, true, true),
        // Istio's default does not retry an upstream that closed after the request, nor a per-try timeout.
        (ISTIO, ConnectionTermination, true, false),
        (ISTIO, PerTryTimeout, true, false),
        ("5xx", ConnectionTermination, true, true),
        ("5xx", PerTryTimeout, true, true),
        ("gateway-error", PerTryTimeout, true, true),
        ("reset", PerTryTimeout, true, true),
        ("reset", ConnectionTermination, true, true),
        ("reset-before-request", ConnectionTermination, true, false),
        ("reset-before-request", RemoteConnectionFailure, false, true),
        ("connect-failure", RemoteReset, true, false),
        ("retriable-4xx", ProtocolError, true, false),
        // An overflow is never retried.
        ("5xx,reset,gateway-error", Overflow, false, false),
    ] {
        assert_eq!(retries_reset(list, reason, request_started), wanted, "{list} {reason:?}");
    }
}

#[test]
fn what_would_be_retried_beyond_the_limit_is_told_apart_from_what_would_not() {
    let headers = HeaderList::new();
    let response = |status| AttemptOutcome::Response { status, headers: &headers };
    let policy = on("5xx");
    assert!(matches!(verdict(&policy, &response(StatusCode::BAD_GATEWAY), 1), RetryVerdict::Retry { .. }));
    assert_eq!(verdict(&policy, &response(StatusCode::BAD_GATEWAY), 2), RetryVerdict::LimitReached);
    assert_eq!(verdict(&policy, &response(StatusCode::OK), 2), RetryVerdict::No);
}

#[test]
fn windows_double_from_the_base_to_the_cap() {
    let windows: Vec<_> = (1..=6).map(|n| backoff_window(&on("5xx"), n).as_millis()).collect();
    assert_eq!(windows, [25, 50, 100, 200, 250, 250]);
}

#[test]
fn trusted_headers_add_to_the_policy() {
    let mut headers = HeaderList::new();
    assert_eq!(with_headers(None, &headers), None);
    headers.insert(names::RETRY_ON, HeaderValue::from_static("5xx, nonsense"));
    headers.insert(names::MAX_RETRIES, HeaderValue::from_static("7"));
    headers.insert(names::RETRIABLE_STATUS_CODES, HeaderValue::from_static("429,x, 418"));
    let policy = with_headers(Some(&Arc::new(on("reset"))), &headers).unwrap();
    assert!(policy.on.server_error && policy.on.reset);
    assert_eq!((policy.retries_max, policy.retriable_status_codes.as_slice()), (7, [429, 418].as_slice()));
}

proptest! {
    #[test]
    fn every_wait_lies_in_its_window(seed: u64, base in 1u64..1000, factor in 1u64..50, retries in 0u32..70) {
        let mut policy = on("5xx");
        policy.retries_max = u32::MAX;
        policy.backoff_base = Duration::from_millis(base);
        policy.backoff_max = Duration::from_millis(base * factor);
        let outcome = AttemptOutcome::Reset { reason: ResetReason::RemoteReset, request_started: true };
        let RetryVerdict::Retry { after } = judge(&policy, &outcome, retries, &mut Entropy::from_seed(seed).stream())
        else { panic!("5xx retries a reset") };
        prop_assert!(after < backoff_window(&policy, retries + 1));
        prop_assert!(backoff_window(&policy, retries + 1) <= policy.backoff_max);
    }
}
