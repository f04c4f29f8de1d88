//! How far one request has got: bytes received, whether all of it has come, when anything last moved.
//! Shared by the request's body, which an upstream connection reads, and by whoever watches its deadlines.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use wavetank_platform::Instant;

/// State of the receiving side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Receiving {
    /// More is to come.
    Open,
    /// All has come.
    Complete,
    /// The caller went away.
    Disconnected,
    /// What the caller sent is no HTTP.
    Malformed,
}

/// One request's progress.
#[derive(Debug)]
pub(crate) struct Progress {
    received: AtomicU64,
    receiving: AtomicU8,
    completed_at: AtomicU64,
    moved_at: AtomicU64,
    watcher: AtomicWaker,
}

impl Progress {
    /// A request whose head came at `now`; `complete` if it has no body.
    pub(crate) fn new(now: Instant, complete: bool) -> Self {
        let receiving = if complete { Receiving::Complete } else { Receiving::Open };
        Self {
            received: AtomicU64::new(0),
            receiving: AtomicU8::new(receiving as u8),
            completed_at: AtomicU64::new(nanos(now)),
            moved_at: AtomicU64::new(nanos(now)),
            watcher: AtomicWaker::new(),
        }
    }

    /// `count` body bytes came.
    pub(crate) fn receive(&self, count: usize, now: Instant) {
        self.received.fetch_add(count as u64, Ordering::Relaxed);
        self.touch(now);
    }

    /// The receiving side is over.
    pub(crate) fn end(&self, how: Receiving, now: Instant) {
        if self.receiving() == Receiving::Open {
            self.completed_at.store(nanos(now), Ordering::Relaxed);
            self.receiving.store(how as u8, Ordering::Release);
            self.touch(now);
            self.watcher.wake();
        }
    }

    /// Something moved.
    pub(crate) fn touch(&self, now: Instant) {
        self.moved_at.store(nanos(now), Ordering::Relaxed);
    }

    /// Body bytes received.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// State of the receiving side.
    pub(crate) fn receiving(&self) -> Receiving {
        match self.receiving.load(Ordering::Acquire) {
            0 => Receiving::Open,
            1 => Receiving::Complete,
            2 => Receiving::Disconnected,
            _ => Receiving::Malformed,
        }
    }

    /// When all of the request had come; `None` while more is to come.
    pub(crate) fn completed_at(&self) -> Option<Instant> {
        (self.receiving() == Receiving::Complete).then(|| moment(&self.completed_at))
    }

    /// When anything last moved.
    pub(crate) fn moved_at(&self) -> Instant {
        moment(&self.moved_at)
    }

    /// Wakes `waker` when the receiving side ends.
    pub(crate) fn watch(&self, waker: &Waker) {
        self.watcher.register(waker);
    }
}

fn nanos(moment: Instant) -> u64 {
    u64::try_from(moment.since_start().as_nanos()).unwrap_or(u64::MAX)
}

fn moment(at: &AtomicU64) -> Instant {
    Instant::from_start(std::time::Duration::from_nanos(at.load(Ordering::Relaxed)))
}
