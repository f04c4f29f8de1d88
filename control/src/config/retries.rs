//! How often and when a request is tried again. Istio: `HTTPRetry`.

use std::time::Duration;

use crate::diagnostic::Span;

/// A `retries` block as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Tries after the first; 0 turns retrying off.
    pub attempts: u32,
    /// Time one try may take; `None`: the route's timeout.
    pub per_try_timeout: Option<Duration>,
    /// Conditions, comma-separated, as Envoy names them; `None`: the dialect's.
    pub retry_on: Option<String>,
    /// Whether a try may not go to an endpoint that was already tried; `None`: the dialect's.
    pub ignore_previous_hosts: Option<bool>,
    /// Base of the back-off between tries; `None`: Envoy's 25 ms.
    pub backoff: Option<Duration>,
    /// Where the block is written.
    pub span: Span,
}
