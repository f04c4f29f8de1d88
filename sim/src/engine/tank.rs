//! The tank: a world of pods on one paused runtime.

use std::collections::BTreeSet;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use turmoil_net::{HostId, KernelConfig, Net};
use wavetank_platform::{Entropy, UnixTime};

use super::classic::Wires;
use super::clock::{EPOCH, TankClock};
use super::core::{Core, Shared};
use super::handle::TankHandle;
use super::link::{LinkConfig, Links, nanos};
use super::nat::Services;
use super::pod::{Pod, PodId, PodSpec};

/// What a world is made of.
#[derive(Debug, Clone)]
pub struct TankConfig {
    /// Every random number of the world follows from it.
    pub seed: u64,
    /// Every link, until set otherwise.
    pub default_link: LinkConfig,
    /// Pods that can be claimed while the world runs.
    pub spare_pods: usize,
    /// The wall-clock time at the start.
    pub epoch: UnixTime,
    /// Simulated time after which a run that has not ended is stuck.
    pub time_max: Duration,
    /// Steps of the network within one moment after which time is taken to stand still.
    pub steps_max: u64,
}

impl Default for TankConfig {
    /// Seed 1, links of half a millisecond, no spare pods, 2018-12-01, ten years, fifty million steps.
    fn default() -> Self {
        Self {
            seed: 1,
            default_link: LinkConfig::default(),
            spare_pods: 0,
            epoch: EPOCH,
            time_max: Duration::from_secs(10 * 365 * 86_400),
            steps_max: 50_000_000,
        }
    }
}

/// A world that has not started.
#[derive(Debug)]
pub struct Tank {
    config: TankConfig,
    pods: Vec<(PodSpec, Ipv4Addr)>,
    taken: BTreeSet<Ipv4Addr>,
    next_ip: u32,
}

impl Tank {
    /// A world without pods.
    pub fn new(config: TankConfig) -> Self {
        Self { config, pods: Vec::new(), taken: BTreeSet::new(), next_ip: 0 }
    }

    /// Adds a pod.
    ///
    /// # Panics
    /// When its address is taken or no IPv4 address, or when 10.0.0.0/16 is used up.
    pub fn add_pod(&mut self, spec: PodSpec) -> PodId {
        let ip = match spec.ip {
            Some(IpAddr::V4(ip)) => ip,
            Some(IpAddr::V6(ip)) => panic!("pod {} asks for {ip}; pods have IPv4 addresses", spec.name),
            None => self.free_ip(),
        };
        assert!(self.taken.insert(ip), "pod {} asks for {ip}, which another pod has", spec.name);
        self.pods.push((spec, ip));
        PodId(self.pods.len() as u32 - 1)
    }

    /// Addresses 10.0.0.2 to 10.0.255.251, in order.
    fn free_ip(&mut self) -> Ipv4Addr {
        loop {
            let (block, low) = (self.next_ip / 250, self.next_ip % 250);
            assert!(block < 256, "10.0.0.0/16 is used up");
            self.next_ip += 1;
            let ip = Ipv4Addr::new(10, 0, block as u8, low as u8 + 2);
            if !self.taken.contains(&ip) {
                return ip;
            }
        }
    }

    /// Runs the world until `scenario` is done, and takes it down.
    ///
    /// # Panics
    /// When the scenario or any task in the world panics; when it has not ended after [`TankConfig::time_max`], for
    /// then nothing can happen any more; when time stands still, for more than [`TankConfig::steps_max`] things happen
    /// at once; when another world runs on this thread.
    pub fn run<F, R>(mut self, scenario: impl FnOnce(TankHandle) -> F) -> R
    where
        F: Future<Output = R>,
    {
        self.add_spare_pods();
        let (shared, down) = self.shared(None);
        let hook = shared.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .on_thread_park(move || hook.core().turn())
            .build()
            .expect("a runtime without I/O needs nothing that can fail");
        let time_max = self.config.time_max;
        let result = runtime.block_on(async {
            shared.clock.start();
            let _stop = StopClock(&shared);
            let stuck = shared.clock.tokio_at(nanos(time_max));
            tokio::select! {
                biased;
                result = scenario(TankHandle::new(shared.clone())) => result,
                () = tokio::time::sleep_until(stuck) => {
                    panic!("the run has not ended after {time_max:?} of simulated time: it waits for what never comes")
                }
            }
        });
        // Tasks drop their sockets, so they go before the kernels do.
        drop(runtime);
        drop(down);
        if let Some(panic) = shared.panics.take() {
            resume_unwind(panic);
        }
        result
    }

    pub(super) fn config(&self) -> &TankConfig {
        &self.config
    }

    /// The pods with their addresses, in the order of their [`PodId`]s.
    pub(super) fn pods(&self) -> &[(PodSpec, Ipv4Addr)] {
        &self.pods
    }

    /// Adds the pods that can be claimed while the world runs. Nothing is added after them.
    pub(super) fn add_spare_pods(&mut self) {
        for n in 0..self.config.spare_pods {
            self.add_pod(PodSpec::new(format!("spare-{n}"), "default"));
        }
    }

    /// The world at its start, and what takes it down. Installs the kernels on this thread, unless the pods
    /// are joined by the `wires` of the other engine.
    pub(super) fn shared(&self, wires: Option<Arc<Wires>>) -> (Arc<Shared>, Teardown) {
        let entropy = Entropy::from_seed(self.config.seed);
        let engine = entropy.fork("engine");
        let clock = Arc::new(TankClock::new(self.config.epoch));
        let links = Links::new(engine.fork("links"), self.config.default_link);
        let services = Services::new(engine.fork("services"));
        let mut core = Core::new(clock.clone(), links, services, self.config.steps_max);
        // Losses are made good by the flows, and backlogs are kept by the ports: the kernel does neither.
        let kernel = KernelConfig::default().retx_threshold(u32::MAX).default_backlog(usize::MAX);
        let mut net = Net::with_config(kernel);
        let claimed = self.pods.len() - self.config.spare_pods;
        for (index, (spec, ip)) in self.pods.iter().enumerate() {
            let id = PodId(index as u32);
            let host = net.add_host(*ip);
            core.pods.push(pod(spec, *ip, host));
            if index < claimed {
                core.by_ip.insert(ip.to_bits(), id);
            } else {
                core.spare.insert(0, id);
            }
        }
        core.kernels = wires.is_none().then(|| net.enter());
        let shared = Arc::new(Shared { core: Mutex::new(core), clock, wires, entropy, panics: Arc::default() });
        (shared.clone(), Teardown { shared })
    }
}

fn pod(spec: &PodSpec, ip: Ipv4Addr, host: HostId) -> Pod {
    let spec = PodSpec { ip: Some(ip.into()), ..spec.clone() };
    Pod { spec, ip, host, capture: None, without_power: None, processes: [None, None] }
}

/// Stops the clock while the runtime still tells the time.
struct StopClock<'a>(&'a Shared);

impl Drop for StopClock<'_> {
    fn drop(&mut self) {
        self.0.clock.stop();
        self.0.core().disarm();
    }
}

/// Takes the kernels down, also when the run panics.
pub(super) struct Teardown {
    shared: Arc<Shared>,
}

impl Drop for Teardown {
    fn drop(&mut self) {
        let mut core = self.shared.core();
        let running: Vec<_> =
            core.pods.iter_mut().flat_map(|pod| std::mem::take(&mut pod.processes)).flatten().collect();
        let kernels = core.kernels.take();
        drop(core);
        // Processes hold doors, which hold this world: dropped outside the lock.
        for running in running {
            running.process.kill();
            running.random.release();
        }
        drop(kernels);
    }
}
