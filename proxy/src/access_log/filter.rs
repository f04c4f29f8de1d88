//! Which entries get a line. Envoy: `AccessLogFilter`.

use super::capture::{RuleSlot, Wanted};
use super::entry::Entry;
use crate::record::Flag;

/// A condition on an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// Every entry, or none.
    Constant(bool),
    /// Any flag is set.
    AnyFlag,
    /// One of these flags is set.
    Flags(Vec<Flag>),
    /// The status; 0 where there is none.
    Status(Comparison),
    /// The whole duration, in milliseconds.
    Duration(Comparison),
    /// A rule on the request's headers.
    Header(RuleSlot),
    /// All hold.
    All(Vec<Filter>),
    /// One holds.
    Any(Vec<Filter>),
}

/// `ComparisonFilter`: the value found, compared with this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// It is this.
    Equal(u32),
    /// It is this or more.
    AtLeast(u32),
    /// It is this or less.
    AtMost(u32),
    /// It is something else.
    Not(u32),
}

impl Comparison {
    fn holds(self, found: u128) -> bool {
        match self {
            Self::Equal(wanted) => found == wanted.into(),
            Self::AtLeast(least) => found >= least.into(),
            Self::AtMost(most) => found <= most.into(),
            Self::Not(unwanted) => found != unwanted.into(),
        }
    }
}

impl Filter {
    /// Whether `entry` gets a line. `wanted` is what the filter was made with.
    pub(crate) fn passes(&self, entry: &Entry<'_>, wanted: &Wanted) -> bool {
        match self {
            Self::Constant(passes) => *passes,
            Self::AnyFlag => !entry.flags.is_empty(),
            Self::Flags(flags) => entry.flags.iter().any(|flag| flags.contains(flag)),
            Self::Status(comparison) => comparison.holds(entry.status.into()),
            Self::Duration(comparison) => comparison.holds(entry.duration.as_millis()),
            Self::Header(rule) => entry.heads.holds(wanted, *rule),
            Self::All(filters) => filters.iter().all(|filter| filter.passes(entry, wanted)),
            Self::Any(filters) => filters.iter().any(|filter| filter.passes(entry, wanted)),
        }
    }
}
