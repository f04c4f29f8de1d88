//! Bytes to typed documents: YAML with spans, decoded by tables that know every field.

pub mod codes;
pub mod retries;
pub mod source;
pub mod string_match;
pub mod traffic_policy;
pub mod yaml;

pub use source::SourceFile;
