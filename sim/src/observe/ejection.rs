//! What outlier detection did to an endpoint.

use std::fmt;
use std::sync::Arc;

use wavetank_platform::Instant;

use super::party::{Endpoint, Party, Service};
use super::selector::Selector;

/// A proxy found an endpoint failing, or let it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ejection {
    /// When.
    pub at: Instant,
    /// Whose proxy.
    pub proxy: Party,
    /// The Service that the cluster is of; the cluster's name where it is of none.
    pub destination: Service,
    /// The cluster.
    pub cluster: Arc<str>,
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The pod there, as a party; `None` where no pod has the address.
    pub pod: Option<Party>,
    /// What happened to it.
    pub change: EjectionChange,
    /// How often this proxy has ejected it by now.
    pub ejections: u32,
}

impl Ejection {
    /// Whether it is about an endpoint that `selector` names, by its pod or by the Service that was asked for.
    pub fn is_of(&self, selector: &Selector) -> bool {
        self.pod.as_ref().is_some_and(|pod| selector.selects_party(pod))
            || selector.selects_service(&self.destination, Some(&self.endpoint))
    }
}

/// What happened to an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EjectionChange {
    /// It was taken out, by this kind of failure.
    Ejected(Arc<str>),
    /// It was found failing and left in, since that is not enforced.
    Reported(Arc<str>),
    /// It was let back.
    Returned,
}

impl fmt::Display for EjectionChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ejected(kind) => write!(f, "eject {kind}"),
            Self::Reported(kind) => write!(f, "not-enforced {kind}"),
            Self::Returned => f.write_str("return"),
        }
    }
}
