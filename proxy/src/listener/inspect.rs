//! Finding out what a connection speaks from its first bytes: TLS with server name and protocols, HTTP/1,
//! HTTP/2, or neither. The bytes stay in the stream.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use wavetank_platform::{Clock, Stream};

use super::client_hello::{self, Parsed};
use super::peeked::Peeked;
use crate::snapshot::Listener;
use crate::snapshot::listener::TransportProtocol;

/// Envoy's bound on inspection.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(15);

/// Longest HTTP/1 request line that is looked at.
const REQUEST_LINE_MAX: usize = 8 * 1024;

/// How an HTTP/2 connection begins.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the first bytes said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Inspected {
    /// TLS or not; `None` when the listener does not look.
    pub(crate) transport: Option<TransportProtocol>,
    /// Server name of the ClientHello.
    pub(crate) sni: Option<Arc<str>>,
    /// Protocols of the ClientHello, else `http/1.1`, `http/1.0` or `h2c` as found.
    pub(crate) application_protocols: Vec<Arc<str>>,
}

/// Why a connection is given up before its filter chain is known.
#[derive(Debug)]
pub(crate) enum InspectError {
    /// The peer closed, or the connection broke.
    Closed,
    /// The time was up, and the listener does not go on then.
    TimedOut,
}

impl From<io::Error> for InspectError {
    fn from(_: io::Error) -> Self {
        Self::Closed
    }
}

/// What is looked for.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    tls: bool,
    http: bool,
}

/// Looks at the first bytes of `stream` as `listener` asks for.
///
/// Errs when the peer closes or the time is up first.
pub(crate) async fn inspect(
    clock: &dyn Clock,
    listener: &Listener,
    stream: Stream,
) -> Result<(Stream, Inspected), InspectError> {
    let port = stream.original_dst().map_or(stream.local_addr(), |destination| destination.0).port();
    let wanted = Wanted { tls: listener.inspects_tls(port), http: listener.inspects_http(port) };
    if !wanted.tls && !wanted.http {
        return Ok((stream, Inspected::default()));
    }
    let mut peeked = Peeked::new(stream);
    let timeout = listener.inspect_timeout.unwrap_or(TIMEOUT_DEFAULT);
    let found = if timeout.is_zero() {
        look(wanted, &mut peeked).await?
    } else {
        match clock.timeout(timeout, look(wanted, &mut peeked)).await {
            Ok(found) => found?,
            Err(_) if listener.continue_on_inspect_timeout => judge(wanted, peeked.bytes(), true).unwrap_or_default(),
            Err(_) => return Err(InspectError::TimedOut),
        }
    };
    Ok((peeked.into_stream(), found))
}

async fn look(wanted: Wanted, peeked: &mut Peeked) -> Result<Inspected, InspectError> {
    loop {
        if !peeked.bytes().is_empty()
            && let Some(found) = judge(wanted, peeked.bytes(), false)
        {
            return Ok(found);
        }
        if !peeked.more().await? {
            let nothing = peeked.bytes().is_empty();
            return if nothing { Err(InspectError::Closed) } else { Ok(final_word(wanted, peeked.bytes())) };
        }
    }
}

fn final_word(wanted: Wanted, bytes: &[u8]) -> Inspected {
    judge(wanted, bytes, true).unwrap_or_default()
}

/// What `bytes` are, or `None` while more are needed. With `last`, no more will come.
fn judge(wanted: Wanted, bytes: &[u8], last: bool) -> Option<Inspected> {
    let mut found = Inspected::default();
    if wanted.tls {
        match client_hello::parse(bytes) {
            Parsed::Hello(hello) => {
                return Some(Inspected {
                    transport: Some(TransportProtocol::Tls),
                    sni: hello.sni,
                    application_protocols: hello.alpn,
                });
            }
            Parsed::Partial if !last => return None,
            Parsed::Partial | Parsed::NotTls => found.transport = Some(TransportProtocol::RawBuffer),
        }
    }
    if wanted.http {
        match http(bytes) {
            Http::Found(name) => found.application_protocols = vec![name.into()],
            Http::Partial if !last => return None,
            Http::Partial | Http::Not => {}
        }
    }
    Some(found)
}

#[derive(Debug, PartialEq, Eq)]
enum Http {
    Found(&'static str),
    Partial,
    Not,
}

/// Whether `bytes` begin an HTTP/2 connection or an HTTP/1 request line.
fn http(bytes: &[u8]) -> Http {
    match preface(bytes) {
        Preface::Yes => return Http::Found("h2c"),
        Preface::Partial if bytes.len() > 3 => return Http::Partial,
        Preface::Partial | Preface::No => {}
    }
    let window = &bytes[..bytes.len().min(REQUEST_LINE_MAX)];
    let method = window.iter().take_while(|byte| byte.is_ascii_uppercase() || **byte == b'-').count();
    match window.get(method) {
        None if method < 32 => return Http::Partial,
        Some(b' ') if (1..32).contains(&method) => {}
        _ => return Http::Not,
    }
    let Some(end) = window.iter().position(|byte| *byte == b'\n') else {
        return if window.len() < REQUEST_LINE_MAX { Http::Partial } else { Http::Not };
    };
    let line = window[..end].trim_ascii_end();
    if line.ends_with(b" HTTP/1.1") {
        Http::Found("http/1.1")
    } else if line.ends_with(b" HTTP/1.0") {
        Http::Found("http/1.0")
    } else {
        Http::Not
    }
}

/// Whether a connection begins as HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Preface {
    Yes,
    Partial,
    No,
}

fn preface(bytes: &[u8]) -> Preface {
    if bytes.starts_with(PREFACE) {
        Preface::Yes
    } else if PREFACE.starts_with(bytes) {
        Preface::Partial
    } else {
        Preface::No
    }
}

/// Whether `stream` begins with the HTTP/2 preface; reads no further than needed to know.
///
/// Errs as the stream does. A stream that ends within the preface is no HTTP/2.
pub(crate) async fn begins_as_http2(stream: Stream) -> io::Result<(Stream, bool)> {
    let mut peeked = Peeked::new(stream);
    loop {
        match preface(peeked.bytes()) {
            Preface::Yes => return Ok((peeked.into_stream(), true)),
            Preface::No => return Ok((peeked.into_stream(), false)),
            Preface::Partial => {
                if !peeked.more().await? {
                    return Ok((peeked.into_stream(), false));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tells_http_by_its_first_line() {
        for (bytes, wanted) in [
            (&b"GET / HTTP/1.1\r\n"[..], Http::Found("http/1.1")),
            (b"GET / HTTP/1.0\n", Http::Found("http/1.0")),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Http::Found("h2c")),
            (b"PRI * HTTP/2.0\r\n", Http::Partial),
            (b"GET / HT", Http::Partial),
            (b"PRIVATE / HTTP/1.1\r\n", Http::Found("http/1.1")),
            (b"get / HTTP/1.1\r\n", Http::Not),
            (b"\x00\x01", Http::Not),
            (b"SELECT 1;\r\n", Http::Not),
        ] {
            assert_eq!(http(bytes), wanted, "{}", String::from_utf8_lossy(bytes));
        }
    }

    proptest! {
        #[test]
        fn any_first_bytes_are_judged_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            http(&bytes);
        }
    }
}
