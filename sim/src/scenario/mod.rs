//! Scenario files: YAML to a typed [`Scenario`], with the place of everything in it.
//!
//! Every problem is found, not the first only, and each is told with file, line and column. A key of a
//! later version is an error that says so; an unknown key is an error with the nearest known one.
//!
//! Files, in the order data meets them:
//! - [`text`]: texts from disk, within limits
//! - [`load`]: a scenario and its manifests from disk
//! - [`parse`]: the keys of a scenario
//! - [`fields`]: reading fields and gathering what is wrong with them
//! - [`mention`]: who is named, and where
//! - [`include`]: what is taken over from other files
//! - [`config`]: manifests, by path or inline
//! - [`added`]: echo services
//! - [`network`]: links between pods
//! - [`traffic`], [`payload`]: streams of requests, and their bodies
//! - [`auto`]: how many requests, where that follows from the checks
//! - [`moment`]: times, by the clock or by name
//! - [`fault`]: what breaks
//! - [`step`], [`patch`]: what changes over time
//! - [`expect`], [`over_time`], [`retry`]: what must hold
//! - [`routes`]: decision tables
//! - [`tables`]: all keys, for the schema
//! - [`model`]: what comes out
//! - [`message`](mod@message): what is wrong, as reports show it

mod added;
mod auto;
mod config;
mod expect;
mod fault;
mod fields;
mod include;
pub mod load;
mod mention;
pub mod message;
pub mod model;
mod moment;
mod network;
mod over_time;
pub mod parse;
mod patch;
mod payload;
mod retry;
mod routes;
mod step;
pub mod tables;
pub mod text;
mod traffic;

#[cfg(test)]
mod shipped;
#[cfg(test)]
mod tests;

pub use load::{Invalid, load};
pub use mention::{Mention, Role};
pub use message::message;
pub use model::{Abort, Added, App, Compat, Network, OwnLink, Request, Scenario, Step, Traffic};
pub use parse::{Manifests, parse};
