//! A worker: a thread with a current-thread runtime of its own, beside the one that its process began with.

use std::future::Future;
use std::io;
use std::thread;

use tokio::sync::oneshot;

use super::host::worker_platform;
use crate::Platform;

/// A running worker. Dropping it leaves the thread to its end.
#[derive(Debug)]
pub struct Worker {
    ended: oneshot::Receiver<()>,
}

impl Worker {
    /// Runs `body` as worker number `index` of the process that `first` is the door of.
    ///
    /// Errs when the system gives no thread or no runtime.
    pub fn start<F, Fut>(first: &Platform, index: usize, body: F) -> io::Result<Self>
    where
        F: FnOnce(Platform) -> Fut + Send + 'static,
        Fut: Future<Output = ()>,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (alive, ended) = oneshot::channel::<()>();
        let first = first.clone();
        let run = move || {
            runtime.block_on(async move { body(worker_platform(&first, index)).await });
            // Its tasks end with the runtime, and what they say at their end is said before the worker has ended.
            drop(runtime);
            drop(alive);
        };
        thread::Builder::new().name(format!("worker-{index}")).spawn(run)?;
        Ok(Self { ended })
    }

    /// Waits until the worker has ended, of itself or by a panic.
    pub async fn ended(self) {
        // Nothing is ever sent: the sender is dropped at the end.
        let _dropped = self.ended.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[tokio::test]
    async fn a_worker_has_its_own_runtime_and_numbers_and_the_clock_of_the_first() {
        let first = crate::linux::platform().expect("random bytes");
        let (before, number) = (first.clock.now(), first.entropy.stream().next_u64());
        let spawned = Arc::new(AtomicBool::new(false));
        let seen = spawned.clone();
        let worker = Worker::start(&first, 1, move |platform| async move {
            assert!(platform.clock.now() >= before);
            assert_ne!(platform.entropy.stream().next_u64(), number);
            let (done, waiting) = oneshot::channel();
            platform.spawn.go(async move {
                seen.store(true, Ordering::Relaxed);
                let _sent = done.send(());
            });
            waiting.await.expect("the task runs");
        });
        worker.expect("a thread").ended().await;
        assert!(spawned.load(Ordering::Relaxed));
    }
}
