//! Faults: what a scenario breaks, and mends.

use std::net::IpAddr;

use wavetank_platform::Platform;

use super::conn::forge;
use super::core::Core;
use super::handle::TankHandle;
use super::link::{FaultCounter, LinkConfig};
use super::pod::{Container, PodId};

/// Which way a partition cuts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    Both,
    /// From the first pod to the second.
    Forward,
    /// From the second pod to the first.
    Backward,
}

impl TankHandle {
    /// Sets the link between two pods, both ways. Packets on their way are not affected. The counter counts
    /// the packets sent under this setting.
    pub fn set_link(&self, a: PodId, b: PodId, config: LinkConfig) -> FaultCounter {
        let counter = FaultCounter::default();
        let mut core = self.shared.core();
        core.links.set(a, b, config, counter.clone());
        core.links.set(b, a, config, counter.clone());
        counter
    }

    /// Sets the link from one pod to another, one way.
    pub fn set_link_one_way(&self, from: PodId, to: PodId, config: LinkConfig) -> FaultCounter {
        let counter = FaultCounter::default();
        self.shared.core().links.set(from, to, config, counter.clone());
        counter
    }

    /// Loses every packet between two pods until [healed](Self::heal). The counter counts them.
    pub fn partition(&self, a: PodId, b: PodId, direction: Direction) -> FaultCounter {
        let counter = FaultCounter::default();
        let mut core = self.shared.core();
        if direction != Direction::Backward {
            core.links.set_partition(a, b, Some(counter.clone()));
        }
        if direction != Direction::Forward {
            core.links.set_partition(b, a, Some(counter.clone()));
        }
        counter
    }

    /// Loses every packet from one pod to another until [healed](Self::heal).
    pub fn partition_one_way(&self, from: PodId, to: PodId) -> FaultCounter {
        self.partition(from, to, Direction::Forward)
    }

    /// Ends the partitions between two pods, both ways. TCP finds out at its next retransmission.
    pub fn heal(&self, a: PodId, b: PodId) {
        let mut core = self.shared.core();
        core.links.set_partition(a, b, None);
        core.links.set_partition(b, a, None);
    }

    /// Kills the process of a container: its sockets close (peers see the end of the stream, or a reset when
    /// bytes were unread), its tasks end, and its doors open nothing any more. The pod stays up, so new
    /// connections are refused. Returns the number of sockets closed.
    pub fn kill_process(&self, pod: PodId, container: Container) -> usize {
        let process = {
            let mut core = self.shared.core();
            let Some(running) = &core.pod(pod).processes[container as usize] else {
                return 0;
            };
            let process = running.process.clone();
            let open = core.sockets.len();
            core.close_all(&process);
            (process, open - core.sockets.len())
        };
        process.0.kill();
        process.1
    }

    /// Starts a container's process again, after killing it when it runs, and returns its new door. It has
    /// its pod's address, new random streams, and may listen where the old process did.
    pub fn restart_process(&self, pod: PodId, container: Container) -> Platform {
        self.kill_process(pod, container);
        let mut core = self.shared.core();
        let old = core.pod_mut(pod).processes[container as usize].take();
        let restarts = old.as_ref().map_or(0, |old| old.restarts + 1);
        let platform = self.start_process(&mut core, pod, container, restarts);
        drop(core);
        if let Some(old) = old {
            old.random.release();
        }
        platform
    }

    /// Cuts a pod's power: its processes are gone without a word to their peers, and packets to it are lost.
    /// The counter counts those.
    pub fn power_off(&self, pod: PodId) -> FaultCounter {
        let counter = FaultCounter::default();
        self.shared.core().pod_mut(pod).without_power = Some(counter.clone());
        for container in [Container::App, Container::Sidecar] {
            self.kill_process(pod, container);
        }
        self.shared.core().wipe(pod);
        counter
    }

    /// Gives a pod its power back, with nothing running in it: [restart](Self::restart_process) its processes.
    /// Connections from before are reset when their peers next send.
    pub fn power_on(&self, pod: PodId) {
        self.shared.core().pod_mut(pod).without_power = None;
    }

    /// Whether a pod has power.
    pub fn has_power(&self, pod: PodId) -> bool {
        self.shared.core().pod(pod).without_power.is_none()
    }

    /// The sockets of a pod in its kernel, like `netstat -tan`; for tests and traces.
    pub fn netstat(&self, pod: PodId) -> String {
        let core = self.shared.core();
        if core.kernels.is_none() {
            return String::new();
        }
        turmoil_net::netstat(core.pod(pod).ip).to_string()
    }
}

impl Core {
    /// Removes what a pod's kernel still holds of connections to other pods.
    fn wipe(&mut self, pod: PodId) {
        if self.kernels.is_none() {
            return;
        }
        let ip = self.pod(pod).ip;
        for row in turmoil_net::netstat(ip).entries {
            if let Some(peer) = row.peer
                && !peer.ip().is_loopback()
                && peer.ip() != IpAddr::V4(ip)
            {
                self.hand_over(forge(peer, row.local, None));
            }
        }
        for (conn, dir) in self.conns.ends_on(pod) {
            self.lose_end(conn, dir);
        }
    }
}
