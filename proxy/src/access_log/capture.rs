//! Headers that access logs want: named when the logs are configured, kept as text when a head is final, read when
//! the line is written. Heads themselves go on to hyper, which keeps none.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::http::headers::HeaderList;
use crate::http::names::X_FORWARDED_PROTO;
use crate::route::RequestHead;
use crate::route::matching::header_matches;
use crate::snapshot::route::{HeaderKey, HeaderMatcher};

/// Bytes that a capture makes room for at once.
const TEXT_BYTES: usize = 256;

/// What all logs of one owner want of heads.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wanted {
    request: Vec<RequestPart>,
    response: Vec<ResponsePart>,
    trailers: Vec<HeaderName>,
    rules: Vec<HeaderMatcher>,
}

/// A part of a request's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestPart {
    /// `:method`.
    Method,
    /// `:authority`, also written `host`.
    Authority,
    /// `:scheme`.
    Scheme,
    /// `:path`, query included.
    Path,
    /// The first header of this name.
    Header(HeaderName),
}

/// A part of a response's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponsePart {
    /// `:status`.
    Status,
    /// The first header of this name.
    Header(HeaderName),
}

/// Where in a capture a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// Of the request's head.
    Request(usize),
    /// Of the response's head.
    Response(usize),
    /// Of the response's trailers.
    Trailer(usize),
}

/// A rule on request headers whose outcome is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleSlot(usize);

impl Wanted {
    /// Asks for a part of the request's head.
    pub fn request(&mut self, part: RequestPart) -> Slot {
        Slot::Request(position(&mut self.request, part))
    }

    /// Asks for a part of the response's head.
    pub fn response(&mut self, part: ResponsePart) -> Slot {
        Slot::Response(position(&mut self.response, part))
    }

    /// Asks for a trailer.
    pub fn trailer(&mut self, name: HeaderName) -> Slot {
        Slot::Trailer(position(&mut self.trailers, name))
    }

    /// Asks whether a rule holds for the request.
    pub fn rule(&mut self, rule: HeaderMatcher) -> RuleSlot {
        self.rules.push(rule);
        RuleSlot(self.rules.len() - 1)
    }
}

fn position<T: PartialEq>(parts: &mut Vec<T>, part: T) -> usize {
    parts.iter().position(|known| *known == part).unwrap_or_else(|| {
        parts.push(part);
        parts.len() - 1
    })
}

/// Where a text is; `None` of a part that was not there.
type Span = Option<(u32, u32)>;

/// The parts of one request's heads that its logs want.
#[derive(Debug, Clone, Default)]
pub struct Captured {
    text: Vec<u8>,
    request: Vec<Span>,
    response: Vec<Span>,
    trailers: Vec<Span>,
    holds: Vec<bool>,
}

impl Captured {
    /// Of nothing.
    pub(crate) const NONE: Self =
        Self { text: Vec::new(), request: Vec::new(), response: Vec::new(), trailers: Vec::new(), holds: Vec::new() };

    /// Keeps what is wanted of a request's head; what was kept of an earlier one is forgotten. Before the head was
    /// prepared for routing it has no scheme, and no authority where none was sent.
    pub(crate) fn request(&mut self, wanted: &Wanted, head: &RequestHead<'_>, prepared: bool) {
        self.request.clear();
        self.request.reserve_exact(wanted.request.len());
        for part in &wanted.request {
            let value = match part {
                RequestPart::Method => Some(head.method.as_bytes()),
                RequestPart::Authority => Some(head.authority.as_bytes()).filter(|host| prepared || !host.is_empty()),
                RequestPart::Scheme => prepared.then(|| scheme(head).as_bytes()),
                RequestPart::Path => Some(head.path_and_query.as_bytes()).filter(|path| prepared || !path.is_empty()),
                RequestPart::Header(name) => head.headers.get(name).map(HeaderValue::as_bytes),
            };
            let span = keep(&mut self.text, value);
            self.request.push(span);
        }
        self.holds.clear();
        self.holds.extend(wanted.rules.iter().map(|rule| header_matches(rule, head)));
    }

    /// Keeps what is wanted of a response's head, whose headers `header` tells.
    pub(crate) fn response<'h>(
        &mut self,
        wanted: &Wanted,
        status: StatusCode,
        header: impl Fn(&HeaderName) -> Option<&'h HeaderValue>,
    ) {
        self.response.clear();
        self.response.reserve_exact(wanted.response.len());
        for part in &wanted.response {
            let value = match part {
                ResponsePart::Status => Some(status.as_str().as_bytes()),
                ResponsePart::Header(name) => header(name).map(HeaderValue::as_bytes),
            };
            let span = keep(&mut self.text, value);
            self.response.push(span);
        }
    }

    /// Keeps what is wanted of a response's trailers.
    pub(crate) fn trailers(&mut self, wanted: &Wanted, trailers: &HeaderMap) {
        self.trailers.clear();
        for name in &wanted.trailers {
            let span = keep(&mut self.text, first(trailers, name));
            self.trailers.push(span);
        }
    }

    /// A part that was kept.
    pub(crate) fn part(&self, slot: Slot) -> Option<&[u8]> {
        let span = match slot {
            Slot::Request(at) => self.request.get(at),
            Slot::Response(at) => self.response.get(at),
            Slot::Trailer(at) => self.trailers.get(at),
        };
        let (start, length) = (*span?)?;
        let start = usize::try_from(start).ok()?;
        self.text.get(start..start + usize::try_from(length).ok()?)
    }

    /// Whether a rule held; of a request whose head was not understood, whether it holds for one that has nothing.
    pub(crate) fn holds(&self, wanted: &Wanted, slot: RuleSlot) -> bool {
        self.holds.get(slot.0).copied().unwrap_or_else(|| {
            let nothing =
                RequestHead { method: "", path_and_query: "", authority: "", scheme: "", headers: &HeaderList::new() };
            wanted.rules.get(slot.0).is_some_and(|rule| {
                // Not even a method was understood.
                let missing = HeaderMatcher { name: HeaderKey::Header(http::header::HOST), ..rule.clone() };
                header_matches(&missing, &nothing)
            })
        })
    }
}

/// Envoy takes what `x-forwarded-proto` says for the scheme.
fn scheme<'h>(head: &RequestHead<'h>) -> &'h str {
    let forwarded = head.headers.get(&X_FORWARDED_PROTO).and_then(|proto| proto.to_str().ok());
    forwarded.filter(|proto| matches!(*proto, "http" | "https")).unwrap_or(head.scheme)
}

/// Envoy shows the first of several.
fn first<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h [u8]> {
    headers.get(name).map(HeaderValue::as_bytes)
}

fn keep(text: &mut Vec<u8>, value: Option<&[u8]>) -> Span {
    let value = value?;
    if text.capacity() == 0 {
        text.reserve(TEXT_BYTES.max(value.len()));
    }
    let start = u32::try_from(text.len()).ok()?;
    text.extend_from_slice(value);
    Some((start, u32::try_from(value.len()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::route::ValueMatcher;

    #[test]
    fn the_first_value_is_kept_and_a_second_head_replaces_the_first() {
        let mut wanted = Wanted::default();
        let host = wanted.request(RequestPart::Authority);
        let multi = wanted.request(RequestPart::Header(HeaderName::from_static("x-multi")));
        assert_eq!(wanted.request(RequestPart::Authority), host);
        let mut headers = HeaderList::new();
        headers.append(HeaderName::from_static("x-multi"), HeaderValue::from_static("1"));
        headers.append(HeaderName::from_static("x-multi"), HeaderValue::from_static("2"));
        let head = |authority| RequestHead {
            method: "GET",
            path_and_query: "/",
            authority,
            scheme: "http",
            headers: &headers,
        };
        let mut captured = Captured::default();
        captured.request(&wanted, &head("a"), true);
        captured.request(&wanted, &head("bb"), true);
        assert_eq!(captured.part(host), Some(&b"bb"[..]));
        assert_eq!(captured.part(multi), Some(&b"1"[..]));
        captured.request(&wanted, &head(""), false);
        assert_eq!(captured.part(host), None);
    }

    #[test]
    fn a_head_that_was_not_understood_has_no_method_that_is_another() {
        let mut wanted = Wanted::default();
        let rule = |value, invert| HeaderMatcher { name: HeaderKey::Method, value, invert, missing_as_empty: false };
        let post = || ValueMatcher::Exact { value: "POST".into(), ignore_case: false };
        let other = wanted.rule(rule(post(), true));
        let none = wanted.rule(rule(ValueMatcher::Present(false), false));
        assert!(!Captured::NONE.holds(&wanted, other));
        assert!(Captured::NONE.holds(&wanted, none));
    }

    #[test]
    fn nothing_is_kept_of_what_was_not_there() {
        let mut wanted = Wanted::default();
        let (status, missing) = (
            wanted.response(ResponsePart::Status),
            wanted.response(ResponsePart::Header(HeaderName::from_static("x"))),
        );
        let trailer = wanted.trailer(HeaderName::from_static("grpc-status"));
        let mut captured = Captured::default();
        assert_eq!(captured.part(status), None);
        captured.response(&wanted, StatusCode::NOT_FOUND, |_| None);
        assert_eq!((captured.part(status), captured.part(missing)), (Some(&b"404"[..]), None));
        assert_eq!(captured.part(trailer), None);
    }
}
