//! A response's headers on their way to the client. Envoy: router filter, `mutateResponseHeaders`.
//!
//! Order of what is added: `x-envoy-upstream-service-time`, `x-envoy-attempt-count`, the configured
//! changes, `date`, `server`, `x-request-id`, `connection: close`.

use std::time::Duration;

use http::HeaderValue;
use http::header::{CONNECTION, DATE, SERVER, TRANSFER_ENCODING, UPGRADE};
use wavetank_platform::UnixTime;

use super::date::Dates;
use super::list::{HeaderList, text};
use super::mutate;
use crate::http::names;
use crate::record::Protocol;
use crate::snapshot::listener::{HttpManager, ServerHeader};
use crate::snapshot::route::HeaderMutations;

/// What the last word on a response needs.
#[derive(Debug, Clone, Copy)]
pub struct ResponseFacts<'a> {
    /// Its connection manager.
    pub manager: &'a HttpManager,
    /// Of the downstream connection; HTTP/2 has no `connection` header.
    pub protocol: Protocol,
    /// Now, for `date`.
    pub now: UnixTime,
    /// Writes `date`.
    pub dates: &'a Dates,
    /// The request's id, as sent upstream.
    pub request_id: Option<&'a HeaderValue>,
    /// The connection closes after this response.
    pub close: bool,
    /// It is a 101 to an upgrade that was let through: `connection` and `upgrade` stay.
    pub keep_upgrade: bool,
}

/// What the router does to an upstream's response: the time from the end of the request to this head, the
/// number of attempts where the virtual host wants it, and the configured changes. Hop-by-hop headers are
/// left to [`finish_response`].
pub fn prepare_response(
    headers: &mut HeaderList,
    manager: &HttpManager,
    service_time: Duration,
    attempts: Option<u32>,
    levels: &[&HeaderMutations],
) {
    if !manager.suppress_envoy_headers {
        let ms = u64::try_from(service_time.as_millis()).unwrap_or(u64::MAX);
        headers.insert(names::UPSTREAM_SERVICE_TIME, HeaderValue::from(ms));
    }
    if let Some(attempts) = attempts {
        headers.insert(names::ATTEMPT_COUNT, HeaderValue::from(attempts));
    }
    mutate::response(headers, levels);
}

/// What the connection manager does to every response, local ones too: `date` where there is none, `server`
/// as configured, no hop-by-hop headers, and `connection: close` last on an HTTP/1 connection that closes.
/// What is replaced keeps its place.
pub fn finish_response(headers: &mut HeaderList, facts: &ResponseFacts<'_>) {
    let manager = facts.manager;
    headers.retain(|name| match name {
        _ if *name == CONNECTION || *name == UPGRADE => facts.keep_upgrade,
        _ => *name != TRANSFER_ENCODING && *name != names::KEEP_ALIVE && *name != names::PROXY_CONNECTION,
    });
    if !headers.contains_key(&DATE) {
        headers.insert(DATE, facts.dates.at(facts.now));
    }
    let write_server = match manager.server_header {
        ServerHeader::Overwrite => true,
        ServerHeader::AppendIfAbsent => !headers.contains_key(&SERVER),
        ServerHeader::PassThrough => false,
    };
    if write_server {
        headers.insert(SERVER, text(&manager.server_name));
    }
    if let Some(id) = facts.request_id.filter(|_| manager.always_set_request_id_in_response) {
        headers.insert(names::X_REQUEST_ID, id.clone());
    }
    if facts.close && facts.protocol != Protocol::Http2 {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

#[cfg(test)]
mod tests;
