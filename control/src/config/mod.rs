//! Bytes to typed documents: YAML with the place of every node, decoded by tables that know every field.
//!
//! A [`SourceFile`] is read into marked nodes ([`yaml`]). Each document is decoded by the [`table`] of its [`kind`],
//! into a typed spec that keeps the spans that later steps show. A field or kind
//! that is known and not supported yet is an error that names it; a misspelt one gets the nearest known word.
//! [`supported`] prints the same tables as a page of the docs.

pub mod access_log;
pub mod codes;
mod decode;
pub mod destination_rule;
pub mod document;
pub mod duration;
pub mod endpoint_slice;
pub mod gateway;
pub mod gateway_ref;
pub mod host_name;
pub mod http_match;
pub mod kind;
mod label;
pub mod mesh_config;
pub mod metadata;
pub mod pod;
pub mod retries;
pub mod service;
pub mod set;
pub mod source;
pub mod string_match;
pub mod suggest;
pub mod supported;
pub mod table;
pub mod traffic_policy;
mod values;
pub mod virtual_service;
pub mod yaml;

pub use document::{Decoded, Document, Spec, decode};
pub use kind::Kind;
pub use mesh_config::MeshConfig;
pub use metadata::Metadata;
pub use set::{ConfigKey, ConfigSet, Stored};
pub use source::{SourceFile, digest};
pub use supported::supported_table;
