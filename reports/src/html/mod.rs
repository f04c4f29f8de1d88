//! The report as one HTML page that opens from disk and needs no script, no network and no other file.
//!
//! The same [`Page`] gives the same bytes: times are virtual, and nothing of the machine is in it. All
//! text is escaped by [`crate::escape::markup`].
//!
//! Files, in the order a reader meets what they draw:
//! - [`model`]: what a page is made of
//! - [`page`]: the page, its head and its scenarios
//! - [`verdicts`]: checks and messages
//! - [`graph`], [`labels`], [`layers`]: who called whom
//! - [`timeline`], [`rows`]: faults, steps, requests and configuration over time
//! - [`split`]: the binomial curve of each split
//! - [`latency`]: distributions of latencies
//! - [`requests`]: single requests, hop by hop
//! - [`census`]: who proved who they are to whom
//! - [`tables`]: faults, what identifies the run
//! - [`manifests`]: files with the lines that decided
//! - [`svg`]: numbers and axes of drawings

mod census;
mod graph;
mod labels;
mod latency;
mod layers;
mod manifests;
pub mod model;
mod page;
mod requests;
mod rows;
mod split;
mod svg;
mod tables;
mod timeline;
mod verdicts;

pub use model::{
    Band, Bar, Evidence, GraphEdge, Latencies, LatencyBin, Manifest, Page, ProxyRow, RateBin, SplitLine, SplitPicture,
    SplitPoint, Timeline, TlsCounts, Try, Waterfall,
};
pub use page::render;
