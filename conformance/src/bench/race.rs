//! Rows in paired rounds: all rivals are started, then each is measured in turn, round after round.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Failure;
use super::caller::{Aim, Talk, get};
use super::ground::Ground;
use super::load::{self, Sample, Use};
use super::measure::cpu_nanos;
use super::multiplex;
use super::origin::LARGE_PATH;
use super::rival::{Around, Kind, Rival};
use super::row::Asked;
use super::world::Shape;

/// How long a row is measured.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Rounds.
    pub rounds: usize,
    /// Of one rival in one round.
    pub window: Duration,
}

/// Figures by rival, one for each round.
pub type Figures = BTreeMap<Kind, Vec<f64>>;

/// CPU for each request, in microseconds.
///
/// Errs at the first request that fails.
pub fn cpu(ground: &Ground, shape: Shape, asked: Asked, effort: Effort) -> Result<Figures, Failure> {
    let large = matches!(asked, Asked::Large(_));
    let origin = if large { ground.origins.http1 } else { ground.origin(shape) };
    let mut rivals = Vec::new();
    let multiplexed = matches!(asked, Asked::Http2(..));
    let able = |kind: &Kind| ground.has(*kind, shape) && (kind.is_of_the_mesh() || !multiplexed);
    for kind in Kind::ALL.into_iter().filter(able) {
        let mut rival = ground.launch(kind, shape, origin, Around::Bare, false)?;
        // What a TCP proxy leads to here speaks HTTP.
        ground
            .serves(&mut rival, if large && shape == Shape::Tcp { Shape::Plain { http2_up: false } } else { shape })?;
        rivals.push(rival);
    }
    let mut figures = Figures::new();
    for _ in 0..effort.rounds {
        for rival in &rivals {
            let sample = window(ground, rival, shape, asked, effort.window);
            let sample = sample.map_err(|error| format!("{}: {error}", rival.kind.name()))?;
            figures.entry(rival.kind).or_default().push(sample.each() / 1000.0);
        }
    }
    Ok(figures)
}

fn window(ground: &Ground, rival: &Rival, shape: Shape, asked: Asked, length: Duration) -> Result<Sample, Failure> {
    let pid = rival.pid();
    let probe = move || cpu_nanos(pid);
    let suited = ground.aim(shape, rival.listen);
    let (aim, usage, callers) = match asked {
        Asked::Http2(call, connections, streams) => {
            let load = multiplex::closed(rival.listen, call, (connections, streams), length, &probe);
            return ground.runtime.block_on(load);
        }
        Asked::Suited(callers) => (suited, Use::Kept, callers),
        Asked::Connections(callers) => (suited, Use::Once, callers),
        Asked::Large(callers) => (Aim { talk: large(), ..suited }, Use::Kept, callers),
    };
    ground.runtime.block_on(load::closed(&aim, usage, callers, length, &probe))
}

fn large() -> Talk {
    get("bench.test", LARGE_PATH, "")
}

/// Median latency in microseconds, less that of the program itself in the same round.
///
/// Errs at the first request that fails.
pub fn latency(ground: &Ground, shape: Shape, rate: u32, effort: Effort) -> Result<Figures, Failure> {
    let mut rivals = Vec::new();
    for kind in Kind::ALL.into_iter().filter(|kind| ground.has(*kind, shape)) {
        rivals.push(ground.start(kind, shape, ground.origin(shape), Around::Bare)?);
    }
    let median = |address| {
        let aim = ground.aim(shape, address);
        let sorted = ground.runtime.block_on(load::open(&aim, 64, rate, effort.window))?;
        Ok::<_, Failure>(*sorted.get(sorted.len() / 2).ok_or("nothing was answered")? as f64)
    };
    let mut figures = Figures::new();
    for _ in 0..effort.rounds {
        let direct = median(ground.origin(shape))?;
        for rival in &rivals {
            let through = median(rival.listen).map_err(|error| format!("{}: {error}", rival.kind.name()))?;
            figures.entry(rival.kind).or_default().push(through - direct);
        }
    }
    Ok(figures)
}

/// CPU for each request with `count` virtual hosts and paths, divided by that with one, for each round.
///
/// Errs at the first request that fails.
pub fn lookup(ground: &Ground, count: usize, effort: Effort) -> Result<Figures, Failure> {
    let mut figures = Figures::new();
    for kind in [Kind::Envoy, Kind::Ours] {
        let (one, many) = (Shape::Lookup(1), Shape::Lookup(count));
        if !ground.has(kind, one) {
            continue;
        }
        let few = ground.start(kind, one, ground.origin(one), Around::Bare)?;
        let full = ground.start(kind, many, ground.origin(many), Around::Bare)?;
        for _ in 0..effort.rounds {
            let of = |rival: &Rival, shape| window(ground, rival, shape, Asked::Suited(16), effort.window);
            let (base, all) = (of(&few, one)?, of(&full, many)?);
            figures.entry(kind).or_default().push(all.each() / base.each());
        }
    }
    Ok(figures)
}
