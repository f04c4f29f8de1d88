//! The tank's clocks: tokio's paused clock as the monotonic one, and a fixed wall epoch on top of it.

use std::sync::OnceLock;
use std::time::Duration;

use wavetank_platform::clock::Sleep;
use wavetank_platform::{Clock, Instant, UnixTime};

use super::heap::Nanos;

/// The wall-clock time at which every world starts: 2018-12-01T00:00:00Z.
pub const EPOCH: UnixTime = UnixTime::from_epoch(Duration::from_secs(1_543_622_400));

/// How far ahead a sleep may end; tokio cannot add an unlimited time to its clock.
pub(super) const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);

/// Simulated time. Stands still before the run and after it.
#[derive(Debug)]
pub(super) struct TankClock {
    epoch: UnixTime,
    start: OnceLock<tokio::time::Instant>,
    end: OnceLock<Duration>,
}

impl TankClock {
    pub(super) fn new(epoch: UnixTime) -> Self {
        Self { epoch, start: OnceLock::new(), end: OnceLock::new() }
    }

    /// Starts at the runtime's present moment. Must be called within the runtime.
    pub(super) fn start(&self) {
        let _ = self.start.set(tokio::time::Instant::now());
    }

    /// Stops at the present moment. Must be called within the runtime.
    pub(super) fn stop(&self) {
        let _ = self.end.set(self.elapsed());
    }

    pub(super) fn nanos(&self) -> Nanos {
        self.elapsed().as_nanos() as Nanos
    }

    /// The tokio moment `nanos` after the start.
    pub(super) fn tokio_at(&self, nanos: Nanos) -> tokio::time::Instant {
        *self.start.get().expect("the world has started") + Duration::from_nanos(nanos)
    }

    fn elapsed(&self) -> Duration {
        match (self.start.get(), self.end.get()) {
            (None, _) => Duration::ZERO,
            (Some(_), Some(end)) => *end,
            (Some(start), None) => start.elapsed(),
        }
    }
}

impl Clock for TankClock {
    fn now(&self) -> Instant {
        Instant::from_start(self.elapsed())
    }

    fn unix(&self) -> UnixTime {
        self.epoch + self.elapsed()
    }

    fn sleep_until(&self, deadline: Instant) -> Sleep {
        let start = self.start.get().copied().unwrap_or_else(tokio::time::Instant::now);
        tokio::time::sleep_until(start + deadline.since_start().min(FAR))
    }
}
