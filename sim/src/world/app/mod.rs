//! The programs that run in pods. They speak HTTP/1.1 over plain sockets, call each other by Service name,
//! and know nothing of proxies.
//!
//! - [`program`]: which programs there are, and starting one in a pod
//! - [`serve`]: the HTTP/1.1 server under them
//! - [`lab`]: the book's app
//! - [`httpbin`]: a service that answers what it is asked to

pub mod httpbin;
pub mod lab;
pub mod program;
pub mod serve;

pub use program::{HTTPBIN_PORT, Program};
