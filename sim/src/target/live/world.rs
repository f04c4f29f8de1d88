//! Everything of a live run that is there while it runs: network, processes, the cluster's API, and what is known of
//! them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wavetank_control::dialect::Dialect;
use wavetank_platform::linux::platform_within;
use wavetank_platform::{ConnectOptions, Platform, UnixTime};

use super::super::mesh::node_id;
use super::super::outcome::RunError;
use super::super::side::{Seat, directions};
use super::api::Api;
use super::app::App;
use super::balance::{self, Table};
use super::lanes::{Lanes, Way};
use super::links::Links;
use super::names::Names;
use super::network::{Host, Network};
use super::plane::{Status, Watch};
use super::process::{Process, Start};
use super::sidecar::Sidecar;
use super::tools::Tools;
use crate::fault::Link;
use crate::world::cast::{Cast, Pod, Role};
use crate::world::kubelet::Delays;
use crate::world::readiness::Readiness;

/// The folder that Envoys write what they do to.
pub(super) const OBSERVED: &str = "observed";
/// How long a process gets to be ready, and how often that is looked at.
const READY_MAX: Duration = Duration::from_secs(60);
const READY_LOOK: Duration = Duration::from_millis(20);

/// A running world on Linux.
pub(super) struct World {
    pub(super) cast: Arc<Cast>,
    /// Which Istio the manifests are read as.
    pub(super) dialect: Dialect,
    /// This process: it keeps the schedule.
    pub(super) door: Platform,
    /// The wall-clock time at which this process's clock begins.
    pub(super) epoch: UnixTime,
    pub(super) tools: Tools,
    /// Where everything of the run is kept.
    pub(super) folder: PathBuf,
    pub(super) api: Arc<Mutex<Api>>,
    pub(super) standing: Arc<Mutex<Standing>>,
    pub(super) links: Links,
    /// Where the scenario asks for links that are not like this machine's.
    pub(super) lanes: Option<Lanes>,
    pub(super) delays: Delays,
    pub(super) watch: Watch,
    pub(super) pods: Vec<Mutex<InPod>>,
    readiness: Mutex<Readiness>,
    // Dropped last: processes end before their network.
    pub(super) network: Network,
}

/// The processes of a pod.
#[derive(Default)]
pub(super) struct InPod {
    pub(super) app: App,
    pub(super) control: Option<Process>,
    pub(super) sidecar: Sidecar,
}

/// What is known of the control plane.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// The version of the API with the newest manifests in it.
    pub(super) wanted: u64,
    /// The generation with them in it, once it is known.
    pub(super) newest: Option<u64>,
}

impl World {
    /// A world with its network, in which nothing runs yet.
    pub(super) fn new(
        (cast, dialect): (Arc<Cast>, Dialect),
        door: Platform,
        tools: Tools,
        folder: PathBuf,
        api: Api,
        network: Network,
    ) -> io::Result<Self> {
        let since_start = door.clock.now().since_start();
        let epoch = UnixTime::from_epoch(door.clock.unix().since_epoch().saturating_sub(since_start));
        balance::prepare(&network.node)?;
        super::names::serve(&door, &network.node, cast.clone())?;
        let (api, standing) = (Arc::new(Mutex::new(api)), Arc::<Mutex<Standing>>::default());
        let reader = on_node(&door, &network, &cast);
        let control = cast.control_plane().map(|pod| pod.ip.to_string()).next().unwrap_or_default();
        let watch = Watch::start(&reader, &control, note_standing(api.clone(), standing.clone()));
        Ok(Self {
            pods: cast.all_pods().map(|_| Mutex::default()).collect(),
            readiness: Mutex::new(Readiness::new(&cast)),
            links: Links::default(),
            lanes: None,
            delays: Delays::default(),
            cast,
            dialect,
            door,
            epoch,
            tools,
            folder,
            api,
            standing,
            watch,
            network,
        })
    }

    /// The process of a caller, or of this program, at a seat.
    pub(super) fn platform_at(&self, seat: Seat) -> Platform {
        let host = self.network.host(seat);
        let names = Names::new(self.cast.clone(), &host.kubernetes);
        platform_within(&self.door, host.namespace.clone(), Arc::new(names))
    }

    /// This program, on the node.
    pub(super) fn node_platform(&self) -> Platform {
        on_node(&self.door, &self.network, &self.cast)
    }

    /// The directions that a link stands for.
    pub(super) fn ways(&self, link: &Link) -> Vec<Way> {
        let ip = |seat| self.network.host(seat).ip;
        directions(&self.cast, link).into_iter().map(|(from, to)| (ip(from), ip(to))).collect()
    }

    pub(super) fn host(&self, pod: usize) -> &Host {
        self.network.host(Seat::Pod(pod))
    }

    pub(super) fn pod(&self, pod: usize) -> MutexGuard<'_, InPod> {
        lock(&self.pods[pod])
    }

    pub(super) fn standing(&self) -> MutexGuard<'_, Standing> {
        lock(&self.standing)
    }

    /// Logs what could not be done to the network.
    pub(super) fn note(&self, done: io::Result<()>) {
        if let Err(error) = done {
            tracing::error!(%error, "a link stays as it was");
        }
    }

    /// A file of a pod's.
    pub(super) fn file(&self, pod: &Pod, name: &str) -> PathBuf {
        self.folder.join("pods").join(format!("{}.{}", pod.name, pod.namespace)).join(name)
    }

    /// Starts all that runs in a pod, or the one process that it is for; returns when it is ready.
    pub(super) async fn start_pod(&self, pod: usize, own_alone: bool) -> Result<(), RunError> {
        let about = self.cast.pod(pod);
        match &about.role {
            Role::App { program, sidecar } => {
                let started = self.start_app(pod, program);
                started.map_err(|error| broken(&format!("{} did not start", about.name), &error))?;
                if *sidecar && !own_alone {
                    self.start_sidecar(pod).await?;
                }
                if let Some(port) = program.port() {
                    self.answers(pod, port).await?;
                }
                if *sidecar && !own_alone { self.is_configured(pod).await } else { Ok(()) }
            }
            Role::Gateway => {
                self.start_sidecar(pod).await?;
                self.is_configured(pod).await
            }
            Role::ControlPlane => {
                let started = self.start_control(pod);
                started.map_err(|error| broken("the control plane did not start", &error))?;
                self.until("the control plane", || self.watch.status().is_some()).await
            }
        }
    }

    fn start_app(&self, pod: usize, program: &crate::world::app::Program) -> io::Result<()> {
        let about = self.cast.pod(pod);
        let log = self.file(about, "app.log");
        let spec = self.file(about, "program.json");
        fs::create_dir_all(self.file(about, ""))?;
        fs::write(&spec, serde_json::to_vec(program)?)?;
        let args = vec!["app".to_owned(), spec.display().to_string()];
        let start = Start { program: &self.tools.wavetank, args, as_proxy: false, log: &log, spoken_with: true };
        let process = Process::start(self.host(pod), &start)?;
        self.pod(pod).app.begin(process);
        Ok(())
    }

    fn start_control(&self, pod: usize) -> io::Result<()> {
        let about = self.cast.pod(pod);
        fs::create_dir_all(self.file(about, ""))?;
        let path = |name: &str| self.folder.join(name).display().to_string();
        let compat = match self.dialect {
            Dialect::V1_0 => "1.0",
            Dialect::V1 => "v1",
        };
        let mut args: Vec<String> = Vec::new();
        for (flag, value) in [
            ("--config", lock(&self.api).folder().display().to_string()),
            ("--compat", compat.to_owned()),
            ("--ca", path("ca")),
            ("--tokens", path("tokens")),
            ("--addresses", path("addresses")),
            ("--events", path("events.jsonl")),
        ] {
            args.extend([flag.to_owned(), value]);
        }
        if self.tools.envoy.is_some() {
            args.extend(["--observe".to_owned(), path(OBSERVED)]);
        }
        let log = self.file(about, "control.log");
        let start = Start { program: &self.tools.control, args, as_proxy: false, log: &log, spoken_with: false };
        self.pod(pod).control = Some(Process::start(self.host(pod), &start)?);
        Ok(())
    }

    async fn start_sidecar(&self, pod: usize) -> Result<(), RunError> {
        let started = super::sidecar::start(self, pod).await;
        started.map_err(|error| broken(&format!("the proxy of {} did not start", self.cast.pod(pod).name), &error))
    }

    /// Waits until something listens on a pod's port.
    async fn answers(&self, pod: usize, port: u16) -> Result<(), RunError> {
        let (door, name) = (self.platform_at(Seat::Pod(pod)), &self.cast.pod(pod).name);
        let deadline = self.door.clock.now() + READY_MAX;
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        while door.net.connect(address, ConnectOptions::default()).await.is_err() {
            if self.door.clock.now() >= deadline {
                return Err(RunError::Internal(format!("{name} does not listen on port {port}")));
            }
            self.door.clock.sleep(READY_LOOK).await;
        }
        Ok(())
    }

    /// Waits until a pod's proxy has taken a configuration; its process is new.
    async fn is_configured(&self, pod: usize) -> Result<(), RunError> {
        let node = node_id(self.cast.pod(pod));
        let settled = |status: Status| {
            let own = status.proxies.into_iter().find(|own| own.node == node);
            own.is_some_and(|own| own.connected && own.settled.is_some())
        };
        let mut ended = false;
        let mut is_so = || {
            ended = self.pod(pod).sidecar.process.as_mut().is_some_and(Process::has_ended);
            ended || self.watch.status().is_some_and(settled)
        };
        self.until(&node, &mut is_so).await?;
        if ended { Err(RunError::Internal(format!("{node} ended by itself; --keep shows its log"))) } else { Ok(()) }
    }

    async fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) -> Result<(), RunError> {
        let deadline = self.door.clock.now() + READY_MAX;
        while !is_so() {
            if self.door.clock.now() >= deadline {
                return Err(RunError::NotConverged(format!("{what} is not ready after {} s", READY_MAX.as_secs())));
            }
            self.door.clock.sleep(READY_LOOK).await;
        }
        Ok(())
    }

    /// A probe finds pods ready or not, and their Services hear of it.
    pub(super) async fn report(&self, pods: &[Ipv4Addr], is_ready: bool) -> Result<(), RunError> {
        self.door.clock.sleep(self.delays.probe).await;
        lock(&self.readiness).set_ready(pods, is_ready);
        self.publish_later().await
    }

    /// A pod is being deleted, or a fresh one is there, which is not ready.
    pub(super) async fn set_absent(&self, pod: usize, absent: bool) -> Result<(), RunError> {
        lock(&self.readiness).set_absent(self.cast.pod(pod).ip, absent);
        self.publish_later().await
    }

    async fn publish_later(&self) -> Result<(), RunError> {
        self.door.clock.sleep(self.delays.endpoints).await;
        self.publish().map(|_| ()).map_err(|error| broken("endpoints cannot be told", &error))
    }

    /// Tells the API and the node's tables how everything is now; returns the API's version.
    pub(super) fn publish(&self) -> io::Result<u64> {
        let readiness = lock(&self.readiness).clone();
        let mut table = Table::new();
        let mut api = lock(&self.api);
        for service in &self.cast.services {
            let behind = readiness.behind(&self.cast, service);
            table.extend(behind.ports.into_iter().map(|(port, ready)| ((service.cluster_ip, port), ready)));
            api.set_endpoints(behind.slice);
        }
        balance::put_in_force(&self.network.node, &table)?;
        api.publish()
    }

    /// The numbers of pods with a proxy, and the pods.
    pub(super) fn proxied(&self) -> impl Iterator<Item = (usize, &Pod)> {
        self.cast.pods.iter().enumerate().filter(|(_, pod)| pod.has_proxy())
    }

    /// The proxies that have not taken all that was published, each with why.
    pub(super) fn late(&self, version: u64) -> Vec<String> {
        let Some(status) = self.watch.status() else { return vec!["the control plane does not answer".to_owned()] };
        if lock(&self.api).version_of(&status.manifests.digest).is_none_or(|read| read < version) {
            return vec!["the control plane has not read the newest manifests".to_owned()];
        }
        let generation = status.manifests.generation;
        let proxies: BTreeMap<_, _> = status.proxies.iter().map(|own| (own.node.as_str(), own)).collect();
        let late = self.proxied().filter_map(|(_, pod)| {
            let why = match proxies.get(node_id(pod).as_str()) {
                None => "it never connected".to_owned(),
                Some(own) if own.connected && own.settled.is_some_and(|settled| settled >= generation) => return None,
                Some(own) => match own.refused() {
                    refused if refused.is_empty() => "it is behind".to_owned(),
                    refused => refused.join(", "),
                },
            };
            Some(format!("{}.{}: {why}", pod.name, pod.namespace))
        });
        late.collect()
    }
}

fn on_node(door: &Platform, network: &Network, cast: &Arc<Cast>) -> Platform {
    platform_within(door, network.node.namespace.clone(), Arc::new(Names::new(cast.clone(), "")))
}

/// Keeps what is known of the control plane with each reading of its page.
fn note_standing(api: Arc<Mutex<Api>>, standing: Arc<Mutex<Standing>>) -> impl Fn(Option<&Status>) + Send + Sync {
    move |status| {
        let mut standing = lock(&standing);
        let Some(status) = status else {
            standing.newest = None;
            return;
        };
        let read = lock(&api).version_of(&status.manifests.digest);
        if standing.newest.is_none() && read.is_some_and(|read| read >= standing.wanted) {
            standing.newest = Some(status.manifests.generation);
        }
    }
}

pub(super) fn broken(what: &str, error: &io::Error) -> RunError {
    RunError::Internal(format!("{what}: {error}"))
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
