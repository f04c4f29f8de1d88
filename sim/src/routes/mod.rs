//! Decision tables: one request for each case of a row, sent through the real proxies at the start of a run,
//! and where the first proxy on its way sent it.
//!
//! - [`row`]: a row as the scenario writes it
//! - [`probe`]: its cases as traffic
//! - [`decision`]: where a case went, or may go
//! - [`judge`](mod@judge): the verdict on each row

pub mod decision;
pub mod judge;
pub mod probe;
pub mod row;

pub use judge::judge;
pub use probe::{PREFIX, is_probe, probes};
pub use row::{CALLER, Case, Goal, Row, Target, ask_from};
