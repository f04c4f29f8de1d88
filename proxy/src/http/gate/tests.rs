//! The gate and hyper read the same messages out of the same bytes, whatever the bytes.
//!
//! Streams of well-formed requests are damaged at random, cut where the gate cuts them, and given to hyper.
//! Were the two of different minds about where a message ends, a request could be smuggled past the gate in
//! the body of another.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proptest::collection::vec;
use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::body::{Body, Followed};
use super::head::{self, Limits, Verdict};
use super::walk::{Then, Walk};
use crate::http::damaged::{self, Framing, damaged, framing, lines};

const LIMITS: Limits = Limits { bytes_max: 4000, headers_max: 20 };

/// Cases of each property.
const CASES: u32 = 4000;

/// A message as the gate sees it.
#[derive(Debug)]
struct Message {
    target: String,
    body: Range<usize>,
    chunked: bool,
    whole: bool,
}

/// The messages at the beginning of `bytes`, and how many bytes pass.
fn messages(bytes: &[u8]) -> (Vec<Message>, usize) {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        let Verdict::Pass(head) = head::judge(&bytes[at..], LIMITS) else { return (found, at) };
        let text = String::from_utf8_lossy(&bytes[at..at + head.length]).into_owned();
        let target = text.trim_start().split(' ').nth(1).unwrap_or_default().to_owned();
        let begin = at + head.length;
        let chunked = matches!(head.body, Body::Chunked(_));
        let mut body = head.body;
        let (end, whole) = match body.follow(&bytes[begin..]) {
            Followed::All => (bytes.len(), false),
            Followed::Broken(count) => (begin + count, false),
            Followed::Ended(count) => (begin + count, true),
        };
        found.push(Message { target, body: begin..end, chunked, whole });
        if !whole {
            return (found, end);
        }
        at = end;
    }
}

/// Data of a whole chunked body.
fn chunked_data(mut body: &[u8]) -> usize {
    let mut data = 0;
    loop {
        let digits = body.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let size = usize::from_str_radix(std::str::from_utf8(&body[..digits]).unwrap(), 16).unwrap();
        let line = body.windows(2).position(|two| two == b"\r\n").unwrap() + 2;
        if size == 0 {
            return data;
        }
        data += size;
        body = &body[line + size + 2..];
    }
}

/// A stream that gives these bytes, then ends; what is written is thrown away.
struct Script(Vec<u8>, usize);

impl AsyncRead for Script {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let count = buf.remaining().min(self.0.len() - self.1);
        let from = self.1;
        buf.put_slice(&self.0[from..from + count]);
        self.1 += count;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Targets of requests, and the length of each body that came whole.
type Seen = Vec<(String, Option<usize>)>;

/// The requests that hyper reads.
fn by_hyper(bytes: &[u8]) -> Seen {
    let seen: Arc<Mutex<Seen>> = Arc::default();
    let service = service_fn(|request: http::Request<Incoming>| {
        let seen = seen.clone();
        async move {
            let target = request.uri().to_string();
            let number = seen.lock().unwrap().len();
            seen.lock().unwrap().push((target, None));
            if let Ok(body) = request.into_body().collect().await {
                seen.lock().unwrap()[number].1 = Some(body.to_bytes().len());
            }
            Ok::<_, Infallible>(http::Response::new(Empty::<Bytes>::new()))
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut conn = Box::pin(
            hyper::server::conn::http1::Builder::new()
                .max_headers(LIMITS.headers_max)
                .max_buf_size(LIMITS.bytes_max + 8192)
                .header_read_timeout(None)
                // The script ends at once, while requests are under way.
                .half_close(true)
                .serve_connection(TokioIo::new(Script(bytes.to_vec(), 0)), service),
        );
        let _ended = poll_fn(|cx| conn.as_mut().poll(cx)).await;
    });
    seen.lock().unwrap().clone()
}

/// Header lines, those that a smuggler would try among them.
const LINES: [&str; 18] = [
    "x: 1\r\n",
    "content-length: 3\r\n",
    "Content-Length: 0\r\n",
    "content-length: 30\r\n",
    "content-length:\t3\r\n",
    "content-length: 3,3\r\n",
    "content-length : 3\r\n",
    "transfer-encoding: chunked\r\n",
    "Transfer-Encoding: Chunked\r\n",
    "transfer-encoding: identity\r\n",
    "transfer-encoding: gzip, chunked\r\n",
    "transfer-encoding:\x0bchunked\r\n",
    "transfer-encoding : chunked\r\n",
    " transfer-encoding: chunked\r\n",
    "x: 1\ntransfer-encoding: chunked\r\n",
    "x: 1\rcontent-length: 30\r\n",
    "expect: 100-continue\r\n",
    "upgrade: h2c\r\n",
];

fn request(number: usize, framing: &Framing, lines: &[usize]) -> String {
    let mut head = format!("POST /{number} HTTP/1.1\r\nhost: a.test\r\n");
    lines.iter().for_each(|line| head += LINES[*line]);
    // A body that would be a request to whoever takes it for one.
    damaged::message(head, framing, "GET /smuggled HTTP/1.1\r\nhost: a.test\r\n\r\n")
}

/// A stream of requests.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    damaged(vec((framing(), lines(LINES.len())), 1..5).prop_map(|requests| {
        let requests = requests.iter().enumerate();
        requests.flat_map(|(number, (framing, lines))| request(number, framing, lines).into_bytes()).collect()
    }))
}

fn check(property: impl Fn(Vec<u8>) -> Result<(), TestCaseError>) {
    damaged::check(CASES, &stream(), property);
}

#[test]
fn hyper_reads_the_messages_that_the_gate_let_pass_and_no_others() {
    let whole = std::cell::Cell::new(0);
    check(|bytes| {
        let (messages, pass) = messages(&bytes);
        let seen = by_hyper(&bytes[..pass]);
        prop_assert!(seen.len() <= messages.len(), "{messages:?}\n{seen:?}");
        for (message, (target, length)) in messages.iter().zip(&seen) {
            prop_assert_eq!(&message.target, target);
            let Some(length) = length else { continue };
            prop_assert!(message.whole, "{message:?} {length}");
            let body = &bytes[message.body.clone()];
            let wanted = if message.chunked { chunked_data(body) } else { body.len() };
            prop_assert_eq!(*length, wanted);
            whole.set(whole.get() + 1);
        }
        Ok(())
    });
    assert!(whole.get() > CASES, "few messages were compared: {}", whole.get());
}

#[test]
fn well_formed_requests_all_pass() {
    damaged::check(CASES / 4, &vec(framing(), 1..6), |framings| {
        let requests = framings.iter().enumerate().map(|(number, framing)| request(number, framing, &[]));
        let bytes = requests.collect::<String>().into_bytes();
        let (messages, pass) = messages(&bytes);
        prop_assert_eq!((messages.len(), pass), (framings.len(), bytes.len()));
        prop_assert!(by_hyper(&bytes).iter().filter(|(_, length)| length.is_some()).count() == framings.len());
        Ok(())
    });
}

/// Shows `held` to `walk` until it wants more bytes; how many pass, and whether no more can.
fn show(walk: &mut Walk, held: &mut Vec<u8>) -> (usize, bool) {
    let mut passed = 0;
    loop {
        let step = walk.step(held);
        held.drain(..step.pass);
        passed += step.pass;
        match step.then {
            // A message that asks for another protocol ends a step, and here it is not changed.
            Then::Turn => {}
            then => return (passed, then != Then::More),
        }
    }
}

#[test]
fn what_passes_does_not_depend_on_how_the_bytes_come() {
    check(|bytes| {
        let (messages, pass) = messages(&bytes);
        for piece in [1, 3, 16, 1000] {
            let mut walk = Walk::new(LIMITS);
            let (mut passed, mut held) = (0, Vec::new());
            for part in bytes.chunks(piece) {
                held.extend_from_slice(part);
                let (count, over) = show(&mut walk, &mut held);
                passed += count;
                if over {
                    break;
                }
            }
            prop_assert_eq!((passed, walk.heads()), (pass, messages.len() as u64), "by {}", piece);
        }
        Ok(())
    });
}

/// Ends of lines that come one by one are no head, and are not read again with each that follows.
#[test]
fn empty_lines_in_pieces_begin_no_head_and_pass_with_the_one_that_follows() {
    let mut walk = Walk::new(LIMITS);
    let mut held = Vec::new();
    for _ in 0..20 {
        held.extend_from_slice(b"\r\n");
        assert_eq!(show(&mut walk, &mut held), (0, false));
        assert!(!walk.is_in_head());
    }
    held.extend_from_slice(b"GET / HTTP/1.1\r\n");
    assert_eq!(show(&mut walk, &mut held), (0, false));
    assert!(walk.is_in_head());
    held.extend_from_slice(b"host: a\r\n\r\n");
    assert_eq!(show(&mut walk, &mut held), (67, false));
    assert_eq!((walk.heads(), walk.is_in_head()), (1, false));
    held.extend_from_slice(b"\r\n\r\n");
    assert_eq!(show(&mut walk, &mut held), (0, false));
    held.extend_from_slice(b"\n");
    assert_eq!(show(&mut walk, &mut held), (0, true), "a bare line feed is refused at once");
}
