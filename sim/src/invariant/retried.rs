//! Nothing is retried that must not be: more tries than the route allows, a try after a status or a failure
//! that the route's policy does not name, a try after a breaker refused.
//!
//! Policies can also come with headers of trusted callers, which records do not have. A route without a
//! policy is judged all the same: nothing in a scenario's world sends such headers by itself.

use wavetank_proxy::record::{Attempt, Record};
use wavetank_proxy::snapshot::route::{Action, RetryPolicy};

use super::Found;
use crate::explain::Book;
use crate::explain::candidates::{virtual_host, winner};
use crate::observe::ObservationLog;

pub(super) fn broken(_log: &ObservationLog, book: &Book) -> Found {
    book.records
        .iter()
        .filter(|record| record.attempts.len() > 1 && !record.method.is_empty())
        .filter_map(|record| how(record, book))
        .collect()
}

fn how(record: &Record, book: &Book) -> Option<String> {
    let snapshot = book.snapshot_of(record)?;
    let Action::Forward(forward) = &winner(snapshot, record)?.action else { return None };
    let policy = forward.retry_policy.as_ref().or(virtual_host(snapshot, record)?.retry_policy.as_ref());
    let what = format!("{} {}{} at {}", record.method, record.authority, record.path, record.node);
    let Some(policy) = policy else {
        return Some(format!("{what} was tried {} times, and its route allows no retry", record.attempts.len()));
    };
    let retries = record.attempts.len() as u64 - 1;
    if retries > u64::from(policy.retries_max) {
        return Some(format!("{what} was retried {retries} times of {} allowed", policy.retries_max));
    }
    let before_last = &record.attempts[..record.attempts.len() - 1];
    let wrong = before_last.iter().find(|attempt| !allows(policy, record, attempt))?;
    let after =
        wrong.status.map_or_else(|| wrong.failure.as_deref().unwrap_or("nothing").to_owned(), |own| own.to_string());
    Some(format!("{what} was retried after {after}, which its route does not name"))
}

/// Whether `policy` can allow a try after this one. What records do not have is taken as allowing it.
fn allows(policy: &RetryPolicy, record: &Record, attempt: &Attempt) -> bool {
    let on = &policy.on;
    let grpc = on.grpc_cancelled
        || on.grpc_deadline_exceeded
        || on.grpc_internal
        || on.grpc_resource_exhausted
        || on.grpc_unavailable;
    match (attempt.status, attempt.failure.as_deref()) {
        (Some(status), _) => {
            (on.server_error && (500..600).contains(&status))
                || (on.gateway_error && (502..=504).contains(&status))
                || (on.retriable_4xx && status == 409)
                || (on.retriable_status_codes && policy.retriable_status_codes.contains(&status))
                // A call of gRPC is a POST that is answered 200.
                || (grpc && status == 200 && *record.method == *"POST")
        }
        (None, Some("overflow")) => false,
        (None, _) => {
            on.server_error
                || on.gateway_error
                || on.reset
                || on.reset_before_request
                || on.connect_failure
                || on.refused_stream
        }
    }
}
