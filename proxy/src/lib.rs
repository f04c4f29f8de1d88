//! Wavetank's data plane: a sidecar and gateway proxy that is configured by Envoy's xDS v3 and nothing else.

pub mod bootstrap;
pub mod cluster;
pub mod filter_chain;
pub mod http;
pub mod record;
pub mod route;
pub mod snapshot;
pub mod tls;
pub mod xds;
