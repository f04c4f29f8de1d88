//! A pod's proxy as a process of its own, and the capture of the pod's traffic.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Method;
use prost::Message;
use wavetank_platform::Platform;
use wavetank_platform::spawn::OwnedTask;
use wavetank_proxy::bootstrap::{Bootstrap, KeyType};
use wavetank_proxy::ejection::Ejection;
use wavetank_proxy::record::Record;

use super::super::mesh::{bootstrap, node_id};
use super::super::side::Seat;
use super::envoy_events::EnvoyEvents;
use super::envoy_log::EnvoyLog;
use super::network::run_within;
use super::process::{PROXY_USER, Process, Start};
use super::tail::Records;
use super::world::{OBSERVED, World};
use super::{agent, envoy};
use crate::world::cast::{Pod, Role};
use crate::world::client::{Call, Target, call_once};

/// How often it is looked whether a draining proxy has ended.
const LOOK: Duration = Duration::from_millis(20);

/// A pod's proxy. It may be started again.
#[derive(Debug, Default)]
pub(super) struct Sidecar {
    pub(super) process: Option<Process>,
    /// What each of its processes wrote.
    pub(super) books: Vec<Written>,
    captured: bool,
    agent: Option<OwnedTask>,
}

/// What one process of a proxy wrote.
#[derive(Debug)]
pub(super) enum Written {
    /// Ours.
    Ours(Records),
    /// An Envoy.
    Envoy(EnvoyLog, EnvoyEvents),
}

impl Written {
    /// Reads what was added.
    ///
    /// Errs when it cannot be read.
    pub(super) fn update(&mut self) -> io::Result<()> {
        match self {
            Self::Ours(own) => own.update(),
            Self::Envoy(log, events) => log.update().and_then(|()| events.update()),
        }
    }

    /// The records that were read.
    pub(super) fn records(&self) -> &[Record] {
        match self {
            Self::Ours(own) => &own.records,
            Self::Envoy(log, _) => &log.records,
        }
    }

    /// The ejections that were read.
    pub(super) fn ejections(&self) -> &[Ejection] {
        match self {
            Self::Ours(own) => &own.ejections,
            Self::Envoy(_, events) => &events.ejections,
        }
    }
}

/// Starts the proxy of a pod.
///
/// Errs when it cannot be started.
pub(super) async fn start(world: &World, index: usize) -> io::Result<()> {
    let pod = world.cast.pod(index);
    let folder = world.file(pod, "");
    fs::create_dir_all(&folder)?;
    chown(&folder, Some(PROXY_USER), Some(PROXY_USER))?;
    let captured = world.pod(index).sidecar.captured;
    if matches!(pod.role, Role::App { .. }) && !captured {
        let proxy = world.tools.proxy.display().to_string();
        run_within(world.host(index), &proxy, &["redirect", "install"], "")?;
        world.pod(index).sidecar.captured = true;
    }
    let root = fs::read_to_string(world.folder.join("ca/root-cert.pem"))?;
    let told = bootstrap(pod, token(&world.door, pod), &root, KeyType::EcdsaP256);
    let number = world.pod(index).sidecar.books.len();
    match world.tools.envoy.clone() {
        None => start_ours(world, index, pod, &told, number),
        Some(program) => start_envoy(world, index, pod, told, (&program, number)).await,
    }
}

fn start_ours(world: &World, index: usize, pod: &Pod, told: &Bootstrap, number: usize) -> io::Result<()> {
    let records = world.file(pod, &format!("records-{number}.jsonl"));
    let file = world.file(pod, "bootstrap.json");
    fs::write(&file, serde_json::to_vec_pretty(told)?)?;
    let mut args = Vec::new();
    for (flag, value) in [("--bootstrap", &file), ("--records", &records)] {
        args.extend([flag.to_owned(), value.display().to_string()]);
    }
    // Istio's sidecars have two; one is enough for a few hundred requests a second.
    args.extend(["--concurrency", "1"].map(str::to_owned));
    let log = world.file(pod, "proxy.log");
    let start = Start { program: &world.tools.proxy, args, as_proxy: true, log: &log, spoken_with: false };
    let process = Process::start(world.host(index), &start)?;
    let mut own = world.pod(index);
    own.sidecar.books.push(Written::Ours(Records::of(&records, world.epoch)));
    own.sidecar.process = Some(process);
    Ok(())
}

async fn start_envoy(
    world: &World,
    index: usize,
    pod: &Pod,
    told: Bootstrap,
    (program, number): (&Path, usize),
) -> io::Result<()> {
    let file = world.file(pod, "bootstrap.pb");
    let events = world.file(pod, "outliers.jsonl");
    fs::write(&file, envoy::bootstrap(&told, &events).encode_to_vec())?;
    // The agent of a pod outlives its proxy.
    let has_agent = world.pod(index).sidecar.agent.is_some();
    if let Some(ca) = told.ca.filter(|_| !has_agent) {
        let at = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), agent::PORT);
        let (_, agent) = agent::start(&world.node_platform(), &world.platform_at(Seat::Pod(index)), at, ca).await?;
        world.pod(index).sidecar.agent = Some(agent);
    }
    let log = world.file(pod, &format!("envoy-{number}.log"));
    let args = ["--use-dynamic-base-id", "--concurrency", "1", "-l", "warning", "--file-flush-interval-msec", "50"];
    let mut args: Vec<String> = args.map(str::to_owned).into();
    // As Istio starts it.
    args.extend(["--drain-time-s", "45", "--drain-strategy", "immediate"].map(str::to_owned));
    let said: PathBuf = world.file(pod, "proxy.log");
    args.extend(["--log-path", &said.display().to_string(), "-c", &file.display().to_string()].map(str::to_owned));
    let start = Start { program, args, as_proxy: true, log: &log, spoken_with: false };
    let process = Process::start(world.host(index), &start)?;
    let written = world.folder.join(OBSERVED).join(format!("{}.jsonl", node_id(pod)));
    let book = EnvoyLog::of(&written, node_id(pod), world.epoch);
    let mut own = world.pod(index);
    let events = EnvoyEvents::of(&events, node_id(pod), world.epoch);
    // The next process writes on where this one ends.
    if number == 0 {
        own.sidecar.books.push(Written::Envoy(book, events));
    }
    own.sidecar.process = Some(process);
    Ok(())
}

/// Tells the proxy of a pod to end in good order, and waits until it may be ended.
///
/// Ours is told by SIGTERM and ends by itself. An Envoy that is told so ends at once: Istio's agent stands before it and
/// asks it to drain, a gateway's whole, of a sidecar's the inbound side alone, and lets it be for a while.
///
/// Errs when it cannot be told.
pub(super) async fn drain(world: &World, index: usize) -> io::Result<()> {
    let pod = world.cast.pod(index);
    if !pod.has_proxy() {
        return Ok(());
    }
    if world.tools.envoy.is_some() {
        let inbound = if pod.role == Role::Gateway { "" } else { "inboundonly&" };
        let path = format!("/drain_listeners?{inbound}graceful");
        let target = Target { host: Ipv4Addr::LOCALHOST.to_string(), port: envoy::ADMIN_PORT, path };
        let call = Call { method: Method::POST, ..Call::get(target) };
        let told = call_once(&world.platform_at(Seat::Pod(index)), call, 0, world.delays.termination).await;
        if !told.as_ref().is_ok_and(|reply| reply.status.is_success()) {
            return Err(io::Error::other(format!("{}: {told:?}", pod.name)));
        }
        world.door.clock.sleep(world.delays.termination).await;
        return Ok(());
    }
    if let Some(process) = &world.pod(index).sidecar.process {
        process.ask_to_end()?;
    }
    let deadline = world.door.clock.now() + world.delays.grace;
    let runs = || world.pod(index).sidecar.process.as_mut().is_some_and(|process| !process.has_ended());
    while runs() && world.door.clock.now() < deadline {
        world.door.clock.sleep(LOOK).await;
    }
    Ok(())
}

/// The token of a pod's account.
pub(super) fn token(door: &Platform, pod: &Pod) -> String {
    let mut random = door.entropy.fork("tokens").stream_named(&format!("{}/{}", pod.namespace, pod.service_account));
    format!("{:016x}{:016x}", random.next_u64(), random.next_u64())
}
