//! What the world's processes hold at one moment: sockets and tasks.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use turmoil_net::NetstatState;

use super::core::Core;
use super::handle::TankHandle;
use super::pod::{Container, Pod, PodId, Process, Running};
use super::slab::Key;
use super::socket::SocketIo;

/// What one living process holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holdings {
    /// Address of its pod.
    pub ip: IpAddr,
    /// Its container.
    pub container: Container,
    /// How often its container was started before.
    pub restarts: u32,
    /// Tasks that have not ended.
    pub tasks: usize,
    /// Listening sockets.
    pub listeners: usize,
    /// Its ends of connections.
    pub streams: Vec<OpenStream>,
}

/// A process's end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenStream {
    /// Our end, as the kernel has it.
    pub local: SocketAddr,
    /// The other end.
    pub peer: SocketAddr,
    /// The peer has closed its side, and the process has not closed its own.
    pub half_closed: bool,
    socket: Key,
}

impl OpenStream {
    /// Whether it is the same socket, seen at another time.
    pub fn is(&self, other: &Self) -> bool {
        self.socket == other.socket
    }
}

impl TankHandle {
    /// What each living process holds, by pod and container. Empty in a world of the second engine, which
    /// does not know.
    pub fn census(&self) -> Vec<Holdings> {
        let core = self.shared.core();
        if core.kernels.is_none() {
            return Vec::new();
        }
        let living = core.pods.iter().filter(|pod| pod.without_power.is_none()).flat_map(|pod| {
            let alive = pod.processes.iter().flatten().filter(|running| running.process.is_alive());
            alive.map(move |running| (pod, running))
        });
        let mut held: Vec<_> = living.map(|(pod, running)| nothing_yet(pod, running)).collect();
        core.count_sockets(&mut held);
        held.into_iter().map(|(_, holdings)| holdings).collect()
    }

    /// Whether packets pass between two pods both ways, and both have power.
    pub fn can_talk(&self, a: PodId, b: PodId) -> bool {
        let mut core = self.shared.core();
        let on = |pod: PodId| core.pod(pod).without_power.is_none();
        on(a) && on(b) && core.links.is_open(a, b) && core.links.is_open(b, a)
    }

    /// Whether the process of a container runs.
    pub fn is_running(&self, pod: PodId, container: Container) -> bool {
        let core = self.shared.core();
        core.pod(pod).processes[container as usize].as_ref().is_some_and(|running| running.process.is_alive())
    }

    /// Lets `duration`, at least a millisecond, pass at one stroke, as for a machine that was suspended:
    /// everything that was due meanwhile happens now. Only for a world that nobody talks in.
    ///
    /// The second engine's clock cannot; there it does nothing.
    pub async fn skip(&self, duration: Duration) {
        if self.shared.wires.is_some() {
            return;
        }
        // Onto a whole millisecond, and by whole ones: tokio's timers know no others.
        self.sleep(Duration::from_millis(1)).await;
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        tokio::time::advance(Duration::from_millis(millis)).await;
    }
}

fn nothing_yet(pod: &Pod, running: &Running) -> (Arc<Process>, Holdings) {
    let (process, restarts) = (running.process.clone(), running.restarts);
    let (ip, container, tasks) = (pod.ip.into(), process.container, process.running());
    (process, Holdings { ip, container, restarts, tasks, listeners: 0, streams: Vec::new() })
}

impl Core {
    fn count_sockets(&self, held: &mut [(Arc<Process>, Holdings)]) {
        let mut half_closed: BTreeMap<PodId, Vec<(SocketAddr, SocketAddr)>> = BTreeMap::new();
        for (key, socket) in self.sockets.iter() {
            let own = held.iter_mut().find(|(process, _)| Arc::ptr_eq(process, &socket.process));
            let Some((process, holdings)) = own else { continue };
            let SocketIo::Stream { peer, .. } = &socket.io else {
                holdings.listeners += 1;
                continue;
            };
            let halves = half_closed.entry(process.pod).or_insert_with(|| half_closed_on(self.pod(process.pod)));
            let half_closed = halves.contains(&(socket.local, *peer));
            holdings.streams.push(OpenStream { local: socket.local, peer: *peer, half_closed, socket: key });
        }
    }
}

/// The connections of a pod whose peers have closed their side.
fn half_closed_on(pod: &Pod) -> Vec<(SocketAddr, SocketAddr)> {
    let rows = turmoil_net::netstat(pod.ip).entries.into_iter();
    let told = rows.filter(|row| row.state == Some(NetstatState::CloseWait));
    told.filter_map(|row| Some((row.local, row.peer?))).collect()
}
