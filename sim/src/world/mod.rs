//! The world around the mesh: what Kubernetes and its users would bring to it.
//!
//! - [`cast`]: who is in it: Services, pods, callers outside
//! - `extras`: who joins it for a scenario's sake
//! - [`manifests`]: what a user's manifests bring into it
//! - [`kube`]: their Kubernetes objects as YAML
//! - [`readiness`]: which pods are ready, and what stands behind a Service
//! - [`kubelet`]: starts what runs in pods, says when it is ready, and tells the Services
//! - [`app`]: the programs that run in pods, over plain sockets
//! - [`client`]: the HTTP/1.1 client that programs and callers use

pub mod app;
pub mod cast;
pub mod client;
mod extras;
pub mod kube;
pub mod kubelet;
pub mod manifests;
pub mod readiness;
