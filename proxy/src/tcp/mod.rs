//! The TCP proxy: bytes of a connection, whatever they are, to an endpoint of a cluster.
//!
//! Files:
//! - [`session`]: one connection: cluster, endpoint, attempts, record
//! - [`relay`]: bytes both ways

pub(crate) mod relay;
mod session;

pub(crate) use session::serve;
