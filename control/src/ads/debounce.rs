//! When a burst of changes becomes one push. istiod: `PILOT_DEBOUNCE_AFTER`, `PILOT_DEBOUNCE_MAX`.

use std::time::Duration;

use wavetank_platform::Instant;

/// How long a burst is waited out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DebounceConfig {
    /// Time without a change after which it is pushed.
    pub quiet: Duration,
    /// Time after the first change after which it is pushed in any case.
    pub max: Duration,
}

impl Default for DebounceConfig {
    /// istiod's 100 ms and 10 s.
    fn default() -> Self {
        Self { quiet: Duration::from_millis(100), max: Duration::from_secs(10) }
    }
}

/// A burst, while it lasts.
#[derive(Debug, Clone, Copy)]
pub struct Debounce {
    config: DebounceConfig,
    first: Instant,
    last: Instant,
}

impl Debounce {
    /// A burst that begins with a change at `now`.
    pub fn begin(config: DebounceConfig, now: Instant) -> Self {
        Self { config, first: now, last: now }
    }

    /// Takes one more change.
    pub fn extend(&mut self, now: Instant) {
        self.last = now;
    }

    /// When the burst is over, unless another change comes before.
    pub fn deadline(&self) -> Instant {
        (self.last + self.config.quiet).min(self.first + self.config.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_start(Duration::from_millis(ms))
    }

    #[test]
    fn a_burst_ends_after_a_quiet_time_and_at_the_latest_after_its_maximum() {
        let config = DebounceConfig { quiet: Duration::from_millis(100), max: Duration::from_millis(250) };
        let mut burst = Debounce::begin(config, at(1000));
        assert_eq!(burst.deadline(), at(1100));
        burst.extend(at(1090));
        assert_eq!(burst.deadline(), at(1190));
        burst.extend(at(1180));
        assert_eq!(burst.deadline(), at(1250));
    }
}
