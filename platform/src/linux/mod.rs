//! The door on Linux: tokio's sockets, the system's clocks, resolver and random source.
//!
//! - `net`: sockets, with `SO_ORIGINAL_DST`
//! - [`namespace`]: network namespaces other than this process's own
//! - `host`: clocks, resolver, spawner, random source
//! - `worker`: another thread with a runtime of its own

mod host;
pub mod namespace;
mod net;
mod worker;

pub use host::{platform, platform_within};
pub use namespace::Namespace;
pub use worker::Worker;
