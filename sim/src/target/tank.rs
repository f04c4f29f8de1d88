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

use super::aftermath::{aftermath, census};
use super::callers::{Caller, callers};
use super::faults::{Faults, reserve};
use super::mesh::{Mesh, convergence};
use super::names;
use super::outcome::{RunError, RunOutcome, TargetKind};
use super::own_links;
use super::sending::send;
use super::side::{Seat, Side};
use super::stage::Stage;
use super::timeline::{self, Timeline};
use super::witness::{Driven, ejections, witness};
use crate::engine::{Engine, Tank, TankConfig, TankHandle};
use crate::fault::{FaultOutcome, Link, LinkBook};
use crate::observe::{Observation, ObservationLog, Selector};
use crate::routes::{self, CALLER};
use crate::scenario::{App, Compat, Request, Scenario};
use crate::world::app::Echo;
use crate::world::cast::{Cast, DEFAULT_NAMESPACE};
use crate::world::client::Target;
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
    run_on(Engine::Tank, scenario, seed)
}

/// As [`run`], on the engine given.
///
/// Errs also when that engine cannot run the scenario.
pub fn run_on(engine: Engine, scenario: &Scenario, seed: u64) -> Result<RunOutcome, RunError> {
    if let Some(why) = beyond(engine, scenario) {
        return Err(RunError::Scenario(format!("engine `{engine}` cannot run this: {why}")));
    }
    let scenario = Arc::new(scenario.clone());
    let thread = thread::Builder::new().name("tank".to_owned()).stack_size(STACK_BYTES);
    let running = thread.spawn(move || run_here(engine, &scenario, seed));
    let running = running.map_err(|error| RunError::Internal(format!("no thread to run in: {error}")))?;
    match running.join() {
        Ok(outcome) => outcome,
        Err(panicked) => panic::resume_unwind(panicked),
    }
}

/// What a scenario asks for that an engine does not have.
fn beyond(engine: Engine, scenario: &Scenario) -> Option<&'static str> {
    match engine {
        Engine::Tank => None,
        Engine::Turmoil if scenario.network.loss_percent > 0.0 => Some("its network loses packets"),
        Engine::Turmoil if scenario.network.bandwidth.is_some() => Some("its network is narrow"),
        Engine::Turmoil if !scenario.links.is_empty() => Some("its links are not all alike"),
        Engine::Turmoil if !scenario.faults.is_empty() => Some("it has faults"),
        Engine::Turmoil if scenario.push_delay.is_some() => Some("it delays pushes"),
        Engine::Turmoil => None,
    }
}

fn run_here(engine: Engine, scenario: &Arc<Scenario>, seed: u64) -> Result<RunOutcome, RunError> {
    let mut cast = cast_of(scenario);
    let problems = manifests::admit(&mut cast, &scenario.config, dialect(scenario.compat));
    add(scenario, &mut cast);
    let unknown = names::unknown(scenario, &cast);
    if !unknown.is_empty() {
        return Err(RunError::Manifests(unknown.into_iter().chain(problems).collect()));
    }
    timeline::admit(scenario, dialect(scenario.compat))?;
    own_links::admit(scenario, &cast)?;
    let fresh = reserve(scenario, &mut cast)?;
    let cast = Arc::new(cast);
    let callers = callers(scenario, &cast)?;
    let config = TankConfig {
        seed,
        default_link: own_links::link(&scenario.network),
        time_max: TIME_MAX,
        ..TankConfig::default()
    };
    let mut tank = Tank::new(config);
    let roster = Roster::admit(&cast, &mut tank);
    let life = |tank| go(scenario.clone(), problems, cast, fresh, callers, tank, roster);
    match engine {
        Engine::Tank => tank.run(life),
        Engine::Turmoil => tank.run_on_turmoil(life),
    }
}

pub(super) fn cast_of(scenario: &Scenario) -> Cast {
    match scenario.app {
        Some(App::IstioLab) => Cast::mesh().with_istio_lab(),
        None if routes::ask_from(CALLER, &scenario.routes) => {
            let mut cast = Cast::mesh();
            cast.add_sleep(DEFAULT_NAMESPACE, CALLER, true);
            cast
        }
        None => Cast::mesh(),
    }
}

/// The echo services that the scenario adds, or says more about.
pub(super) fn add(scenario: &Scenario, cast: &mut Cast) {
    for added in &scenario.add {
        let target = |call: &Request| Target { host: call.host.clone(), port: call.port, path: call.path.clone() };
        let change = |echo: &mut Echo| {
            echo.calls = added.calls.iter().map(target).collect();
            (echo.latency, echo.status) = (added.latency, added.status);
        };
        let workload = added.version.as_ref().map_or(added.service.clone(), |own| format!("{}-{own}", added.service));
        if cast.change_echo(&workload, added.sidecar, change) == 0 {
            cast.add_echo(&added.service, added.version.as_deref());
            cast.change_echo(&workload, added.sidecar, change);
        }
    }
}

/// The dialect that manifests are read in.
pub(super) fn dialect(compat: Compat) -> Dialect {
    match compat {
        Compat::V1_0 => Dialect::V1_0,
        Compat::V1 => Dialect::V1,
    }
}

/// Puts the delay of pushes on the links.
pub(super) fn delay_pushes(scenario: &Scenario, side: &dyn Side) {
    if let (Some(delay), Ok(control)) = (scenario.push_delay, "control-plane".parse()) {
        side.worsen(usize::MAX, &Link { a: control, b: Selector::ANY, both: false }, delay);
    }
}

/// The life of the world.
async fn go(
    scenario: Arc<Scenario>,
    problems: Vec<Diagnostic>,
    cast: Arc<Cast>,
    fresh: Vec<Vec<(usize, usize)>>,
    callers: Vec<Vec<Caller>>,
    tank: TankHandle,
    roster: Roster,
) -> Result<RunOutcome, RunError> {
    let scenario = &*scenario;
    let objects = kube::objects(&cast);
    let links = own_links::set(scenario, &cast, &tank, &roster);
    let (stage, diagnostics) = converge(scenario, problems, &objects, cast, (tank, roster), links).await?;
    let stage = Arc::new(stage);
    let side: Arc<dyn Side> = stage.clone();
    let (start, at_start) = (stage.tank.now(), census(&stage));
    delay_pushes(scenario, &*side);
    let faults = Faults::set_off(scenario, fresh, &side, stage.tank.entropy().fork("fault"), start);
    let timeline = Timeline::set_off(scenario, &side, start);
    let at = |seat| match seat {
        Seat::Pod(index) => stage.tank.app_platform(stage.roster.pod(index)),
        Seat::Outside(index) => stage.tank.app_platform(stage.roster.outside(index)),
    };
    let driven = send(scenario, callers, at, side.keeper(), &stage.tank.entropy().fork("traffic"), start).await;
    timeline.end().await;
    stage.tank.sleep(DRAIN).await;
    let (faults, seen) = (faults.outcomes()?, timeline.seen()?);
    let mut outcome = outcome(&stage, start, &driven, (faults, seen), diagnostics, objects);
    if let Some(until) = scenario.until {
        outcome.log.end_at(start + until);
    }
    let changed = !scenario.steps.is_empty() || !scenario.faults.is_empty();
    outcome.book.remains = aftermath(&stage, &outcome.book, at_start, changed).await;
    Ok(outcome)
}

/// Starts everything, and waits until every proxy has taken the newest configuration. Returns all that runs,
/// and what there is to say about its manifests.
async fn converge(
    scenario: &Scenario,
    problems: Vec<Diagnostic>,
    objects: &[kube::KubeFile],
    cast: Arc<Cast>,
    (tank, roster): (TankHandle, Roster),
    links: LinkBook,
) -> Result<(Stage, Vec<Diagnostic>), RunError> {
    let mesh = Arc::new(Mesh::start(dialect(scenario.compat), &cast, &tank, &roster).await?);
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
    mesh.start_proxies(&cast, &tank, &roster)?;
    let others: Vec<_> = cast.pods.iter().map(|pod| pod.ip).filter(|ip| !control.contains(ip)).collect();
    kubelet.report(&others, true).await;
    convergence(&mesh, &cast, &tank).await?;
    diagnostics.extend(mesh.findings());
    Ok((Stage::new(tank, cast, roster, kubelet, mesh, links), diagnostics))
}

fn outcome(
    stage: &Stage,
    start: Instant,
    driven: &[Driven],
    (faults, seen): (Vec<FaultOutcome>, Vec<Observation>),
    diagnostics: Vec<Diagnostic>,
    objects: Vec<kube::KubeFile>,
) -> RunOutcome {
    let Stage { tank, cast, mesh, .. } = stage;
    let book = mesh.take_book(cast);
    let mut entries = witness(cast, &book.records, driven);
    entries.extend(ejections(cast, &book.ejections));
    entries.extend(mesh.take_exchanges(cast));
    entries.extend(seen);
    let packets = tank.packets_hash();
    RunOutcome {
        target: TargetKind::Tank,
        log: ObservationLog::new(start, entries),
        packets_hash: packets.iter().map(|byte| format!("{byte:02x}")).collect(),
        simulated: tank.now().since_start(),
        faults,
        diagnostics,
        world_files: objects.into_iter().map(|file| (file.name, file.text)).collect(),
        cast: cast.clone(),
        book,
    }
}

#[cfg(test)]
mod tests;
