//! The downstream connections of one proxy: how many there are, and the end of all of them.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wavetank_platform::Platform;
use wavetank_platform::spawn::OwnedTask;
use wavetank_platform::watch;

/// Open downstream connections, each with its task.
pub(crate) struct Connections {
    limit: usize,
    state: Mutex<State>,
    count: watch::Sender<usize>,
}

#[derive(Default)]
struct State {
    next_id: u64,
    tasks: BTreeMap<u64, OwnedTask>,
    refused: u64,
}

impl Connections {
    /// At most `limit` at once.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, state: Mutex::default(), count: watch::Sender::new(0) }
    }

    /// Runs `connection` as a task of its own; over the limit it is dropped, which closes its socket.
    pub(crate) fn spawn(self: &Arc<Self>, platform: &Platform, connection: impl Future<Output = ()> + Send + 'static) {
        let mut state = self.state();
        if state.tasks.len() >= self.limit {
            state.refused += 1;
            tracing::debug!(refused = state.refused, "too many downstream connections");
            return;
        }
        let id = state.next_id;
        state.next_id += 1;
        let all = self.clone();
        let task = platform.spawn.go(async move {
            connection.await;
            all.ended(id);
        });
        state.tasks.insert(id, task.abort_on_drop());
        self.count.send_replace(state.tasks.len());
    }

    /// Waits until none is left.
    pub(crate) async fn all_ended(&self) {
        let mut count = self.count.subscribe();
        let _never_closed = count.wait_for(|count| *count == 0).await;
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
