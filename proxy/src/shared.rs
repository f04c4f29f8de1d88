//! What all tasks of one proxy share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wavetank_platform::{Platform, RandomStream};

use crate::http::headers::Dates;
use crate::record::Recorder;
use crate::tls::Tls;
use crate::upstream::clusters::Clusters;
use crate::xds::Store;

/// One proxy's insides.
pub(crate) struct Shared {
    /// The world.
    pub(crate) platform: Platform,
    /// Node id, for records.
    pub(crate) node: Arc<str>,
    /// The configuration in force.
    pub(crate) store: Store,
    /// Certificates and handshakes.
    pub(crate) tls: Tls,
    /// Where records go.
    pub(crate) recorder: Arc<dyn Recorder>,
    /// The way to endpoints.
    pub(crate) clusters: Clusters,
    /// The header `date`.
    pub(crate) dates: Dates,
    /// Random numbers, a stream for each use.
    pub(crate) random: Random,
}

/// The proxy's random streams; those of balancers are with their clusters.
pub(crate) struct Random {
    route: Mutex<RandomStream>,
    retry: Mutex<RandomStream>,
    request_id: Mutex<RandomStream>,
    tcp: Mutex<RandomStream>,
}

impl Random {
    /// The streams of `platform`'s entropy.
    pub(crate) fn new(platform: &Platform) -> Self {
        let stream = |name: &str| Mutex::new(platform.entropy.stream_named(name));
        Self {
            route: stream("route"),
            retry: stream("retry"),
            request_id: stream("request-id"),
            tcp: stream("tcp-route"),
        }
    }

    /// Shares of routes and weights of clusters.
    pub(crate) fn route(&self) -> MutexGuard<'_, RandomStream> {
        lock(&self.route)
    }

    /// Back-off before retries.
    pub(crate) fn retry(&self) -> MutexGuard<'_, RandomStream> {
        lock(&self.retry)
    }

    /// `x-request-id`.
    pub(crate) fn request_id(&self) -> MutexGuard<'_, RandomStream> {
        lock(&self.request_id)
    }

    /// Weights of clusters for TCP connections.
    pub(crate) fn tcp(&self) -> MutexGuard<'_, RandomStream> {
        lock(&self.tcp)
    }
}

fn lock(stream: &Mutex<RandomStream>) -> MutexGuard<'_, RandomStream> {
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}
