//! The configuration in force.

use std::sync::Arc;

use arc_swap::ArcSwap;
use wavetank_platform::watch;

use crate::snapshot::Snapshot;

/// Holds the snapshot in force and tells subscribers of its version. Cheap to clone; clones are the same
/// store.
#[derive(Debug, Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    current: ArcSwap<Snapshot>,
    version: watch::Sender<u64>,
}

impl Store {
    /// A store with an empty snapshot of version 0.
    pub fn new() -> Self {
        Self::from_snapshot(Snapshot::default())
    }

    /// A store that starts with `snapshot`.
    pub fn from_snapshot(snapshot: Snapshot) -> Self {
        let version = watch::Sender::new(snapshot.version);
        Self { shared: Arc::new(Shared { current: ArcSwap::from_pointee(snapshot), version }) }
    }

    /// The snapshot in force. Take it once for a request and keep it to the request's end.
    pub fn current(&self) -> Arc<Snapshot> {
        self.shared.current.load_full()
    }

    /// The version in force, and a wake-up at each change. When it wakes, [`Store::current`] is at least
    /// that version.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.shared.version.subscribe()
    }

    /// Puts `snapshot` in force under the next version, whatever version it carries. There is one
    /// publisher: the xDS client, or a test.
    pub fn publish(&self, mut snapshot: Snapshot) {
        self.shared.version.send_modify(|version| {
            *version += 1;
            snapshot.version = *version;
            self.shared.current.store(Arc::new(std::mem::take(&mut snapshot)));
        });
    }
}

impl Default for Store {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn publishing_counts_the_version_up_and_wakes_subscribers() {
        let store = Store::new();
        let mut seen = store.subscribe();
        assert!(!seen.has_changed().unwrap());
        store.publish(Snapshot { version: 77, ..Snapshot::default() });
        assert!(seen.has_changed().unwrap());
        assert_eq!(*seen.borrow_and_update(), 1);
        assert_eq!(store.current().version, 1);
    }
}
