//! Kubelet, endpoint controller, kube-proxy and cluster DNS of the world: they start what runs in pods, say
//! when it is ready, and tell the Services.
//!
//! Each takes the time that [`Delays`] states. A process that is killed comes back in its pod, at the same
//! address. A deleted pod gives its place to a fresh one with another address.

use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::app::Conditions;
use super::cast::{Cast, Pod, Role, Service};
use super::kube::KubeFile;
use super::readiness::Readiness;
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
    /// From a pod's deletion to the end of its processes.
    pub termination: Duration,
    /// From a pod's deletion to the end of its processes at the latest, where its proxy ends in good order.
    pub grace: Duration,
}

impl Default for Delays {
    /// 500 ms, 100 ms, 50 ms, 1 s, the 5 s for which Istio's proxy drains, and Kubernetes's 30 s
    /// (`terminationGracePeriodSeconds`).
    fn default() -> Self {
        Self {
            start: Duration::from_millis(500),
            probe: Duration::from_millis(100),
            endpoints: Duration::from_millis(50),
            restart: Duration::from_secs(1),
            termination: Duration::from_secs(5),
            grace: Duration::from_secs(30),
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
        let pods = cast.all_pods();
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
    readiness: Arc<Mutex<Readiness>>,
    conditions: Arc<Vec<Conditions>>,
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
        let readiness = Arc::new(Mutex::new(Readiness::new(&cast)));
        let conditions = Arc::new(cast.all_pods().map(|_| Conditions::default()).collect());
        Self { tank, cast, roster, delays, watch, readiness, conditions }
    }

    /// Starts the programs of all pods, after their start delay, with capture on where there is a sidecar.
    ///
    /// Errs when a program cannot start.
    pub async fn start_programs(&self) -> io::Result<()> {
        self.tank.sleep(self.delays.start).await;
        for index in 0..self.cast.pods.len() {
            self.start_program(index).await?;
        }
        Ok(())
    }

    /// Starts the program of pod number `index`, if it has one, with capture on where there is a sidecar.
    ///
    /// Errs when the program cannot start.
    pub async fn start_program(&self, index: usize) -> io::Result<()> {
        if let Role::App { program, sidecar } = &self.cast.pod(index).role {
            let place = self.roster.pod(index);
            self.tank.set_capture(place, sidecar.then(Capture::default));
            program.start_under(&self.tank.app_platform(place), self.conditions[index].clone()).await?;
        }
        Ok(())
    }

    /// The conditions under which the program of pod number `index` runs.
    pub fn conditions(&self, index: usize) -> &Conditions {
        &self.conditions[index]
    }

    /// How long the machinery takes.
    pub fn delays(&self) -> Delays {
        self.delays
    }

    /// Says that these pods, by address, are ready or not: a probe finds it, and then the endpoint controller
    /// and kube-proxy take their time.
    pub async fn report(&self, pods: &[Ipv4Addr], is_ready: bool) {
        self.tank.sleep(self.delays.probe).await;
        self.readiness().set_ready(pods, is_ready);
        self.publish_of(pods).await;
    }

    /// A pod was started: a probe that finds it ready is told, as [`Self::report`] does; one that does not is repeated.
    pub async fn report_once_ready(&self, pod: Ipv4Addr, is_ready: impl Fn() -> bool) {
        loop {
            self.tank.sleep(self.delays.probe).await;
            if is_ready() {
                break;
            }
        }
        self.readiness().set_ready(&[pod], true);
        self.publish_of(&[pod]).await;
    }

    /// The pod of this number is being deleted, or a fresh one is there: the endpoint controller hears of it
    /// from the API, and takes its time. A fresh pod is not ready.
    pub async fn set_absent(&self, index: usize, absent: bool) {
        let ip = self.cast.pod(index).ip;
        self.readiness().set_absent(ip, absent);
        self.publish_of(&[ip]).await;
    }

    async fn publish_of(&self, pods: &[Ipv4Addr]) {
        self.tank.sleep(self.delays.endpoints).await;
        let behind = |service: &Service, pod: &Pod| pods.contains(&pod.ip) && service.selects(pod);
        let changed = |service: &&Service| self.cast.all_pods().any(|pod| behind(service, pod));
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
            program.start_under(&platform, self.conditions[index].clone()).await?;
        }
        self.report(&[pod.ip], true).await;
        Ok(())
    }

    fn readiness(&self) -> MutexGuard<'_, Readiness> {
        self.readiness.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, service: &Service) {
        let behind = self.readiness().behind(&self.cast, service);
        for (port, endpoints) in behind.ports {
            self.tank.set_service(ServiceAddr { ip: service.cluster_ip.into(), port }, endpoints);
        }
        (self.watch)(behind.slice);
    }
}
