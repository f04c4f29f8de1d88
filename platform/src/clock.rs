//! Time: a monotonic clock for durations, a wall clock for dates and certificates, and sleeping.
//!
//! Both hosts run on tokio's timer (the tank on its paused clock), so sleeping is tokio's, reached from
//! here; its resolution is 1 ms. Reading the time is exact to the nanosecond.

use std::fmt;
use std::future::Future;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A moment on this host's monotonic clock, counted from its start (live: the process; tank: the world).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Instant(Duration);

impl Instant {
    /// The start of the clock.
    pub const START: Self = Self(Duration::ZERO);

    /// The moment `since_start` after the start.
    pub const fn from_start(since_start: Duration) -> Self {
        Self(since_start)
    }

    /// Time since the start.
    pub const fn since_start(self) -> Duration {
        self.0
    }

    /// Time from `earlier` to this moment; zero when `earlier` is later.
    pub fn saturating_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Saturates at the end of time.
    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by))
    }
}

impl Sub for Instant {
    type Output = Duration;

    /// Same as [`Instant::saturating_since`].
    fn sub(self, earlier: Self) -> Duration {
        self.saturating_since(earlier)
    }
}

/// A wall-clock time: nanoseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnixTime(Duration);

impl UnixTime {
    /// The time `since_epoch` after 1970-01-01T00:00:00Z.
    pub const fn from_epoch(since_epoch: Duration) -> Self {
        Self(since_epoch)
    }

    /// Time since 1970-01-01T00:00:00Z.
    pub const fn since_epoch(self) -> Duration {
        self.0
    }

    /// Whole seconds since 1970-01-01T00:00:00Z.
    pub const fn as_secs(self) -> u64 {
        self.0.as_secs()
    }

    /// The same moment as the standard library's type, for crates that format dates.
    pub fn to_system_time(self) -> std::time::SystemTime {
        std::time::SystemTime::UNIX_EPOCH + self.0
    }
}

impl Add<Duration> for UnixTime {
    type Output = Self;

    /// Saturates at the end of time.
    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by))
    }
}

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0.as_secs(), self.0.subsec_millis())
    }
}

/// The host's clocks.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Now, on the monotonic clock.
    fn now(&self) -> Instant;

    /// Now, on the wall clock.
    fn unix(&self) -> UnixTime;

    /// A future that is ready at `deadline`, at most 1 ms late; at once when `deadline` has passed.
    fn sleep_until(&self, deadline: Instant) -> Sleep;
}

impl dyn Clock + '_ {
    /// A future that is ready after `duration`, at most 1 ms late.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_until(self.now() + duration)
    }

    /// Waits for `future` until `deadline`.
    ///
    /// Errs with [`Elapsed`] when the deadline comes first; a future that is ready at once always wins.
    pub async fn timeout_at<F: Future>(&self, deadline: Instant, future: F) -> Result<F::Output, Elapsed> {
        tokio::select! {
            biased;
            output = future => Ok(output),
            () = self.sleep_until(deadline) => Err(Elapsed),
        }
    }

    /// Waits for `future` for at most `duration`.
    ///
    /// Errs with [`Elapsed`] when the time is up first.
    pub async fn timeout<F: Future>(&self, duration: Duration, future: F) -> Result<F::Output, Elapsed> {
        self.timeout_at(self.now() + duration, future).await
    }
}

/// A pending sleep.
pub type Sleep = tokio::time::Sleep;

/// A deadline came before the future it bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deadline has elapsed")
    }
}

impl std::error::Error for Elapsed {}
