//! Bugs put into the sources on purpose: each must be found by the invariant that is about it.
//!
//! - [`bug`]: a bug as `conformance/planted/*.yaml` tells it
//! - [`tree`]: a copy of the sources, changed and built
//! - [`verdict`]: what a run of that build reports

pub mod bug;
pub mod tree;
pub mod verdict;

pub use bug::Bug;
pub use tree::Tree;
pub use verdict::Verdict;
