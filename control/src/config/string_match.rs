//! How a request's path, header or other string is compared. Istio: `StringMatch`.

/// One comparison of a string.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StringMatch {
    /// Equal.
    Exact(String),
    /// Starts with; for a path this is a plain string prefix, not whole segments.
    Prefix(String),
    /// The whole value matches this RE2 expression.
    Regex(String),
    /// The value is there at all; written as an empty match, `{}`. For headers and query parameters only.
    Present,
}
