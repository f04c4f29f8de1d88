//! `RetryPolicy`.

use std::time::Duration;

use envoy_types::pb::envoy::config::route::v3::RetryPolicy as ProtoRetryPolicy;
use envoy_types::pb::envoy::config::route::v3::retry_policy::RetryBackOff;

use super::fault::{Fault, Within, each, fields};
use super::value::{duration, number, optional_duration, required};
use crate::snapshot::retry::{RetryOn, RetryPolicy, UnknownCondition};

const PREVIOUS_HOSTS: &str = "envoy.retry_host_predicates.previous_hosts";

/// A retry policy; `None` when it retries on nothing.
pub fn policy(message: &ProtoRetryPolicy) -> Result<RetryPolicy, Fault> {
    fields!(message => ProtoRetryPolicy {
        used: [retry_on, num_retries, per_try_timeout, retry_host_predicate, host_selection_retry_max_attempts,
               retriable_status_codes, retry_back_off],
        harmless: [],
        refused: [per_try_idle_timeout, retry_priority, retry_options_predicates, rate_limited_retry_back_off,
                  retriable_headers, retriable_request_headers, refresh_cluster_on_retry],
        refused_on: [],
    });
    let mut policy = RetryPolicy::new(conditions(&message.retry_on)?, number(message.num_retries.as_ref(), 1));
    policy.per_try_timeout = optional_duration("per_try_timeout", message.per_try_timeout.as_ref())?;
    policy.retriable_status_codes =
        each("retriable_status_codes", &message.retriable_status_codes, |code| match u16::try_from(*code) {
            Ok(code @ 100..=599) => Ok(code),
            _ => Err(Fault::new("", "100 to 599", code)),
        })?;
    for (index, predicate) in message.retry_host_predicate.iter().enumerate() {
        if predicate.name != PREVIOUS_HOSTS {
            return Err(Fault::new("name", PREVIOUS_HOSTS, &predicate.name)).within_item("retry_host_predicate", index);
        }
        policy.avoid_previous_hosts = true;
    }
    if policy.avoid_previous_hosts {
        policy.host_selection_attempts_max = selection_attempts(message.host_selection_retry_max_attempts)?;
    }
    if let Some(back_off) = &message.retry_back_off {
        (policy.backoff_base, policy.backoff_max) = intervals(back_off).within("retry_back_off")?;
    }
    Ok(policy)
}

/// Conditions on HTTP/3 never hold here.
fn conditions(list: &str) -> Result<RetryOn, Fault> {
    let mut on = RetryOn::default();
    for name in list.split(',').map(str::trim).filter(|name| *name != "http3-post-connect-failure") {
        on.add(name)
            .map_err(|UnknownCondition(name)| Fault::new("retry_on", "known conditions", format_args!("`{name}`")))?;
    }
    Ok(on)
}

/// The first pick and the re-picks; Envoy re-picks once unless told otherwise.
fn selection_attempts(retries: i64) -> Result<u32, Fault> {
    let field = "host_selection_retry_max_attempts";
    match u32::try_from(retries) {
        Ok(0) => Ok(2),
        Ok(retries) if retries <= 1000 => Ok(retries + 1),
        _ => Err(Fault::new(field, "0 to 1000", retries)),
    }
}

/// At least 1 ms each; the cap is ten times the base unless it is given.
fn intervals(back_off: &RetryBackOff) -> Result<(Duration, Duration), Fault> {
    let base = duration(required("base_interval", back_off.base_interval.as_ref())?).within("base_interval")?;
    if base.is_zero() {
        return Err(Fault::new("base_interval", "more than 0", "0"));
    }
    let base = base.max(Duration::from_millis(1));
    let max = optional_duration("max_interval", back_off.max_interval.as_ref())?;
    match max {
        Some(max) if max < base => Err(Fault::new("max_interval", "at least base_interval", format_args!("{max:?}"))),
        max => Ok((base, max.unwrap_or(base.saturating_mul(10)))),
    }
}
