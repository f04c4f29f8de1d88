//! What the workers of one process share, and what can be seen of them from outside.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wavetank_platform::{ListenOptions, Platform, watch};

use crate::bootstrap::Limits;
use crate::listener::connections::Connections;
use crate::record::Recorder;
use crate::tls::Tls;
use crate::upstream::connect::ConnectionIds;
use crate::upstream::outliers::Reporter;
use crate::upstream::registry::Registry;
use crate::xds::Store;

/// Who listens where, by listener name; `None` before a configuration was applied, and after the end.
pub(crate) type Listening = Option<BTreeMap<Arc<str>, SocketAddr>>;

/// One proxy, whatever its number of workers: one configuration, one identity, one book of each cluster.
pub struct Process {
    pub(crate) node: Arc<str>,
    pub(crate) store: Store,
    pub(crate) tls: Tls,
    pub(crate) registry: Arc<Registry>,
    pub(crate) listen: ListenOptions,
    pub(crate) ids: Arc<ConnectionIds>,
    connections_max: usize,
    connections_open: Arc<AtomicUsize>,
    workers: Mutex<Vec<WorkerView>>,
}

/// What is seen of a worker.
#[derive(Clone)]
pub(crate) struct WorkerView {
    /// Its sockets.
    pub(crate) listening: watch::Receiver<Listening>,
    /// Those who came through them.
    pub(crate) connections: Arc<Connections>,
}

impl Process {
    /// A proxy named `node` without workers. Outlier detection sweeps on `platform` and tells `recorder`.
    pub(crate) fn new(
        platform: &Platform,
        node: &str,
        (store, tls): (Store, Tls),
        limits: &Limits,
        listen: ListenOptions,
        recorder: Arc<dyn Recorder>,
    ) -> Arc<Self> {
        let node: Arc<str> = node.into();
        let reporter = Reporter { node: node.clone(), recorder };
        Arc::new(Self {
            node,
            store,
            tls,
            registry: Arc::new(Registry::new(platform.clone(), reporter)),
            listen,
            ids: Arc::default(),
            connections_max: limits.connections_max,
            connections_open: Arc::default(),
            workers: Mutex::default(),
        })
    }

    /// The connections of one more worker, which count together with those of the others.
    pub(crate) fn connections(&self) -> Arc<Connections> {
        Arc::new(Connections::new(self.connections_max, self.connections_open.clone()))
    }

    /// Shows a worker.
    pub(crate) fn joined(&self, worker: WorkerView) {
        self.workers().push(worker);
    }

    /// All workers that have started.
    pub(crate) fn seen(&self) -> Vec<WorkerView> {
        self.workers().clone()
    }

    fn workers(&self) -> MutexGuard<'_, Vec<WorkerView>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Process").field("node", &self.node).finish_non_exhaustive()
    }
}
