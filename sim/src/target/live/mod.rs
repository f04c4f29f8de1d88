//! The target that is this machine: the same proxy and control plane as processes, each pod in a network namespace of
//! its own, on real time. Takes root.
//!
//! A run makes a network, starts the control plane, the programs and the proxies in it, sends the scenario's traffic
//! from the pods, breaks what is to be broken by ending processes and dropping packets, and reads what everyone wrote.
//! What this kernel cannot do is not judged.
//!
//! Files, in the order a run meets them:
//! - `tools`: the programs it starts
//! - `network`: namespaces, a bridge, and routes between them
//! - `names`, `balance`: cluster DNS and kube-proxy
//! - `api`: the folder of manifests that the control plane watches
//! - `process`: processes in the network
//! - [`app`], [`app_process`]: a pod's program, seen from here and from itself
//! - `sidecar`: a pod's proxy, and the capture of its traffic
//! - `envoy`, [`agent`], [`grpc`]: an Envoy in its place, and what serves it its secrets
//! - `plane`: what the control plane tells of itself
//! - `world`: all of it, and the endpoint controller
//! - `queue`, `lanes`: links that are slower, narrower or worse than this machine's
//! - `links`, `deeds`: breaking and mending
//! - `tail`, `envoy_log`, `envoy_events`: what proxies wrote

pub mod agent;
mod api;
pub mod app;
pub mod app_process;
mod balance;
mod deeds;
mod envoy;
mod envoy_events;
mod envoy_log;
pub mod grpc;
mod lanes;
mod links;
mod names;
mod network;
mod plane;
mod process;
mod queue;
mod sidecar;
mod tail;
mod tools;
mod world;

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt, chown};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use wavetank_control::diagnostic::Diagnostic;
use wavetank_platform::{Instant, Platform};
use wavetank_proxy::ejection::Ejection;

use super::callers::{Caller, callers};
use super::dry;
use super::exchanges::Exchanges;
use super::faults::{Faults, reserve};
use super::outcome::{RunError, RunOutcome, TargetKind};
use super::own_links;
use super::sending::send;
use super::side::Side;
use super::tank::{add, cast_of, delay_pushes, dialect};
use super::timeline::Timeline;
use super::who::Who;
use super::witness::{Driven, ejections, in_order, witness};
use crate::explain::Book;
use crate::fault::{Fault, FaultKind, FaultOutcome};
use crate::observe::{Observation, ObservationLog};
use crate::scenario::{self, Scenario};
use crate::world::cast::{Cast, Role};
use crate::world::{kube, manifests};
use deeds::Live;
use lanes::Lanes;
use network::Network;
use tools::Tools;
use world::{World, broken, lock};

/// How long proxies get to take the configuration, and how often that is looked at.
const CONVERGENCE_MAX: Duration = Duration::from_secs(60);
const CONVERGENCE_LOOK: Duration = Duration::from_millis(20);
/// What the names of runs' folders begin with; a process number follows.
const FOLDER: &str = "wavetank-live-";
/// What is left to run after the last reply, for records that are written behind it.
const DRAIN: Duration = Duration::from_secs(1);

/// What a live run is told beside its scenario.
#[derive(Debug, Clone, Default)]
pub struct LiveOptions {
    /// The Envoy that takes our proxy's place.
    pub envoy: Option<PathBuf>,
    /// Where what the processes wrote is kept; `None`: nowhere.
    pub keep: Option<PathBuf>,
}

/// Whether a scenario asks for links that are not like this machine's own.
fn asks_of_links(scenario: &Scenario) -> bool {
    let changes = |fault: &Fault| matches!(fault.kind, FaultKind::Link(..));
    scenario.network != scenario::Network::default()
        || !scenario.links.is_empty()
        || scenario.push_delay.is_some()
        || scenario.faults.iter().any(changes)
}

/// Makes links as the scenario asks for them.
///
/// Errs when this kernel hands no packets to programs, and when the firewall refuses.
async fn set_links(world: &mut World, scenario: &Scenario) -> Result<(), RunError> {
    if !asks_of_links(scenario) {
        return Ok(());
    }
    let (node, base) = (&world.network.node, own_links::link(&scenario.network));
    let everywhere = scenario.network != scenario::Network::default();
    let lanes = Lanes::start(&world.door, node, base, everywhere, world.door.entropy.fork("links")).await;
    let lanes = lanes.map_err(|error| {
        tracing::info!(%error, "no queue of packets");
        RunError::Beyond("links are not as the scenario asks: this kernel hands no packets to programs (NFQUEUE)")
    })?;
    for own in &scenario.links {
        let below = |way| (way, own_links::laid_over(own, lanes.own(way)));
        let laid: Vec<_> = world.ways(&own.link).into_iter().map(below).collect();
        lanes.set_own(node, laid.into_iter()).map_err(|error| broken("a link stays as it was", &error))?;
    }
    world.lanes = Some(lanes);
    Ok(())
}

/// Runs `scenario` on this machine; `seed` draws the times of arrivals, shares of failures, and jitter and loss of links,
/// and nothing else.
///
/// Errs when the manifests are in error, when the scenario asks for what is not there, when this is not root or a
/// program is missing, and when the proxies do not take the configuration.
pub fn run(options: &LiveOptions, scenario: &Scenario, seed: u64) -> Result<RunOutcome, RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| broken("no runtime", &error))?;
    runtime.block_on(async {
        let signals = signal(SignalKind::interrupt()).and_then(|one| Ok((one, signal(SignalKind::terminate())?)));
        let (mut interrupt, mut terminate) = signals.map_err(|error| broken("signals", &error))?;
        // Whichever ends first, the world is dropped, and with it all that it made.
        tokio::select! {
            biased;
            _ = interrupt.recv() => Err(RunError::Interrupted),
            _ = terminate.recv() => Err(RunError::Interrupted),
            outcome = live(options, scenario, seed) => outcome,
        }
    })
}

async fn live(options: &LiveOptions, scenario: &Scenario, seed: u64) -> Result<RunOutcome, RunError> {
    let found = dry::check(scenario, true);
    if let Some(refused) = found.refused.into_iter().next() {
        return Err(RunError::Scenario(refused));
    }
    if found.diagnostics.iter().any(Diagnostic::is_error) {
        return Err(RunError::Manifests(found.diagnostics));
    }
    let mut cast = cast_of(scenario);
    manifests::admit(&mut cast, &scenario.config, dialect(scenario.compat));
    add(scenario, &mut cast);
    let fresh = reserve(scenario, &mut cast)?;
    let cast = Arc::new(cast);
    let callers = callers(scenario, &cast)?;
    let tools = Tools::find(options)?;
    let door = wavetank_platform::linux::platform().map_err(|error| broken("no platform", &error))?;
    let door = Platform { entropy: wavetank_platform::Entropy::from_seed(seed), ..door };
    let folder = Folder::make(options).map_err(|error| broken("no folder for the run", &error))?;
    let mut world = prepare(scenario, cast, door, tools, &folder).map_err(|error| broken("no network", &error))?;
    set_links(&mut world, scenario).await?;
    let live = Live(Arc::new(world));
    converge(&live).await?;
    go(&live, scenario, callers, fresh, found.diagnostics).await
}

/// The folder of a run; it is gone when this is dropped, unless it is to be kept.
struct Folder {
    path: PathBuf,
    keep: bool,
}

impl Folder {
    /// Makes it; those of runs whose process is gone are taken away.
    fn make(options: &LiveOptions) -> std::io::Result<Self> {
        for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let process = name.to_str().and_then(|name| name.strip_prefix(FOLDER));
            if process.is_some_and(network::is_gone) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        let own = || std::env::temp_dir().join(format!("{FOLDER}{}", std::process::id()));
        let folder = Self { path: options.keep.clone().unwrap_or_else(own), keep: options.keep.is_some() };
        api::fresh(&folder.path)?;
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Makes the network and writes what processes read at their start.
fn prepare(
    scenario: &Scenario,
    cast: Arc<Cast>,
    door: Platform,
    tools: Tools,
    folder: &Folder,
) -> std::io::Result<World> {
    let network = Network::make(&cast)?;
    let mut api = api::Api::new(folder.path.join("api"), &cast, &scenario.config);
    let (mut tokens, mut addresses) = (String::new(), String::new());
    for pod in cast.all_pods() {
        // Writing to a String cannot fail.
        let _ = writeln!(tokens, "{} {} {}", sidecar::token(&door, pod), pod.namespace, pod.service_account);
    }
    for service in &cast.services {
        let _ = writeln!(addresses, "{} {} {}", service.namespace, service.name, service.cluster_ip);
    }
    let private =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(folder.path.join("tokens"));
    private?.write_all(tokens.as_bytes())?;
    fs::write(folder.path.join("addresses"), addresses)?;
    let observed = folder.path.join(world::OBSERVED);
    fs::create_dir_all(&observed)?;
    chown(&observed, Some(process::PROXY_USER), Some(process::PROXY_USER))?;
    api.publish()?;
    World::new((cast, dialect(scenario.compat)), door, tools, folder.path.clone(), api, network)
}

/// Starts everything, and waits until every proxy has taken the newest configuration.
async fn converge(live: &Live) -> Result<(), RunError> {
    let world = &live.0;
    let pods = || world.cast.pods.iter().enumerate();
    let control: Vec<_> = pods().filter(|(_, pod)| pod.role == Role::ControlPlane).collect();
    for (index, pod) in control {
        world.start_pod(index, false).await?;
        world.report(&[pod.ip], true).await?;
    }
    // All at once, as a cluster does: each waits for its own.
    let others = pods().filter(|(_, pod)| pod.role != Role::ControlPlane);
    let starting: Vec<_> = others.clone().map(|(index, _)| world.start_pod(index, false)).collect();
    futures_util::future::try_join_all(starting).await?;
    let ready: Vec<_> = others.map(|(_, pod)| pod.ip).collect();
    world.report(&ready, true).await?;
    let version = world.publish().map_err(|error| broken("endpoints cannot be told", &error))?;
    world.standing().wanted = version;
    let deadline = world.door.clock.now() + CONVERGENCE_MAX;
    loop {
        let late = world.late(version);
        if late.is_empty() {
            return Ok(());
        }
        if world.door.clock.now() >= deadline {
            return Err(RunError::NotConverged(late.join("; ")));
        }
        world.door.clock.sleep(CONVERGENCE_LOOK).await;
    }
}

/// The life of the world.
async fn go(
    live: &Live,
    scenario: &Scenario,
    callers: Vec<Vec<Caller>>,
    fresh: Vec<Vec<(usize, usize)>>,
    diagnostics: Vec<Diagnostic>,
) -> Result<RunOutcome, RunError> {
    let (side, world): (Arc<dyn Side>, _) = (Arc::new(live.clone()), &live.0);
    let (clock, entropy) = (&world.door.clock, &world.door.entropy);
    let start = clock.now();
    delay_pushes(scenario, &*side);
    let faults = Faults::set_off(scenario, fresh, &side, entropy.fork("fault"), start);
    let timeline = Timeline::set_off(scenario, &side, start);
    let at = |seat| world.platform_at(seat);
    let driven = send(scenario, callers, at, &world.door, &entropy.fork("traffic"), start).await;
    timeline.end().await;
    clock.sleep(DRAIN).await;
    let (faults, seen) = (faults.outcomes()?, timeline.seen()?);
    let mut outcome = outcome(live, start, &driven, (faults, seen), diagnostics)?;
    if let Some(until) = scenario.until {
        outcome.log.end_at(start + until);
    }
    Ok(outcome)
}

fn outcome(
    live: &Live,
    start: Instant,
    driven: &[Driven],
    (faults, seen): (Vec<FaultOutcome>, Vec<Observation>),
    diagnostics: Vec<Diagnostic>,
) -> Result<RunOutcome, RunError> {
    let (world, cast) = (&live.0, &*live.0.cast);
    // The records of an earlier process end where it ended: what it had not written is lost. This reads ejections too.
    let records = in_order(live.records()?);
    let mut ejected: Vec<Ejection> = Vec::new();
    for pod in &world.pods {
        ejected.extend(lock(pod).sidecar.books.iter().flat_map(|own| own.ejections().to_vec()));
    }
    ejected.sort_by(|a, b| (a.at, &a.node).cmp(&(b.at, &b.node)));
    let mut entries = witness(cast, &records, driven);
    entries.extend(ejections(cast, &ejected));
    let exchanges = Exchanges::default();
    let read = exchanges.read(&world.folder.join("events.jsonl"), world.epoch);
    read.map_err(|error| broken("events of the control plane", &error))?;
    let who = Who::new(cast);
    entries.extend(exchanges.take(&who));
    entries.extend(seen);
    let target = if world.tools.envoy.is_some() { TargetKind::Envoy } else { TargetKind::Linux };
    Ok(RunOutcome {
        target,
        log: ObservationLog::new(start, entries),
        packets_hash: String::new(),
        simulated: world.door.clock.now() - start,
        faults,
        diagnostics,
        world_files: kube::objects(cast).into_iter().map(|file| (file.name, file.text)).collect(),
        cast: world.cast.clone(),
        book: Book { records, ejections: ejected, parties: who.parties(), ..Book::default() },
    })
}
