//! Traffic: requests that callers send, when, and what came of each.
//!
//! - [`plan`]: one stream of requests: what, how often, how long
//! - [`arrivals`]: when the requests of an open loop are sent
//! - [`browser`]: a caller that keeps its connections
//! - [`drive`]: sends a plan's requests and gathers what came of them

pub mod arrivals;
pub mod browser;
pub mod drive;
pub mod plan;

pub use drive::{Sent, drive};
pub use plan::{Load, Plan, Spacing};
