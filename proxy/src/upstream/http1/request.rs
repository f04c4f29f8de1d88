//! A request's head as bytes: request line, `host`, the headers in their order, and last what frames the body.

use std::sync::Arc;

use http::header::{CONNECTION, CONTENT_LENGTH, TRAILER, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{HeaderName, Method};
use hyper::body::Body;

use super::encoder::Encoder;
use super::response;
use crate::http::characters::TARGET;
use crate::http::consent::Consent;
use crate::http::headers::HeaderList;
use crate::http::headers::list::text;
use crate::http::headers::upstream::Target;
use crate::http::request_body::RequestBody;

/// A guess at the bytes of a head beyond its target.
const LINE_ROOM: usize = 64;
const HEADER_ROOM: usize = 40;

/// A request that can be sent on any connection.
#[derive(Debug)]
pub(crate) struct Request {
    /// All bytes up to the body.
    pub(super) head: Vec<u8>,
    /// Frames the body.
    pub(super) encoder: Encoder,
    /// The body.
    pub(super) body: RequestBody,
    /// It is HEAD: its response has no body.
    pub(super) is_head: bool,
    /// It is the last one on its connection.
    pub(super) is_last: bool,
    /// Told when the endpoint wants the body.
    pub(super) consent: Option<Arc<Consent>>,
}

impl Request {
    /// The request with these headers, `host` not among them. With `upgrade` it asks for another protocol.
    pub(crate) fn new(
        method: &Method,
        target: &Target,
        headers: &HeaderList,
        body: RequestBody,
        upgrade: bool,
        consent: Option<Arc<Consent>>,
    ) -> Self {
        let room = LINE_ROOM + target.path_and_query.len() + target.authority.len() + headers.len() * HEADER_ROOM;
        let mut head = Vec::with_capacity(room);
        head.extend_from_slice(method.as_str().as_bytes());
        head.push(b' ');
        write_target(&mut head, &target.path_and_query);
        head.extend_from_slice(b" HTTP/1.1\r\nhost: ");
        write_host(&mut head, &target.authority);
        head.extend_from_slice(b"\r\n");
        let framing = Framing::of(method, headers, &body, upgrade);
        for (name, value) in headers.iter() {
            match *name {
                TRANSFER_ENCODING => continue,
                CONTENT_LENGTH if framing.replaces_length() => continue,
                _ => {}
            }
            write_header(&mut head, name.as_str(), value.as_bytes());
        }
        match framing {
            Framing::Silent | Framing::Dropped | Framing::Said(_) => {}
            Framing::Empty => write_header(&mut head, "content-length", b"0"),
            Framing::Length(length) => write_header(&mut head, "content-length", length.to_string().as_bytes()),
            Framing::Chunked => write_header(&mut head, "transfer-encoding", b"chunked"),
        }
        head.extend_from_slice(b"\r\n");
        let encoder = match framing {
            Framing::Silent | Framing::Dropped | Framing::Empty => Encoder::length(0),
            Framing::Said(length) | Framing::Length(length) => Encoder::length(length),
            Framing::Chunked => Encoder::chunked(announced(headers)),
        };
        let is_last = headers.has_token(&CONNECTION, "close");
        Self { head, encoder, body, is_head: *method == Method::HEAD, is_last, consent }
    }
}

/// What a head says of its body.
#[derive(Debug, Clone, Copy)]
enum Framing {
    /// There is none; what the headers say of it, if they do, is that.
    Silent,
    /// There is none, whatever length the headers say.
    Dropped,
    /// There is none, and this has to be said.
    Empty,
    /// The headers say the length already.
    Said(u64),
    /// The length, said last.
    Length(u64),
    /// Chunked, said last.
    Chunked,
}

impl Framing {
    fn of(method: &Method, headers: &HeaderList, body: &RequestBody, upgrade: bool) -> Self {
        let said = headers.contains_key(&CONTENT_LENGTH);
        if body.is_end_stream() {
            // Envoy: a request that may have a body and has none says so.
            let without = [Method::GET, Method::HEAD, Method::DELETE, Method::TRACE, Method::CONNECT];
            return match (said, response::content_length(headers)) {
                (true, Ok(Some(0))) => Self::Silent,
                _ if !upgrade && !without.contains(method) => Self::Empty,
                (true, _) => Self::Dropped,
                (false, _) => Self::Silent,
            };
        }
        match (response::content_length(headers), body.size_hint().exact()) {
            (Ok(Some(length)), _) => Self::Said(length),
            (_, Some(length)) => Self::Length(length),
            (_, None) => Self::Chunked,
        }
    }

    /// Whether a `content-length` among the headers is no good.
    fn replaces_length(self) -> bool {
        matches!(self, Self::Empty | Self::Dropped | Self::Length(_) | Self::Chunked)
    }
}

/// The names in `trailer`: no other trailers are sent.
fn announced(headers: &HeaderList) -> Vec<HeaderName> {
    headers.tokens(&TRAILER).filter_map(|name| HeaderName::try_from(name).ok()).collect()
}

fn write_header(head: &mut Vec<u8>, name: &str, value: &[u8]) {
    head.extend_from_slice(name.as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}

/// A path out of a rewrite may be none; that becomes `/`.
fn write_target(head: &mut Vec<u8>, target: &str) {
    if target.starts_with('/') && target.bytes().all(|byte| TARGET.has(byte)) {
        return head.extend_from_slice(target.as_bytes());
    }
    let path = PathAndQuery::try_from(target).unwrap_or(PathAndQuery::from_static("/"));
    if !path.as_str().starts_with(['/', '*']) {
        head.push(b'/');
    }
    head.extend_from_slice(path.as_str().as_bytes());
}

fn write_host(head: &mut Vec<u8>, authority: &str) {
    if authority.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return head.extend_from_slice(authority.as_bytes());
    }
    head.extend_from_slice(text(authority).as_bytes());
}

#[cfg(test)]
mod tests;
