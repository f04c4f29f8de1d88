//! The target that needs nothing but this machine's processor: the whole mesh in the simulated network, on
//! virtual time.
//!
//! One run is one fresh thread with one fresh runtime, so that runs in one process share nothing. Traffic
//! begins when every proxy has taken the newest configuration.

use std::panic;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use wavetank_control::config::SourceFile;
use wavetank_control::diagnostic::Diagnostic;
use wavetank_control::dialect::Dialect;
use wavetank_platform::Instant;

use super::callers::{Caller, callers, plan};
use super::mesh::{Mesh, convergence};
use super::outcome::{RunError, RunOutcome};
use super::witness::{Driven, witness};
use crate::engine::{LinkConfig, Tank, TankConfig, TankHandle};
use crate::observe::ObservationLog;
use crate::scenario::{App, Compat, Network, Scenario};
use crate::traffic::drive;
use crate::world::cast::Cast;
use crate::world::kubelet::{Delays, Kubelet, Roster};
use crate::world::{kube, manifests};

/// What is left to run after the last reply, for records that close behind it.
const DRAIN: Duration = Duration::from_secs(1);
/// Virtual time after which a run is stuck.
const TIME_MAX: Duration = Duration::from_secs(10 * 365 * 86_400);
/// Proxies nest futures deeply, and builds without optimisation keep each on the stack.
const STACK_BYTES: usize = 64 << 20;

/// Runs `scenario` with every random number following from `seed`.
///
/// Errs when the manifests are in error, when the scenario names a caller that the world does not have, and
/// when the proxies do not take the configuration.
pub fn run(scenario: &Scenario, seed: u64) -> Result<RunOutcome, RunError> {
    let scenario = scenario.clone();
    let thread = thread::Builder::new().name("tank".to_owned()).stack_size(STACK_BYTES);
    let running = thread.spawn(move || run_here(&scenario, seed));
    let running = running.map_err(|error| RunError::Internal(format!("no thread to run in: {error}")))?;
    match running.join() {
        Ok(outcome) => outcome,
        Err(panicked) => panic::resume_unwind(panicked),
    }
}

fn run_here(scenario: &Scenario, seed: u64) -> Result<RunOutcome, RunError> {
    let mut cast = cast_of(scenario);
    let problems = manifests::admit(&mut cast, &scenario.config, dialect(scenario.compat));
    let cast = Arc::new(cast);
    let callers = callers(scenario, &cast)?;
    let config =
        TankConfig { seed, default_link: link(&scenario.network), time_max: TIME_MAX, ..TankConfig::default() };
    let mut tank = Tank::new(config);
    let roster = Roster::admit(&cast, &mut tank);
    tank.run(|tank| go(scenario, problems, cast, callers, tank, roster))
}

fn cast_of(scenario: &Scenario) -> Cast {
    match scenario.app {
        Some(App::IstioLab) => Cast::mesh().with_istio_lab(),
        None => Cast::mesh(),
    }
}

/// The dialect that manifests are read in.
pub(super) fn dialect(compat: Compat) -> Dialect {
    match compat {
        Compat::V1_0 => Dialect::V1_0,
        Compat::V1 => Dialect::V1,
    }
}

fn link(network: &Network) -> LinkConfig {
    LinkConfig { latency: network.latency, jitter: network.jitter, loss: network.loss_percent / 100.0, bandwidth: None }
}

/// The life of the world.
async fn go(
    scenario: &Scenario,
    problems: Vec<Diagnostic>,
    cast: Arc<Cast>,
    callers: Vec<Vec<Caller>>,
    tank: TankHandle,
    roster: Roster,
) -> Result<RunOutcome, RunError> {
    let objects = kube::objects(&cast);
    let (mesh, diagnostics) = converge(scenario, problems, &objects, &cast, &tank, &roster).await?;
    let start = tank.now();
    let driven = send(scenario, callers, &tank, &roster, start).await;
    tank.sleep(DRAIN).await;
    Ok(outcome(&mesh, &cast, &tank, start, &driven, diagnostics, objects))
}

/// Starts everything, and waits until every proxy has taken the newest configuration. Returns the mesh, and
/// what there is to say about its manifests.
async fn converge(
    scenario: &Scenario,
    problems: Vec<Diagnostic>,
    objects: &[kube::KubeFile],
    cast: &Arc<Cast>,
    tank: &TankHandle,
    roster: &Roster,
) -> Result<(Arc<Mesh>, Vec<Diagnostic>), RunError> {
    let mesh = Arc::new(Mesh::start(dialect(scenario.compat), cast, tank, roster).await?);
    let world: Vec<_> = objects.iter().map(|file| SourceFile::new(file.name.as_str(), file.text.as_str())).collect();
    mesh.apply_world(world)?;
    let mut diagnostics = mesh.apply_manifests(scenario, problems)?;

    let watcher = mesh.clone();
    let watch = Arc::new(move |file: kube::KubeFile| watcher.apply_endpoints(&file));
    let kubelet = Kubelet::new(tank.clone(), cast.clone(), roster.clone(), Delays::default(), watch);
    // The control plane is ready before anything asks for it.
    let control: Vec<_> = cast.control_plane().map(|pod| pod.ip).collect();
    kubelet.report(&control, true).await;
    kubelet.start_programs().await.map_err(|error| RunError::Internal(format!("a program did not start: {error}")))?;
    mesh.start_proxies(cast, tank, roster)?;
    let others: Vec<_> = cast.pods.iter().map(|pod| pod.ip).filter(|ip| !control.contains(ip)).collect();
    kubelet.report(&others, true).await;
    convergence(&mesh, cast, tank).await?;
    diagnostics.extend(mesh.findings());
    Ok((mesh, diagnostics))
}

/// Sends all traffic and waits until each request is done.
async fn send(
    scenario: &Scenario,
    callers: Vec<Vec<Caller>>,
    tank: &TankHandle,
    roster: &Roster,
    start: Instant,
) -> Vec<Driven> {
    let (results, mut gathered) = tokio::sync::mpsc::channel(callers.len().max(1));
    for (index, (traffic, callers)) in scenario.traffic.iter().zip(callers).enumerate() {
        let plan = Arc::new(plan(traffic));
        let browsers = callers.iter().map(|caller| caller.browser(tank, roster, traffic)).collect();
        let (results, entropy) = (results.clone(), tank.entropy().fork("traffic"));
        let who = callers.iter().map(Caller::place).collect();
        // Someone outside the mesh keeps the schedule: no fault of the scenario reaches them.
        tank.app_platform(roster.outside(0)).spawn.go(async move {
            let sent = drive(plan.clone(), browsers, &entropy, start).await;
            // The receiver waits for every sender.
            let _ = results.send((index, Driven { plan, callers: who, sent })).await;
        });
    }
    drop(results);
    let mut driven = Vec::new();
    while let Some(one) = gathered.recv().await {
        driven.push(one);
    }
    driven.sort_by_key(|(index, _)| *index);
    driven.into_iter().map(|(_, driven)| driven).collect()
}

fn outcome(
    mesh: &Mesh,
    cast: &Cast,
    tank: &TankHandle,
    start: Instant,
    driven: &[Driven],
    diagnostics: Vec<Diagnostic>,
    objects: Vec<kube::KubeFile>,
) -> RunOutcome {
    let mut entries = witness(cast, mesh.take_records(), driven);
    entries.extend(mesh.take_exchanges(cast));
    let packets = tank.packets_hash();
    RunOutcome {
        log: ObservationLog::new(start, entries),
        packets_hash: packets.iter().map(|byte| format!("{byte:02x}")).collect(),
        simulated: tank.now().since_start(),
        diagnostics,
        world_files: objects.into_iter().map(|file| (file.name, file.text)).collect(),
    }
}

#[cfg(test)]
mod tests;
