//! A request's body as bytes: of a length that was said, or in chunks (RFC 9112, section 7.1).

use std::collections::VecDeque;

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HOST, MAX_FORWARDS,
    SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderName};

/// Fields that a recipient needs before the body, never after it (RFC 9110, section 6.5.1).
const NO_TRAILERS: [HeaderName; 12] = [
    AUTHORIZATION,
    CACHE_CONTROL,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    HOST,
    MAX_FORWARDS,
    SET_COOKIE,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
];

/// Frames one body.
#[derive(Debug)]
pub(super) enum Encoder {
    /// All is written.
    Done,
    /// So many bytes are to come.
    Length(u64),
    /// Chunks are to come, and at the end the trailers of these names.
    Chunked(Vec<HeaderName>),
}

/// The body ended before its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooShort;

impl Encoder {
    /// For a body of this length.
    pub(super) fn length(length: u64) -> Self {
        if length == 0 { Self::Done } else { Self::Length(length) }
    }

    /// For a body of unknown length, with trailers of these names.
    pub(super) fn chunked(trailers: Vec<HeaderName>) -> Self {
        Self::Chunked(trailers)
    }

    /// Writes a piece of the body. What is beyond the length is left out.
    pub(super) fn data(&mut self, mut data: Bytes, out: &mut VecDeque<Bytes>) {
        match self {
            Self::Done => {}
            _ if data.is_empty() => {}
            Self::Length(left) => {
                data.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *self = Self::length(*left - data.len() as u64);
                out.push_back(data);
            }
            Self::Chunked(_) => {
                out.push_back(Bytes::from(format!("{:X}\r\n", data.len())));
                out.push_back(data);
                out.push_back(Bytes::from_static(b"\r\n"));
            }
        }
    }

    /// Ends the body.
    pub(super) fn end(&mut self, trailers: Option<&HeaderMap>, out: &mut VecDeque<Bytes>) -> Result<(), TooShort> {
        match std::mem::replace(self, Self::Done) {
            Self::Done => Ok(()),
            Self::Length(_) => Err(TooShort),
            Self::Chunked(announced) => {
                let sent = trailers.map(|trailers| lines(trailers, &announced)).unwrap_or_default();
                out.push_back(if sent.is_empty() { Bytes::from_static(b"0\r\n\r\n") } else { ending(&sent) });
                Ok(())
            }
        }
    }
}

fn ending(trailers: &[u8]) -> Bytes {
    [&b"0\r\n"[..], trailers, &b"\r\n"[..]].concat().into()
}

/// The trailers that were announced and may be trailers.
fn lines(trailers: &HeaderMap, announced: &[HeaderName]) -> Vec<u8> {
    let mut lines = Vec::new();
    let may_be_sent = |name: &HeaderName| announced.contains(name) && !NO_TRAILERS.contains(name);
    for (name, value) in trailers.iter().filter(|(name, _)| may_be_sent(name)) {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            lines.extend_from_slice(part);
        }
    }
    lines
}
