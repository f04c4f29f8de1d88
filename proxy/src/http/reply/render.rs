//! A local reply as response. Envoy: `Utility::sendLocalReply`.
//!
//! Header order: the reply's own, configured changes, `x-envoy-attempt-count`, `content-length` and `content-type` of a body, then
//! what every response gets; `content-length: 0` of an empty HTTP/1 body comes last, after
//! `connection: close`.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};

use super::failure::LocalReply;
use crate::http::headers::list::text;
use crate::http::headers::{HeaderList, ResponseFacts, finish_response, mutate};
use crate::http::names;
use crate::record::Protocol;
use crate::snapshot::route::HeaderMutations;

/// What the form of a local reply depends on.
#[derive(Debug, Clone, Copy)]
pub struct ReplyFacts<'a> {
    /// What every response depends on. An HTTP/1 connection also closes when the reply says so, or when
    /// the request was not received whole.
    pub response: ResponseFacts<'a>,
    /// The request was HEAD: it gets the headers only.
    pub head: bool,
    /// The request was gRPC, by [`is_grpc`].
    pub grpc: bool,
    /// The whole request has been received.
    pub request_complete: bool,
    /// `x-envoy-attempt-count`, where the virtual host wants it and an attempt was made.
    pub attempts: Option<u32>,
    /// Header changes: those of a direct response or redirect, or of a failure that is the router's
    /// ([`Failure::is_the_routers`](super::Failure::is_the_routers)); other local replies have none.
    pub levels: &'a [&'a HeaderMutations],
}

impl LocalReply {
    /// The response. Its extensions are empty; whether the connection must close is in its headers (HTTP/1).
    pub fn render(self, facts: &ReplyFacts<'_>) -> Response<Bytes> {
        let mut headers = HeaderList::with_capacity(8);
        let suppressed = facts.response.manager.suppress_envoy_headers;
        for (name, value) in self.headers.into_iter().filter(|(name, _)| !(suppressed && *name == names::OVERLOADED)) {
            headers.append(name, value);
        }
        mutate::response(&mut headers, facts.levels);
        if let Some(attempts) = facts.attempts {
            headers.insert(names::ATTEMPT_COUNT, HeaderValue::from(attempts));
        }
        let grpc = facts.grpc;
        let mut body = if grpc { Bytes::new() } else { self.body.clone() };
        if grpc {
            add_grpc(&mut headers, self.status, &self.body, facts.head);
        } else if !body.is_empty() {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
            if !headers.contains_key(&CONTENT_TYPE) {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            }
        }
        let close = facts.response.close || self.close || !facts.request_complete;
        finish_response(&mut headers, &ResponseFacts { close, ..facts.response });
        if body.is_empty() && facts.response.protocol != Protocol::Http2 {
            headers.remove(&CONTENT_LENGTH);
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        if facts.head {
            body = Bytes::new();
        }
        let mut response = Response::new(body);
        *response.status_mut() = if grpc { StatusCode::OK } else { self.status };
        *response.headers_mut() = headers.into();
        response
    }
}

/// Whether a request is gRPC: `application/grpc`, or that with `+` and a format.
pub fn is_grpc(headers: &HeaderList) -> bool {
    let kind = headers.get(&CONTENT_TYPE).and_then(|value| value.as_bytes().strip_prefix(b"application/grpc"));
    kind.is_some_and(|rest| matches!(rest.first(), None | Some(b'+')))
}

/// The message is the body, percent-encoded as gRPC over HTTP/2 has it.
fn add_grpc(headers: &mut HeaderList, status: StatusCode, body: &[u8], head: bool) {
    headers.remove(&CONTENT_LENGTH);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(names::GRPC_STATUS, HeaderValue::from(grpc_status(status)));
    if !body.is_empty() && !head {
        headers.insert(names::GRPC_MESSAGE, text(&percent_encoded(body)));
    }
}

/// The gRPC status of an HTTP status (grpc, `http-grpc-status-mapping.md`).
fn grpc_status(status: StatusCode) -> u16 {
    match status.as_u16() {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => 14,
        _ => 2,
    }
}

fn percent_encoded(message: &[u8]) -> String {
    let mut encoded = String::with_capacity(message.len());
    for byte in message {
        match char::from(*byte) {
            '%' => encoded.push_str("%25"),
            plain @ ' '..='~' => encoded.push(plain),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
