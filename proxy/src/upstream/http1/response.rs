//! A response's head out of bytes (RFC 9112, sections 4 to 6), and what of it frames the body.
//!
//! Refused, as by Envoy: a body framed in two ways, lengths that differ, folded lines.

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, StatusCode};

use super::decoder::Decoder;
use crate::http::headers::HeaderList;
use crate::upstream::lease::ResponseHead;

/// Headers of a response, at most; Envoy's default.
pub(super) const HEADERS_MAX: usize = 100;
/// Bytes of a head, at most.
pub(super) const HEAD_MAX: usize = 408 * 1024;
/// Headers that a proxy adds to most responses.
const ROOM_TO_ADD: usize = 6;

/// What came is no HTTP/1 response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// A head, and what follows from it.
#[derive(Debug)]
pub(super) struct Parsed {
    /// Status and headers.
    pub(super) head: ResponseHead,
    /// Reads its body.
    pub(super) decoder: Decoder,
    /// Whether the connection takes another request after it.
    pub(super) keep_alive: bool,
}

/// Takes a head off `input`; `None`: it has not come whole. `to_head`: it answers HEAD.
pub(super) fn parse(input: &mut BytesMut, to_head: bool) -> Result<Option<Parsed>, Malformed> {
    let mut room = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let (length, status, minor, ranges) = {
        let mut response = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let length = match config.parse_response_with_uninit_headers(&mut response, input, &mut room) {
            Ok(httparse::Status::Complete(length)) if length <= HEAD_MAX => length,
            Ok(httparse::Status::Partial) if input.len() < HEAD_MAX => return Ok(None),
            Ok(_) | Err(_) => return Err(Malformed),
        };
        let start = input.as_ptr() as usize;
        let range = |part: &[u8]| {
            let from = part.as_ptr() as usize - start;
            (from, from + part.len())
        };
        let ranges = response.headers.iter().map(|header| (range(header.name.as_bytes()), range(header.value)));
        (length, response.code, response.version, ranges.collect::<Vec<_>>())
    };
    let status = status.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(Malformed)?;
    let bytes = input.split_to(length).freeze();
    let mut headers = HeaderList::with_capacity(ranges.len() + ROOM_TO_ADD);
    for ((name_from, name_to), value) in ranges {
        let name = HeaderName::from_bytes(&bytes[name_from..name_to]).map_err(|_| Malformed)?;
        headers.append(name, value_of(&bytes, value)?);
    }
    let keep_alive = status != StatusCode::SWITCHING_PROTOCOLS && stays_open(&headers, minor == Some(1));
    let decoder = decoder(status, &headers, minor == Some(1), to_head)?;
    Ok(Some(Parsed { head: ResponseHead { status, headers }, decoder, keep_alive }))
}

fn value_of(bytes: &Bytes, (from, to): (usize, usize)) -> Result<HeaderValue, Malformed> {
    HeaderValue::from_maybe_shared(bytes.slice(from..to)).map_err(|_| Malformed)
}

/// Whether a head may end in `input`, of which the first `seen` bytes were looked through before.
pub(super) fn may_be_whole(input: &[u8], seen: usize) -> bool {
    let new = &input[seen.saturating_sub(3).min(input.len())..];
    memchr::memchr_iter(b'\n', new).any(|at| matches!(new[at + 1..], [b'\n', ..] | [b'\r', b'\n', ..]))
}

fn decoder(status: StatusCode, headers: &HeaderList, http11: bool, to_head: bool) -> Result<Decoder, Malformed> {
    let length = content_length(headers)?;
    let mut encodings = headers.get_all(&TRANSFER_ENCODING);
    let encoding = encodings.next();
    if encoding.is_some() && length.is_some() {
        return Err(Malformed);
    }
    if to_head || status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok(Decoder::Done);
    }
    match (encodings.last().or(encoding), length) {
        (Some(_), _) if !http11 => Err(Malformed),
        (Some(encoding), _) if ends_in_chunked(encoding) => Ok(Decoder::chunked()),
        (None, Some(length)) => Ok(Decoder::length(length)),
        (Some(_), _) | (None, None) => Ok(Decoder::UntilClose),
    }
}

fn ends_in_chunked(value: &HeaderValue) -> bool {
    let last = value.to_str().ok().and_then(|value| value.rsplit(',').next());
    last.is_some_and(|last| last.trim().eq_ignore_ascii_case("chunked"))
}

/// The length that the headers say; `None`: none. Errs when they differ or say no number.
pub(super) fn content_length(headers: &HeaderList) -> Result<Option<u64>, Malformed> {
    let mut length = None;
    for value in headers.get_all(&CONTENT_LENGTH) {
        for part in value.to_str().map_err(|_| Malformed)?.split(',') {
            let said = digits(part.trim())?;
            if length.is_some_and(|length| length != said) {
                return Err(Malformed);
            }
            length = Some(said);
        }
    }
    Ok(length)
}

/// A number without sign.
fn digits(text: &str) -> Result<u64, Malformed> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().map_err(|_| Malformed) } else { Err(Malformed) }
}

/// RFC 9112, section 9.3. Any `close` counts.
fn stays_open(headers: &HeaderList, http11: bool) -> bool {
    !headers.has_token(&CONNECTION, "close") && (http11 || headers.has_token(&CONNECTION, "keep-alive"))
}

#[cfg(test)]
mod tests;
