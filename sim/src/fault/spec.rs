//! A fault as the scenario asks for it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use wavetank_reports::{FaultResult, Place};

use super::links::LinkChange;
use crate::observe::Selector;

/// One fault: what breaks, when, and for how long.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Where the scenario asks for it.
    pub asked_at: Place,
    /// Characters it takes there.
    pub width: usize,
    /// When it begins, from the start of the scenario.
    pub at: Duration,
    /// How long it lasts; `None` is to the end of the run, and for a kill the cluster's own restart delay.
    pub duration: Option<Duration>,
    /// Whether it may touch nothing.
    pub may_miss: bool,
    /// What breaks.
    pub kind: FaultKind,
}

/// What breaks.
#[derive(Debug, Clone, PartialEq)]
pub enum FaultKind {
    /// No packet passes.
    Partition(Link),
    /// A link is worse than it was.
    Link(Link, LinkChange),
    /// A process ends at once, and starts again in its pod.
    Kill(Selector),
    /// Pods lose power, without a word to anyone.
    PowerOff(Selector),
    /// Pods are deleted, and fresh ones take their places.
    Delete(Selector),
    /// Pods make way for fresh ones, one after the other.
    Restart(Selector),
    /// Programs answer later by so much.
    Slow(Selector, Duration),
    /// Programs answer with an error.
    Fail {
        /// Whose.
        at: Selector,
        /// The status they answer with.
        status: u16,
        /// Share of their answers, in percent.
        percent: f64,
    },
}

impl FaultKind {
    /// Its key in the scenario.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Partition(_) => "partition",
            Self::Link(_, LinkChange::Delay { .. }) => "delay",
            Self::Link(_, LinkChange::Loss(_)) => "loss",
            Self::Link(_, LinkChange::Bandwidth(_)) => "bandwidth",
            Self::Kill(_) => "kill",
            Self::PowerOff(_) => "power_off",
            Self::Delete(_) => "delete",
            Self::Restart(_) => "restart",
            Self::Slow(..) => "slow",
            Self::Fail { .. } => "fail",
        }
    }

    /// What it is put on.
    pub fn on(&self) -> String {
        match self {
            Self::Partition(link) | Self::Link(link, _) => link.to_string(),
            Self::Kill(at) | Self::PowerOff(at) | Self::Delete(at) | Self::Restart(at) => at.to_string(),
            Self::Slow(at, _) | Self::Fail { at, .. } => at.to_string(),
        }
    }

    /// Whether fresh pods take the places of those it is on.
    pub fn replaces_pods(&self) -> bool {
        matches!(self, Self::Delete(_) | Self::Restart(_))
    }

    /// What a touch of it is.
    pub fn touches(&self) -> &'static str {
        match self {
            Self::Partition(_) | Self::Link(..) => "no packet was sent on this link while it lasted",
            Self::Kill(_) | Self::Delete(_) | Self::Restart(_) => "nothing was connected to it",
            Self::PowerOff(_) => "no packet was sent to it while it lasted",
            Self::Slow(..) | Self::Fail { .. } => "no request reached it while it lasted",
        }
    }
}

/// A link between two sets of pods: `a <-> b`, or one way `a -> b`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// One end; of a one-way link the sender.
    pub a: Selector,
    /// The other end.
    pub b: Selector,
    /// Whether it is both ways.
    pub both: bool,
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.a, if self.both { "<->" } else { "->" }, self.b)
    }
}

impl FromStr for Link {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once("<->").map(|(a, b)| (a, b, true));
        let parts = parts.or_else(|| text.split_once("->").map(|(a, b)| (a, b, false)));
        let (a, b, both) = parts.ok_or_else(|| format!("`{text}` is not a link like `a <-> b` or `a -> b`"))?;
        Ok(Self { a: a.parse()?, b: b.parse()?, both })
    }
}

/// What became of a fault.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultOutcome {
    /// What is reported.
    pub result: FaultResult,
    /// The fault.
    pub fault: Fault,
}

impl FaultOutcome {
    /// Whether it touched nothing, and was to touch something.
    pub fn missed(&self) -> bool {
        self.result.touched == 0 && !self.fault.may_miss
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_both_ways_or_one_way() {
        let link = |text: &str| text.parse::<Link>().map(|link| (link.to_string(), link.both));
        assert_eq!(link("service-node <-> control-plane"), Ok(("service-node <-> control-plane".to_owned(), true)));
        assert_eq!(link("a@v1 -> *"), Ok(("a@v1 -> *".to_owned(), false)));
        assert!(link("a b").is_err() && link("a <- b").is_err());
    }
}
