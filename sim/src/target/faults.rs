//! Faults happen: each begins and ends at its time, and counts what it touches.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use wavetank_control::diagnostic::{Diagnostic, Span};
use wavetank_platform::{BoxFuture, Entropy, Instant};
use wavetank_reports::{FaultResult, Place};

use super::names::NOBODY;
use super::outcome::RunError;
use super::side::{Side, Touched, is_someone, pods};
use crate::fault::{Fault, FaultKind, FaultOutcome};
use crate::observe::Selector;
use crate::scenario::Scenario;
use crate::world::app::Condition;
use crate::world::cast::{Cast, Role};

/// The faults of a run.
#[derive(Clone)]
pub(super) struct Faults {
    side: Arc<dyn Side>,
    /// Its random streams are named for faults and pods.
    entropy: Entropy,
    each: Arc<Vec<Running>>,
    start: Instant,
}

/// One fault of a run.
struct Running {
    number: usize,
    fault: Fault,
    /// Fresh pods by the number of the pod whose place they take.
    fresh: Vec<(usize, usize)>,
    /// Connections and requests touched.
    touched: Arc<AtomicU64>,
    /// Packets touched, by pods without power.
    counters: Mutex<Vec<Touched>>,
    /// When it ended.
    ended: Mutex<Option<Instant>>,
    failed: Mutex<Option<RunError>>,
}

/// What is done to a pod.
#[derive(Clone, Copy)]
enum Deed {
    KillUntil(Instant),
    PowerOff,
    PowerOn,
    Delete,
}

/// Adds to `cast` the fresh pods that the scenario's deletions ask for, and returns them by fault: the pod
/// that is deleted, and the one that takes its place.
///
/// Errs when a fault names nobody, or what it cannot break.
pub(super) fn reserve(scenario: &Scenario, cast: &mut Cast) -> Result<Vec<Vec<(usize, usize)>>, RunError> {
    let mut fresh = Vec::new();
    for fault in &scenario.faults {
        let wrong = |why: String| {
            let why = format!("{}: {why}", fault.kind.name());
            RunError::Manifests(vec![nobody(&fault.asked_at, fault.width, &why)])
        };
        let (kind, on) = (&fault.kind, fault.kind.on());
        if let FaultKind::Partition(link) | FaultKind::Link(link, _) = kind {
            for end in [&link.a, &link.b] {
                if !is_someone(cast, end) {
                    return Err(wrong(format!("`{end}` is nobody here")));
                }
            }
            fresh.push(Vec::new());
            continue;
        }
        let (FaultKind::Kill(at)
        | FaultKind::PowerOff(at)
        | FaultKind::Delete(at)
        | FaultKind::Restart(at)
        | FaultKind::Slow(at, _)
        | FaultKind::Fail { at, .. }) = kind
        else {
            continue;
        };
        let pods = pods(cast, at);
        if pods.is_empty() {
            return Err(wrong(format!("`{on}` is nobody here")));
        }
        let is_app = |index: &usize| matches!(cast.pods[*index].role, Role::App { .. });
        if matches!(kind, FaultKind::Slow(..) | FaultKind::Fail { .. }) && !pods.iter().all(is_app) {
            return Err(wrong(format!("`{on}` has no app that could do it")));
        }
        let replaces = kind.replaces_pods();
        if replaces && pods.iter().any(|index| cast.pods[*index].role == Role::ControlPlane) {
            return Err(wrong("the control plane's pod stays; `power_off` and `kill` break it".to_owned()));
        }
        let replaced = if replaces { pods } else { Vec::new() };
        fresh.push(replaced.into_iter().map(|index| (index, cast.add_reserve(index))).collect());
    }
    Ok(fresh)
}

/// The finding that the world does not have what is asked for at a place of the scenario.
pub(super) fn nobody(place: &Place, width: usize, why: &str) -> Diagnostic {
    let end_column = place.column.saturating_add(u32::try_from(width).unwrap_or(u32::MAX));
    let span = Span { end_column, ..Span::at(place.file.as_str(), place.line, place.column) };
    Diagnostic::error(NOBODY, &span, why)
}

impl Faults {
    /// Sets off the scenario's faults, counted from `start`.
    pub(super) fn set_off(
        scenario: &Scenario,
        fresh: Vec<Vec<(usize, usize)>>,
        side: &Arc<dyn Side>,
        entropy: Entropy,
        start: Instant,
    ) -> Self {
        let each = scenario.faults.iter().zip(fresh).enumerate().map(|(number, (fault, fresh))| Running {
            number,
            fault: fault.clone(),
            fresh,
            touched: Arc::default(),
            counters: Mutex::default(),
            ended: Mutex::default(),
            failed: Mutex::default(),
        });
        let each = Arc::new(each.collect::<Vec<_>>());
        let faults = Self { side: side.clone(), entropy, each, start };
        for number in 0..faults.each.len() {
            if scenario.until.is_some_and(|until| faults.each[number].fault.at >= until) {
                continue;
            }
            let own = faults.clone();
            side.keeper().spawn.go(async move {
                let running = &own.each[number];
                if let Err(error) = own.happen(running).await {
                    *running.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                }
            });
        }
        faults
    }

    /// What became of each fault, in the order of the scenario. One that has not ended ends now.
    ///
    /// Errs when one could not be mended, which is a fault of ours.
    pub(super) fn outcomes(&self) -> Result<Vec<FaultOutcome>, RunError> {
        let now = self.side.keeper().clock.now();
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let outcome = |running: &Running| {
            if let Some(error) = running.failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return Err(error);
            }
            let fault = running.fault.clone();
            let packets: u64 = lock(&running.counters).iter().map(|touched| touched()).sum();
            let links = self.side.packets_touched(running.number);
            let ended = lock(&running.ended).unwrap_or(now) - self.start;
            let result = FaultResult {
                kind: fault.kind.name().to_owned(),
                on: fault.kind.on(),
                from_ms: millis(fault.at),
                to_ms: millis(ended.max(fault.at)),
                touched: running.touched.load(Ordering::Relaxed) + packets + links,
            };
            Ok(FaultOutcome { result, fault })
        };
        self.each.iter().map(outcome).collect()
    }

    /// The life of one fault.
    async fn happen(&self, running: &Running) -> Result<(), RunError> {
        let (clock, fault) = (&self.side.keeper().clock, &running.fault);
        let begin = self.start + fault.at;
        clock.sleep_until(begin).await;
        let end = async {
            match fault.duration {
                Some(duration) => clock.sleep_until(begin + duration).await,
                None => std::future::pending().await,
            }
            *lock(&running.ended) = Some(clock.now());
        };
        match &fault.kind {
            FaultKind::Partition(link) => {
                self.side.cut(running.number, link);
                end.await;
                self.side.mend(running.number);
            }
            FaultKind::Link(link, change) => {
                self.side.worsen(running.number, link, *change);
                end.await;
                self.side.mend(running.number);
            }
            FaultKind::Slow(at, by) => self.under(running, at, Condition::Slow(*by), end).await,
            FaultKind::Fail { at, status, percent } => {
                let condition = Condition::Fail { status: *status, percent: *percent };
                self.under(running, at, condition, end).await;
            }
            FaultKind::Kill(at) => {
                let until = begin + fault.duration.unwrap_or(self.side.restart_delay());
                self.each(running, at, Deed::KillUntil(until)).await?;
                *lock(&running.ended) = Some(until);
            }
            FaultKind::PowerOff(at) => {
                self.each(running, at, Deed::PowerOff).await?;
                end.await;
                self.each(running, at, Deed::PowerOn).await?;
            }
            FaultKind::Delete(at) => {
                self.each(running, at, Deed::Delete).await?;
                *lock(&running.ended) = Some(clock.now());
            }
            FaultKind::Restart(_) => {
                self.restart(running, &running.fresh).await?;
                *lock(&running.ended) = Some(clock.now());
            }
        }
        Ok(())
    }

    /// Does something to each pod of a name, to all at the same time.
    async fn each(&self, running: &Running, at: &Selector, deed: Deed) -> Result<(), RunError> {
        let pods = pods(self.side.cast(), at).into_iter();
        let each: Vec<_> = pods.map(|index| self.does(running, index, deed)).collect();
        futures_util::future::try_join_all(each).await.map(|_| ())
    }

    async fn does(&self, running: &Running, index: usize, deed: Deed) -> Result<(), RunError> {
        match deed {
            Deed::KillUntil(until) => {
                running.touched.fetch_add(self.side.kill(index).await?, Ordering::Relaxed);
                self.side.keeper().clock.sleep_until(until).await;
                self.side.restart(index).await
            }
            Deed::PowerOff => {
                let touched = self.side.power_off(index).await?;
                lock(&running.counters).push(touched);
                Ok(())
            }
            Deed::PowerOn => self.side.power_on(index).await,
            Deed::Delete => {
                let Some((_, fresh)) = running.fresh.iter().find(|(old, _)| *old == index) else { return Ok(()) };
                let (touched, started) = tokio::join!(biased; self.side.delete(index), self.side.start_fresh(*fresh));
                running.touched.fetch_add(touched?, Ordering::Relaxed);
                started
            }
        }
    }

    /// Puts fresh pods in the places of others as a Deployment does that has one more pod meanwhile: the next one begins
    /// when the last one's place is taken, while that one ends.
    fn restart<'a>(&'a self, running: &'a Running, pods: &'a [(usize, usize)]) -> BoxFuture<'a, Result<(), RunError>> {
        Box::pin(async move {
            let Some(((old, fresh), rest)) = pods.split_first() else { return Ok(()) };
            self.side.start_fresh(*fresh).await?;
            let retiring = self.side.retire(*old, &running.touched);
            let (retired, restarted) = tokio::join!(biased; retiring, self.restart(running, rest));
            retired.and(restarted)
        })
    }

    /// Programs run under a condition until `end`.
    async fn under(&self, running: &Running, at: &Selector, condition: Condition, end: impl Future<Output = ()>) {
        let entropy = self.entropy.fork(&format!("{}", running.number + 1));
        let cast = self.side.cast();
        let pods = pods(cast, at);
        for index in &pods {
            let random = entropy.stream_named(&cast.pod(*index).name);
            self.side.set_condition(*index, running.number, condition, random, running.touched.clone());
        }
        end.await;
        for index in pods {
            self.side.end_condition(index, running.number);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
