//! The world around the mesh: what Kubernetes and its users would bring to it.
//!
//! - [`app`]: the programs that run in pods, over plain sockets
//! - [`client`]: the HTTP/1.1 client that programs and callers use

pub mod app;
pub mod client;
