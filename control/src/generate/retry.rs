//! When a request is tried again. Istio: `HTTPRetry`, `retry.go`.

use envoy_types::pb::envoy::config::route::v3::{RetryPolicy, retry_policy};
use envoy_types::pb::envoy::extensions::retry::host::previous_hosts::v3::PreviousHostsPredicate;

use super::shape;
use crate::dialect::Dialect;
use crate::model::{Protocol, Retries};

/// Draws that may hit a host tried before.
const HOST_SELECTION_ATTEMPTS: i64 = 5;
const RETRIABLE_STATUS_CODES: &str = "retriable-status-codes";

/// The policy of an outbound or gateway route; `None`: a request is tried once.
pub fn outbound(dialect: Dialect, block: Option<&Retries>) -> Option<RetryPolicy> {
    let Some(block) = block else {
        let default = dialect.default_retries()?;
        return Some(policy(default.attempts, default.retry_on, dialect.retries_avoid_previous_hosts()));
    };
    if block.attempts == 0 {
        return None;
    }
    let avoid = block.ignore_previous_hosts.unwrap_or(true) && dialect.retries_avoid_previous_hosts();
    let mut policy =
        policy(block.attempts, dialect.retry_on(block.retry_on.as_ref().map(|asked| asked.value.as_str())), avoid);
    policy.per_try_timeout = block.per_try_timeout.as_ref().and_then(|bound| shape::duration(bound.value));
    policy.retry_back_off = block
        .backoff
        .as_ref()
        .map(|base| retry_policy::RetryBackOff { base_interval: shape::duration(base.value), ..Default::default() });
    Some(policy)
}

/// The policy of an inbound route to a port; `None`: a request is tried once. Streams of gRPC are not.
pub fn inbound(dialect: Dialect, protocol: Protocol) -> Option<RetryPolicy> {
    if protocol.is_grpc() {
        return None;
    }
    dialect.inbound_retries().map(|default| policy(default.attempts, default.retry_on, false))
}

/// `retry_on` may name status codes among its conditions; Envoy wants them apart.
fn policy(attempts: u32, retry_on: &str, avoid_previous_hosts: bool) -> RetryPolicy {
    let mut codes = Vec::new();
    let mut conditions = Vec::new();
    for part in retry_on.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match part.parse::<u32>() {
            Ok(code) => codes.push(code),
            Err(_) => conditions.push(part),
        }
    }
    if !codes.is_empty() && !conditions.contains(&RETRIABLE_STATUS_CODES) {
        conditions.push(RETRIABLE_STATUS_CODES);
    }
    let predicate = retry_policy::RetryHostPredicate {
        name: "envoy.retry_host_predicates.previous_hosts".to_owned(),
        config_type: Some(retry_policy::retry_host_predicate::ConfigType::TypedConfig(shape::any(
            &PreviousHostsPredicate {},
        ))),
    };
    RetryPolicy {
        retry_on: conditions.join(","),
        num_retries: shape::number(attempts),
        retry_host_predicate: if avoid_previous_hosts { vec![predicate] } else { Vec::new() },
        host_selection_retry_max_attempts: if avoid_previous_hosts { HOST_SELECTION_ATTEMPTS } else { 0 },
        retriable_status_codes: codes,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Span, Spanned};

    fn block(attempts: u32, retry_on: &str) -> Retries {
        Retries {
            attempts,
            per_try_timeout: None,
            retry_on: Some(Spanned::new(retry_on.to_owned(), Span::at("x", 1, 1))),
            ignore_previous_hosts: None,
            backoff: None,
            span: Span::at("x", 1, 1),
        }
    }

    #[test]
    fn status_codes_stand_apart_from_conditions() {
        let policy = outbound(Dialect::V1, Some(&block(3, "connect-failure,503, 504"))).expect("retries");
        assert_eq!(policy.retry_on, "connect-failure,retriable-status-codes");
        assert_eq!(policy.retriable_status_codes, [503, 504]);
        assert_eq!(policy.num_retries.map(|n| n.value), Some(3));
    }

    #[test]
    fn without_a_block_the_dialect_decides() {
        assert_eq!(outbound(Dialect::V1_0, None), None);
        let policy = outbound(Dialect::V1, None).expect("retries");
        assert_eq!((policy.num_retries.map(|n| n.value), policy.host_selection_retry_max_attempts), (Some(2), 5));
        assert!(policy.retriable_status_codes.is_empty());
    }

    #[test]
    fn zero_attempts_turn_retrying_off() {
        assert_eq!(outbound(Dialect::V1, Some(&block(0, "5xx"))), None);
    }
}
