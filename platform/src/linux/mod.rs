//! The door on Linux: tokio's sockets, the system's clocks, resolver and random source.
//!
//! - `net`: sockets, with `SO_ORIGINAL_DST`
//! - `host`: clocks, resolver, spawner, random source
//! - `worker`: another thread with a runtime of its own

mod host;
mod net;
mod worker;

pub use host::platform;
pub use worker::Worker;
