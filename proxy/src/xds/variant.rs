//! What the two variants of the protocol have in common: given what is held and what is wanted, which
//! requests to send; given a response, what it changes and how it is answered.

use wavetank_platform::Instant;

use super::inventory::Inventory;
use super::wire::Node;

/// One stream's view of the protocol. Both variants are plain state machines; sending and receiving is
/// done elsewhere.
pub(super) trait Variant: Send {
    /// Path of the method, `/package.Service/Method`.
    const METHOD: &'static str;
    /// Our messages.
    type Request: prost::Message + Default + 'static;
    /// The server's messages.
    type Response: prost::Message + Default + 'static;

    /// A new stream's state; `node` goes into the first request.
    fn new(node: Node) -> Self;

    /// Requests that follow from what is wanted now and was not asked for yet on this stream.
    fn ask(&mut self, inventory: &mut Inventory, now: Instant) -> Vec<Self::Request>;

    /// Takes in a response and acknowledges or rejects it; a response of a type never asked for is
    /// ignored.
    fn receive(
        &mut self,
        inventory: &mut Inventory,
        response: Self::Response,
        now: Instant,
    ) -> Option<Received<Self::Request>>;
}

/// The answer to a response.
#[derive(Debug)]
pub(super) struct Received<R> {
    /// ACK or NACK.
    pub(super) answer: R,
    /// Why the response was rejected; empty when it was not.
    pub(super) rejections: Vec<String>,
}
