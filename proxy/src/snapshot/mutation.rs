//! Header changes, as routes, virtual hosts, route configurations and the arms of a split carry them.

use http::{HeaderName, HeaderValue};

/// Header changes at one level. Removals first, then overwrites, then appends (Envoy, `HeaderParser`).
#[derive(Debug, Clone, Default)]
pub struct HeaderMutations {
    /// Changes of the request.
    pub request_add: Vec<HeaderChange>,
    /// Names removed from the request.
    pub request_remove: Vec<HeaderName>,
    /// Changes of the response.
    pub response_add: Vec<HeaderChange>,
    /// Names removed from the response.
    pub response_remove: Vec<HeaderName>,
}

/// `HeaderValueOption`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderChange {
    /// Name.
    pub name: HeaderName,
    /// Literal value.
    pub value: HeaderValue,
    /// What if the header is there.
    pub mode: HeaderChangeMode,
}

/// `append_action`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
