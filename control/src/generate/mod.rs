//! The resolved mesh as one proxy sees it, in xDS v3: pure functions from a mesh and a proxy to resources.
//!
//! The shapes are istiod's, so a real Envoy takes them, and names are its names. Everything that a line of
//! YAML decided carries that line as metadata.
//!
//! - [`proxy`]: whom resources are made for
//! - [`resources`]: all of one proxy's resources
//! - [`listener`]: outbound listeners of a sidecar
//! - [`inbound`]: the one inbound listener of a sidecar
//! - [`gateway`]: listeners and virtual hosts of a gateway
//! - [`route`]: route configurations of a sidecar
//! - `virtual_host`: which VirtualService or service has which host on a port
//! - [`http_route`]: one VirtualService's routes
//! - [`matcher`]: when a route matches
//! - [`retry`]: when a request is tried again
//! - [`cluster`]: clusters of service ports and subsets
//! - [`outlier`]: when their endpoints are ejected
//! - [`upstream_protocol`]: which HTTP they speak
//! - [`endpoint`]: their endpoints
//! - [`http_manager`]: the HTTP connection manager of all of them
//! - [`access_log`]: what they log
//! - [`tls`]: TLS contexts with the mesh's identities
//! - [`metadata`]: provenance and other metadata, in a fixed order
//! - [`shape`]: small protobuf values
//! - [`bootstrap`]: one proxy's resources as a static Envoy bootstrap

pub mod access_log;
pub mod bootstrap;
pub mod cluster;
pub mod endpoint;
pub mod gateway;
pub mod http_manager;
pub mod http_route;
pub mod inbound;
pub mod listener;
pub mod matcher;
pub mod metadata;
pub mod outlier;
pub mod proxy;
pub mod resources;
pub mod retry;
pub mod route;
pub mod shape;
pub mod tls;
pub mod upstream_protocol;
mod virtual_host;

pub use bootstrap::static_bootstrap;
pub use proxy::{NodeError, ProxyIdentity, ProxyKind};
pub use resources::{Resources, generate, own, shared};
