//! The time of the host that asks. Every host has a runtime with a paused clock of its own; turmoil keeps
//! them within a millisecond of each other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wavetank_platform::clock::Sleep;
use wavetank_platform::{Clock, Instant, UnixTime};

use crate::engine::clock::FAR;
use crate::engine::heap::Nanos;
use crate::engine::link::nanos;

/// Simulated time. Stands still before the run and after it.
#[derive(Debug)]
pub(super) struct HostClock {
    epoch: UnixTime,
    /// The time that was told last, for who asks from no host.
    told: AtomicU64,
}

impl HostClock {
    pub(super) fn new(epoch: UnixTime) -> Self {
        Self { epoch, told: AtomicU64::new(0) }
    }

    pub(super) fn nanos(&self) -> Nanos {
        let Some(elapsed) = turmoil::sim_elapsed() else {
            return self.told.load(Ordering::Relaxed);
        };
        let now = nanos(elapsed);
        self.told.store(now, Ordering::Relaxed);
        now
    }
}

impl Clock for HostClock {
    fn now(&self) -> Instant {
        Instant::from_start(Duration::from_nanos(self.nanos()))
    }

    fn unix(&self) -> UnixTime {
        self.epoch + Duration::from_nanos(self.nanos())
    }

    fn sleep_until(&self, deadline: Instant) -> Sleep {
        tokio::time::sleep(deadline.saturating_since(self.now()).min(FAR))
    }
}
