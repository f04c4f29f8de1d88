//! What manifests mean: checks of single objects and of the whole set. All problems are returned, not the first.
//!
//! [`document`] looks at one object by itself, and an error there refuses it. [`set()`] looks at the objects together;
//! what it finds are warnings, because the mesh runs all the same and shows what comes of it.

mod claims;
pub mod codes;
mod covering;
mod destination_rule;
mod export;
mod full_match;
mod gateway;
mod gateways;
mod host;
mod in_force;
mod known;
mod mesh_only;
mod names;
mod object;
mod overlap;
mod pattern;
mod ports;
mod references;
mod retries;
mod rules;
mod served;
mod service;
mod set;
mod unreachable;
mod virtual_service;

pub use object::{document, refused};
pub use set::{Extent, set, together};
