//! Rows about one process at a time: memory, start, and new configuration.

use std::thread;
use std::time::{Duration, Instant};

use super::Failure;
use super::ground::Ground;
use super::load;
use super::measure::{cpu_nanos, memory};
use super::race::Figures;
use super::rival::{Around, Kind};
use super::world::{self, Manner, NAME, Shape};
use crate::foreign::shapes::any;

/// Fresh processes for each memory figure.
const MEMORY_ROUNDS: usize = 3;
/// Starts of each rival.
const STARTS: usize = 7;
/// Changes pushed.
const PUSHES: usize = 5;
/// After an acknowledgement: the old configuration is released.
const AFTERMATH: Duration = Duration::from_millis(500);
/// Bound on an acknowledgement.
const PATIENCE: Duration = Duration::from_secs(60);

/// Anonymous bytes for each of `connections` that idle.
///
/// Errs when a request fails.
pub fn idle(ground: &Ground, shape: Shape, connections: usize) -> Result<Figures, Failure> {
    let each = |kind| {
        let rival = ground.start(kind, shape, ground.origin(shape), Around::Bare)?;
        let aim = ground.aim(shape, rival.listen);
        let first = ground.runtime.block_on(load::idle(&aim, 50))?;
        let before = memory(rival.pid())?.anonymous;
        let open = ground.runtime.block_on(load::idle(&aim, connections))?;
        thread::sleep(Duration::from_millis(200));
        let after = memory(rival.pid())?.anonymous;
        drop((first, open));
        Ok(after.saturating_sub(before) as f64 / connections as f64)
    };
    rounds(ground, shape, MEMORY_ROUNDS, each)
}

/// Resident megabytes once the configuration is there and one request was served.
///
/// Errs when that fails.
pub fn base(ground: &Ground, shape: Shape) -> Result<Figures, Failure> {
    let each = |kind| {
        let rival = ground.start(kind, shape, ground.origin(shape), Around::Bare)?;
        thread::sleep(AFTERMATH);
        Ok(memory(rival.pid())?.resident as f64 / (1024.0 * 1024.0))
    };
    rounds(ground, shape, MEMORY_ROUNDS, each)
}

/// Milliseconds from the start of the process to the first 200.
///
/// Errs when it does not come.
pub fn start(ground: &Ground, shape: Shape, file: bool) -> Result<Figures, Failure> {
    let each = |kind| {
        let mut rival = ground.launch(kind, shape, ground.origin(shape), Around::Bare, file)?;
        Ok(ground.serves(&mut rival, shape)?.as_secs_f64() * 1000.0)
    };
    rounds(ground, shape, STARTS, each)
}

fn rounds(
    ground: &Ground,
    shape: Shape,
    count: usize,
    each: impl Fn(Kind) -> Result<f64, Failure>,
) -> Result<Figures, Failure> {
    let mut figures = Figures::new();
    for _ in 0..count {
        for kind in Kind::ALL.into_iter().filter(|kind| ground.has(*kind, shape)) {
            let figure = each(kind).map_err(|error| format!("{}: {error}", kind.name()))?;
            figures.entry(kind).or_default().push(figure);
        }
    }
    Ok(figures)
}

/// Milliseconds of CPU for a route configuration in which one virtual host is new, less what idling takes.
///
/// Errs when it is refused or not acknowledged.
pub fn push(ground: &Ground, shape: Shape) -> Result<Figures, Failure> {
    let mut figures = Figures::new();
    for kind in Kind::ALL.into_iter().filter(|kind| kind.is_of_the_mesh() && ground.has(*kind, shape)) {
        let rival = ground.start(kind, shape, ground.origin(shape), Around::Bare)?;
        let spent = || cpu_nanos(rival.pid()).map(|nanos| nanos as f64 / 1e6);
        thread::sleep(AFTERMATH);
        let (begun, before) = (Instant::now(), spent()?);
        thread::sleep(AFTERMATH);
        let idling = (spent()? - before) / begun.elapsed().as_secs_f64();
        let manner = Manner { lean: kind == Kind::Lean, log: "/dev/null".to_owned() };
        for number in 0..PUSHES {
            let routes = any(&world::routes(shape, &manner, &format!("-{number}")));
            let said = |kind: &str| ground.ads.heard(kind).acknowledged.get(&routes.type_url).copied().unwrap_or(0);
            let seen = said(kind.name());
            let (begun, before) = (Instant::now(), spent()?);
            ground.ads.change(kind.name(), NAME, routes.clone());
            while said(kind.name()) == seen {
                let refused = ground.ads.heard(kind.name()).refused;
                if !refused.is_empty() || begun.elapsed() > PATIENCE {
                    return Err(format!("{}: no acknowledgement; refused {refused:?}", kind.name()));
                }
                thread::sleep(Duration::from_millis(1));
            }
            thread::sleep(AFTERMATH);
            let figure = spent()? - before - idling * begun.elapsed().as_secs_f64();
            figures.entry(kind).or_default().push(figure);
        }
    }
    Ok(figures)
}
