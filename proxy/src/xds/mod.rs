//! The client of the aggregated discovery service (xDS v3): what the server says becomes a
//! [`Snapshot`](crate::snapshot::Snapshot).
//!
//! Files, in the order data meets them:
//! - [`store`]: the snapshot in force, and news of a change

pub mod store;

pub use store::Store;
