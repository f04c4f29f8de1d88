//! Where a scenario runs. A target starts the world, applies the configuration, sends the traffic and
//! returns what was observed; checks see nothing of it but the log.
//!
//! - [`outcome`]: what a run returns
//! - [`who`]: addresses and names in records, as parties of the log
//! - `mesh`, `objects`, `stage`: the mesh in a tank, what its control plane is told, and both with the world
//!   around them
//! - `side`: what a timeline does to a running world, wherever it runs
//! - `sending`: all traffic, sent
//! - `names`: whether everyone who is named is there
//! - `exchanges`: what went between the control plane and the proxies
//! - `faults`, `timeline`: what breaks and what changes while it runs
//! - [`live`]: the same on this machine, with processes
//! - `aftermath`, `standing`: what is left when it is over, and which proxies are behind
//! - [`dry`]: what can be told without running
//! - [`witness`]: from records and callers' results to the log

mod aftermath;
mod callers;
pub mod dry;
mod exchanges;
mod faults;
pub mod live;
mod mesh;
mod names;
mod objects;
pub mod outcome;
mod own_links;
mod sending;
mod side;
mod stage;
mod standing;
pub mod tank;
mod timeline;
pub mod who;
pub mod witness;

pub use live::LiveOptions;
pub use outcome::{RunError, RunOutcome, TargetKind};
