//! The HTTP side of the proxy.
//!
//! Files, in the order a request meets them:
//! - [`path`]: paths as routing and the upstream see them
//! - [`headers`]: what is taken from, and added to, requests and responses
//! - [`reply`]: what the proxy answers by itself, one table for all failures
//! - [`names`]: names of the headers a proxy reads and writes itself

pub mod headers;
pub mod names;
pub mod path;
pub mod reply;
