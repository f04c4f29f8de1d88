//! hyper's executor and timer over the door, so that hyper spawns and sleeps only through it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant as StdInstant};

use pin_project_lite::pin_project;

use crate::{Platform, Spawn};

/// Runs hyper's background futures as tasks of the process.
#[derive(Clone)]
pub struct HyperExecutor {
    spawn: Arc<dyn Spawn>,
}

impl HyperExecutor {
    /// An executor that spawns through `platform`.
    pub fn new(platform: &Platform) -> Self {
        Self { spawn: platform.spawn.clone() }
    }
}

impl<F> hyper::rt::Executor<F> for HyperExecutor
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, future: F) {
        self.spawn.go(async move {
            future.await;
        });
    }
}

/// hyper's timer on tokio's clock, which the tank pauses. Only for hyper's own keep-alive and header
/// timers; hyper asks it for the time, so nothing reads the standard library's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct HyperTimer;

pin_project! {
    struct HyperSleep {
        #[pin]
        sleep: tokio::time::Sleep,
    }
}

impl Future for HyperSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().sleep.poll(cx)
    }
}

impl hyper::rt::Sleep for HyperSleep {}

impl hyper::rt::Timer for HyperTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(HyperSleep { sleep: tokio::time::sleep(duration) })
    }

    fn sleep_until(&self, deadline: StdInstant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(HyperSleep { sleep: tokio::time::sleep_until(deadline.into()) })
    }

    fn now(&self) -> StdInstant {
        tokio::time::Instant::now().into_std()
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn hyper::rt::Sleep>>, new_deadline: StdInstant) {
        if let Some(sleep) = sleep.as_mut().downcast_mut_pin::<HyperSleep>() {
            sleep.project().sleep.reset(new_deadline.into());
        }
    }
}
