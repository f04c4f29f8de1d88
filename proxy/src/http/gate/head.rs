//! What the head of an HTTP/1.1 request must be: RFC 9112, sections 2 to 6, without its permissions to be
//! lenient. Refusals have Envoy's words where Envoy refuses too.

use wavetank_platform::Instant;

use super::body::Body;
use super::host;
use crate::http::characters::TOKEN;
use crate::http::reply::Failure;

/// Methods that HTTP/1 callers may use, as Envoy's parser knows them (IANA's registry of methods).
const METHODS: [&[u8]; 33] = [
    b"ACL",
    b"BIND",
    b"CHECKOUT",
    b"CONNECT",
    b"COPY",
    b"DELETE",
    b"GET",
    b"HEAD",
    b"LINK",
    b"LOCK",
    b"M-SEARCH",
    b"MERGE",
    b"MKACTIVITY",
    b"MKCALENDAR",
    b"MKCOL",
    b"MOVE",
    b"NOTIFY",
    b"OPTIONS",
    b"PATCH",
    b"POST",
    b"PROPFIND",
    b"PROPPATCH",
    b"PURGE",
    b"PUT",
    b"REBIND",
    b"REPORT",
    b"SEARCH",
    b"SUBSCRIBE",
    b"TRACE",
    b"UNBIND",
    b"UNLINK",
    b"UNLOCK",
    b"UNSUBSCRIBE",
];

/// The longest body that hyper counts.
const LENGTH_MAX: u64 = u64::MAX - 2;

/// Bounds of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes of a head. A request line that is longer by itself is refused as such.
    pub(crate) bytes_max: usize,
    /// Header lines.
    pub(crate) headers_max: usize,
}

/// What becomes of the bytes at the beginning of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// They may become a head.
    Partial,
    /// They begin with a head.
    Pass(Head),
    /// They are refused.
    Refuse(Box<Refusal>),
}

/// A head that may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// Its bytes, empty lines before it and the one after it included.
    pub(crate) length: usize,
    /// The body that follows.
    pub(crate) body: Body,
    /// Asks for another protocol: CONNECT, or a header Upgrade.
    pub(crate) turns: bool,
}

/// Why a head is refused, and what its record says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Why.
    pub(crate) failure: Failure,
    /// What was asked for, where Envoy's log has it too.
    pub(crate) named: Option<Named>,
    /// When the first of its bytes came, if not just now.
    pub(crate) begun: Option<Instant>,
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// Method.
    pub(crate) method: Box<str>,
    /// Host; empty: none.
    pub(crate) authority: Box<str>,
    /// Target.
    pub(crate) target: Box<str>,
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self { failure, named: None, begun: None }
    }
}

const CODEC_ERROR: Failure = Failure::BadRequest("http1.codec_error");

/// Judges the bytes at the beginning of a message.
pub(crate) fn judge(bytes: &[u8], limits: Limits) -> Verdict {
    match read(bytes, limits) {
        Ok(Some(head)) => Verdict::Pass(head),
        Ok(None) => Verdict::Partial,
        Err(refusal) => Verdict::Refuse(Box::new(refusal)),
    }
}

/// Whether `bytes`, all of whose lines before `from` are known to be part of one head, hold the end of the
/// head, or a line that no head has: they are worth judging again. Looks at no byte before `from` but the
/// last three.
pub(crate) fn may_end(bytes: &[u8], from: usize) -> bool {
    let start = from.saturating_sub(3);
    memchr::memchr_iter(b'\n', &bytes[start..]).any(|at| {
        let before = &bytes[..start + at];
        !before.ends_with(b"\r") || before.ends_with(b"\r\n\r")
    })
}

/// Whether a line of `bytes` that ends at `from` or later ends with a line feed alone.
pub(crate) fn has_bare_line_feed(bytes: &[u8], from: usize) -> bool {
    memchr::memchr_iter(b'\n', &bytes[from..]).any(|at| !bytes[..from + at].ends_with(b"\r"))
}

/// `None`: the bytes end within the head.
fn read(bytes: &[u8], limits: Limits) -> Result<Option<Head>, Refusal> {
    let mut lines = Lines { bytes, at: 0 };
    let first = loop {
        let begin = lines.at;
        match lines.next()? {
            Some([]) => {}
            Some(line) => break line,
            None => return partial(bytes, begin, limits),
        }
    };
    if lines.at > limits.bytes_max {
        return Err(Failure::UriTooLong.into());
    }
    let request = request_line(first)?;
    let mut fields = Fields::default();
    let mut count = 0;
    loop {
        match lines.next()? {
            Some([]) => break,
            Some(line) => {
                count += 1;
                if count > limits.headers_max {
                    return Err(Failure::TooManyHeaders("http1.too_many_headers").into());
                }
                fields.read(line)?;
            }
            None if bytes.len() > limits.bytes_max => return Err(Failure::HeadersTooLarge.into()),
            None => return Ok(None),
        }
    }
    if lines.at > limits.bytes_max {
        return Err(Failure::HeadersTooLarge.into());
    }
    let body = fields.body()?;
    fields.check_target(&request)?;
    let turns = fields.upgrade || request.method == b"CONNECT";
    Ok(Some(Head { length: lines.at, body, turns }))
}

/// A request line, from `begin`, of which the end is still to come: whether it can come.
fn partial(bytes: &[u8], begin: usize, limits: Limits) -> Result<Option<Head>, Refusal> {
    if bytes.len() > limits.bytes_max {
        return Err(Failure::UriTooLong.into());
    }
    // What is no method is refused at once: it may be another protocol, whose speaker waits for an answer.
    let line = bytes[begin..].strip_suffix(b"\r").unwrap_or(&bytes[begin..]);
    let method = line.split(|byte| *byte == b' ').next().unwrap_or_default();
    if !method.iter().all(|byte| TOKEN.has(*byte)) {
        return Err(CODEC_ERROR.into());
    }
    Ok(None)
}

/// Lines that end with CR LF.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Lines<'a> {
    /// The next line; `None`: its end is still to come. Errs at a line feed that stands alone.
    fn next(&mut self) -> Result<Option<&'a [u8]>, Refusal> {
        let rest = &self.bytes[self.at..];
        let Some(end) = memchr::memchr(b'\n', rest) else { return Ok(None) };
        let Some(line) = rest[..end].strip_suffix(b"\r") else {
            return Err(Failure::BadRequest("http1.bare_line_feed").into());
        };
        self.at += end + 1;
        Ok(Some(line))
    }
}

/// A request line of HTTP/1.1.
struct RequestLine<'a> {
    method: &'a [u8],
    target: &'a [u8],
}

impl RequestLine<'_> {
    /// Refused for something that Envoy sees only when it has read the head.
    fn refuse(&self, failure: Failure, authority: &[u8]) -> Refusal {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned().into_boxed_str();
        let (method, authority, target) = (text(self.method), text(authority), text(self.target));
        Refusal { failure, named: Some(Named { method, authority, target }), begun: None }
    }
}

fn request_line(line: &[u8]) -> Result<RequestLine<'_>, Refusal> {
    let mut parts = line.splitn(3, |byte| *byte == b' ');
    let (method, target) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if !matches!(method, b"GET" | b"POST") && METHODS.binary_search(&method).is_err() {
        return Err(CODEC_ERROR.into());
    }
    if line.contains(&0) {
        return Err(Failure::BadRequest("http1.invalid_characters").into());
    }
    if target.is_empty() || !target.iter().all(u8::is_ascii_graphic) {
        return Err(CODEC_ERROR.into());
    }
    match parts.next() {
        Some(b"HTTP/1.1") => {}
        None => return Err(Failure::LowVersion.into()),
        Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor])
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            return Err(Failure::LowVersion.into());
        }
        Some(_) => return Err(CODEC_ERROR.into()),
    }
    Ok(RequestLine { method, target })
}

/// What the header lines say of framing, and of whom the request is for.
#[derive(Default)]
struct Fields<'a> {
    length: Option<&'a [u8]>,
    coding: Option<&'a [u8]>,
    host: Option<&'a [u8]>,
    /// A length, coding or host was there before.
    again: Again,
    upgrade: bool,
}

#[derive(Default)]
struct Again {
    length: bool,
    coding: bool,
    host: bool,
}

impl<'a> Fields<'a> {
    /// One line: a name, a colon at once, a value.
    fn read(&mut self, line: &'a [u8]) -> Result<(), Refusal> {
        let end = line.iter().position(|byte| !TOKEN.has(*byte)).unwrap_or(line.len());
        let (name, [b':', value @ ..]) = line.split_at(end) else { return Err(CODEC_ERROR.into()) };
        if name.is_empty() {
            return Err(CODEC_ERROR.into());
        }
        // No early exit, so that it is done many bytes at a time.
        if value.iter().fold(false, |found, byte| found | is_control(*byte)) {
            return Err(if value.contains(&b'\r') {
                CODEC_ERROR
            } else {
                Failure::BadRequest("http1.invalid_characters")
            }
            .into());
        }
        let (slot, again) = match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => (&mut self.host, &mut self.again.host),
            14 if name.eq_ignore_ascii_case(b"content-length") => (&mut self.length, &mut self.again.length),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => (&mut self.coding, &mut self.again.coding),
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                self.upgrade = true;
                return Ok(());
            }
            _ => return Ok(()),
        };
        *again |= slot.is_some();
        *slot = Some(value.trim_ascii());
        Ok(())
    }

    /// RFC 9112, section 6.3.
    fn body(&self) -> Result<Body, Refusal> {
        match (self.length, self.coding) {
            (Some(_), Some(_)) => Err(Failure::BadRequest("http1.content_length_and_chunked_not_allowed").into()),
            _ if self.again.length || self.again.coding => Err(CODEC_ERROR.into()),
            (None, None) => Ok(Body::Length(0)),
            (Some(length), None) => Ok(Body::Length(decimal(length).ok_or(CODEC_ERROR)?)),
            (None, Some(coding)) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Body::CHUNKED),
            (None, Some(_)) => Err(Failure::UnknownTransferCoding.into()),
        }
    }

    /// RFC 9112, section 3.2: one valid Host, and a target without a fragment.
    fn check_target(&self, request: &RequestLine<'_>) -> Result<(), Refusal> {
        match self.host {
            None => Err(request.refuse(Failure::MissingHost, b"")),
            Some(_) if self.again.host => Err(Failure::BadRequest("http1.duplicate_host").into()),
            Some(host) if !host::is_valid(host) => Err(Failure::BadRequest("http.invalid_authority").into()),
            Some(host) if request.target.contains(&b'#') => Err(request.refuse(Failure::PathRejected, host)),
            Some(_) => Ok(()),
        }
    }
}

/// Digits alone, no sign.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok().filter(|length| *length <= LENGTH_MAX)
}

/// What a header value may not have; a tab it may.
fn is_control(byte: u8) -> bool {
    (byte < b' ' && byte != b'\t') || byte == 0x7f
}

#[cfg(test)]
mod tests;
