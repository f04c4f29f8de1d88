//! The running world's handle: doors of its containers, addresses, names, and what it has seen.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use wavetank_platform::{Clock, Crypto, Entropy, Instant, Net, Platform, Spawn};

use super::core::{Core, Shared};
use super::crypto::SeededRandom;
use super::nat::{Capture, ServiceAddr};
use super::net::TankNet;
use super::pod::{Container, PodId, PodSpec, Process, Running, TankSpawn};
use super::trace::Stats;

/// A running world. Cheap to clone; clones are the same world. After the run it still tells what happened.
#[derive(Debug, Clone)]
pub struct TankHandle {
    pub(super) shared: Arc<Shared>,
}

impl TankHandle {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The address of a pod.
    pub fn pod_ip(&self, pod: PodId) -> IpAddr {
        IpAddr::V4(self.shared.core().pod(pod).ip)
    }

    /// What a pod is, with its address.
    pub fn pod_spec(&self, pod: PodId) -> PodSpec {
        self.shared.core().pod(pod).spec.clone()
    }

    /// The door of the app in a pod. Its connections are captured when [capture](Self::set_capture) is on.
    pub fn app_platform(&self, pod: PodId) -> Platform {
        self.platform(pod, Container::App)
    }

    /// The door of the sidecar in a pod, whose connections are not captured (uid 1337).
    pub fn sidecar_platform(&self, pod: PodId) -> Platform {
        self.platform(pod, Container::Sidecar)
    }

    /// The door of the process that runs in a container, or ran last when it was killed.
    pub fn platform(&self, pod: PodId, container: Container) -> Platform {
        let mut core = self.shared.core();
        if let Some(running) = &core.pod(pod).processes[container as usize] {
            return running.platform.clone();
        }
        self.start_process(&mut core, pod, container, 0)
    }

    /// Starts the process of a container.
    pub(super) fn start_process(&self, core: &mut Core, pod: PodId, container: Container, restarts: u32) -> Platform {
        let name = core.pod(pod).spec.name.clone();
        let mut entropy = self.shared.entropy.fork("pod").fork(&name).fork(container.name());
        if restarts > 0 {
            entropy = entropy.fork(&format!("restart/{restarts}"));
        }
        let process = Arc::new(Process::new(pod, container, self.shared.panics.clone()));
        let random = SeededRandom::lend(entropy.stream_named("tls"));
        let kernel = Arc::new(TankNet { shared: self.shared.clone(), process: process.clone() });
        let (net, spawn): (Arc<dyn Net>, Arc<dyn Spawn>) = match &self.shared.wires {
            None => (kernel.clone(), Arc::new(TankSpawn(process.clone()))),
            Some(wires) => wires.doors(&self.shared, &process),
        };
        let platform = Platform {
            net,
            resolver: kernel,
            clock: self.shared.clock(),
            entropy,
            spawn,
            crypto: Crypto::new(Arc::new(random.provider()), self.shared.clock()),
        };
        let running = Running { process, platform: platform.clone(), random, restarts };
        core.pod_mut(pod).processes[container as usize] = Some(running);
        platform
    }

    /// Turns traffic capture of a pod on, or off with `None`. Connections that are open keep their way.
    pub fn set_capture(&self, pod: PodId, capture: Option<Capture>) {
        self.shared.core().pod_mut(pod).capture = capture;
    }

    /// Gives a Service address these endpoints. A connection to it goes to one of them, picked uniformly;
    /// without endpoints it is refused. Captured connections never get this far.
    pub fn set_service(&self, service: ServiceAddr, endpoints: Vec<SocketAddr>) {
        self.shared.core().services.set(service, endpoints);
    }

    /// Removes a Service address: connections to it get no answer.
    pub fn remove_service(&self, service: ServiceAddr) {
        self.shared.core().services.remove(service);
    }

    /// Gives a full name, like `reviews.default.svc.cluster.local` or `example.com`, these addresses; none
    /// removes it.
    pub fn set_dns(&self, name: &str, addrs: Vec<IpAddr>) {
        self.shared.core().dns.set(name, addrs);
    }

    /// Turns a spare pod into a new one, with an address that no pod had before; `None` when none is left.
    /// The address in `spec` is not looked at.
    pub fn claim_pod(&self, spec: PodSpec) -> Option<PodId> {
        let mut core = self.shared.core();
        let id = core.spare.pop()?;
        let ip = core.pod(id).ip;
        core.pod_mut(id).spec = PodSpec { ip: Some(ip.into()), ..spec };
        core.by_ip.insert(ip.to_bits(), id);
        Some(id)
    }

    /// The world's clocks.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.shared.clock()
    }

    /// The root of the seed's random streams. `pod/…` and `engine/…` below it are in use.
    pub fn entropy(&self) -> Entropy {
        self.shared.entropy.clone()
    }

    /// Now, on the world's monotonic clock.
    pub fn now(&self) -> Instant {
        self.shared.clock().now()
    }

    /// Sleeps for `duration` of simulated time.
    pub async fn sleep(&self, duration: Duration) {
        self.clock().sleep(duration).await;
    }

    /// SHA-256 over time, addresses, ports, sequence numbers, flags and length of each packet delivered so
    /// far; in a world of the second engine, over the messages of each connection. Equal for two runs of one
    /// build and engine with the same seed.
    pub fn packets_hash(&self) -> [u8; 32] {
        match &self.shared.wires {
            None => self.shared.core().hash.value(),
            Some(wires) => wires.hash(),
        }
    }

    /// What the network has done so far. The second engine counts messages and their bytes only.
    pub fn stats(&self) -> Stats {
        if let Some(wires) = &self.shared.wires {
            return wires.stats();
        }
        let core = self.shared.core();
        let (connections, sockets) = (core.conns.len(), core.sockets.len());
        Stats { events: core.heap.created(), connections, sockets, ..core.stats }
    }
}
