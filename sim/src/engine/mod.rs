//! The tank's network: pods with their own kernels on one paused clock, joined by links.
//!
//! turmoil-net's kernels give sockets, windows, segments, resets and half-close; everything between them
//! is here, driven event by event, with no work while nothing happens. A container reaches it through the
//! same door as a process on Linux (`wavetank-platform`).
//!
//! Files, in the order a packet meets them:
//! - `tank`: [`Tank`], a world before and while it runs; `handle`: [`TankHandle`], the running world
//! - `pod`: pods, containers and their processes; `crypto`, `clock`, `dns`: the rest of their door
//! - `net`: listening, connecting, resolving; `socket`: open sockets
//! - `nat`: traffic capture, Service addresses, listening ports
//! - `core`: the step that moves the world on; `heap`: what happens next
//! - `transit`: a packet's way; `conn`: the connection it belongs to; `flow`: order and loss; `link`: time;
//!   `recovery`: retransmission, and connections that lose an end
//! - `fault`: partitions, kills, power; `trace`: counts and the hash of all packets; `census`: what processes hold
//! - `slab`: the tables behind it
//! - `classic`: the same pods on the classic turmoil runtime, an independent check; `choice`: which of the two

mod census;
mod choice;
mod classic;
mod clock;
mod conn;
mod core;
mod crypto;
mod dns;
mod fault;
mod flow;
mod handle;
mod heap;
mod link;
mod nat;
mod net;
mod pod;
mod recovery;
mod slab;
mod socket;
mod tank;
mod trace;
mod transit;

pub use census::{Holdings, OpenStream};
pub use choice::Engine;
pub use clock::EPOCH;
pub use fault::Direction;
pub use handle::TankHandle;
pub use link::{FaultCounter, Lane, LinkConfig};
pub use nat::{Capture, ServiceAddr};
pub use pod::{Container, PodId, PodSpec};
pub use tank::{Tank, TankConfig};
pub use trace::Stats;
