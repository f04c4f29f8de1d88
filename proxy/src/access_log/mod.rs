//! Access logs: which requests and connections get a line, and what it says. Envoy: `access_log` of connection
//! managers, TCP proxies and listeners, `upstream_log` of the router.
//!
//! A format is taken apart when it is configured, into operators that write straight into the buffer of the host's
//! file; lines are made when a record is complete. Where no log is configured nothing is kept for one.
//!
//! Files, in the order data meets them:
//! - [`log`]: the logs of one owner, and the lines they write
//! - [`format`]: text and JSON formats, and their operators
//! - [`filter`]: which entries get a line
//! - [`capture`]: headers that a log wants, kept until its line is written
//! - [`entry`]: what a line is about
//! - [`logging`]: what the logs of one request gather while it is under way

pub mod capture;
pub mod entry;
pub mod filter;
pub mod format;
pub mod log;
pub(crate) mod logging;

pub use capture::Wanted;
pub use filter::Filter;
pub use format::Format;
pub use log::{AccessLog, AccessLogs};
