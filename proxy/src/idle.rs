//! Finding out that a connection has idled for too long, with one timer that is moved only when it fires.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use wavetank_platform::clock::Sleep;
use wavetank_platform::{Clock, Instant};

/// How much is under way on one connection, and since when nothing is.
#[derive(Debug)]
pub(crate) struct Activity {
    clock: Arc<dyn Clock>,
    active: AtomicU32,
    ended: AtomicU64,
    idle_since: AtomicU64,
    watcher: AtomicWaker,
    /// Timers that requests left armed, each with its deadline.
    armed: Mutex<Vec<(Instant, Pin<Box<Sleep>>)>>,
}

/// Timers kept for later requests of one connection, at most.
const ARMED_MAX: usize = 8;

impl Activity {
    /// Idle since now.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let idle_since = AtomicU64::new(nanos(clock.now()));
        Self {
            clock,
            active: AtomicU32::new(0),
            ended: AtomicU64::new(0),
            idle_since,
            watcher: AtomicWaker::new(),
            armed: Mutex::default(),
        }
    }

    /// One thing more is under way.
    pub(crate) fn begin(&self) {
        self.active.fetch_add(1, Ordering::Relaxed);
    }

    /// One thing less.
    pub(crate) fn end(&self) {
        self.touch();
        self.active.fetch_sub(1, Ordering::Relaxed);
        self.ended.fetch_add(1, Ordering::Relaxed);
        self.watcher.wake();
    }

    /// How much was under way and is over.
    pub(crate) fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    /// Wakes `waker` when one thing more is over.
    pub(crate) fn watch(&self, waker: &Waker) {
        self.watcher.register(waker);
    }

    /// Whether nothing is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.active.load(Ordering::Relaxed) == 0
    }

    /// Something moved now.
    pub(crate) fn touch(&self) {
        self.idle_since.store(nanos(self.clock.now()), Ordering::Relaxed);
    }

    /// A timer that an earlier request left, with the deadline for which it is armed, or none.
    ///
    /// To arm a timer wakes the runtime's driver, which costs a system call; the next request's deadline is
    /// later as a rule, and a timer that fires too early is moved.
    pub(crate) fn take_timer(&self) -> Option<(Instant, Pin<Box<Sleep>>)> {
        self.armed().pop()
    }

    /// Keeps a timer for a later request.
    pub(crate) fn leave_timer(&self, timer: (Instant, Pin<Box<Sleep>>)) {
        let mut armed = self.armed();
        if armed.len() < ARMED_MAX {
            armed.push(timer);
        }
    }

    fn armed(&self) -> MutexGuard<'_, Vec<(Instant, Pin<Box<Sleep>>)>> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When it will have idled for `limit`, as things stand.
    fn deadline(&self, limit: Duration) -> Instant {
        if self.active.load(Ordering::Relaxed) > 0 {
            return self.clock.now() + limit;
        }
        Instant::from_start(Duration::from_nanos(self.idle_since.load(Ordering::Relaxed))) + limit
    }
}

/// Ready once the connection has idled for its limit. One task polls it.
#[derive(Debug)]
pub(crate) struct IdleTimer {
    limit: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
    /// The timer will wake the task.
    armed: bool,
}

impl IdleTimer {
    /// A timer for `limit`; zero never fires.
    pub(crate) fn new(activity: &Activity, limit: Duration) -> Self {
        let sleep = (!limit.is_zero()).then(|| Box::pin(activity.clock.sleep_until(activity.deadline(limit))));
        Self { limit, sleep, armed: false }
    }

    /// Ready once, when `activity` has idled for the limit.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, activity: &Activity) -> Poll<()> {
        loop {
            let Some(sleep) = &mut self.sleep else { return Poll::Pending };
            if (self.armed && !sleep.is_elapsed()) || sleep.as_mut().poll(cx).is_pending() {
                self.armed = true;
                return Poll::Pending;
            }
            self.armed = false;
            let deadline = activity.deadline(self.limit);
            if deadline <= activity.clock.now() {
                self.sleep = None;
                return Poll::Ready(());
            }
            sleep.set(activity.clock.sleep_until(deadline));
        }
    }
}

fn nanos(moment: Instant) -> u64 {
    u64::try_from(moment.since_start().as_nanos()).unwrap_or(u64::MAX)
}
