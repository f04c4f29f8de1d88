//! The body of a response on its way to the caller. It carries the request's open record, which it hands
//! over with the last byte.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::caller::note_grpc_status;
use super::open_record::OpenRecord;
use super::progress::Receiving;
use super::reply::Aborted;
use super::watchdog::Watchdog;
use crate::cluster::outlier::Outcome;
use crate::record::Protocol;
use crate::route::ResetReason;
use crate::upstream::clusters::Active;
use crate::upstream::lease::Lease;

/// A body for hyper to send.
#[derive(Debug)]
pub(crate) enum ResponseBody {
    /// None; the record is closed.
    Empty,
    /// None, and the headers name a length: 0, or with a 304 what it would have been. hyper leaves that in its
    /// place only while it still expects a body of this length. The record is closed.
    Unsent {
        /// What the headers say.
        length: u64,
        /// Whether hyper has been told of the end.
        ended: bool,
    },
    /// Our own words.
    Local {
        /// All of them.
        text: Option<Bytes>,
        /// Closed once they are sent.
        record: Option<OpenRecord>,
    },
    /// An endpoint's response.
    Upstream(Box<Relay>),
}

/// A response passed on as it comes.
#[derive(Debug)]
pub(crate) struct Relay {
    watchdog: Watchdog,
    record: Option<OpenRecord>,
    /// Whence the body comes. Returned to its pool when the body is through.
    lent: Option<(Lease, Active)>,
    broken: Option<BrokenOff>,
}

/// The response ended before its end. The caller sees its connection or stream end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("response broke off")]
pub(crate) struct BrokenOff;

impl ResponseBody {
    /// Our own words, or none.
    pub(crate) fn local(text: Bytes, record: OpenRecord) -> Self {
        if text.is_empty() {
            record.close();
            return Self::Empty;
        }
        Self::Local { text: Some(text), record: Some(record) }
    }

    /// An endpoint's response, with the connection it comes on. `length`: what its headers say of a body that is not
    /// sent.
    pub(crate) fn relay(
        watchdog: Watchdog,
        record: OpenRecord,
        mut lent: (Lease, Active),
        length: Option<u64>,
    ) -> Self {
        if lent.0.is_end_stream() {
            give_back(&mut lent.0, &watchdog);
            let http1 = record.record.protocol == Protocol::Http1;
            record.close();
            return match length.filter(|_| http1) {
                Some(length) => Self::Unsent { length, ended: false },
                None => Self::Empty,
            };
        }
        Self::Upstream(Box::new(Relay { watchdog, record: Some(record), lent: Some(lent), broken: None }))
    }
}

/// A connection that has answered goes back to its pool when its request is out, unless that has no end yet: nobody
/// waits for the rest of it.
fn give_back(lease: &mut Lease, watchdog: &Watchdog) {
    if watchdog.progress().receiving() == Receiving::Complete {
        lease.send_whole();
    }
}

impl Relay {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if let Some(broken) = self.broken.take() {
            return Poll::Ready(Some(Err(broken)));
        }
        let Some((lease, _)) = &mut self.lent else { return Poll::Ready(None) };
        match lease.poll_frame(cx) {
            Poll::Ready(None) => {
                self.finish();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Ok(frame))) => {
                let over = frame.is_trailers() || lease.is_end_stream();
                self.watchdog.touch();
                if let Some((record, data)) = self.record.as_mut().zip(frame.data_ref()) {
                    record.record.bytes_sent += data.len() as u64;
                }
                if let Some((record, trailers)) = self.record.as_mut().zip(frame.trailers_ref()) {
                    note_grpc_status(&mut record.record, trailers);
                    if let Some(logging) = &mut record.logging {
                        logging.trailers(trailers);
                    }
                }
                if over {
                    self.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(reason))) => {
                let why = self.why_broken(reason);
                self.break_off(cx, why)
            }
            Poll::Pending => match self.watchdog.poll(cx) {
                Poll::Ready(expired) => {
                    let aborted = Aborted::by_timeout(&expired.failure(self.watchdog.progress()).reply());
                    self.break_off(cx, aborted.unwrap_or_else(Aborted::by_client))
                }
                Poll::Pending => Poll::Pending,
            },
        }
    }

    /// Who broke an exchange off: its request may still have been on its way.
    fn why_broken(&mut self, reason: ResetReason) -> Aborted {
        match self.watchdog.progress().receiving() {
            Receiving::Disconnected => {
                // It knows what to say of a caller that left.
                self.record = None;
                Aborted::by_client()
            }
            Receiving::Malformed => Aborted::by_codec_error(),
            Receiving::Open | Receiving::Complete => {
                if let Some((_, active)) = &self.lent {
                    active.note(Outcome::Failed);
                }
                Aborted::by_upstream(reason)
            }
        }
    }

    fn finish(&mut self) {
        if let Some((mut lease, _)) = self.lent.take() {
            give_back(&mut lease, &self.watchdog);
        }
        if let Some(record) = self.record.take() {
            record.close();
        }
    }

    /// Ends the response early: what has come goes out first, then the caller's connection ends.
    fn break_off(&mut self, cx: &mut Context<'_>, why: Aborted) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        self.lent = None;
        if let Some(mut record) = self.record.take() {
            record.flag(why.flag);
            record.log_broken();
            record.record.details = why.details;
            record.close();
        }
        // hyper drops what it has not written when a body fails; pending once lets it write first.
        self.broken = Some(BrokenOff);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Unsent { ended, .. } => {
                *ended = true;
                Poll::Ready(None)
            }
            Self::Local { text, record } => {
                let text = text.take();
                if let (Some(text), Some(mut record)) = (&text, record.take()) {
                    record.record.bytes_sent = text.len() as u64;
                    record.close();
                }
                Poll::Ready(text.map(|text| Ok(Frame::data(text))))
            }
            Self::Upstream(relay) => relay.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Unsent { ended, .. } => *ended,
            Self::Local { text, .. } => text.is_none(),
            Self::Upstream(relay) => relay.broken.is_none() && relay.record.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Unsent { length, .. } => SizeHint::with_exact(*length),
            Self::Local { text, .. } => SizeHint::with_exact(text.as_ref().map_or(0, Bytes::len) as u64),
            Self::Upstream(relay) => {
                relay.lent.as_ref().map_or(SizeHint::with_exact(0), |(lease, _)| lease.size_hint())
            }
        }
    }
}
