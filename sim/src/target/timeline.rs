//! Steps happen: each puts its configuration in force at its time, proxies take it or fall behind, and an
//! abort puts an end to it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use wavetank_control::diagnostic::Diagnostic;
use wavetank_control::dialect::Dialect;
use wavetank_control::model::ConfigStore;
use wavetank_platform::{Clock, Instant};

use super::outcome::RunError;
use super::side::Side;
use super::who::Who;
use super::witness::{in_order, witness};
use crate::check::Demand;
use crate::observe::{Mark, Observation, Sync};
use crate::scenario::{Abort, Scenario};

/// How often the proxies' standing is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// How often an abort looks at what happened.
const ABORT_LOOK: Duration = Duration::from_millis(250);

/// The steps of a running scenario.
#[derive(Clone)]
pub(super) struct Timeline {
    side: Arc<dyn Side>,
    scenario: Arc<Scenario>,
    start: Instant,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    seen: Vec<Observation>,
    /// Whether each proxy was in sync when last looked at, by pod.
    in_sync: BTreeMap<usize, bool>,
    /// The step that is running, and whether every proxy has taken it.
    step: Option<(usize, bool)>,
    aborted: bool,
    /// What happened has been told.
    told: bool,
    refused: Option<RunError>,
}

/// Whether the manifests of every step are sound, as far as each tells alone.
///
/// Errs with everything that is said of the first that is not.
pub(super) fn admit(scenario: &Scenario, dialect: Dialect) -> Result<(), RunError> {
    let steps = scenario.steps.iter().filter_map(|step| step.config.as_ref());
    let aborts = scenario.abort.iter().flat_map(|abort| &abort.config);
    for files in steps.chain(aborts) {
        let mut store = ConfigStore::new(dialect);
        let found: Vec<_> = files.iter().flat_map(|file| store.apply(file).diagnostics).collect();
        if found.iter().any(Diagnostic::is_error) {
            return Err(RunError::Manifests(found));
        }
    }
    Ok(())
}

impl Timeline {
    /// Sets the steps going, counted from `start`, where the scenario has any.
    pub(super) fn set_off(scenario: &Scenario, side: &Arc<dyn Side>, start: Instant) -> Self {
        let scenario = Arc::new(scenario.clone());
        let timeline = Self { side: side.clone(), scenario, start, state: Arc::default() };
        let keeper = side.keeper();
        if timeline.is_watched() {
            let own = timeline.clone();
            keeper.spawn.go(async move { own.watch().await });
        }
        if !timeline.scenario.steps.is_empty() {
            let own = timeline.clone();
            keeper.spawn.go(async move { own.walk().await });
        }
        if timeline.scenario.abort.is_some() {
            let own = timeline.clone();
            keeper.spawn.go(async move { own.guard().await });
        }
        timeline
    }

    /// Waits until the last step is over, or the run; nothing is noted after [`Timeline::seen`].
    pub(super) async fn end(&self) {
        let lasts: Duration = self.scenario.steps.iter().map(|step| step.duration).sum();
        let lasts = self.scenario.until.map_or(lasts, |until| lasts.min(until));
        self.clock().sleep_until(self.start + lasts).await;
    }

    /// What happened.
    ///
    /// Errs when a step's configuration was refused.
    pub(super) fn seen(&self) -> Result<Vec<Observation>, RunError> {
        let mut state = self.state();
        state.told = true;
        match state.refused.take() {
            Some(error) => Err(error),
            None => Ok(std::mem::take(&mut state.seen)),
        }
    }

    /// Whether anything asks how configuration arrives.
    fn is_watched(&self) -> bool {
        let asks = |demand: &Demand| matches!(demand, Demand::InSync(..));
        !self.scenario.steps.is_empty()
            || self.scenario.checks.iter().any(|check| asks(&check.demand) || check.scope.after.is_some())
    }

    /// Begins each step in its time.
    async fn walk(&self) {
        let mut at = self.start;
        for (number, step) in self.scenario.steps.iter().enumerate() {
            self.clock().sleep_until(at).await;
            let over = self.scenario.until.is_some_and(|until| at >= self.start + until);
            at = at + step.duration;
            if over || self.state().aborted {
                return;
            }
            if let Some(files) = &step.config {
                self.put_in_force(files);
            }
            self.note(Mark::Step(step.name.clone()));
            self.state().step = Some((number, false));
            self.look();
        }
    }

    fn put_in_force(&self, files: &[wavetank_control::config::SourceFile]) {
        let applied = self.side.replace_manifests(files);
        if applied.has_errors() {
            self.state().refused.get_or_insert(RunError::Manifests(applied.diagnostics));
        }
    }

    /// Notes how the proxies stand, again and again.
    async fn watch(&self) {
        while !self.state().told {
            self.look();
            self.clock().sleep(LOOK).await;
        }
    }

    /// Notes every proxy that took the newest configuration or fell behind since the last look.
    fn look(&self) {
        let cast = self.side.cast();
        let (who, at) = (Who::new(cast), self.clock().now());
        let now = self.side.in_sync();
        let mut state = self.state();
        for (pod, in_sync) in &now {
            if state.in_sync.insert(*pod, *in_sync) != Some(*in_sync) {
                let proxy = who.party(cast.pod(*pod));
                state.seen.push(Observation::Sync(Sync { at, proxy, in_sync: *in_sync }));
            }
        }
        if let Some((number, false)) = state.step
            && now.values().all(|in_sync| *in_sync)
        {
            state.step = Some((number, true));
            let name = self.scenario.steps[number].name.clone();
            state.seen.push(Observation::Mark(at, Mark::Converged(name)));
        }
    }

    /// Aborts the steps when the time has come.
    async fn guard(&self) {
        let Some(abort) = &self.scenario.abort else { return };
        let lasts: Duration = self.scenario.steps.iter().map(|step| step.duration).sum();
        let end = self.start + lasts;
        while self.clock().now() < end {
            self.clock().sleep(ABORT_LOOK).await;
            if !self.is_too_much(abort) {
                continue;
            }
            let Some((number, _)) = self.state().step else { continue };
            self.state().aborted = true;
            self.note(Mark::Aborted(self.scenario.steps[number].name.clone()));
            if let Some(files) = abort.config.get(number) {
                self.put_in_force(files);
            }
            return;
        }
    }

    /// Whether what an abort watches for has happened in the time that it looks back.
    fn is_too_much(&self, abort: &Abort) -> bool {
        let since = self.clock().now().since_start().saturating_sub(abort.window);
        let since = Instant::from_start(since).max(self.start);
        let records = in_order(self.side.records_since(since));
        let (mut count, mut total) = (0, 0);
        for entry in witness(self.side.cast(), &records, &[]) {
            if let Observation::Hop(hop) = entry
                && hop.at >= since
                && abort.edge.selects(&hop)
            {
                total += 1;
                count += u64::from(abort.class.has(hop.status));
            }
        }
        total >= abort.requests_min && abort.amount.accepts(count, total)
    }

    fn note(&self, mark: Mark) {
        let at = self.clock().now();
        self.state().seen.push(Observation::Mark(at, mark));
    }

    fn clock(&self) -> &dyn Clock {
        &*self.side.keeper().clock
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
