//! A host that a manifest names, as a full name that remembers how it was written.

use std::fmt;

use crate::config::host_name::{covers, full_name};
use crate::diagnostic::{Span, Spanned};

/// A host as a VirtualService, DestinationRule or destination names it, made a full name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The full name, or a wildcard (`*`, `*.example.com`), or an address. Lower case.
    pub name: String,
    /// The name as the manifest writes it.
    pub written: String,
    /// Where it is written.
    pub span: Span,
}

impl Host {
    /// The host that `written` means in a manifest of `namespace`.
    ///
    /// A name without a dot and without a leading `*` gets `.<namespace>.svc.<domain>`; any other is full already.
    pub fn resolve(written: &Spanned<String>, namespace: &str, domain: &str) -> Self {
        Self {
            name: full_name(&written.value, namespace, domain),
            written: written.value.clone(),
            span: written.span.clone(),
        }
    }

    /// Whether this host, possibly a wildcard, covers `name`.
    pub fn covers(&self, name: &str) -> bool {
        covers(&self.name, name)
    }

    /// Whether the host starts with `*`.
    pub fn is_wildcard(&self) -> bool {
        self.name.starts_with('*')
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
