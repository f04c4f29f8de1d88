//! The second engine: the same pods as hosts of the classic `turmoil` runtime, behind the same door.
//!
//! It is an independent check on the first. Bytes, time and the order of tasks come from another
//! simulator; a verdict that both engines give does not hang on how either simulates. What a pod is, what
//! its capture rules say and which endpoint a Service picks are shared with the first engine.
//!
//! It is coarser: every host runs once each millisecond and has a runtime of its own, a write is one
//! message, latency is rounded to milliseconds and has no jitter, nothing is retransmitted. Faults have other
//! effects than on Linux, so worlds with faults do not run here. Its hashes differ from the first engine's
//! and are equal between its own runs of one build and seed.
//!
//! - `run`: a world on turmoil, from its first tick to its last
//! - `clock`: the time of the host that asks
//! - `wires`: what the hosts' doors share: runtimes, listening ports, introductions
//! - `net`: connecting; `listen`: listening; `stream`: open connections
//! - `trace`: counts and the hash of all messages

mod clock;
mod listen;
mod net;
mod run;
mod stream;
mod trace;
mod wires;

pub(super) use wires::Wires;
