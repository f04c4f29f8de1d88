//! Suites that hold the mesh to Istio and Envoy, the ledger of known differences, and benchmarks.
//!
//! The suites are in `tests/`; here is what they stand on:
//! - [`live`]: a runtime on the real door, with an end
//! - [`http1`]: a caller that writes its own bytes
//! - [`origin`]: the program behind the mesh, which answers with what it was asked
//! - [`records`]: what proxies recorded
//! - [`script`]: an xDS server that says what a recording says
//! - [`foreign`]: the recording: a mesh as another control plane tells it
//! - [`edge`]: a mesh of one gateway and one program on this machine
//! - [`shipped`]: the meshes of the repository's scenarios
//! - [`fingerprint`]: what identifies a run, to compare runs by
//! - [`envoy`]: a real Envoy, where there is one
//! - [`differential`]: that Envoy and our proxy, side by side
//! - [`clients`]: clients of the field before our proxy and before Envoy, each a process
//! - [`agreement`]: scenarios in the tank, on this machine, and with that Envoy
//! - [`bench`]: our proxy beside Envoy, nginx and haproxy, measured
//! - [`planted`]: bugs put into the sources on purpose, to see them found
//! - [`secrets`]: serves that Envoy its certificate, as an agent beside it does

pub mod agreement;
pub mod bench;
pub mod clients;
pub mod differential;
pub mod edge;
pub mod envoy;
pub mod fingerprint;
pub mod foreign;
pub mod http1;
pub mod live;
pub mod origin;
pub mod planted;
pub mod records;
pub mod script;
pub mod secrets;
pub mod shipped;
