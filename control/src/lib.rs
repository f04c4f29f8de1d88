//! The control plane: Istio and Kubernetes YAML in, xDS v3 out; and the mesh's certificate authority.
//!
//! Rooms, in the order a configuration passes them; none knows of one further down:
//! - [`dialect`]: Istio 1.0.3 and today's Istio, and where they part
//! - [`ads`]: serves them, in order, and knows who took what
//! - [`ca`]: the certificate authority

pub mod config;
pub mod diagnostic;
pub mod ads;
pub mod ca;
pub mod dialect;
pub mod model;
