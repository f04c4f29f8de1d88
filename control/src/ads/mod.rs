//! Serving xDS: what each proxy was sent, what it took, and in which order the next change reaches it.
//!
//! - [`resource`]: resources, their versions and a proxy's snapshot of them
//! - [`subscription`]: one proxy's standing on one resource type
//! - [`exchange`]: what a session receives and sends
//! - [`session`]: the pure heart: requests and snapshots in, pushes out, make before break
//! - [`variant`]: state of the world and delta, as two spellings of the same session
//! - [`status`]: who acknowledged what, and the observer of it
//! - [`debounce`]: when a burst of changes becomes one push
//! - [`stream`]: a session on one gRPC stream
//! - [`service`]: the aggregated discovery service

pub mod debounce;
pub mod exchange;
pub mod resource;
pub mod service;
pub mod session;
pub mod status;
pub mod stream;
pub mod subscription;
pub mod variant;

pub use debounce::{Debounce, DebounceConfig};
pub use exchange::{Ask, Change, Outcome, Push, TooManyNames};
pub use resource::{Resource, ResourceType, Snapshot};
pub use service::{AdsLimits, AdsService, Peer, Source};
pub use session::{Mode, Session, SessionLimits};
pub use status::{NoObserver, Observer, ProxyStatus, StatusBoard, TypeStatus};
