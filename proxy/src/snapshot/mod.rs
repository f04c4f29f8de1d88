//! The proxy's configuration as values: what xDS said, parsed into types once, shared and never changed.
//!
//! A request takes the current [`Snapshot`] when its head has been read and keeps it to its end. State
//! (pools, breakers, load-balancer positions) lives elsewhere, keyed by name, and survives a change of
//! snapshot.
//!
//! Files, in the order a request meets them:
//! - [`listener`]: listeners, filter chains and their match rules, the HTTP connection manager, TCP proxy
//! - [`edge`]: bounds where the configuration says none
//! - [`tls`]: TLS on either side, named secrets
//! - [`route_config`], [`virtual_host`], [`route`]: who serves a request; with [`domains`] and [`paths`], the
//!   indexes that find them, [`expression`]s, [`retry`] policies and header [`mutation`]s
//! - [`cluster`]: clusters, endpoints, balancers, breakers; with [`outlier`], when endpoints are ejected

pub mod cluster;
pub mod domains;
pub mod edge;
pub mod expression;
pub mod listener;
pub mod mutation;
pub mod outlier;
pub mod paths;
pub mod retry;
pub mod route;
pub mod route_config;
mod shown;
pub mod tls;
pub mod virtual_host;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use cluster::{Assignment, Cluster};
pub use listener::Listener;
pub use route_config::RouteConfig;
use serde::Serialize;

/// One consistent view of everything xDS has delivered and this proxy has accepted.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Snapshot {
    /// Counted up by one at every change.
    pub version: u64,
    /// By listener name.
    pub listeners: BTreeMap<Arc<str>, Arc<Listener>>,
    /// By route configuration name.
    pub routes: BTreeMap<Arc<str>, Arc<RouteConfig>>,
    /// By cluster name.
    pub clusters: BTreeMap<Arc<str>, Arc<Cluster>>,
    /// Endpoints of EDS clusters, by EDS service name.
    pub assignments: BTreeMap<Arc<str>, Arc<Assignment>>,
}
