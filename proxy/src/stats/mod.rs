//! What is counted of a proxy, from the record that each request leaves.
//!
//! Every worker counts for itself; whoever reads sums over the workers.
//!
//! - [`worker`]: what one worker counts, and the recorder that counts it
//! - [`key`]: what tells requests apart, and a hash of it
//! - [`histogram`]: durations and sizes in Istio's buckets
//! - [`logs`]: what becomes of access logs
//! - [`mesh`]: Istio's standard metrics
//! - [`envoy`]: Envoy's counters and gauges
//! - [`prometheus`]: both as text

pub(crate) mod envoy;
mod histogram;
mod key;
mod logs;
pub(crate) mod mesh;
pub(crate) mod prometheus;
mod worker;

pub use logs::LogCounts;
pub use mesh::Workload;
pub(crate) use worker::Tables;
pub use worker::WorkerStats;
