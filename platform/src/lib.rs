//! The one door between Wavetank's code and the world.
//!
//! `proxy`, `control` and the apps of the tank reach the network, the clocks, randomness and the task
//! spawner through a [`Platform`] value that their host hands them, and in no other way. Linux implements
//! the door in [`linux`]; the simulator implements it in its engine. Nothing else differs between them, so
//! what runs in the tank is what ships.
//!
//! Files, in the order a caller meets them:
//! - [`net`]: [`Net`], [`Listener`], [`Stream`] with its original destination
//! - [`resolver`]: names to addresses
//! - [`clock`]: monotonic [`Instant`], wall-clock [`UnixTime`], sleeping
//! - [`entropy`]: named, forkable ChaCha streams
//! - [`spawn`]: tasks owned by a process or pod
//! - [`watch`]: values that others wait on, in a fixed order
//! - [`hyper_rt`]: hyper's executor and timer over this door
//! - [`crypto`]: what a TLS provider of this door must offer
//! - [`linux`]: the real thing

pub mod clock;
pub mod crypto;
pub mod entropy;
pub mod hyper_rt;
pub mod linux;
pub mod net;
pub mod resolver;
pub mod spawn;
pub mod watch;

use std::sync::Arc;

pub use clock::{Clock, Instant, UnixTime};
pub use crypto::Crypto;
pub use entropy::{Entropy, RandomStream};
pub use net::{BoxFuture, ConnectOptions, Io, ListenOptions, Listener, Net, OriginalDst, Stream};
pub use resolver::Resolver;
pub use spawn::{Spawn, Task};

/// Everything a process may touch outside its own memory: one handle per process (live) or per container
/// of a pod (tank). Cheap to clone; clones are the same process.
#[derive(Clone)]
pub struct Platform {
    /// Listening and connecting.
    pub net: Arc<dyn Net>,
    /// Names to addresses.
    pub resolver: Arc<dyn Resolver>,
    /// Monotonic and wall-clock time.
    pub clock: Arc<dyn Clock>,
    /// The root of this process's random streams.
    pub entropy: Entropy,
    /// Where tasks run, and what ends them when the process dies.
    pub spawn: Arc<dyn Spawn>,
    /// TLS primitives that draw their randomness from this door.
    pub crypto: Crypto,
}

impl std::fmt::Debug for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Platform").finish_non_exhaustive()
    }
}
