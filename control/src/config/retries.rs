//! How often and when a request is tried again. Istio: `HTTPRetry`.

use std::time::Duration;

use crate::diagnostic::{Span, Spanned};

use super::decode::{Decoder, Fields};
use super::table::{Row, Table};
use super::values;
use super::yaml::Node;

/// A `retries` block as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Tries after the first; 0 turns retrying off.
    pub attempts: u32,
    /// Time one try may take; `None`: the route's timeout.
    pub per_try_timeout: Option<Spanned<Duration>>,
    /// Conditions, comma-separated, as Envoy names them; `None`: the dialect's.
    pub retry_on: Option<Spanned<String>>,
    /// Whether a try may not go to an endpoint that was already tried; `None`: the dialect's.
    pub ignore_previous_hosts: Option<bool>,
    /// Base of the back-off between tries; `None`: Envoy's 25 ms.
    pub backoff: Option<Spanned<Duration>>,
    /// Where the block is written.
    pub span: Span,
}

/// Fields of `retries`.
pub static RETRIES: Table = Table {
    name: "HTTPRetry",
    rows: &[
        Row::read("attempts", "`num_retries`; 0 turns retrying off, in 1.0 it must be more"),
        Row::read("perTryTimeout", "`per_try_timeout`"),
        Row::read("retryOn", "`retry_on`; numbers become `retriable_status_codes`").v1(),
        Row::read("retryIgnorePreviousHosts", "`retry_host_predicate`").v1(),
        Row::read("backoff", "`retry_back_off.base_interval`").v1(),
        Row::not_yet("retryRemoteLocalities").v1(),
    ],
};

pub(crate) fn decode(node: &Node, decoder: &mut Decoder) -> Option<Retries> {
    let fields = Fields::open(node, &RETRIES, decoder)?;
    Some(Retries {
        attempts: fields.optional("attempts", decoder, values::count).unwrap_or(0),
        per_try_timeout: fields.optional("perTryTimeout", decoder, values::spanned_duration),
        retry_on: fields.optional("retryOn", decoder, values::spanned_string).filter(|text| !text.value.is_empty()),
        ignore_previous_hosts: fields.optional("retryIgnorePreviousHosts", decoder, values::boolean),
        backoff: fields.optional("backoff", decoder, values::spanned_duration),
        span: node.span.clone(),
    })
}
