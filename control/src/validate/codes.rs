//! The codes of findings about what manifests mean.

use crate::diagnostic::Code;

/// One object is written twice in one text.
pub const DUPLICATE_OBJECT: Code = Code(201);
