//! From a socket to the handler of a filter chain.
//!
//! Files, in the order a connection meets them:
//! - [`manager`]: binds sockets as the configuration wants, accepts
//! - [`connections`]: the connections that are open, their limit and their end
//! - [`connection`]: one connection up to its handler
//! - [`inspect`], with [`peeked`] and [`client_hello`]: what the first bytes say
//! - [`accepted`]: what a handler is given
//! - [`closing`]: the listener's access logs of a connection

pub(crate) mod accepted;
mod client_hello;
pub(crate) mod closing;
mod connection;
pub(crate) mod connections;
pub(crate) mod inspect;
pub(crate) mod manager;
pub(crate) mod peeked;
