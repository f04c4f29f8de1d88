//! What passes in the tank passes outside it: a scenario in the tank, on this machine with our proxy, and on this
//! machine with Envoy in its place, side by side.
//!
//! - [`sides`]: the three runs
//! - [`verdicts`]: check by check, the verdicts of all that judged it
//! - [`kinds`]: record by record, what our proxy and Envoy did in the same place

pub mod kinds;
pub mod sides;
pub mod verdicts;
