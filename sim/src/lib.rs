//! The tank: the whole mesh in a simulated network, on virtual time, judged by a scenario.
//!
//! A scenario becomes a world, its traffic a log, its expectations verdicts:
//! - [`scenario`]: YAML files to typed scenarios
//! - [`target`]: where a scenario runs, and from records to the log
//! - [`engine`]: the simulated network, event by event
//! - [`world`]: pods, Services, the book's apps, kubelet and endpoint controller
//! - [`traffic`]: requests, in open and closed loops
//! - [`fault`]: what breaks, and how much of the run it touched
//! - [`observe`]: the ordered observation log
//! - [`check`]: verdicts over the log
//! - [`routes`]: decision tables
//! - [`invariant`]: what must hold of every run
//! - [`sweep`]: one scenario under many seeds
//! - [`explain`]: why a request went where it went
//! - [`cli`]: the `wavetank` command

pub mod check;
pub mod cli;
pub mod engine;
pub mod explain;
pub mod fault;
pub mod invariant;
pub mod observe;
pub mod routes;
pub mod scenario;
pub mod schema;
pub mod sweep;
pub mod target;
pub mod traffic;
pub mod world;
