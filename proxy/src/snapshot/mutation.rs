//! Header changes, as routes, virtual hosts, route configurations and the arms of a split carry them.

use http::{HeaderName, HeaderValue};
use serde::Serialize;

use super::shown;

/// Header changes at one level. Removals first, then overwrites, then appends (Envoy, `HeaderParser`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct HeaderMutations {
    /// Changes of the request.
    pub request_add: Vec<HeaderChange>,
    /// Names removed from the request.
    #[serde(serialize_with = "shown::names")]
    pub request_remove: Vec<HeaderName>,
    /// Changes of the response.
    pub response_add: Vec<HeaderChange>,
    /// Names removed from the response.
    #[serde(serialize_with = "shown::names")]
    pub response_remove: Vec<HeaderName>,
}

/// `HeaderValueOption`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeaderChange {
    /// Name.
    #[serde(serialize_with = "shown::text")]
    pub name: HeaderName,
    /// Literal value.
    #[serde(serialize_with = "shown::value")]
    pub value: HeaderValue,
    /// What if the header is there.
    pub mode: HeaderChangeMode,
}

/// `append_action`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum HeaderChangeMode {
    /// One more value.
    Append,
    /// Only when absent.
    AddIfAbsent,
    /// Replaces, or adds.
    Overwrite,
    /// Replaces, never adds.
    OverwriteIfExists,
}
