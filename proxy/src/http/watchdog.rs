//! The deadlines of one request: the route's timeout, the attempt's, and the bound on standing still. One
//! timer serves all three; none is armed when none is set.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use wavetank_platform::clock::Sleep;
use wavetank_platform::{Clock, Instant};

use super::progress::Progress;
use super::reply::Failure;
use crate::idle::Activity;
use crate::route::ResetReason;

/// Which bound was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expired {
    /// The route's timeout, counted from the end of the request.
    Route,
    /// The attempt's, counted from the later of the end of the request and the attempt's connection.
    Try,
    /// Nothing moved for too long.
    Idle,
    /// The request did not come in whole in time.
    Request,
}

impl Expired {
    /// What is answered while no response has begun.
    pub(crate) fn failure(self, progress: &Progress) -> Failure {
        match self {
            Self::Route => Failure::RouteTimeout,
            Self::Try => Failure::Reset { reason: ResetReason::PerTryTimeout, transport: None, retried: false },
            Self::Idle => Failure::StreamIdle { request_complete: progress.completed_at().is_some() },
            Self::Request => Failure::RequestTimeout,
        }
    }
}

/// The bounds; `None` is no bound.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bounds {
    /// Whole request, attempts and back-off included.
    pub(crate) route: Option<Duration>,
    /// One attempt.
    pub(crate) per_try: Option<Duration>,
    /// Without progress.
    pub(crate) idle: Option<Duration>,
    /// Receiving the request.
    pub(crate) request: Option<Duration>,
}

/// Watches one request.
#[derive(Debug)]
pub(crate) struct Watchdog {
    bounds: Bounds,
    progress: Arc<Progress>,
    clock: Arc<dyn Clock>,
    start: Instant,
    try_start: Option<Instant>,
    sleep: Option<(Instant, Pin<Box<Sleep>>)>,
    /// Of the caller's connection: lends the timer.
    activity: Arc<Activity>,
}

impl Watchdog {
    /// Watches a request that began at `start`.
    pub(crate) fn new(
        bounds: Bounds,
        progress: Arc<Progress>,
        clock: Arc<dyn Clock>,
        start: Instant,
        activity: Arc<Activity>,
    ) -> Self {
        Self { bounds, progress, clock, start, try_start: None, sleep: None, activity }
    }

    /// The attempt has its connection.
    pub(crate) fn begin_try(&mut self) {
        self.try_start = Some(self.clock.now());
    }

    /// The attempt is over, or its response has begun.
    pub(crate) fn end_try(&mut self) {
        self.try_start = None;
    }

    /// How the request comes along.
    pub(crate) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Something moved now.
    pub(crate) fn touch(&self) {
        if self.bounds.idle.is_some() {
            self.progress.touch(self.clock.now());
        }
    }

    /// Ready when a bound is passed.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Expired> {
        if self.progress.completed_at().is_none() {
            self.progress.watch(cx.waker());
        }
        loop {
            let Some((deadline, which)) = self.next() else { return Poll::Pending };
            let (clock, activity) = (&self.clock, &self.activity);
            let fresh = || activity.take_timer().unwrap_or_else(|| (deadline, Box::pin(clock.sleep_until(deadline))));
            let (armed, sleep) = self.sleep.get_or_insert_with(fresh);
            // A timer armed too early is moved when it fires; one armed too late is moved at once.
            if *armed > deadline {
                sleep.set(clock.sleep_until(deadline));
                *armed = deadline;
            }
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if *armed >= deadline {
                return Poll::Ready(which);
            }
            sleep.set(clock.sleep_until(deadline));
            *armed = deadline;
        }
    }

    /// Runs `future` until a bound is passed. It is pinned where it was made, and not moved into another one.
    pub(crate) fn guard<F: Future>(
        &mut self,
        mut future: Pin<&mut F>,
    ) -> impl Future<Output = Result<F::Output, Expired>> {
        std::future::poll_fn(move |cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            self.poll(cx).map(Err)
        })
    }

    /// The next bound to be passed as things stand.
    fn next(&self) -> Option<(Instant, Expired)> {
        let completed = self.progress.completed_at();
        let route = completed.zip(self.bounds.route).map(|(at, bound)| (at + bound, Expired::Route));
        let per_try = completed
            .zip(self.try_start)
            .zip(self.bounds.per_try)
            .map(|((complete, begun), bound)| (complete.max(begun) + bound, Expired::Try));
        let idle = self.bounds.idle.map(|bound| (self.progress.moved_at() + bound, Expired::Idle));
        let request = match completed {
            None => self.bounds.request.map(|bound| (self.start + bound, Expired::Request)),
            Some(_) => None,
        };
        [route, per_try, idle, request].into_iter().flatten().min_by_key(|(deadline, _)| *deadline)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if let Some(timer) = self.sleep.take() {
            self.activity.leave_timer(timer);
        }
    }
}
