//! Answers damaged at random: what is taken for one is what hyper takes for it, however its bytes come.
//!
//! Were the two of different minds about where an answer ends, what follows it could be taken for the answer to the
//! next request.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderName, HeaderValue, Method};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use proptest::collection::vec;
use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wavetank_platform::Stream;

use super::channel::{Channel, Failed};
use super::request::Request;
use super::response::HEAD_MAX;
use crate::http::damaged::{self, Framing, damaged, framing, lines};
use crate::http::headers::HeaderList;
use crate::http::headers::upstream::Target;
use crate::http::request_body::RequestBody;
use crate::upstream::meter::{Meter, Metered};

/// Cases of each property.
const CASES: u32 = 10_000;

/// A stream that gives these bytes, so many at a time, once something was written to it, and then ends.
struct Script {
    bytes: Vec<u8>,
    piece: usize,
    begun: bool,
    /// What writing fails with.
    fails: Option<io::ErrorKind>,
}

impl Script {
    fn new(bytes: &[u8], piece: usize) -> Self {
        Self { bytes: bytes.to_vec(), piece, begun: false, fails: None }
    }
}

impl AsyncRead for Script {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.begun {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let count = buf.remaining().min(self.bytes.len()).min(self.piece);
        buf.put_slice(&self.bytes.drain(..count).collect::<Vec<_>>());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.begun = true;
        Poll::Ready(self.fails.map_or(Ok(buf.len()), |kind| Err(kind.into())))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What somebody takes for the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    /// Status, headers, body and trailers; whether it came to its end.
    Some { status: u16, headers: Vec<(String, Vec<u8>)>, body: Vec<u8>, trailers: usize, whole: bool },
    /// What came is none, or not whole.
    None,
}

/// hyper keeps fields of one name together.
fn by_name<'a>(fields: impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)>) -> Vec<(String, Vec<u8>)> {
    let mut named: Vec<_> = fields.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
    named.sort_by(|(one, _), (other, _)| one.cmp(other));
    named
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn by_ours(bytes: &[u8], piece: usize, method: &Method) -> Answer {
    of(Script::new(bytes, piece), method)
}

fn of(script: Script, method: &Method) -> Answer {
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    let stream = Stream::new(script, address, address, None);
    let mut channel = Channel::new(Metered::new(stream, Arc::new(Meter::default())));
    let target = Target { authority: "a.test".into(), path_and_query: "/".into() };
    channel.begin(Request::new(method, &target, &HeaderList::new(), RequestBody::Empty, false, None));
    block_on(async {
        let head = match poll_fn(|cx| channel.poll_response(cx)).await {
            Ok(head) => head,
            Err(Failed::Stale(_) | Failed::Malformed | Failed::Broken) => return Answer::None,
        };
        let (mut body, mut trailers) = (Vec::new(), 0);
        let whole = loop {
            match poll_fn(|cx| channel.poll_frame(cx)).await {
                None => break true,
                Some(Err(_)) => break false,
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => body.extend_from_slice(&data),
                    Err(frame) => trailers += frame.into_trailers().map_or(0, |trailers| trailers.len()),
                },
            }
        };
        Answer::Some { status: head.status.as_u16(), headers: by_name(head.headers.iter()), body, trailers, whole }
    })
}

fn by_hyper(bytes: &[u8], method: &Method) -> Answer {
    block_on(async {
        let io = TokioIo::new(Script::new(bytes, usize::MAX));
        let (mut sender, conn) = hyper::client::conn::http1::handshake(io).await.unwrap();
        let request = http::Request::builder().method(method).uri("/").header("host", "a.test");
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let asking = async {
            let Ok(response) = sender.send_request(request).await else { return Answer::None };
            let (head, mut incoming) = response.into_parts();
            let (mut body, mut trailers, mut whole) = (Vec::new(), 0, true);
            while let Some(frame) = incoming.frame().await {
                match frame.map(hyper::body::Frame::into_data) {
                    Ok(Ok(data)) => body.extend_from_slice(&data),
                    Ok(Err(frame)) => trailers += frame.into_trailers().map_or(0, |trailers| trailers.len()),
                    Err(_) => {
                        whole = false;
                        break;
                    }
                }
            }
            Answer::Some { status: head.status.as_u16(), headers: by_name(head.headers.iter()), body, trailers, whole }
        };
        let (answer, _ended) = tokio::join!(asking, conn);
        answer
    })
}

const STATUSES: [&str; 8] = [
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 200\r\n",
    "HTTP/1.0 200 OK\r\n",
    "HTTP/1.1 204 No Content\r\n",
    "HTTP/1.1 304 Not Modified\r\n",
    "HTTP/1.1 100 Continue\r\n",
    "HTTP/1.1 103 Early Hints\r\n",
    "HTTP/1.1 500 Internal Server Error\r\n",
];

/// Header lines, those that a smuggler would try among them.
const LINES: [&str; 16] = [
    "x: 1\r\n",
    "content-length: 3\r\n",
    "Content-Length: 0\r\n",
    "content-length: 30\r\n",
    "content-length:\t3\r\n",
    "content-length: 3,3\r\n",
    "content-length : 3\r\n",
    "content-length: +3\r\n",
    "transfer-encoding: chunked\r\n",
    "transfer-encoding: identity\r\n",
    "transfer-encoding: gzip, chunked\r\n",
    "transfer-encoding: chunked, gzip\r\n",
    "transfer-encoding:\x0bchunked\r\n",
    " transfer-encoding: chunked\r\n",
    "x: 1\ntransfer-encoding: chunked\r\n",
    "connection: close\r\n",
];

fn response((status, framing, lines): &(usize, Framing, Vec<usize>)) -> String {
    let mut head = STATUSES[*status].to_owned();
    lines.iter().for_each(|line| head += LINES[*line]);
    // A body that would be an answer to whoever takes it for one.
    damaged::message(head, framing, "HTTP/1.1 200 Smuggled\r\ncontent-length: 0\r\n\r\n")
}

/// What an endpoint sends.
fn sent() -> impl Strategy<Value = Vec<u8>> {
    let responses = vec((0..STATUSES.len(), framing(), lines(LINES.len())), 1..4);
    damaged(responses.prop_map(|responses| responses.iter().map(response).collect::<String>().into_bytes()))
}

fn check(property: impl Fn(Vec<u8>, Method) -> Result<(), TestCaseError>) {
    let method = prop_oneof![4 => Just(Method::GET), 1 => Just(Method::HEAD)];
    damaged::check(CASES, &(sent(), method), |(bytes, method)| property(bytes, method));
}

#[test]
fn what_is_taken_for_an_answer_is_what_hyper_takes_for_it() {
    let whole = std::cell::Cell::new(0);
    check(|bytes, method| {
        let ours = by_ours(&bytes, usize::MAX, &method);
        if matches!(ours, Answer::Some { whole: true, .. }) {
            prop_assert_eq!(&ours, &by_hyper(&bytes, &method), "{:?}", String::from_utf8_lossy(&bytes));
            whole.set(whole.get() + 1);
        }
        Ok(())
    });
    assert!(whole.get() > CASES / 3, "few answers were compared: {}", whole.get());
}

#[test]
fn what_is_taken_for_an_answer_does_not_depend_on_how_its_bytes_come() {
    check(|bytes, method| {
        let at_once = by_ours(&bytes, usize::MAX, &method);
        for piece in [1, 2, 7] {
            let in_pieces = by_ours(&bytes, piece, &method);
            prop_assert_eq!(&at_once, &in_pieces, "by {}: {:?}", piece, String::from_utf8_lossy(&bytes));
        }
        Ok(())
    });
}

/// The system tells of a reset once; who is told as it writes reads an end after it.
#[test]
fn an_answer_without_a_length_that_a_reset_cuts_is_not_whole() {
    for (kind, whole) in [(io::ErrorKind::ConnectionReset, false), (io::ErrorKind::BrokenPipe, true)] {
        let script = |bytes: &[u8]| Script { fails: Some(kind), ..Script::new(bytes, usize::MAX) };
        let to_the_end = of(script(b"HTTP/1.1 200 OK\r\n\r\nhalf"), &Method::GET);
        assert!(matches!(to_the_end, Answer::Some { whole: own, .. } if own == whole), "{kind}: {to_the_end:?}");
        let of_a_length = of(script(b"HTTP/1.1 413 No\r\ncontent-length: 2\r\n\r\nno"), &Method::GET);
        assert!(matches!(of_a_length, Answer::Some { whole: true, .. }), "{kind}: {of_a_length:?}");
    }
}

#[test]
fn empty_lines_before_an_answer_are_passed_over() {
    for piece in [1, 2, 3, usize::MAX] {
        let script = Script::new(b"\r\n\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", piece);
        let answer = of(script, &Method::GET);
        assert!(matches!(&answer, Answer::Some { body, whole: true, .. } if body == b"ok"), "{piece}: {answer:?}");
    }
}

#[test]
fn a_head_that_is_too_large_is_none_however_it_comes() {
    for (length, taken) in [(HEAD_MAX - 100, true), (HEAD_MAX, false)] {
        let bytes = format!("HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 0\r\n\r\n", "a".repeat(length));
        for piece in [1000, usize::MAX] {
            let answer = by_ours(bytes.as_bytes(), piece, &Method::GET);
            assert_eq!(matches!(answer, Answer::Some { whole: true, .. }), taken, "{length} by {piece}");
        }
    }
}
