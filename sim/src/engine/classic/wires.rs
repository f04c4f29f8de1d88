//! What the doors of all hosts share: runtimes, listening ports, and introductions.
//!
//! turmoil delivers a connection with the addresses it was really opened between. What else the accepting
//! end is to know, the destination before capture, its opener tells it here: by the time turmoil says that
//! a connection is open, the accepting end expects the introduction.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use wavetank_platform::{Clock, Net, OriginalDst, Spawn, Stream, Task, UnixTime};

use super::clock::HostClock;
use super::net::HostNet;
use super::trace::Trace;
use crate::engine::core::Shared;
use crate::engine::pod::{PodId, Process};
use crate::engine::trace::Stats;

/// First port of connections that stay within a pod; turmoil's own begin at 49152.
const INSIDE_PORT_MIN: u16 = 32_768;
const INSIDE_PORT_MAX: u16 = 49_151;

/// The hosts of a world, as their doors know each other.
#[derive(Debug)]
pub(in crate::engine) struct Wires {
    pub(super) clock: Arc<HostClock>,
    state: Mutex<State>,
    trace: Mutex<Trace>,
}

#[derive(Debug, Default)]
struct State {
    /// By pod; filled as the world starts.
    runtimes: Vec<Handle>,
    listening: BTreeMap<(PodId, u16), Vec<Listening>>,
    /// Accepting ends that wait for an introduction, by (client, server) addresses.
    expected: BTreeMap<(SocketAddr, SocketAddr), oneshot::Sender<Option<OriginalDst>>>,
    inside_ports: BTreeMap<PodId, u16>,
}

/// A listening port of a pod.
#[derive(Debug)]
struct Listening {
    ip: Ipv4Addr,
    queue: mpsc::Sender<Stream>,
}

impl Wires {
    pub(in crate::engine) fn new(epoch: UnixTime) -> Self {
        Self { clock: Arc::new(HostClock::new(epoch)), state: Mutex::default(), trace: Mutex::default() }
    }

    /// The clock of whoever asks.
    pub(in crate::engine) fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    /// The doors of a process to the network and to its tasks.
    pub(in crate::engine) fn doors(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        process: &Arc<Process>,
    ) -> (Arc<dyn Net>, Arc<dyn Spawn>) {
        let net = HostNet { shared: shared.clone(), wires: self.clone(), process: process.clone() };
        (Arc::new(net), Arc::new(HostSpawn { wires: self.clone(), process: process.clone() }))
    }

    /// Notes the runtime of the next pod.
    pub(super) fn add_runtime(&self, runtime: Handle) {
        self.state().runtimes.push(runtime);
    }

    pub(super) fn runtime(&self, pod: PodId) -> Option<Handle> {
        self.state().runtimes.get(pod.0 as usize).cloned()
    }

    /// Runs `future` on a pod's own host, which is where turmoil looks for sockets. It is dropped with the
    /// future that this returns.
    ///
    /// Errs when the host is gone.
    pub(super) async fn at_home<T: Send + 'static>(
        &self,
        pod: PodId,
        future: impl Future<Output = T> + Send + 'static,
    ) -> io::Result<T> {
        let home = self.runtime(pod).ok_or(io::ErrorKind::ConnectionAborted)?;
        if is_current(&home) {
            return Ok(future.await);
        }
        Away(home.spawn(future)).await
    }

    /// Whether `ip:port` may be listened on: no other listener covers it.
    pub(super) fn is_free(&self, pod: PodId, ip: Ipv4Addr, port: u16) -> bool {
        let state = self.state();
        let others = state.listening.get(&(pod, port)).into_iter().flatten();
        !others.into_iter().any(|other| other.ip == ip || other.ip.is_unspecified() || ip.is_unspecified())
    }

    pub(super) fn add_listener(&self, pod: PodId, ip: Ipv4Addr, port: u16, queue: mpsc::Sender<Stream>) {
        self.state().listening.entry((pod, port)).or_default().push(Listening { ip, queue });
    }

    pub(super) fn remove_listener(&self, pod: PodId, ip: Ipv4Addr, port: u16) {
        if let Some(ports) = self.state().listening.get_mut(&(pod, port)) {
            ports.retain(|port| port.ip != ip);
        }
    }

    /// Where connections from within the pod to `ip:port` are queued.
    pub(super) fn listener_inside(&self, pod: PodId, ip: Ipv4Addr, port: u16) -> Option<mpsc::Sender<Stream>> {
        let state = self.state();
        let ports = state.listening.get(&(pod, port))?;
        let exact = ports.iter().find(|port| port.ip == ip);
        exact.or_else(|| ports.iter().find(|port| port.ip.is_unspecified())).map(|port| port.queue.clone())
    }

    /// A client port for a connection within the pod.
    pub(super) fn inside_port(&self, pod: PodId) -> u16 {
        let mut state = self.state();
        let next = state.inside_ports.entry(pod).or_insert(INSIDE_PORT_MIN);
        let port = *next;
        *next = if port == INSIDE_PORT_MAX { INSIDE_PORT_MIN } else { port + 1 };
        port
    }

    /// Waits for the opener of a connection, `client`, to introduce it.
    pub(super) fn expect(&self, client: SocketAddr, server: SocketAddr) -> oneshot::Receiver<Option<OriginalDst>> {
        let (told, wait) = oneshot::channel();
        self.state().expected.insert((client, server), told);
        wait
    }

    /// Waits no longer.
    pub(super) fn give_up(&self, client: SocketAddr, server: SocketAddr) {
        self.state().expected.remove(&(client, server));
    }

    /// Tells the accepting end where the connection was meant to go, if it was captured.
    pub(super) fn introduce(&self, client: SocketAddr, server: SocketAddr, original_dst: Option<OriginalDst>) {
        let told = self.state().expected.remove(&(client, server));
        if let Some(told) = told {
            // An accepting end that is gone needs no introduction.
            let _ = told.send(original_dst);
        }
    }

    /// Notes a message of `len` bytes that the host of `from` sends now.
    pub(super) fn note(&self, from: SocketAddr, to: SocketAddr, len: usize) {
        self.trace().add(self.clock.nanos(), from, to, len);
    }

    /// By which two runs are compared.
    pub(in crate::engine) fn hash(&self) -> [u8; 32] {
        self.trace().hash()
    }

    /// What was sent so far.
    pub(in crate::engine) fn stats(&self) -> Stats {
        self.trace().stats()
    }

    fn trace(&self) -> MutexGuard<'_, Trace> {
        self.trace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether this code runs on the runtime `home`.
pub(super) fn is_current(home: &Handle) -> bool {
    Handle::try_current().is_ok_and(|here| here.id() == home.id())
}

/// Work on another host's runtime; ends when dropped.
struct Away<T>(JoinHandle<T>);

impl<T> Future for Away<T> {
    type Output = io::Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map_err(|_| io::ErrorKind::ConnectionAborted.into())
    }
}

impl<T> Drop for Away<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs a process's tasks on its own host, whoever starts them.
#[derive(Debug)]
struct HostSpawn {
    wires: Arc<Wires>,
    process: Arc<Process>,
}

impl Spawn for HostSpawn {
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Task {
        match self.wires.runtime(self.process.pod) {
            Some(runtime) => self.process.start(&runtime, future),
            None => Task::never_started(),
        }
    }
}
