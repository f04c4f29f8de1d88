//! HTTP/1.1 towards endpoints (RFC 9112), run inside the future of the request that it serves: no task, no
//! queue and no second map of headers lie between a request and its connection. A task helps out only where a
//! response begins before its request has ended.
//!
//! Files, in the order a request meets them:
//! - [`request`]: a request's head as bytes, and how its body is framed
//! - [`encoder`]: the body's frames as bytes
//! - [`channel`]: the connection, and the exchange under way on it
//! - [`duplex`]: the connection while both its directions are busy
//! - [`io`]: bytes in and out
//! - [`response`]: a response's head out of bytes
//! - [`decoder`]: the response's body out of bytes

pub(crate) mod channel;
mod decoder;
pub(crate) mod duplex;
mod encoder;
mod io;
pub(crate) mod request;
mod response;

#[cfg(test)]
mod tests;
