//! What a session receives and sends, the same in both modes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::resource::{Resource, ResourceType};

/// One request of a proxy, in either mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Type it is about.
    pub kind: ResourceType,
    /// Nonce of the push that it answers; empty when it answers none.
    pub nonce: String,
    /// Why that push was refused; `None`: it was taken.
    pub error: Option<String>,
    /// What the proxy wants from now on.
    pub change: Change,
}

/// How a request changes a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// To exactly these names.
    Exactly(BTreeSet<String>),
    /// By these names.
    By {
        /// Wanted in addition.
        subscribe: BTreeSet<String>,
        /// No longer wanted.
        unsubscribe: BTreeSet<String>,
        /// What the proxy holds from an earlier stream: name to version.
        holds: BTreeMap<String, String>,
    },
}

/// What a request turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A subscription, or a change of one.
    Subscribed,
    /// The push of this version is in force.
    Acked(Arc<str>),
    /// The push of this version was refused.
    Nacked(Arc<str>, String),
    /// It answers a push that a later one has overtaken; ignored.
    Stale,
}

/// A proxy asked for more than the limits allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} subscription has more than {names_max} names, or a name longer than {name_bytes_max} bytes")]
pub struct TooManyNames {
    pub(super) kind: ResourceType,
    pub(super) names_max: usize,
    pub(super) name_bytes_max: usize,
}

/// One response to send.
#[derive(Debug, Clone, PartialEq)]
pub struct Push {
    /// Its type.
    pub kind: ResourceType,
    /// Unique on this stream.
    pub nonce: String,
    /// Of everything of the type that the proxy holds once it has taken this push.
    pub version: Arc<str>,
    /// What is sent.
    pub resources: Vec<Resource>,
    /// What is gone; always empty in state-of-the-world mode.
    pub removed: Vec<Arc<str>>,
}
