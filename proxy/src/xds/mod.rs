//! The client of the aggregated discovery service (xDS v3): what the server says becomes a
//! [`Snapshot`](crate::snapshot::Snapshot).
//!
//! Files, in the order data meets them:
//! - [`channel`]: a gRPC connection through the door
//! - [`client`]: connects, streams, reconnects
//! - `variant`, `delta`, `state_of_the_world`: the protocol as state machines
//! - `wire`: our requests
//! - [`kind`]: the resource types
//! - [`decode`], `resource`: messages to snapshot types
//! - `shelf`: accepted resources of one type; a bad one is rejected alone
//! - `inventory`: what is wanted, what is warm, the snapshot that follows
//! - [`store`]: the snapshot in force, and news of a change

pub mod channel;
pub mod client;
pub mod decode;
mod delta;
mod inventory;
pub mod kind;
mod resource;
mod shelf;
mod state_of_the_world;
pub mod store;
mod variant;
mod wire;

pub use client::run;
pub use store::Store;
