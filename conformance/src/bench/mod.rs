//! The race: our proxy beside Envoy, nginx and haproxy, row by row, on one core each.
//!
//! - [`world`]: the configuration of a row, as xDS messages
//! - [`ads`]: the server that both proxies of the mesh get it from
//! - [`pki`]: certificates for everyone in a row
//! - [`others`]: the same configuration for nginx and haproxy
//! - [`origin`]: the program behind the proxies
//! - [`load`], [`caller`], [`multiplex`]: requests, in closed and open loop
//! - [`rival`]: a proxy as a process on a core of its own
//! - [`measure`]: what the kernel, strace and callgrind say of that process
//! - [`ground`]: what all rivals of a row share
//! - [`row`]: the rows and their goals
//! - [`race`], [`exact`], [`single`]: the ways a row is run
//! - [`machine`], [`report`], [`page`]: where it was run, and what is said of it

pub mod ads;
pub mod caller;
pub mod exact;
pub mod ground;
pub mod load;
pub mod machine;
pub mod measure;
pub mod multiplex;
pub mod origin;
pub mod others;
pub mod page;
pub mod pki;
pub mod race;
pub mod report;
pub mod rival;
pub mod row;
pub mod single;
pub mod world;

/// What went wrong, for the person who started the race.
pub type Failure = String;
