//! A named piece of YAML text, and what identifies several.

use std::sync::Arc;

use sha2::{Digest, Sha256};

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

/// SHA-256 over names and texts of manifests in their order, in lower-case hex.
pub fn digest<'a>(manifests: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut hash = Sha256::new();
    for (name, text) in manifests {
        for part in [name, text] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
