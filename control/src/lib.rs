//! The control plane: Istio and Kubernetes YAML in, xDS v3 out; and the mesh's certificate authority.
//!
//! Rooms, in the order a configuration passes them; none knows of one further down:
//! - [`diagnostic`]: what is wrong with a manifest, and where
//! - [`dialect`]: Istio 1.0.3 and today's Istio, and where they part
//! - [`config`]: bytes to typed documents, each node with its place
//! - [`validate`]: what manifests mean, checked one by one and together
//! - [`model`]: the resolved mesh
//! - [`generate`]: a mesh and a proxy to xDS resources
//! - [`ads`]: serves them, in order, and knows who took what
//! - [`ca`]: the certificate authority
//! - [`server`]: all of it behind one handle, [`Control`]
//! - [`status_page`], [`journal`]: what it tells of itself, over HTTP and as lines

pub mod ads;
pub mod ca;
pub mod config;
pub mod diagnostic;
pub mod dialect;
pub mod generate;
pub mod journal;
pub mod model;
pub mod server;
pub mod status_page;
pub mod validate;

pub use dialect::Dialect;
pub use server::{Control, ControlConfig};
