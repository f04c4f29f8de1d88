//! HTTP/2, frame by frame: what breaks a stream, what ends the connection, and what is bounded. Error codes
//! are those of RFC 9113, section 7.

mod io_support;

use std::collections::BTreeMap;

use io_support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wavetank_platform::Stream;
use wavetank_proxy::snapshot::listener::{Codec, HttpManager};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const FRAME_SIZE_ERROR: u32 = 6;
const REFUSED_STREAM: u32 = 7;
const COMPRESSION_ERROR: u32 = 9;
const ENHANCE_YOUR_CALM: u32 = 11;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Debug, Clone, PartialEq, Eq)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A header block of literals, never indexed and never packed (RFC 7541, section 6.2.2).
fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in headers {
        bytes.push(0);
        for text in [name, value] {
            match u8::try_from(text.len()).ok().filter(|length| *length < 127) {
                Some(length) => bytes.push(length),
                None => {
                    bytes.push(127);
                    let mut rest = text.len() - 127;
                    while rest >= 128 {
                        bytes.push(u8::try_from(rest % 128).unwrap() | 128);
                        rest /= 128;
                    }
                    bytes.push(u8::try_from(rest).unwrap());
                }
            }
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    bytes
}

const GET_HEADERS: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "http"), (":authority", "a.test"), (":path", "/")];

fn get(stream: u32) -> Vec<u8> {
    with(stream, &GET_HEADERS)
}

/// A request without a body.
fn with(stream: u32, headers: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(headers))
}

/// The headers of a GET, and more.
fn and(more: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    GET_HEADERS.iter().chain(more).copied().collect()
}

/// A caller that has said its preface and empty settings.
struct Caller {
    stream: Stream,
    got: Vec<u8>,
}

impl Caller {
    async fn new(bench: &Bench) -> Self {
        let mut caller = Self { stream: bench.connect().await, got: Vec::new() };
        let hello = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
        caller.stream.write_all(&hello).await.unwrap();
        caller
    }

    /// Sends as much as the proxy takes; it may close meanwhile.
    async fn send(&mut self, bytes: &[u8]) {
        let _closed = self.stream.write_all(bytes).await;
    }

    /// The next frame; `None`: the connection has ended.
    async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(header) = self.got.get(..9) {
                let length = usize::from(header[1]) << 8 | usize::from(header[2]) | usize::from(header[0]) << 16;
                if self.got.len() >= 9 + length {
                    let bytes: Vec<u8> = self.got.drain(..9 + length).collect();
                    let stream = u32::from_be_bytes([bytes[5], bytes[6], bytes[7], bytes[8]]);
                    return Some(Frame { kind: bytes[3], flags: bytes[4], stream, payload: bytes[9..].to_vec() });
                }
            }
            if self.stream.read_buf(&mut self.got).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// What comes of `stream`: the first frame that answers or ends it, or the connection.
    async fn outcome(&mut self, stream: u32) -> String {
        loop {
            let Some(frame) = self.next().await else { return "closed".to_owned() };
            let code = |at: usize| u32::from_be_bytes(frame.payload[at..at + 4].try_into().unwrap());
            match frame.kind {
                GOAWAY => return format!("goaway {}", code(4)),
                RST_STREAM if frame.stream == stream => return format!("reset {}", code(0)),
                HEADERS if frame.stream == stream => return format!("status {}", status(&frame.payload)),
                _ => {}
            }
        }
    }
}

/// The status that a header block begins with: indexed, or a literal of a name that is indexed
/// (RFC 7541, appendix A and B: the digits are packed with five or six bits each).
fn status(block: &[u8]) -> String {
    match block {
        [0x88, ..] => "200".to_owned(),
        [0x8c, ..] => "400".to_owned(),
        [0x8d, ..] => "404".to_owned(),
        [0x8e, ..] => "500".to_owned(),
        [_, length, rest @ ..] => {
            let packed = &rest[..usize::from(length & 0x7f)];
            let bits = packed.iter().fold(String::new(), |bits, byte| format!("{bits}{byte:08b}"));
            unpacked(&bits)
        }
        _ => "none".to_owned(),
    }
}

/// Digits of Huffman's code: 0 to 2 have five bits, 3 to 9 six.
fn unpacked(mut bits: &str) -> String {
    let codes: BTreeMap<&str, char> = [
        ("00000", '0'),
        ("00001", '1'),
        ("00010", '2'),
        ("011001", '3'),
        ("011010", '4'),
        ("011011", '5'),
        ("011100", '6'),
        ("011101", '7'),
        ("011110", '8'),
        ("011111", '9'),
    ]
    .into();
    let mut text = String::new();
    'next: loop {
        for (code, digit) in &codes {
            if let Some(rest) = bits.strip_prefix(code) {
                text.push(*digit);
                bits = rest;
                continue 'next;
            }
        }
        return text;
    }
}

async fn bench_of(change: impl FnOnce(&mut HttpManager), acts: &'static [Act]) -> (Bench, Origin) {
    let platform = host();
    let origin = Origin::start(&platform, acts).await;
    let mut manager = manager(vec![route_to("up")]);
    change(&mut manager);
    let bench = Bench::start(&platform, snapshot(http(manager), vec![cluster("up", &[origin.address])])).await;
    (bench, origin)
}

async fn answering() -> (Bench, Origin) {
    bench_of(|_| {}, &[Act::Answer(OK)]).await
}

#[tokio::test]
async fn a_broken_request_goes_no_further() {
    let (bench, origin) = answering().await;
    let mut answered = 0;
    let pseudo = |skip: &str| -> Vec<_> { GET_HEADERS.into_iter().filter(|(name, _)| *name != skip).collect() };
    let long: &'static str = Box::leak("a".repeat(1000).into_boxed_str());
    for (name, headers) in [
        ("no method", pseudo(":method")),
        ("no path", pseudo(":path")),
        ("no scheme", pseudo(":scheme")),
        ("empty path", [pseudo(":path"), vec![(":path", "")]].concat()),
        ("two methods", and(&[(":method", "GET")])),
        ("two paths", and(&[(":path", "/")])),
        ("a pseudo-header of responses", and(&[(":status", "200")])),
        ("a pseudo-header late", [vec![("x", "1")], GET_HEADERS.to_vec()].concat()),
        ("capitals", and(&[("X-A", "1")])),
        ("connection", and(&[("connection", "close")])),
        ("keep-alive", and(&[("keep-alive", "1")])),
        ("transfer-encoding", and(&[("transfer-encoding", "chunked")])),
        ("upgrade", and(&[("upgrade", "h2c")])),
        ("te", and(&[("te", "gzip")])),
        ("a length without a body", and(&[("content-length", "5")])),
        ("a value with a line feed", and(&[("x", "a\nb")])),
        ("a name with a space", and(&[("x y", long)])),
    ] {
        let mut caller = Caller::new(&bench).await;
        caller.send(&with(1, &headers)).await;
        let outcome = caller.outcome(1).await;
        // What is wrong with one header, h2 takes for a fault of the connection.
        if outcome != format!("goaway {PROTOCOL_ERROR}") {
            assert_eq!(outcome, format!("reset {PROTOCOL_ERROR}"), "{name}");
            caller.send(&get(3)).await;
            assert_eq!(caller.outcome(3).await, "status 200", "after {name}");
            answered += 1;
        }
    }
    assert_eq!(origin.requests().len(), answered);
    assert!(origin.requests().iter().all(|request| request.starts_with("GET / HTTP/1.1\r\nhost: a.test\r\n")));
}

#[tokio::test]
async fn a_request_that_http1_would_refuse_is_refused() {
    let (bench, origin) = answering().await;
    let of = |name: &str, value: &'static str| -> Vec<_> {
        GET_HEADERS.iter().map(|(of, old)| (*of, if *of == name { value } else { *old })).collect()
    };
    for (headers, wanted) in [
        (of(":method", "TRACE"), "status 405"),
        (of(":path", "/a%2fb"), "status 400"),
        (of(":path", "/a%252fb"), "status 400"),
        (and(&[("expect", "much")]), "status 417"),
        ((0..101).map(|_| ("x", "1")).chain(GET_HEADERS).rev().collect(), "status 431"),
    ] {
        let mut caller = Caller::new(&bench).await;
        caller.send(&with(1, &headers)).await;
        assert_eq!(caller.outcome(1).await, wanted, "{headers:?}");
    }
    assert_eq!(origin.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn a_body_that_is_not_as_long_as_it_says_breaks_its_stream() {
    let (bench, _origin) = answering().await;
    for (length, data) in [("2", "hello"), ("9", "hello")] {
        let mut caller = Caller::new(&bench).await;
        let head = frame(HEADERS, END_HEADERS, 1, &block(&and(&[("content-length", length)])));
        caller.send(&[head, frame(DATA, END_STREAM, 1, data.as_bytes())].concat()).await;
        assert_eq!(caller.outcome(1).await, format!("reset {PROTOCOL_ERROR}"), "{length}");
    }
}

#[tokio::test]
async fn frames_that_cannot_be_end_the_connection() {
    let (bench, _origin) = bench_of(|_| {}, &[Act::Stall("")]).await;
    let update = |stream, by: u32| frame(WINDOW_UPDATE, 0, stream, &by.to_be_bytes());
    let begun = frame(HEADERS, 0, 1, &block(&GET_HEADERS));
    for (name, bytes, code) in [
        ("a frame too large", frame(DATA, 0, 1, &[0; 16_385]), FRAME_SIZE_ERROR),
        ("data on an idle stream", frame(DATA, END_STREAM, 1, b"x"), PROTOCOL_ERROR),
        ("data after its end", [get(1), frame(DATA, END_STREAM, 1, b"x")].concat(), PROTOCOL_ERROR),
        ("a pseudo-header of nobody", with(1, &and(&[(":x", "1")])), PROTOCOL_ERROR),
        ("data on no stream", frame(DATA, END_STREAM, 0, b"x"), PROTOCOL_ERROR),
        ("headers on a stream of ours", get(2), PROTOCOL_ERROR),
        ("headers within headers", [begun.clone(), get(3)].concat(), PROTOCOL_ERROR),
        ("continuation of nothing", frame(CONTINUATION, END_HEADERS, 1, b""), PROTOCOL_ERROR),
        ("headers that are no HPACK", frame(HEADERS, END_HEADERS, 1, &[0x80]), COMPRESSION_ERROR),
        ("settings on a stream", frame(SETTINGS, 0, 1, &[]), PROTOCOL_ERROR),
        ("half a setting", frame(SETTINGS, 0, 0, &[0; 5]), FRAME_SIZE_ERROR),
        ("an acknowledgement with settings", frame(SETTINGS, ACK, 0, &[0; 6]), FRAME_SIZE_ERROR),
        ("a window setting too large", frame(SETTINGS, 0, 0, &[0, 4, 0xff, 0xff, 0xff, 0xff]), FLOW_CONTROL_ERROR),
        ("half a ping", frame(PING, 0, 0, &[0; 4]), FRAME_SIZE_ERROR),
        ("a ping on a stream", frame(PING, 0, 1, &[0; 8]), PROTOCOL_ERROR),
        ("a window that grows by nothing", update(0, 0), PROTOCOL_ERROR),
        ("a window that grows too large", update(0, 0x7fff_ffff), FLOW_CONTROL_ERROR),
        ("a window of an idle stream", update(1, 1), PROTOCOL_ERROR),
        ("a reset of an idle stream", frame(RST_STREAM, 0, 1, &[0; 4]), PROTOCOL_ERROR),
    ] {
        let mut caller = Caller::new(&bench).await;
        caller.send(&bytes).await;
        let outcome = caller.outcome(1).await;
        // h2 has one code for most of what is wrong with the form of a frame.
        let allowed = [code, PROTOCOL_ERROR].map(|code| format!("goaway {code}"));
        assert!(allowed.contains(&outcome), "{name}: {outcome}");
    }
}

#[tokio::test]
async fn a_stream_whose_window_overflows_is_reset() {
    let (bench, _origin) = bench_of(|_| {}, &[Act::Stall("")]).await;
    let mut caller = Caller::new(&bench).await;
    let update = frame(WINDOW_UPDATE, 0, 1, &0x7fff_ffff_u32.to_be_bytes());
    caller.send(&[get(1), update].concat()).await;
    assert_eq!(caller.outcome(1).await, format!("reset {FLOW_CONTROL_ERROR}"));
}

#[tokio::test]
async fn a_preface_that_is_none_ends_the_connection() {
    let (bench, _origin) = bench_of(|manager| manager.codec = Codec::Http2, &[Act::Answer(OK)]).await;
    for bytes in [&b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"[..], b"GET / HTTP/1.1\r\nhost: a.test\r\n\r\n"] {
        let mut caller = Caller { stream: bench.connect().await, got: Vec::new() };
        caller.send(bytes).await;
        assert!(["closed".to_owned(), format!("goaway {PROTOCOL_ERROR}")].contains(&caller.outcome(1).await));
    }
}

#[tokio::test]
async fn headers_without_end_are_given_up() {
    let (bench, _origin) = answering().await;
    let mut caller = Caller::new(&bench).await;
    let mut bytes = frame(HEADERS, 0, 1, &block(&GET_HEADERS));
    // 16 MiB, were they taken.
    for _ in 0..1024 {
        bytes.extend(frame(CONTINUATION, 0, 1, &block(&[("x", &"a".repeat(16_000))])));
    }
    caller.send(&bytes).await;
    let outcome = caller.outcome(1).await;
    assert!(["closed".to_owned(), format!("goaway {ENHANCE_YOUR_CALM}")].contains(&outcome), "{outcome}");
}

#[tokio::test]
async fn a_header_list_that_is_too_large_is_answered_431() {
    let (bench, _origin) = answering().await;
    let mut caller = Caller::new(&bench).await;
    let block = block(&and(&[("x", Box::leak("a".repeat(70_000).into_boxed_str()))]));
    let parts: Vec<&[u8]> = block.chunks(16_000).collect();
    let mut bytes = frame(HEADERS, END_STREAM, 1, parts[0]);
    for (number, part) in parts.iter().enumerate().skip(1) {
        bytes.extend(frame(CONTINUATION, if number + 1 == parts.len() { END_HEADERS } else { 0 }, 1, part));
    }
    caller.send(&bytes).await;
    assert_eq!(caller.outcome(1).await, "status 431");
}

#[tokio::test]
async fn streams_that_are_opened_and_reset_at_once_end_the_connection() {
    let (bench, _origin) = bench_of(|_| {}, &[Act::Stall("")]).await;
    let mut caller = Caller::new(&bench).await;
    let mut bytes = Vec::new();
    for number in 0..2000 {
        bytes.extend(get(number * 2 + 1));
        bytes.extend(frame(RST_STREAM, 0, number * 2 + 1, &8_u32.to_be_bytes()));
    }
    caller.send(&bytes).await;
    assert_eq!(caller.outcome(u32::MAX).await, format!("goaway {ENHANCE_YOUR_CALM}"));
}

#[tokio::test]
async fn strangers_get_fewer_streams_and_smaller_windows_than_the_mesh() {
    for (edge, streams, window) in [(true, 100, 65_536), (false, 1024, 16 * 1024 * 1024)] {
        let (bench, _origin) = bench_of(|manager| manager.use_remote_address = edge, &[Act::Stall("")]).await;
        let mut caller = Caller::new(&bench).await;
        let settings = caller.next().await.unwrap();
        assert_eq!((settings.kind, settings.flags), (SETTINGS, 0));
        let said: BTreeMap<u16, u32> = settings
            .payload
            .chunks(6)
            .map(|six| (u16::from_be_bytes([six[0], six[1]]), u32::from_be_bytes([six[2], six[3], six[4], six[5]])))
            .collect();
        assert_eq!((said[&3], said[&4]), (streams, window), "{said:?}");
        // The acknowledgement comes first, for until then the limit does not bind.
        caller.send(&frame(SETTINGS, ACK, 0, &[])).await;
        let bytes: Vec<u8> = (0..=streams).flat_map(|number| get(number * 2 + 1)).collect();
        caller.send(&bytes).await;
        assert_eq!(caller.outcome(streams * 2 + 1).await, format!("reset {REFUSED_STREAM}"));
    }
}

#[tokio::test]
async fn a_connection_that_has_had_its_requests_is_told_to_go() {
    let change = |manager: &mut HttpManager| manager.requests_per_connection_max = Some(2);
    let (bench, _origin) = bench_of(change, &[Act::Answer(OK)]).await;
    let mut caller = Caller::new(&bench).await;
    caller.send(&get(1)).await;
    assert_eq!(caller.outcome(1).await, "status 200");
    caller.send(&get(3)).await;
    let (mut answered, mut told) = (false, false);
    while !(answered && told) {
        let frame = caller.next().await.unwrap();
        answered |= frame.kind == HEADERS && frame.stream == 3;
        told |= frame.kind == GOAWAY && frame.payload[4..8] == [0; 4];
    }
}

#[tokio::test]
async fn pings_and_settings_in_numbers_are_answered_and_keep_no_request_from_its_answer() {
    let (bench, _origin) = answering().await;
    let mut caller = Caller::new(&bench).await;
    let mut bytes = Vec::new();
    for _ in 0..5000 {
        bytes.extend(frame(PING, 0, 0, b"12345678"));
        bytes.extend(frame(SETTINGS, 0, 0, &[]));
    }
    bytes.extend(get(1));
    caller.send(&bytes).await;
    let (mut pings, mut settings) = (0, 0);
    loop {
        let frame = caller.next().await.unwrap();
        match (frame.kind, frame.flags & ACK) {
            (PING, ACK) => pings += 1,
            (SETTINGS, ACK) => settings += 1,
            (HEADERS, _) => break,
            (GOAWAY, _) => panic!("{frame:?}"),
            _ => {}
        }
    }
    assert_eq!((pings, settings), (5000, 5001));
}
