//! Which engine runs a world.

use std::fmt;

/// What carries bytes and time between pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Engine {
    /// Our own, event by event over turmoil-net's kernels: packets, faults, time to the nanosecond
    #[default]
    Tank,
    /// The classic turmoil runtime, a check on the first: no faults, time in milliseconds
    Turmoil,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tank => "tank",
            Self::Turmoil => "turmoil",
        })
    }
}
