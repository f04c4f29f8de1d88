//! Pods and the processes in their containers.

use std::any::Any;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use turmoil_net::HostId;
use wavetank_platform::{Platform, Spawn, Task};

use super::crypto::SeededRandom;
use super::link::FaultCounter;
use super::nat::Capture;

/// A pod of the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodId(pub(super) u32);

/// What a pod is.
#[derive(Debug, Clone)]
pub struct PodSpec {
    /// Its name; also its host name.
    pub name: String,
    /// Its namespace, which decides how its resolver completes names.
    pub namespace: String,
    /// Its address; `None` takes the next free one of 10.0.0.0/16.
    pub ip: Option<IpAddr>,
    /// The zone it runs in; `None` when the world has no zones.
    pub zone: Option<String>,
}

impl PodSpec {
    /// A pod with the next free address.
    pub fn new(name: impl Into<String>, namespace: impl Into<String>) -> Self {
        Self { name: name.into(), namespace: namespace.into(), ip: None, zone: None }
    }
}

/// A container of a pod. Each runs one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Container {
    /// What the pod is for.
    App,
    /// The proxy beside it (uid 1337), whose own connections are never captured.
    Sidecar,
}

impl Container {
    /// `app` or `sidecar`.
    pub fn name(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Sidecar => "sidecar",
        }
    }
}

/// A pod with its network, its power and its processes.
#[derive(Debug)]
pub(super) struct Pod {
    pub(super) spec: PodSpec,
    pub(super) ip: Ipv4Addr,
    pub(super) host: HostId,
    pub(super) capture: Option<Capture>,
    /// Set while the pod has no power; counts what was sent to it.
    pub(super) without_power: Option<FaultCounter>,
    pub(super) processes: [Option<Running>; 2],
}

/// The process of a container, and its door.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) process: Arc<Process>,
    pub(super) platform: Platform,
    pub(super) random: &'static SeededRandom,
    /// 0 for the first process of the container, and one more after each restart.
    pub(super) restarts: u32,
}

/// One life of a container's process.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) pod: PodId,
    pub(super) container: Container,
    alive: AtomicBool,
    tasks: Mutex<Tasks>,
    panics: Arc<Panics>,
}

/// The first panic of any task of the world: a run in which one panicked has no result.
#[derive(Debug, Default)]
pub(super) struct Panics(Mutex<Option<Box<dyn Any + Send>>>);

impl Panics {
    fn keep(&self, panic: Box<dyn Any + Send>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
    }

    pub(super) fn take(&self) -> Option<Box<dyn Any + Send>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Runs a task and keeps its panic, where tokio would drop it with the task.
struct Watched {
    task: Pin<Box<dyn Future<Output = ()> + Send>>,
    panics: Arc<Panics>,
}

impl Future for Watched {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // The task is not polled again after it panicked, so nothing sees what it left half done.
        match catch_unwind(AssertUnwindSafe(|| self.task.as_mut().poll(cx))) {
            Ok(polled) => polled,
            Err(panic) => {
                self.panics.keep(panic);
                Poll::Ready(())
            }
        }
    }
}

#[derive(Debug, Default)]
struct Tasks {
    handles: Vec<AbortHandle>,
    /// Number of handles at which the finished ones are dropped next.
    sweep_at: usize,
}

impl Process {
    pub(super) fn new(pod: PodId, container: Container, panics: Arc<Panics>) -> Self {
        Self { pod, container, alive: AtomicBool::new(true), tasks: Mutex::default(), panics }
    }

    pub(super) fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Relaxed)
    }

    /// Ends the process: its tasks stop at their next await, and it starts no more.
    pub(super) fn kill(&self) {
        self.alive.store(false, Ordering::Relaxed);
        let handles = std::mem::take(&mut self.lock().handles);
        handles.iter().for_each(AbortHandle::abort);
    }

    /// Starts a task of this process on `runtime`; none when the process has ended.
    pub(super) fn start(&self, runtime: &Handle, future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Task {
        if !self.is_alive() {
            return Task::never_started();
        }
        let watched = Watched { task: future, panics: self.panics.clone() };
        let handle = runtime.spawn(watched).abort_handle();
        let mut tasks = self.lock();
        if tasks.handles.len() >= tasks.sweep_at {
            tasks.handles.retain(|task| !task.is_finished());
            tasks.sweep_at = (tasks.handles.len() * 2).max(32);
        }
        tasks.handles.push(handle.clone());
        Task::new(handle)
    }

    /// Tasks that have not ended.
    pub(super) fn running(&self) -> usize {
        self.lock().handles.iter().filter(|task| !task.is_finished()).count()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs tasks owned by a process.
#[derive(Debug)]
pub(super) struct TankSpawn(pub(super) Arc<Process>);

impl Spawn for TankSpawn {
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Task {
        match Handle::try_current() {
            Ok(runtime) => self.0.start(&runtime, future),
            Err(_) => Task::never_started(),
        }
    }
}
