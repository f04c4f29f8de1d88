//! Kubelet, endpoint controller, kube-proxy and cluster DNS of the world: they start what runs in pods, say
//! when it is ready, and tell the Services.
//!
//! Each takes the time that [`Delays`] states. A process that is killed comes back in its pod, at the same
//! address.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::cast::{Cast, Pod, Role, Service};
use super::kube::{KubeFile, endpoint_slice};
use crate::engine::{Capture, Container, PodId, PodSpec, ServiceAddr, Tank, TankHandle};

/// How long the cluster's own machinery takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delays {
    /// From a pod's creation to its processes' start.
    pub start: Duration,
    /// From the start of a process to the probe that finds it ready, and from its death to the probe that
    /// misses it.
    pub probe: Duration,
    /// From a change of readiness to the change of EndpointSlices and of kube-proxy's tables.
    pub endpoints: Duration,
    /// From a process's death to its restart.
    pub restart: Duration,
}

impl Default for Delays {
    /// 500 ms, 100 ms, 50 ms, 1 s.
    fn default() -> Self {
        Self {
            start: Duration::from_millis(500),
            probe: Duration::from_millis(100),
            endpoints: Duration::from_millis(50),
            restart: Duration::from_secs(1),
        }
    }
}

/// The cast's places in a tank.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    pods: Vec<PodId>,
    outside: Vec<PodId>,
}

impl Roster {
    /// Gives each pod and each caller outside a place in `tank`, before it runs.
    pub fn admit(cast: &Cast, tank: &mut Tank) -> Self {
        let mut add = |name: String, namespace: &str, ip: Ipv4Addr| {
            tank.add_pod(PodSpec { ip: Some(ip.into()), ..PodSpec::new(name, namespace) })
        };
        // A tank's random streams are named for pods, so names must be unique across namespaces.
        let pods = cast.pods.iter();
        let pods = pods.map(|pod| add(format!("{}.{}", pod.name, pod.namespace), &pod.namespace, pod.ip)).collect();
        let outside = cast.outside().map(|(name, ip)| add(name.to_owned(), super::cast::OUTSIDE, ip)).collect();
        Self { pods, outside }
    }

    /// The place of the cast's pod number `index`.
    ///
    /// # Panics
    /// When the roster is of another cast.
    pub fn pod(&self, index: usize) -> PodId {
        self.pods[index]
    }

    /// The place of the caller outside number `index`.
    ///
    /// # Panics
    /// When the roster is of another cast.
    pub fn outside(&self, index: usize) -> PodId {
        self.outside[index]
    }
}

/// Takes EndpointSlices as they change: the cluster's API towards the control plane.
pub type Watch = Arc<dyn Fn(KubeFile) + Send + Sync>;

/// The cluster's machinery in a running tank.
#[derive(Clone)]
pub struct Kubelet {
    tank: TankHandle,
    cast: Arc<Cast>,
    roster: Roster,
    delays: Delays,
    watch: Watch,
    ready: Arc<Mutex<BTreeSet<Ipv4Addr>>>,
}

impl std::fmt::Debug for Kubelet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kubelet").field("delays", &self.delays).finish_non_exhaustive()
    }
}

impl Kubelet {
    /// The machinery of `cast`, whose places in `tank` are `roster`. Service names resolve from now on, and
    /// connections to Services are refused until there are endpoints. `watch` is told of EndpointSlices.
    pub fn new(tank: TankHandle, cast: Arc<Cast>, roster: Roster, delays: Delays, watch: Watch) -> Self {
        for service in &cast.services {
            tank.set_dns(&service.fqdn(), vec![service.cluster_ip.into()]);
            for port in &service.ports {
                tank.set_service(ServiceAddr { ip: service.cluster_ip.into(), port: port.port }, Vec::new());
            }
        }
        // Callers outside know the ingress by this name alone.
        if let Some(ingress) = cast.services.iter().find(|service| service.name == super::cast::INGRESS) {
            tank.set_dns("ingress", vec![ingress.cluster_ip.into()]);
        }
        Self { tank, cast, roster, delays, watch, ready: Arc::default() }
    }

    /// Starts the programs of all pods, after their start delay, with capture on where there is a sidecar.
    ///
    /// Errs when a program cannot start.
    pub async fn start_programs(&self) -> io::Result<()> {
        self.tank.sleep(self.delays.start).await;
        for (index, pod) in self.cast.pods.iter().enumerate() {
            if let Role::App { program, sidecar } = &pod.role {
                let place = self.roster.pod(index);
                self.tank.set_capture(place, sidecar.then(Capture::default));
                program.start(&self.tank.app_platform(place)).await?;
            }
        }
        Ok(())
    }

    /// Says that these pods, by address, are ready or not: a probe finds it, and then the endpoint controller
    /// and kube-proxy take their time.
    pub async fn report(&self, pods: &[Ipv4Addr], is_ready: bool) {
        self.tank.sleep(self.delays.probe).await;
        {
            let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
            for ip in pods {
                if is_ready {
                    ready.insert(*ip)
                } else {
                    ready.remove(ip)
                };
            }
        }
        self.tank.sleep(self.delays.endpoints).await;
        let changed = |service: &&Service| self.cast.pods_behind(service).any(|pod| pods.contains(&pod.ip));
        for service in self.cast.services.iter().filter(changed) {
            self.publish(service);
        }
    }

    /// Kills the application process of the cast's pod number `index`, and starts it again in its place: its
    /// endpoints leave and come back as the probes find out.
    ///
    /// Errs when the program cannot start again.
    pub async fn crash(&self, index: usize) -> io::Result<()> {
        let pod = &self.cast.pods[index];
        let place = self.roster.pod(index);
        self.tank.kill_process(place, Container::App);
        let (died, delays) = (self.tank.now(), self.delays);
        self.report(&[pod.ip], false).await;
        self.tank.clock().sleep_until(died + delays.restart).await;
        let platform = self.tank.restart_process(place, Container::App);
        if let Role::App { program, .. } = &pod.role {
            program.start(&platform).await?;
        }
        self.report(&[pod.ip], true).await;
        Ok(())
    }

    fn is_ready(&self, ip: Ipv4Addr) -> bool {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).contains(&ip)
    }

    fn publish(&self, service: &Service) {
        for port in &service.ports {
            let pods = self.cast.pods_behind(service).filter(|pod: &&Pod| self.is_ready(pod.ip));
            let endpoints = pods.map(|pod| SocketAddr::new(IpAddr::V4(pod.ip), port.target_port)).collect();
            self.tank.set_service(ServiceAddr { ip: service.cluster_ip.into(), port: port.port }, endpoints);
        }
        (self.watch)(endpoint_slice(&self.cast, service, |ip| self.is_ready(ip)));
    }
}
