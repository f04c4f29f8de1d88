//! One stream of requests.

use std::time::Duration;

use crate::world::client::Call;

/// One stream of requests: what is asked, how often, and for how long.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its name in the scenario; also names its random stream.
    pub name: String,
    /// The request, sent again and again.
    pub call: Call,
    /// When it begins, from the start of traffic.
    pub at: Duration,
    /// How it is paced.
    pub load: Load,
    /// Requests sent at most; `None` for no such limit.
    pub count: Option<u64>,
    /// How long requests are sent; `None` for no such limit. One of the two must be given, or the plan
    /// sends nothing.
    pub duration: Option<Duration>,
    /// When a caller gives up on a request.
    pub timeout: Duration,
}

/// How requests are paced.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Load {
    /// Requests are sent when their time comes, whatever became of those before.
    Open {
        /// Requests a second.
        rate: f64,
        /// How they are spread.
        spacing: Spacing,
    },
    /// Each of some clients sends its next request when the one before is done.
    Closed {
        /// Clients at once.
        clients: u32,
        /// What a client waits between a reply and its next request.
        think: Duration,
    },
}

/// How the requests of an open loop are spread over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spacing {
    /// Independently of each other: exponential gaps.
    Poisson,
    /// At equal gaps.
    Even,
}
