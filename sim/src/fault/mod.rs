//! Faults: what a scenario breaks, when, and how much of the run each one touched.
//!
//! - [`spec`]: a fault as the scenario asks for it
//! - [`links`]: several faults on one link at once
//!
//! Processes and pods are broken by the target, which started them; programs are made slow or failing
//! through [`Conditions`](crate::world::app::Conditions).

pub mod links;
pub mod spec;

pub use links::{LinkBook, LinkChange};
pub use spec::{Fault, FaultKind, FaultOutcome, Link};
