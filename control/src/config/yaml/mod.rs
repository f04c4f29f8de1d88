//! YAML with the place of every node.
//!
//! [`parse`](parse::parse) reads the bytes once, into [`Node`]s that keep file, line and column. What a scalar means
//! is decided here, by the core schema of YAML 1.2 ([`scalar`]); serde types are fed from the same tree ([`bridge`]),
//! so an error of serde's too carries the place of the node it is about.

pub mod bridge;
mod extent;
pub mod node;
pub mod parse;
pub mod scalar;
mod syntax;

pub use node::{Entry, Mapping, Node, Value};
pub use parse::{Limits, Parsed, parse};
