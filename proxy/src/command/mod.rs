//! The command: the host's side of the proxy, and the only part of it that knows files, signals, threads and
//! other programs.
//!
//! - [`arguments`]: what can be said on the command line
//! - [`start_up`]: the bootstrap, from file and flags
//! - [`serve`]: from start to end of the process
//! - [`recorders`]: who hears of each request
//! - [`log_files`]: where access logs go
//! - [`redirect`]: runs what [`wavetank_proxy::redirect`] plans

mod arguments;
mod log_files;
mod recorders;
mod redirect;
mod serve;
mod start_up;

pub(crate) use arguments::{Arguments, Command};
pub(crate) use redirect::redirect;
pub(crate) use serve::serve;

/// Why the command failed.
pub(crate) type Failure = Box<dyn std::error::Error>;
