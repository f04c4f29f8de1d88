//! The programs that run in pods. They speak HTTP/1.1 over plain sockets, call each other by Service name,
//! and know nothing of proxies.
//!
//! - [`program`]: which programs there are, and starting one in a pod
//! - [`serve`]: the HTTP/1.1 server under them
//! - [`lab`]: the book's app
//! - [`httpbin`]: a service that answers what it is asked to
//! - [`echo`]: a stand-in for programs that the world does not have
//! - [`conditions`]: what makes a program slow or failing

pub mod conditions;
pub mod echo;
pub mod httpbin;
pub mod lab;
pub mod program;
pub mod serve;

pub use conditions::{Condition, Conditions};
pub use echo::Echo;
pub use program::{HTTPBIN_PORT, Program};
