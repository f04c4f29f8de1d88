//! Tasks with an owner.
//!
//! A process owns what it spawns: when it is killed, its tasks end. [`Spawn`] is that owner; a [`Task`]
//! additionally lets the spawner end one task early.

use std::future::Future;
use std::pin::Pin;

use tokio::task::AbortHandle;

/// Where a process's tasks run.
pub trait Spawn: Send + Sync {
    /// Starts `future`, owned by this process: it ends when it is done, when its [`Task`] is aborted, or
    /// when the process is killed. A process already killed starts nothing.
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Task;
}

impl dyn Spawn + '_ {
    /// Boxes and starts `future`; see [`Spawn::spawn`].
    pub fn go(&self, future: impl Future<Output = ()> + Send + 'static) -> Task {
        self.spawn(Box::pin(future))
    }
}

/// A running task. Dropping it lets the task run on; see [`Task::abort_on_drop`].
#[derive(Debug)]
pub struct Task {
    handle: Option<AbortHandle>,
}

impl Task {
    /// The task behind this handle.
    pub fn new(handle: AbortHandle) -> Self {
        Self { handle: Some(handle) }
    }

    /// A task that never started, because its process was dead.
    pub fn never_started() -> Self {
        Self { handle: None }
    }

    /// Ends the task at its next await; does nothing when it has ended.
    pub fn abort(&self) {
        if let Some(handle) = &self.handle {
            handle.abort();
        }
    }

    /// Whether the task has ended.
    pub fn is_finished(&self) -> bool {
        self.handle.as_ref().is_none_or(AbortHandle::is_finished)
    }

    /// Ties the task's life to the returned guard.
    pub fn abort_on_drop(self) -> OwnedTask {
        OwnedTask(self)
    }
}

/// A task that ends when this guard is dropped.
#[derive(Debug)]
pub struct OwnedTask(Task);

impl OwnedTask {
    /// Whether the task has ended.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl Drop for OwnedTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}
