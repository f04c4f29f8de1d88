//! A caller's stream as hyper reads it: only heads that may pass, whole, and the bodies that belong to them.
//!
//! What is read goes straight into hyper's buffer and is judged there. Only the beginning of a head that has
//! not come whole is taken out again and kept here until it has.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wavetank_platform::Instant;
use wavetank_platform::clock::Sleep;

use super::farewell::Farewell;
use super::head::{Limits, Refusal};
use super::passage::Way;
use super::walk::{Step, Then, Walk};
use crate::http::caller::Caller;
use crate::http::progress::Progress;
use crate::http::reply::Failure;
use crate::record::Direction;

/// How long a caller who has closed its side may wait for answers: Envoy's default of a route's timeout. It
/// may as well have left, which looks the same.
const HALF_CLOSED_MAX: Duration = Duration::from_secs(15);

/// Bytes kept that came before it was decided who has them.
const UNDECIDED_MAX: usize = 64 * 1024;

/// The stream.
pub(crate) struct Gate<S> {
    stream: S,
    caller: Arc<Caller>,
    walk: Walk,
    /// Bytes that hyper has not got yet.
    held: Held,
    state: State,
    /// hyper has written what has not all gone out.
    unflushed: bool,
    farewell: Option<Box<Farewell>>,
}

/// Bytes in the gate: those that may pass, then the beginning of a head.
#[derive(Default)]
struct Held {
    bytes: Vec<u8>,
    given: usize,
    may_pass: usize,
}

enum State {
    /// Bytes are judged. `begun`: a head has begun and not come whole.
    Judging { begun: Option<Box<Begun>> },
    /// A message asks for another protocol.
    Turning,
    /// Bytes are another protocol's.
    Open,
    /// A body cannot go on.
    Broken,
    /// No more bytes come. `until`: they are answered no longer than this.
    Ended { refusal: Option<Box<Refusal>>, until: Option<Pin<Box<Sleep>>>, told: bool },
}

/// A head that has begun.
struct Begun {
    at: Instant,
    /// When it is too late, and what is answered then.
    deadline: Option<(Pin<Box<Sleep>>, Failure)>,
}

impl Held {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What has not been passed on.
    fn rest(&self) -> &[u8] {
        &self.bytes[self.given..]
    }

    /// Gives out bytes that may pass; false when there are none.
    fn give(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let count = self.may_pass.min(buf.remaining());
        buf.put_slice(&self.rest()[..count]);
        self.given += count;
        self.may_pass -= count;
        if self.given == self.bytes.len() {
            *self = Self::default();
        } else if self.may_pass == 0 {
            self.bytes.drain(..self.given);
            self.given = 0;
        }
        count > 0
    }
}

impl<S> Gate<S> {
    /// Stands before `stream`.
    pub(crate) fn new(stream: S, caller: Arc<Caller>) -> Self {
        let manager = &caller.manager;
        let walk = Walk::new(Limits { bytes_max: manager.head_bytes_max, headers_max: manager.headers_max });
        let state = State::Judging { begun: None };
        Self { stream, caller, walk, held: Held::default(), state, unflushed: false, farewell: None }
    }

    /// Judges the bytes that `buf` got after `before`. Those that may pass stay there, or are given out from
    /// here when others wait here before them.
    fn judge(&mut self, buf: &mut ReadBuf<'_>, before: usize) {
        if self.held.is_empty() {
            let heads = self.walk.heads();
            let Step { pass, then } = self.walk.step(&buf.filled()[before..]);
            if pass < buf.filled().len() - before {
                self.held.bytes.extend_from_slice(&buf.filled()[before + pass..]);
                buf.set_filled(before + pass);
            }
            self.go_on(then, heads);
        } else {
            self.held.bytes.extend_from_slice(&buf.filled()[before..]);
            buf.set_filled(before);
            self.judge_held();
        }
    }

    /// Judges what is held. Nothing of it is known to be allowed to pass.
    fn judge_held(&mut self) {
        let heads = self.walk.heads();
        let Step { pass, then } = self.walk.step(self.held.rest());
        self.held.may_pass = pass;
        self.go_on(then, heads);
    }

    /// Goes on after a step, before which `heads` had passed.
    fn go_on(&mut self, then: Then, heads: u64) {
        if let State::Judging { begun } = &mut self.state
            && self.walk.heads() > heads
        {
            *begun = None;
        }
        match then {
            Then::More => {
                let State::Judging { begun } = &mut self.state else { return };
                if !self.walk.is_in_head() {
                    *begun = None;
                } else if begun.is_none() {
                    *begun = Some(Box::new(Begun::now(&self.caller)));
                }
            }
            Then::Turn => self.state = State::Turning,
            Then::Refused(mut refusal) => {
                if let State::Judging { begun: Some(begun) } = &self.state {
                    refusal.begun = Some(begun.at);
                }
                self.refuse(refusal);
            }
            Then::Broken => {
                self.drop_rest();
                self.state = State::Broken;
            }
        }
    }

    fn refuse(&mut self, refusal: Box<Refusal>) {
        self.drop_rest();
        self.state = State::Ended { refusal: Some(refusal), until: None, told: false };
    }

    /// What may not pass goes nowhere.
    fn drop_rest(&mut self) {
        self.held.bytes.truncate(self.held.given + self.held.may_pass);
    }

    /// The caller has closed its side.
    fn end(&mut self) {
        let mut until = None;
        if let State::Judging { begun } = &self.state {
            let clock = &self.caller.shared.platform.clock;
            match begun {
                Some(begun) => {
                    let progress = Arc::new(Progress::new(begun.at, false));
                    let version = self.caller.shared.store.current().version;
                    drop(self.caller.open_record(begun.at, version, &progress));
                }
                None if self.walk.is_between() && self.awaits_answers() && self.answers_the_half_closed() => {
                    until = Some(Box::pin(clock.sleep(HALF_CLOSED_MAX)));
                }
                None => {}
            }
        }
        self.held = Held::default();
        self.state = State::Ended { refusal: None, until, told: false };
    }

    /// Whether a caller that has closed its side gets the answers it waits for. Within the mesh it does not:
    /// there it is the workload or a proxy, which has given up, and its request must not go on.
    fn answers_the_half_closed(&self) -> bool {
        self.caller.facts.direction == Direction::Gateway
    }

    /// Whether hyper has requests that are not done, or answers that have not gone out: told of the end
    /// before, it would drop them.
    fn awaits_answers(&self) -> bool {
        self.unflushed || self.caller.activity.ended() < self.walk.heads()
    }

    /// Ready when hyper may be told that no more bytes come.
    fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.caller.activity.watch(cx.waker());
        let awaits = self.awaits_answers();
        let State::Ended { refusal, until, told } = &mut self.state else { return Poll::Pending };
        let waits = match until {
            Some(until) => awaits && until.as_mut().poll(cx).is_pending(),
            None => awaits && refusal.is_some(),
        };
        if waits {
            return Poll::Pending;
        }
        *told = true;
        Poll::Ready(Ok(()))
    }

    /// Ready when a head that has begun is too late.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let State::Judging { begun: Some(begun) } = &mut self.state else { return Poll::Pending };
        let Some((deadline, failure)) = &mut begun.deadline else { return Poll::Pending };
        ready!(deadline.as_mut().poll(cx));
        let refusal = Refusal { begun: Some(begun.at), ..failure.clone().into() };
        self.refuse(Box::new(refusal));
        Poll::Ready(())
    }
}

impl Begun {
    /// Begins now. What bounds a head is what bounds a request that has not come whole: Envoy counts both
    /// from the first byte.
    fn now(caller: &Caller) -> Self {
        let clock = &caller.shared.platform.clock;
        let at = clock.now();
        caller.activity.touch();
        let manager = &caller.manager;
        let bounds = [
            (manager.headers_within(), Failure::RequestHeaderTimeout),
            (manager.stream_idle_within(), Failure::StreamIdle { request_complete: false }),
            (manager.request_timeout, Failure::RequestTimeout),
        ];
        let bounds = bounds.into_iter().filter_map(|(bound, failure)| Some((bound?, failure)));
        let deadline = bounds
            .min_by_key(|(bound, _)| *bound)
            .map(|(bound, failure)| (Box::pin(clock.sleep_until(at + bound)), failure));
        Self { at, deadline }
    }
}

impl<S: AsyncRead + Unpin> Gate<S> {
    /// Keeps what comes before it is decided who has it.
    fn poll_undecided(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.held.bytes.len() < UNDECIDED_MAX {
            let before = buf.filled().len();
            ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
            if buf.filled().len() == before {
                return Poll::Ready(Ok(()));
            }
            self.held.bytes.extend_from_slice(&buf.filled()[before..]);
            buf.set_filled(before);
        }
        Poll::Pending
    }

    fn poll_judged(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Ready(outcome) => outcome?,
            Poll::Pending => {
                ready!(self.poll_late(cx));
                return Poll::Ready(Ok(()));
            }
        }
        if buf.filled().len() == before {
            self.end();
        } else {
            self.judge(buf, before);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gate<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        loop {
            if buf.remaining() == 0 || buf.filled().len() > before || self.held.give(buf) {
                return Poll::Ready(Ok(()));
            }
            match (&self.state, self.caller.passage.way(self.walk.heads())) {
                (State::Open, _) => return Pin::new(&mut self.stream).poll_read(cx, buf),
                (State::Judging { .. } | State::Turning, Way::Open) => {
                    self.held.may_pass = self.held.rest().len();
                    self.state = State::Open;
                }
                (State::Turning, Way::Undecided) => return self.poll_undecided(cx, buf),
                (State::Turning, Way::Judged) => {
                    self.state = State::Judging { begun: None };
                    self.judge_held();
                }
                (State::Judging { .. }, _) => ready!(self.poll_judged(cx, buf))?,
                (State::Broken, _) => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "no chunk")));
                }
                (State::Ended { .. }, _) => return self.poll_ended(cx),
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Gate<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.unflushed = true;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    /// hyper flushes when it has written all it has.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        if std::mem::take(&mut self.unflushed) && matches!(self.state, State::Ended { .. }) {
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.farewell.is_none() {
            // hyper also ends connections that were never told of an end, whose callers asked for it.
            let State::Ended { refusal: Some(refusal), told: true, .. } = &this.state else {
                return Pin::new(&mut this.stream).poll_shutdown(cx);
            };
            this.farewell = Some(Box::new(Farewell::new(&this.caller, refusal)));
        }
        let Some(farewell) = &mut this.farewell else { return Poll::Ready(Ok(())) };
        farewell.poll(&mut this.stream, &this.caller, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.unflushed = true;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
