//! Where a scenario runs. A target starts the world, applies the configuration, sends the traffic and
//! returns what was observed; checks see nothing of it but the log.
//!
//! - [`outcome`]: what a run returns
//! - [`gathered`]: what proxies recorded
//! - [`who`]: addresses and names in records, as parties of the log
//! - [`witness`]: from records and callers' results to the log

mod callers;
pub mod gathered;
mod mesh;
pub mod outcome;
pub mod tank;
pub mod who;
pub mod witness;

pub use outcome::{RunError, RunOutcome};
