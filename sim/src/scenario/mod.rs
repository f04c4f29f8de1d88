//! Scenario files: YAML to a typed [`Scenario`], with the place of everything in it.
//!
//! Every problem is found, not the first only, and each is told with file, line and column. A key of a
//! later version is an error that says so; an unknown key is an error with the nearest known one.
//!
//! Files, in the order data meets them:
//! - [`load`]: a scenario and its manifests from disk
//! - [`parse`]: the keys of a scenario
//! - [`fields`]: reading fields and gathering what is wrong with them
//! - [`config`]: manifests, by path or inline
//! - [`traffic`]: streams of requests
//! - [`expect`]: what must hold
//! - [`model`]: what comes out
//! - [`message`](mod@message): what is wrong, as reports show it

mod config;
mod expect;
mod fields;
pub mod load;
pub mod message;
pub mod model;
pub mod parse;
mod traffic;

#[cfg(test)]
mod shipped;
#[cfg(test)]
mod tests;

pub use load::{Invalid, load};
pub use message::message;
pub use model::{App, Compat, Network, Request, Scenario, Traffic};
pub use parse::{Manifests, parse};
