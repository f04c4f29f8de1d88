//! What stands around a proxy that is a process, so that clients of the field can be put before it: curl, h2load, gRPC's
//! own.
//!
//! - [`origin`]: the program behind the proxy, in HTTP/1.1 and in HTTP/2
//! - [`mesh`]: what the proxy is configured with
//! - [`sidecar`]: the proxy, ours or Envoy
//! - [`program`]: a program of the field, run to its end

pub mod mesh;
pub mod origin;
pub mod program;
pub mod sidecar;
