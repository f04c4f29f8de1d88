//! The control plane of a live run as a process, and what its status page tells.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use wavetank_platform::Platform;

use crate::world::client::{Call, Target, call_once};

/// Port of the status page.
pub(super) const STATUS_PORT: u16 = 15014;
/// How often the page is read, and for how long that may take.
const LOOK: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(2);

/// The page.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Status {
    pub(super) manifests: Manifests,
    pub(super) proxies: Vec<Proxy>,
}

/// The manifests that were last read.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Manifests {
    pub(super) digest: String,
    pub(super) generation: u64,
}

/// A proxy's standing.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Proxy {
    pub(super) node: String,
    pub(super) connected: bool,
    pub(super) settled: Option<u64>,
    pub(super) types: BTreeMap<String, Standing>,
}

/// A proxy's standing on one type.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Standing {
    pub(super) refused: Option<String>,
}

impl Proxy {
    /// What it refused last, and why.
    pub(super) fn refused(&self) -> Vec<String> {
        let types = self.types.iter();
        types.filter_map(|(kind, own)| Some(format!("it refused {kind}: {}", own.refused.as_ref()?))).collect()
    }
}

/// Reads the page again and again.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch {
    seen: Arc<Mutex<Option<Status>>>,
}

impl Watch {
    /// Reads the page of the control plane at `host` from now on, as a process of `platform`. `seen` is called after
    /// each reading.
    pub(super) fn start(
        platform: &Platform,
        host: &str,
        seen: impl Fn(Option<&Status>) + Send + Sync + 'static,
    ) -> Self {
        let watch = Self::default();
        let (own, door, host) = (watch.clone(), platform.clone(), host.to_owned());
        platform.spawn.go(async move {
            loop {
                let target = Target { host: host.clone(), port: STATUS_PORT, path: "/status".to_owned() };
                let reply = call_once(&door, Call::get(target), 0, PATIENCE).await.ok();
                let status = reply.and_then(|reply| serde_json::from_slice(&reply.body).ok());
                seen(status.as_ref());
                *own.lock() = status;
                door.clock.sleep(LOOK).await;
            }
        });
        watch
    }

    /// The page when it was last read; `None` when nobody answered.
    pub(super) fn status(&self) -> Option<Status> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Status>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
