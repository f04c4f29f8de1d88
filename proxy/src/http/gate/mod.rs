//! The gate: every HTTP/1 request is read here before hyper reads it.
//!
//! hyper's parser lets through what a mesh must refuse, and drops what would show it. So the bytes of a
//! caller are followed from message to message: each head is judged whole, bodies pass as they are, and what
//! is refused never reaches hyper.
//!
//! Files, in the order bytes meet them:
//! - [`stream`]: the caller's stream as hyper reads it
//! - [`walk`]: from message to message
//! - [`head`]: what a head must be
//! - [`host`]: what a Host must be
//! - [`body`]: where a body ends
//! - [`passage`]: who has the bytes after a head that asks for another protocol
//! - [`farewell`]: the answer to what was refused, and the end of its connection

mod body;
mod farewell;
mod head;
mod host;
mod passage;
mod stream;
mod walk;

pub(super) use farewell::answer;
pub(super) use passage::Passage;
pub(super) use stream::Gate;

#[cfg(test)]
mod tests;
