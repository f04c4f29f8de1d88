//! The downstream connections of one worker: how many there are, and the end of all of them.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wavetank_platform::Platform;
use wavetank_platform::spawn::OwnedTask;
use wavetank_platform::watch;

/// Open downstream connections, each with its task.
pub(crate) struct Connections {
    limit: usize,
    /// Of all workers together.
    open: Arc<AtomicUsize>,
    state: Mutex<State>,
    count: watch::Sender<usize>,
}

#[derive(Default)]
struct State {
    next_id: u64,
    tasks: BTreeMap<u64, OwnedTask>,
    through: BTreeMap<Arc<str>, Arc<Through>>,
}

/// The connections that came through one listener.
#[derive(Debug, Default)]
pub(crate) struct Through {
    /// All that were accepted.
    pub(crate) accepted: AtomicU64,
    /// Those that are open.
    pub(crate) active: AtomicU64,
    /// Those that were closed at once, over the limit.
    pub(crate) refused: AtomicU64,
}

/// One open connection, until dropped.
struct Permit {
    open: Arc<AtomicUsize>,
    through: Arc<Through>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        self.through.active.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connections {
    /// At most `limit` at once, together with those of other workers, which count in `open` too.
    pub(crate) fn new(limit: usize, open: Arc<AtomicUsize>) -> Self {
        Self { limit, open, state: Mutex::default(), count: watch::Sender::new(0) }
    }

    /// What is counted of the listener of that name.
    pub(crate) fn through(&self, listener: &Arc<str>) -> Arc<Through> {
        self.state().through.entry(listener.clone()).or_default().clone()
    }

    /// What is counted of every listener that is open.
    pub(crate) fn counts(&self) -> BTreeMap<Arc<str>, Arc<Through>> {
        self.state().through.clone()
    }

    /// A listener is gone.
    pub(crate) fn forget(&self, listener: &str) {
        self.state().through.remove(listener);
    }

    /// Runs `connection` as a task of its own; over the limit it is dropped, which closes its socket.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        platform: &Platform,
        through: &Arc<Through>,
        connection: impl Future<Output = ()> + Send + 'static,
    ) {
        let Some(permit) = self.admit(through) else { return };
        let mut state = self.state();
        let id = state.next_id;
        state.next_id += 1;
        let all = self.clone();
        let task = platform.spawn.go(async move {
            connection.await;
            drop(permit);
            all.ended(id);
        });
        state.tasks.insert(id, task.abort_on_drop());
        self.count.send_replace(state.tasks.len());
    }

    fn admit(&self, through: &Arc<Through>) -> Option<Permit> {
        let below = |open: usize| (open < self.limit).then_some(open + 1);
        through.accepted.fetch_add(1, Ordering::Relaxed);
        if self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, below).is_err() {
            let refused = through.refused.fetch_add(1, Ordering::Relaxed) + 1;
            tracing::debug!(refused, "too many downstream connections");
            return None;
        }
        through.active.fetch_add(1, Ordering::Relaxed);
        Some(Permit { open: self.open.clone(), through: through.clone() })
    }

    /// Waits until none is left.
    pub(crate) async fn all_ended(&self) {
        let mut count = self.count.subscribe();
        let _never_closed = count.wait_for(|count| *count == 0).await;
    }

    /// Waits until none is left of those that came through these listeners.
    pub(crate) async fn all_ended_through(&self, listeners: &[Arc<Through>]) {
        let none = || listeners.iter().all(|through| through.active.load(Ordering::Relaxed) == 0);
        // Told at every start and end.
        let mut count = self.count.subscribe();
        let _never_closed = count.wait_for(|_| none()).await;
    }

    /// Ends all at once.
    pub(crate) fn abort(&self) {
        let tasks = std::mem::take(&mut self.state().tasks);
        drop(tasks);
        self.count.send_replace(0);
    }

    fn ended(&self, id: u64) {
        let mut state = self.state();
        let task = state.tasks.remove(&id);
        self.count.send_replace(state.tasks.len());
        drop(state);
        drop(task);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
