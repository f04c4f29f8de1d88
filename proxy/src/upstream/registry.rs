//! What the workers of one process share of each cluster, by name: breakers, outlier detection, and how many
//! requests each endpoint has. Envoy keeps these once for all its workers too.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wavetank_platform::Platform;

use super::outliers::{Outliers, Reporter};
use crate::cluster::Breakers;

/// Requests at each endpoint.
pub(crate) type ActiveByEndpoint = Arc<Mutex<BTreeMap<SocketAddr, Arc<AtomicU32>>>>;

/// The clusters of one process.
pub(crate) struct Registry {
    platform: Platform,
    reporter: Reporter,
    by_name: Mutex<BTreeMap<Arc<str>, Arc<Common>>>,
}

/// What is shared of one cluster.
pub(crate) struct Common {
    /// Who is ejected.
    pub(crate) outliers: Outliers,
    /// How much the cluster is asked for.
    pub(crate) breakers: Breakers,
    /// Requests at each endpoint.
    pub(crate) active: ActiveByEndpoint,
}

impl Registry {
    /// None yet. Sweeps of outlier detection run on `platform`.
    pub(crate) fn new(platform: Platform, reporter: Reporter) -> Self {
        Self { platform, reporter, by_name: Mutex::default() }
    }

    /// What is shared of the cluster of that name.
    pub(crate) fn of(&self, name: &Arc<str>) -> Arc<Common> {
        let mut by_name = self.by_name();
        if let Some(common) = by_name.get(name) {
            return common.clone();
        }
        let common = Arc::new(Common {
            outliers: Outliers::new(self.platform.clone(), self.reporter.clone(), name.clone()),
            breakers: Breakers::default(),
            active: Arc::default(),
        });
        by_name.insert(name.clone(), common.clone());
        common
    }

    /// What there is of the cluster of that name, if anything has been asked of it.
    pub(crate) fn known(&self, name: &str) -> Option<Arc<Common>> {
        self.by_name().get(name).cloned()
    }

    /// The cluster is gone; who comes to one of that name later begins anew. `common` is what the caller had
    /// of it: another worker may have begun anew already.
    pub(crate) fn forget(&self, name: &str, common: &Arc<Common>) {
        let mut by_name = self.by_name();
        if by_name.get(name).is_some_and(|known| Arc::ptr_eq(known, common)) {
            by_name.remove(name);
        }
    }

    /// Whether `common` is what others share of the cluster now: it is not, where another worker has seen
    /// the cluster go and come back.
    pub(crate) fn is_current(&self, name: &str, common: &Arc<Common>) -> bool {
        self.by_name().get(name).is_some_and(|known| Arc::ptr_eq(known, common))
    }

    fn by_name(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Arc<Common>>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
