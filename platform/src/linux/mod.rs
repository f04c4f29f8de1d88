//! The door on Linux: tokio's sockets, the system's clocks, resolver and random source.
//!
//! - `net`: sockets, with `SO_ORIGINAL_DST`
//! - `host`: clocks, resolver, spawner, random source

mod host;
mod net;

pub use host::platform;
