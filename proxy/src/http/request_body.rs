//! The body of a request on its way upstream. Where a retry is possible, what has been sent is kept, up to
//! [`REPLAY_MAX`], and sent again first.

use std::collections::VecDeque;
use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use wavetank_platform::Clock;

use super::consent::{Awaited, Consent};
use super::progress::{Progress, Receiving};

/// Body bytes kept for a retry; Envoy's default buffer limit. A longer body is not retried.
const REPLAY_MAX: usize = 1024 * 1024;

/// A body for one attempt.
#[derive(Debug)]
pub(crate) enum RequestBody {
    /// None.
    Empty,
    /// Passed on as it comes; the only attempt.
    Once(Source),
    /// One attempt of several.
    Attempt {
        /// What all attempts share.
        replay: Replay,
        /// Which attempt this is; an older one ends when a newer begins.
        number: u32,
        /// Kept frames sent already.
        sent: usize,
    },
}

/// The caller's body, watched.
#[derive(Debug)]
pub(crate) struct Source {
    incoming: Incoming,
    progress: Arc<Progress>,
    clock: Arc<dyn Clock>,
    consent: Option<Awaited>,
}

/// A body that can be sent again.
#[derive(Debug, Clone)]
pub(crate) struct Replay(Arc<Mutex<Kept>>);

#[derive(Debug)]
struct Kept {
    source: Source,
    frames: VecDeque<Bytes>,
    trailers: Option<http::HeaderMap>,
    size: usize,
    ended: bool,
    overflowed: bool,
    attempt: u32,
}

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The caller's connection failed, or what it sent is no HTTP.
    #[error("request body: {0}")]
    Caller(#[source] hyper::Error),
    /// A newer attempt has begun.
    #[error("request body: given to a newer attempt")]
    Superseded,
}

impl Source {
    /// Watches `incoming`, which is not asked for before there is `consent`, where that is waited for; not for long.
    pub(crate) fn new(
        incoming: Incoming,
        progress: Arc<Progress>,
        clock: Arc<dyn Clock>,
        consent: Option<Arc<Consent>>,
    ) -> Self {
        Self { incoming, progress, clock, consent: consent.map(Awaited::new) }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(awaited) = &mut self.consent {
            std::task::ready!(awaited.poll(&*self.clock, cx));
            self.consent = None;
        }
        let polled = Pin::new(&mut self.incoming).poll_frame(cx);
        let Poll::Ready(frame) = polled else { return Poll::Pending };
        let now = self.clock.now();
        Poll::Ready(match frame {
            None => {
                self.progress.end(Receiving::Complete, now);
                None
            }
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.progress.receive(data.len(), now);
                }
                if frame.is_trailers() || self.incoming.is_end_stream() {
                    self.progress.end(Receiving::Complete, now);
                }
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                self.progress.end(how_ended(&error), now);
                Some(Err(BodyError::Caller(error)))
            }
        })
    }
}

/// Whether a broken body means a caller that left or one that sent nonsense.
fn how_ended(error: &hyper::Error) -> Receiving {
    let kind = error.source().and_then(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    match kind {
        Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => Receiving::Malformed,
        _ => Receiving::Disconnected,
    }
}

impl Replay {
    /// Keeps what attempts send of `source`.
    pub(crate) fn new(source: Source) -> Self {
        Self(Arc::new(Mutex::new(Kept {
            source,
            frames: VecDeque::new(),
            trailers: None,
            size: 0,
            ended: false,
            overflowed: false,
            attempt: 0,
        })))
    }

    /// The body for the next attempt; ends the one before.
    pub(crate) fn attempt(&self) -> RequestBody {
        let mut kept = self.kept();
        kept.attempt += 1;
        RequestBody::Attempt { number: kept.attempt, replay: self.clone(), sent: 0 }
    }

    /// Ends the attempt under way: what it would still send belongs to the next one.
    pub(crate) fn supersede(&self) {
        self.kept().attempt += 1;
    }

    /// Whether all that was sent can be sent again.
    pub(crate) fn is_whole(&self) -> bool {
        !self.kept().overflowed
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn poll(&mut self, cx: &mut Context<'_>, sent: &mut usize) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(frame) = self.frames.get(*sent) {
            *sent += 1;
            return Poll::Ready(Some(Ok(Frame::data(frame.clone()))));
        }
        if self.ended {
            let trailers = self.trailers.clone().filter(|_| *sent == self.frames.len());
            *sent = self.frames.len() + 1;
            return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
        }
        let Poll::Ready(frame) = self.source.poll(cx) else { return Poll::Pending };
        match &frame {
            Some(Ok(frame)) => self.keep(frame, sent),
            Some(Err(_)) => self.overflowed = true,
            None => self.ended = true,
        }
        Poll::Ready(frame)
    }

    fn keep(&mut self, frame: &Frame<Bytes>, sent: &mut usize) {
        if let Some(data) = frame.data_ref() {
            self.size += data.len();
            if self.size > REPLAY_MAX {
                self.overflowed = true;
                self.frames.clear();
                *sent = 0;
            } else if !self.overflowed {
                self.frames.push_back(data.clone());
                *sent += 1;
            }
        }
        if let Some(trailers) = frame.trailers_ref() {
            self.trailers = Some(trailers.clone());
            *sent = self.frames.len() + 1;
            self.ended = true;
        }
        self.ended |= self.source.incoming.is_end_stream();
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Once(source) => source.poll(cx),
            Self::Attempt { replay, number, sent } => {
                let mut kept = replay.kept();
                if kept.attempt != *number {
                    return Poll::Ready(Some(Err(BodyError::Superseded)));
                }
                kept.poll(cx, sent)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Once(source) => source.incoming.is_end_stream(),
            Self::Attempt { replay, sent, .. } => {
                let kept = replay.kept();
                kept.ended && *sent >= kept.frames.len() && (kept.trailers.is_none() || *sent > kept.frames.len())
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Once(source) => source.incoming.size_hint(),
            Self::Attempt { replay, sent, .. } => {
                let kept = replay.kept();
                let again: usize = kept.frames.iter().skip(*sent).map(Bytes::len).sum();
                match kept.source.incoming.size_hint().exact() {
                    Some(left) if !kept.overflowed => SizeHint::with_exact(left + again as u64),
                    _ => SizeHint::default(),
                }
            }
        }
    }
}
