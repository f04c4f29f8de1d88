//! The HTTP side of the proxy.
//!
//! Files, in the order a request meets them:
//! - [`server`]: the codec of a downstream connection, its idle timeout and drain
//! - [`gate`]: HTTP/1 requests before the codec reads them
//! - [`codec_error`]: answers to what the codec refuses by itself
//! - [`caller`]: the downstream side of a connection, and the form of its answers
//! - [`exchange`]: one request, from its head to the head of its answer
//! - [`intake`]: what a head says, or why it goes no further
//! - [`path`]: paths as routing and the upstream see them
//! - [`headers`]: what is taken from, and added to, requests and responses
//! - [`forward`]: attempts at a cluster until one stands; [`attempt`]: one of them; [`outcome`]: what it
//!   tells of its endpoint
//! - [`request_body`], [`response_body`]: bodies on their way; [`consent`]: bodies that wait to be wanted;
//!   [`progress`], [`watchdog`]: how far they have got, and their deadlines; [`tunnel`]: bytes after a change of
//!   protocol
//! - [`open_record`]: the record until its request is done
//! - [`reply`]: what the proxy answers by itself, one table for all failures
//! - [`characters`]: sets of characters
//! - [`names`]: names of the headers a proxy reads and writes itself

mod attempt;
mod caller;
pub(crate) mod characters;
mod codec_error;
pub(crate) mod consent;
#[cfg(test)]
pub(crate) mod damaged;
mod exchange;
mod forward;
mod gate;
pub mod headers;
mod intake;
pub mod names;
mod open_record;
mod outcome;
pub mod path;
mod progress;
pub mod reply;
pub(crate) mod request_body;
pub(crate) mod response_body;
pub(crate) mod server;
mod tunnel;
mod watchdog;
