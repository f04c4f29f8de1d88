//! Requests in closed loop (the next one when the last is answered), in open loop (by a schedule, timed from
//! the moment a request was due), one for each connection, or none on connections that idle.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::LocalSet;

use super::Failure;
use super::caller::{Aim, Line};

/// Before what is measured: connections are opened, caches fill.
pub const WARM_UP: Duration = Duration::from_millis(300);

/// What one window of load did.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// Requests answered within it.
    pub requests: u64,
    /// What the probe counted meanwhile.
    pub probed: u64,
    /// Its length.
    pub window: Duration,
}

impl Sample {
    /// What the probe counted for each request.
    pub fn each(&self) -> f64 {
        self.probed as f64 / self.requests.max(1) as f64
    }
}

/// Shared by the callers of one window.
#[derive(Default)]
pub(super) struct Count {
    answered: Cell<u64>,
    failed: RefCell<Option<Failure>>,
    over: Cell<bool>,
}

impl Count {
    /// Notes one more answer, or the failure that ends it all. Whether to go on.
    pub(super) fn note(&self, outcome: Result<(), Failure>) -> bool {
        match outcome {
            Ok(()) => self.answered.set(self.answered.get() + 1),
            Err(error) if self.over.get() => drop(error),
            Err(error) => {
                self.failed.borrow_mut().get_or_insert(error);
                self.over.set(true);
            }
        }
        !self.over.get()
    }
}

/// How connections are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// For one request after another.
    Kept,
    /// For one request each.
    Once,
}

/// `callers` in closed loop for `window`, after a warm-up; `probe` is read at its two ends.
///
/// Errs at the first request that is not answered with what it should be.
pub async fn closed(
    aim: &Aim,
    usage: Use,
    callers: usize,
    window: Duration,
    probe: &dyn Fn() -> Result<u64, Failure>,
) -> Result<Sample, Failure> {
    let tasks = (0..callers).map(|_| {
        let aim = aim.clone();
        move |count: Rc<Count>| async move {
            let mut line = None;
            loop {
                let outcome = once(&aim, &mut line).await;
                if usage == Use::Once {
                    line = None;
                }
                if !count.note(outcome) {
                    return;
                }
            }
        }
    });
    window_of(tasks, window, probe).await
}

async fn once(aim: &Aim, line: &mut Option<Line>) -> Result<(), Failure> {
    if line.is_none() {
        *line = Some(Line::open(aim).await?);
    }
    match line {
        Some(line) => line.exchange(&aim.talk).await,
        None => Err("no connection".to_owned()),
    }
}

/// Runs tasks until the window behind their warm-up is over.
pub(super) async fn window_of<F, Fut>(
    tasks: impl Iterator<Item = F>,
    window: Duration,
    probe: &dyn Fn() -> Result<u64, Failure>,
) -> Result<Sample, Failure>
where
    F: FnOnce(Rc<Count>) -> Fut,
    Fut: Future<Output = ()> + 'static,
{
    let (count, local) = (Rc::new(Count::default()), LocalSet::new());
    for task in tasks {
        local.spawn_local(task(count.clone()));
    }
    let measured = local.run_until(async {
        tokio::time::sleep(WARM_UP).await;
        let (begin, from, before) = (Instant::now(), probe()?, count.answered.get());
        tokio::time::sleep(window).await;
        let (until, after) = (probe()?, count.answered.get());
        Ok::<_, Failure>(Sample { requests: after - before, probed: until - from, window: begin.elapsed() })
    });
    let sample = measured.await?;
    count.over.set(true);
    if let Some(error) = count.failed.borrow_mut().take() {
        return Err(error);
    }
    if sample.requests == 0 { Err("nothing was answered".to_owned()) } else { Ok(sample) }
}

/// Exactly `requests`, one after the other on each of `callers` connections.
pub async fn exactly(aim: &Aim, callers: usize, requests: usize) -> Result<(), Failure> {
    for _ in 0..callers {
        let mut line = Line::open(aim).await?;
        for _ in 0..requests / callers {
            line.exchange(&aim.talk).await?;
        }
    }
    Ok(())
}

/// Opens connections one after the other, has a request answered on each, and returns them open.
pub async fn idle(aim: &Aim, connections: usize) -> Result<Vec<Line>, Failure> {
    let mut lines = Vec::with_capacity(connections);
    for _ in 0..connections {
        let mut line = Line::open(aim).await?;
        line.exchange(&aim.talk).await?;
        lines.push(line);
    }
    Ok(lines)
}

/// `rate` requests a second for `window` over `connections`; latencies in microseconds, from the moment each
/// request was due, sorted.
///
/// A pacer on a thread of its own keeps the schedule whatever the answers do; requests that find no free
/// connection wait for one, and their waiting counts.
pub async fn open(aim: &Aim, connections: usize, rate: u32, window: Duration) -> Result<Vec<u64>, Failure> {
    let mut free = idle(aim, connections).await?;
    let (due, mut dues) = mpsc::unbounded_channel();
    let total = (window.as_secs_f64() * f64::from(rate)) as u32;
    let pacer = std::thread::spawn(move || {
        let begin = Instant::now();
        for number in 0..total {
            let at = begin + Duration::from_secs_f64(f64::from(number) / f64::from(rate));
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            if due.send(at).is_err() {
                return;
            }
        }
    });
    let latencies = Rc::new(RefCell::new(Vec::with_capacity(total as usize)));
    let (give, mut take) = mpsc::unbounded_channel::<Result<Line, Failure>>();
    let local = LocalSet::new();
    let running = local.run_until(async {
        let mut under_way = 0;
        while let Some(at) = dues.recv().await {
            while let Ok(back) = take.try_recv() {
                free.push(back?);
                under_way -= 1;
            }
            let mut line = match free.pop() {
                Some(line) => line,
                None => {
                    under_way -= 1;
                    take.recv().await.ok_or("no connection comes back")??
                }
            };
            under_way += 1;
            let (talk, give, latencies) = (aim.talk.clone(), give.clone(), latencies.clone());
            tokio::task::spawn_local(async move {
                let outcome = line.exchange(&talk).await;
                let micros = u64::try_from(at.elapsed().as_micros()).unwrap_or(u64::MAX);
                latencies.borrow_mut().push(micros);
                // The receiver outlives every request.
                let _given = give.send(outcome.map(|()| line));
            });
        }
        for _ in 0..under_way {
            take.recv().await.ok_or("no connection comes back")??;
        }
        Ok::<_, Failure>(())
    });
    running.await?;
    pacer.join().map_err(|_| "the pacer failed")?;
    let mut sorted = latencies.take();
    sorted.sort_unstable();
    Ok(sorted)
}
