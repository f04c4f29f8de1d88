//! One request on one edge, and the rules that decided it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use wavetank_platform::Instant;

use super::party::{Endpoint, Party, Service};

/// A place in one of the user's files.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Path as the user gave it.
    pub file: Arc<str>,
    /// Line, counted from 1.
    pub line: u32,
    /// Column in characters, counted from 1.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl From<&Place> for wavetank_reports::Place {
    fn from(place: &Place) -> Self {
        Self::new(place.file.to_string(), place.line, place.column)
    }
}

/// How an edge's connection was secured, read from the TLS session.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tls {
    /// No TLS.
    Plaintext,
    /// TLS with certificates on both sides.
    Mutual {
        /// URI SAN the source proved, as the destination's session shows it; `None` when the destination
        /// left no record.
        caller: Option<Arc<str>>,
        /// URI SAN the destination proved, as the source's session shows it; `None` when the source left
        /// no record.
        callee: Option<Arc<str>>,
    },
    /// TLS with the destination's certificate only.
    Simple,
}

/// Why a request got no response at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Failure {
    /// The connection was refused.
    Refused,
    /// The connection was reset or closed before a response.
    Reset,
    /// No answer in time.
    Timeout,
    /// The name did not resolve.
    Unresolved,
    /// Anything else.
    Other,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
            Self::Unresolved => "unresolved",
            Self::Other => "other",
        })
    }
}

/// The rules a hop met, by the names the deciding proxy knows them by. A `None` was not reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Decision {
    /// Listener.
    pub listener: Option<Arc<str>>,
    /// Virtual host.
    pub virtual_host: Option<Arc<str>>,
    /// Line that brought the virtual host.
    pub virtual_host_from: Option<Place>,
    /// Route; Istio calls one that was given no name `default`.
    pub route: Option<Arc<str>>,
    /// Line that brought the route.
    pub route_from: Option<Place>,
    /// Line of the weight that chose the cluster; `None` where the route gives no weights.
    pub arm_from: Option<Place>,
    /// Cluster the route chose, even if it does not exist: `outbound|80|v1|service-go.default.svc.cluster.local`.
    pub cluster: Option<Arc<str>>,
    /// Line that brought the cluster.
    pub cluster_from: Option<Place>,
}

impl Decision {
    /// The line that decided: the weight's, else the route's, else the virtual host's, else the cluster's.
    pub fn place(&self) -> Option<&Place> {
        let route_from = self.arm_from.as_ref().or(self.route_from.as_ref());
        route_from.or(self.virtual_host_from.as_ref()).or(self.cluster_from.as_ref())
    }

    /// Subset and host of the chosen cluster; the subset is empty where the cluster is the whole service.
    /// `None` when no cluster was chosen or its name has another shape.
    pub fn subset_and_host(&self) -> Option<(&str, &str)> {
        let mut parts = self.cluster.as_deref()?.split('|');
        let (_direction, _port) = (parts.next()?, parts.next()?);
        let found = (parts.next()?, parts.next()?);
        parts.next().is_none().then_some(found)
    }
}

/// One request on one edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// When the source sent it.
    pub at: Instant,
    /// Name of the traffic it belongs to; `None` when it belongs to none.
    pub traffic: Option<Arc<str>>,
    /// Key shared by all hops of one client request: its `x-request-id`.
    pub request: Arc<str>,
    /// Who called.
    pub source: Party,
    /// What was asked for.
    pub destination: Service,
    /// Method and path, for people.
    pub target: Arc<str>,
    /// The pod the first attempt chose; `None` when none was chosen.
    pub first_endpoint: Option<Endpoint>,
    /// The pod of each try, in order; `None` for one that chose none.
    pub tried: Vec<Option<Endpoint>>,
    /// The pod that answered, or the last one tried.
    pub endpoint: Option<Endpoint>,
    /// Status the source got; 0 when it got none.
    pub status: u16,
    /// Why it got none.
    pub failure: Option<Failure>,
    /// Envoy's response flags in their short form.
    pub flags: Vec<Arc<str>>,
    /// Envoy's response code details.
    pub details: Arc<str>,
    /// How the connection was secured; `None` when none was opened.
    pub tls: Option<Tls>,
    /// Tries made; 0 when the request went nowhere.
    pub attempts: u32,
    /// From the request to the last byte of its response, as the source saw it.
    pub latency: Duration,
    /// What decided.
    pub decision: Decision,
}

impl Hop {
    /// The version of the pod the first attempt chose: what a split counts.
    pub fn arm(&self) -> Option<&str> {
        self.first_endpoint.as_ref()?.version.as_deref()
    }

    /// Whether it carries response flag `flag`.
    pub fn has_flag(&self, flag: &str) -> bool {
        self.flags.iter().any(|own| **own == *flag)
    }
}
