//! Verdicts of a run, and how they are shown.
//!
//! A leaf: plain data and text, nothing of the mesh. What judged the run fills in a [`RunReport`]; the
//! same value is printed by every output.
//!
//! Files, in the order data meets them:
//! - [`report`]: the run, its scenarios and their checks
//! - [`diagnostic`]: a message about a place in a file, with the line and a caret
//! - [`flow`]: who called whom, as a tree to be drawn
//! - [`tally`]: what failed, counted
//! - [`json`]: the report as JSON
//! - [`terminal`]: the report as text for a person
//! - [`escape`]: text made safe for markup
//! - [`junit`], [`markdown`], [`github`]: the report for continuous integration
//! - [`html`]: the report as a page to look at

pub mod diagnostic;
pub mod escape;
pub mod flow;
pub mod github;
pub mod html;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod report;
pub mod tally;
pub mod terminal;

pub use diagnostic::{Diagnostic, Note, Place, Severity, Snippet};
pub use flow::Flow;
pub use report::{CheckResult, CheckVerdict, FaultResult, RunReport, ScenarioResult, ScenarioVerdict, SweepResult};
