//! Which part of a run a check is about: times, and what happened in the run.

use std::sync::Arc;
use std::time::Duration;

use super::demand::{Scope, millis};
use crate::observe::{Mark, ObservationLog, Selector};

/// From (included) and to (excluded), since the scenario's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// From.
    pub from: Duration,
    /// To.
    pub to: Duration,
}

impl Window {
    /// Whether a time is in it.
    pub fn holds(self, at: Duration) -> bool {
        self.from <= at && at < self.to
    }
}

/// What must have happened before the part of the run that a check is about.
#[derive(Debug, Clone, PartialEq)]
pub struct After {
    /// What.
    pub event: Event,
    /// How long before.
    pub plus: Duration,
}

/// Something that happens in a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// This time has come.
    At(Duration),
    /// Every proxy has taken the configuration of this step.
    Converged(Arc<str>),
    /// The proxies of these workloads have taken the configuration of the step, or of the start.
    InSync(Selector),
    /// The steps were aborted.
    Aborted,
}

/// A step of the scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct StepScope {
    /// Its name.
    pub name: Arc<str>,
    /// When it begins.
    pub start: Duration,
    /// When it ends, unless it is aborted.
    pub end: Duration,
}

/// Why a check has no part of the run to be about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Missing {
    /// Its step was never reached, so there is nothing to judge.
    Skipped(String),
    /// What it waits for never happened.
    Never(String),
}

impl Scope {
    /// Whether the run did not come to the time that it is about, so that there is nothing to judge.
    pub fn is_skipped(&self, log: &ObservationLog) -> bool {
        matches!(self.window(log), Err(Missing::Skipped(_)))
    }

    /// The part of the run that it is about.
    pub(super) fn window(&self, log: &ObservationLog) -> Result<Window, Missing> {
        let (from, to) = self.between.unwrap_or((Duration::ZERO, Duration::MAX));
        let mut window = Window { from, to };
        let aborted = log.marks().find(|(_, mark)| matches!(mark, Mark::Aborted(_))).map(|(at, _)| at);
        if let Some(step) = &self.step {
            window = Window { from: window.from.max(step.start), to: window.to.min(step.end) };
            match aborted {
                Some(at) if at <= step.start => {
                    return Err(Missing::Skipped(format!("the steps were aborted before step `{}`", step.name)));
                }
                Some(at) => window.to = window.to.min(at),
                None => {}
            }
        }
        let Some(after) = &self.after else { return within(window, log) };
        within(window, log)?;
        let since = self.step.as_ref().map_or(Duration::ZERO, |step| step.start);
        let happened = match &after.event {
            Event::At(at) => Ok(*at),
            Event::Aborted => aborted.ok_or_else(|| Missing::Never("the steps were not aborted".to_owned())),
            Event::Converged(step) => {
                let is_it = |mark: &Mark| matches!(mark, Mark::Converged(own) if own == step);
                let found = log.marks().find(|(_, mark)| is_it(mark)).map(|(at, _)| at);
                found.ok_or_else(|| {
                    Missing::Never(format!("not every proxy took the configuration of step `{step}` in its time"))
                })
            }
            Event::InSync(of) => in_sync_at(log, of, since)
                .ok_or_else(|| Missing::Never(format!("the proxies of `{of}` never took the configuration"))),
        };
        window.from = window.from.max(happened?.saturating_add(after.plus));
        within(window, log)
    }
}

/// The part of a window before the run was ended.
fn within(window: Window, log: &ObservationLog) -> Result<Window, Missing> {
    match log.end() {
        Some(end) if window.from >= end => {
            Err(Missing::Skipped(format!("the run was ended at {}, before this", millis(end))))
        }
        Some(end) => Ok(Window { to: window.to.min(end), ..window }),
        None => Ok(window),
    }
}

/// When all proxies of these workloads had the newest configuration, at or after `since`.
pub(super) fn in_sync_at(log: &ObservationLog, of: &Selector, since: Duration) -> Option<Duration> {
    let mut behind: Vec<(&crate::observe::Party, bool)> = Vec::new();
    let mut since_then = None;
    let all_in = |state: &[(&crate::observe::Party, bool)]| !state.is_empty() && state.iter().all(|(_, own)| *own);
    for sync in log.syncs().filter(|sync| of.selects_party(&sync.proxy)) {
        let at = sync.at - log.start();
        if at > since && since_then.is_none() && all_in(&behind) {
            since_then = Some(since);
        }
        match behind.iter_mut().find(|(proxy, _)| **proxy == sync.proxy) {
            Some((_, own)) => *own = sync.in_sync,
            None => behind.push((&sync.proxy, sync.in_sync)),
        }
        if at >= since && since_then.is_none() && all_in(&behind) {
            since_then = Some(at);
        }
    }
    since_then.or_else(|| all_in(&behind).then_some(since))
}
