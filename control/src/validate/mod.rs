//! What manifests mean: checks of single objects and of the whole set. All problems are returned, not the first.

pub mod codes;

use crate::config::{ConfigSet, Document, MeshConfig};
use crate::diagnostic::Diagnostic;
use crate::dialect::Dialect;

/// What is wrong with an object by itself.
pub fn document(_document: &Document, _dialect: Dialect) -> Vec<Diagnostic> {
    Vec::new()
}

/// What is wrong with the objects together.
pub fn set(_set: &ConfigSet, _dialect: Dialect, _mesh: &MeshConfig) -> Vec<Diagnostic> {
    Vec::new()
}
