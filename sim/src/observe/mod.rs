//! The observation log: what happened, in order, as plain data. Checks and reports read nothing else.
//!
//! **Who is who.** A target turns what its proxies and clients recorded into this log by these rules:
//! - The *source* of a hop is the workload that opened the connection; the *destination* is the Service
//!   that was asked for, its *endpoint* the pod that was chosen. `name.namespace` where not `default`.
//! - The source proxy's record decides a hop. Where the source has no proxy, the destination's inbound
//!   record does; without either, the client's own log. A request therefore has exactly one [`Hop`] per
//!   edge it crossed, however many records it left.
//! - TLS identities and endpoints come from the TLS session and the socket, never from configuration.
//! - Each request that traffic sent has one [`Call`] beside its hops, with what the client saw.
//!
//! Files, in the order data meets them:
//! - [`party`]: workloads, services, endpoints
//! - [`hop`]: one request on one edge, and the rules that decided it
//! - [`ejection`]: an endpoint that was taken out, or let back
//! - [`log`]: the ordered log, its canonical text and its hash
//! - [`selector`]: how scenarios name parties and edges
//! - [`flow`]: the log summed up as a tree to be drawn

pub mod ejection;
pub mod flow;
pub mod hop;
pub mod log;
pub mod party;
pub mod selector;

pub use ejection::{Ejection, EjectionChange};
pub use hop::{Decision, Failure, Hop, Place, Tls};
pub use log::{Ack, Call, Mark, Observation, ObservationLog, Push, Sync};
pub use party::{Endpoint, Party, Service};
pub use selector::{Edge, Selector};
