//! Bytes to typed documents: YAML with spans, decoded by tables that know every field.

pub mod retries;
pub mod string_match;
pub mod traffic_policy;
