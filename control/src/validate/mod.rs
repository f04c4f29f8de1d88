//! What manifests mean: checks of single objects and of the whole set. All problems are returned, not the first.
//!
//! [`document`] looks at one object by itself, and an error there refuses it. [`set`] looks at the objects together;
//! what it finds are warnings, because the mesh runs all the same and shows what comes of it.

pub mod codes;
mod destination_rule;
mod gateway;
mod names;
mod object;
mod pattern;
mod references;
mod retries;
mod service;
mod virtual_service;

pub use object::document;
pub use references::set;
