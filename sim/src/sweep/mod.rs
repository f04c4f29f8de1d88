//! One scenario under many seeds: splits judged on all decisions together, and failing seeds grouped by what
//! failed.
//!
//! - [`seeds`]: which seeds
//! - [`pooled`]: splits over all seeds
//! - [`cause`]: seeds that failed alike
//! - [`text`](mod@text): a sweep as text

pub mod cause;
pub mod pooled;
pub mod seeds;
pub mod text;

pub use cause::{Cause, causes};
pub use pooled::Pool;
pub use seeds::Seeds;
pub use text::text;
