//! The way to endpoints: pools, connections. State here is keyed by cluster name and endpoint
//! and survives every change of configuration.
//!
//! Files, in the order a request meets them:
//! - [`clusters`]: the state of each cluster by name: breakers, balancer, pools
//! - [`registry`]: what workers share of it
//! - [`outliers`]: which of its endpoints are ejected
//! - [`pool`]: connections of one endpoint, lent to requests
//! - [`connection`]: one pooled connection, from connect to close
//! - [`connect`]: TCP and TLS set-up
//! - [`lease`]: a connection lent to one request
//! - [`http1`]: HTTP/1.1 on it
//! - [`reset`]: why an endpoint gave no response, in Envoy's words
//! - [`meter`]: bytes counted on the way
//! - [`gathered`]: HTTP/2's small writes sent together

pub(crate) mod clusters;
pub(crate) mod connect;
pub(crate) mod connection;
pub(crate) mod gathered;
pub(crate) mod http1;
pub(crate) mod lease;
pub(crate) mod meter;
pub(crate) mod outliers;
pub(crate) mod pool;
pub(crate) mod registry;
pub(crate) mod reset;
