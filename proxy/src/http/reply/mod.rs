//! What the proxy answers by itself, one table for all failures: status, response flag, details, body,
//! extra headers, and whether the connection closes. Texts are Envoy's, to the byte.
//!
//! Files:
//! - [`failure`]: the failures and their table
//! - [`render`]: a local reply as response: HEAD, gRPC, header order

pub mod failure;
pub mod render;

pub use failure::{Aborted, Failure, LocalReply};
pub use render::{ReplyFacts, is_grpc};
