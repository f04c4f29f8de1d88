//! Wavetank's data plane: a sidecar and gateway proxy that is configured by Envoy's xDS v3 and nothing else.

pub mod access_log;
pub mod admin;
pub mod bootstrap;
pub mod cluster;
mod drain;
pub mod ejection;
pub mod filter_chain;
pub mod http;
pub mod identity;
mod idle;
pub mod json_lines;
mod listener;
pub mod process;
pub mod proxy;
pub mod record;
pub mod redirect;
pub mod route;
mod shared;
pub mod snapshot;
pub mod stats;
mod tcp;
pub mod tls;
mod upstream;
pub mod xds;

pub use drain::DrainTimes;
pub use proxy::Proxy;
