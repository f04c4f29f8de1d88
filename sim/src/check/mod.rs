//! Verdicts: pure functions from what a scenario asks for and what the log shows. A checker sees the log
//! only, and cannot steer.
//!
//! Only a split has a tolerance, because only a split is about a configured probability: it is judged by
//! the exact binomial distribution at a false-failure rate for the whole run, shared evenly by its
//! statistical tests. Everything else is exact on the recorded run.
//!
//! Files, in the order data meets them:
//! - [`demand`]: a check as the scenario asks for it
//! - [`window`]: which part of the run a check is about
//! - [`amount`]: counts and shares as they are written
//! - [`judge`]: every check of a run, and its budget of false failures
//! - [`split`], [`exact`], [`never`], [`timeline`], [`ejected`]: the kinds of checks
//! - [`faults`](mod@faults): faults that touched nothing
//! - [`binomial`], [`power`]: the statistics, and what they can see
//! - [`explain`], [`reason`]: why it came out so, and which line decided
//! - [`blame`]: what else went on while it failed
//! - `remark`: what else explains it
//! - [`sources`]: the text of the files that messages point into

pub mod amount;
pub mod binomial;
pub mod blame;
pub mod demand;
mod ejected;
mod exact;
pub mod explain;
mod faults;
mod finding;
pub mod judge;
mod never;
pub mod power;
mod reason;
mod remark;
pub mod sources;
mod split;
mod timeline;
pub mod window;

#[cfg(test)]
mod sample;

pub use amount::{Amount, Quantity};
pub use blame::Circumstances;
pub use demand::{Arm, BodyMode, Bound, Check, Demand, Ejected, Pattern, Quantile, Retry, Scope, StatusClass, TlsMode};
pub use faults::missed_faults;
pub use judge::{Judgement, judge, pooled_split};
pub use sources::Sources;
pub use split::Unit;
pub use window::{After, Event, StepScope, Window};
