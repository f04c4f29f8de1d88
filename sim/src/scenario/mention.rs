//! The names that a scenario mentions, each with its place, so that one who is nobody can be told there.

use wavetank_control::diagnostic::Span;

use crate::observe::Selector;

/// A name and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// Whom it names.
    pub selector: Selector,
    /// As what.
    pub role: Role,
    /// Where.
    pub span: Span,
}

/// As what someone is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Who calls, or whose configuration it is.
    Party,
    /// A Service, or a host outside, that is called.
    Destination,
}
