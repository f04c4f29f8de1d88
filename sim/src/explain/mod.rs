//! Why a request went where it went: the rules it met at every proxy, which of them lost and why, and the
//! line that won.
//!
//! Nothing is guessed: winners are read from the proxies' records, and losers are tried again by the
//! proxy's own functions on the configuration that it had then.
//!
//! - [`book`]: what a run keeps for it
//! - [`remains`]: what it leaves in its world
//! - [`asked`]: a request as rules look at it again
//! - [`rule`]: one rule in words, and why it did not hold
//! - [`candidates`]: the routes that a request met
//! - [`words`]: who, when and where
//! - [`request`](mod@request): all hops of a request
//! - [`ejected`]: which endpoints were ejected at some moment
//! - [`proxy`](mod@proxy): what a proxy knew at some moment

pub mod asked;
pub mod book;
pub mod candidates;
pub mod ejected;
pub mod proxy;
pub mod remains;
pub mod request;
pub mod rule;
pub mod words;

pub use book::{Book, History, Scribe};
pub use remains::Remains;
