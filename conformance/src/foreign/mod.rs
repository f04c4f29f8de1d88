//! A recording: a mesh as another control plane tells it.
//!
//! Names, nonces and versions are of the kinds that such servers use and none that our own control plane
//! would choose: slashes and underscores in names, hashes for versions, nonces that are no numbers;
//! resources spread over responses, endpoints under names that are not their clusters', routes inside a
//! listener, fields that our control plane never sets.
//!
//! - [`shapes`]: messages with the few fields that a recording differs in
//! - [`mesh`]: the pages of the recording

pub mod mesh;
pub mod shapes;
