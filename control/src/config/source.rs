//! A named piece of YAML text.

use std::sync::Arc;

/// A file of YAML, or text that came another way, under the name that messages show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Name shown in messages; a path as the user wrote it, with `/`.
    pub name: Arc<str>,
    /// Its whole text.
    pub text: Arc<str>,
}

impl SourceFile {
    /// Text under a name.
    pub fn new(name: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), text: text.into() }
    }
}
