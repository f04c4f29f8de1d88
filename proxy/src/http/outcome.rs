//! What an attempt tells outlier detection. Envoy: the router's calls of `outlierDetector().putResult`.

use super::attempt::Ended;
use super::headers::HeaderList;
use super::names;
use super::watchdog::Expired;
use crate::cluster::outlier::Outcome;
use crate::record::Attempt;
use crate::route::ResetReason;
use crate::upstream::lease::ResponseHead;

/// The outcome of an attempt that `ended`; `None`: it says nothing of its endpoint, for a breaker refused,
/// the time ran out before there was a connection, or it was the caller who stood still.
pub(super) fn of(ended: &Ended, noted: &Attempt, grpc: bool) -> Option<Outcome> {
    match ended {
        Ended::Response(success) => Some(Outcome::Response(status(&success.response, grpc))),
        Ended::Reset(reset) => match reset.reason {
            ResetReason::Overflow => None,
            ResetReason::PerTryTimeout => Some(Outcome::TimedOut),
            _ => Some(Outcome::Failed),
        },
        Ended::Expired(Expired::Route | Expired::Try) if noted.upstream.is_some() => Some(Outcome::TimedOut),
        Ended::Expired(_) | Ended::NoEndpoint => None,
    }
}

fn status(response: &ResponseHead, grpc: bool) -> u16 {
    let of_grpc = if grpc { grpc_as_http(&response.headers) } else { None };
    of_grpc.unwrap_or(response.status.as_u16())
}

/// The HTTP status that a `grpc-status` in the head stands for.
fn grpc_as_http(headers: &HeaderList) -> Option<u16> {
    let status: u32 = headers.get(&names::GRPC_STATUS)?.to_str().ok()?.parse().ok()?;
    Some(match status {
        0 => 200,
        1 => 499,
        3 | 9 | 11 => 400,
        4 => 504,
        5 => 404,
        6 | 10 => 409,
        7 => 403,
        8 => 429,
        12 => 501,
        14 => 503,
        16 => 401,
        _ => 500,
    })
}
