//! Outlier detection of one cluster at work: its book, what its balancer was told, and the timer of its
//! sweeps. What is decided is decided in [`crate::cluster::outlier`] and [`crate::cluster::health`].

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use wavetank_platform::spawn::OwnedTask;
use wavetank_platform::{Instant, Platform, RandomStream};

use crate::cluster::health::Told;
use crate::cluster::outlier::{Book, Change, Outcome};
use crate::ejection::{Ejection, EjectionAction};
use crate::record::Recorder;
use crate::snapshot::outlier::OutlierDetection;
use crate::snapshot::{Assignment, Cluster};

/// Who reports ejections, and to whom.
#[derive(Clone)]
pub(crate) struct Reporter {
    /// Node id.
    pub(crate) node: Arc<str>,
    /// Where ejections go.
    pub(crate) recorder: Arc<dyn Recorder>,
}

/// One cluster's outlier detection. Clones share it.
#[derive(Clone)]
pub(crate) struct Outliers(Arc<Inner>);

struct Inner {
    platform: Platform,
    reporter: Reporter,
    cluster: Arc<str>,
    /// Whether detection is configured: most clusters have none, and their requests ask nothing more.
    is_on: AtomicBool,
    state: Mutex<State>,
}

struct State {
    /// Of the configuration known last; older ones, which requests under way still see, change nothing.
    version: u64,
    /// As it was configured last, where it has detection.
    configured: Option<Arc<Cluster>>,
    detection: Option<Detection>,
    merge_window: Duration,
    /// `None` until the first are known.
    endpoints: Option<Arc<Assignment>>,
    book: Book,
    told: Told,
    /// What the balancer picks from while the key holds: the endpoints known, and what it was told.
    view: Option<(Arc<Assignment>, u64, Arc<Assignment>)>,
    random: RandomStream,
}

/// Detection that is configured.
struct Detection {
    config: Arc<OutlierDetection>,
    /// Sweeps come at whole intervals from here.
    since: Instant,
    /// Runs while a sweep could change anything.
    sweeping: Option<OwnedTask>,
}

impl Outliers {
    /// Nothing known yet of `cluster`.
    pub(crate) fn new(platform: Platform, reporter: Reporter, cluster: Arc<str>) -> Self {
        let state = Mutex::new(State {
            version: 0,
            configured: None,
            detection: None,
            merge_window: Duration::ZERO,
            endpoints: None,
            book: Book::default(),
            told: Told::default(),
            view: None,
            random: platform.entropy.stream_named(&format!("outlier/{cluster}")),
        });
        Self(Arc::new(Inner { platform, reporter, cluster, is_on: AtomicBool::new(false), state }))
    }

    /// The cluster is configured like this, and has these endpoints, as of configuration `version`.
    ///
    /// A cluster that is configured differently from before, in whatever, begins with an empty book, for Envoy
    /// then makes it anew.
    pub(crate) fn configure(&self, version: u64, cluster: &Arc<Cluster>, endpoints: &Arc<Assignment>) {
        if !self.is_on() && cluster.outlier_detection.is_none() {
            return;
        }
        let mut state = self.state();
        let same = state.configured.as_ref().is_some_and(|known| Arc::ptr_eq(known, cluster));
        let known = same && state.endpoints.as_ref().is_some_and(|known| Arc::ptr_eq(known, endpoints));
        if version < state.version || known {
            return;
        }
        let now = self.now();
        state.settle(now);
        state.version = version;
        state.merge_window = cluster.update_merge_window;
        if !same {
            state.configure_detection(cluster, now);
        }
        self.0.is_on.store(state.detection.is_some(), Ordering::Relaxed);
        if state.detection.is_some() {
            state.set_endpoints(endpoints, now);
        }
    }

    /// `endpoints` as the balancer knows them: those it takes for ejected are not healthy.
    pub(crate) fn known_to_balancer(&self, endpoints: &Arc<Assignment>) -> Arc<Assignment> {
        if !self.is_on() {
            return endpoints.clone();
        }
        let mut state = self.state();
        state.settle(self.now());
        let (ejected, generation) = state.told.ejected();
        if ejected.is_empty() {
            return endpoints.clone();
        }
        if let Some((of, as_of, view)) = &state.view
            && *as_of == generation
            && Arc::ptr_eq(of, endpoints)
        {
            return view.clone();
        }
        let view = Arc::new(endpoints.without(|address| ejected.contains(&address)));
        state.view = Some((endpoints.clone(), generation, view.clone()));
        view
    }

    /// The endpoints that are out now.
    pub(crate) fn ejected(&self) -> BTreeSet<SocketAddr> {
        if self.is_on() { self.state().book.ejected() } else { BTreeSet::new() }
    }

    /// An attempt at `endpoint` went like this.
    pub(crate) fn note(&self, endpoint: SocketAddr, outcome: Outcome) {
        if !self.is_on() {
            return;
        }
        let mut state = self.state();
        let Some(config) = state.detection.as_ref().map(|detection| detection.config.clone()) else { return };
        let now = self.now();
        state.settle(now);
        let State { book, random, .. } = &mut *state;
        let changes = book.note(&config, endpoint, outcome, now, random);
        state.health_changed(&changes, now);
        self.sweep_as_needed(&mut state);
        drop(state);
        self.report(changes, now);
    }

    /// One sweep.
    fn sweep(&self) {
        let mut state = self.state();
        let Some(config) = state.detection.as_ref().map(|detection| detection.config.clone()) else { return };
        let now = self.now();
        state.settle(now);
        let State { book, random, .. } = &mut *state;
        let changes = book.sweep(&config, now, random);
        state.health_changed(&changes, now);
        drop(state);
        self.report(changes, now);
    }

    /// Sweeps at every whole interval until nothing is left that one could change.
    fn sweep_as_needed(&self, state: &mut State) {
        let needed = state.book.needs_sweep();
        let Some(detection) = state.detection.as_mut().filter(|_| needed) else { return };
        if detection.sweeping.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        let (weak, clock) = (Arc::downgrade(&self.0), self.0.platform.clock.clone());
        let (since, interval) = (detection.since, detection.config.interval);
        let sweeping = async move {
            loop {
                clock.sleep(until_sweep(since, interval, clock.now())).await;
                let Some(outliers) = Weak::upgrade(&weak).map(Self) else { return };
                outliers.sweep();
                let mut state = outliers.state();
                if !state.book.needs_sweep() {
                    if let Some(detection) = &mut state.detection {
                        detection.sweeping = None;
                    }
                    return;
                }
            }
        };
        detection.sweeping = Some(self.0.platform.spawn.go(sweeping).abort_on_drop());
    }

    fn report(&self, changes: Vec<Change>, now: Instant) {
        for change in changes {
            self.0.reporter.recorder.ejection(Ejection {
                node: self.0.reporter.node.clone(),
                at: now,
                cluster: self.0.cluster.clone(),
                endpoint: change.endpoint,
                action: change.action,
                ejections: change.ejections,
                since_last_action: change.since_last_action,
            });
        }
    }

    fn is_on(&self) -> bool {
        self.0.is_on.load(Ordering::Relaxed)
    }

    fn now(&self) -> Instant {
        self.0.platform.clock.now()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn settle(&mut self, now: Instant) {
        let Self { told, book, .. } = self;
        told.settle(now, || book.ejected());
    }

    fn configure_detection(&mut self, cluster: &Arc<Cluster>, now: Instant) {
        if self.configured.replace(cluster.clone()).is_some_and(|known| known == *cluster) {
            return;
        }
        (self.book, self.told, self.view, self.endpoints) = (Book::default(), Told::default(), None, None);
        let wanted = cluster.outlier_detection.as_ref();
        self.detection = wanted.map(|config| Detection { config: config.clone(), since: now, sweeping: None });
    }

    fn set_endpoints(&mut self, endpoints: &Arc<Assignment>, now: Instant) {
        let first = self.endpoints.is_none();
        let changed = self.book.set_endpoints(endpoints.endpoints().iter().map(|endpoint| endpoint.address));
        self.endpoints = Some(endpoints.clone());
        match changed {
            // The first endpoints of a cluster come with the cluster, and open no window.
            true if first => {}
            true => self.told.endpoints_changed(now, self.book.ejected()),
            false => self.told.health_changed(now, self.merge_window, self.book.ejected()),
        }
    }

    /// Tells of `changes` one after another, as Envoy does: of several at once the first is told now, alone.
    fn health_changed(&mut self, changes: &[Change], now: Instant) {
        let changes: Vec<&Change> = changes.iter().filter(|change| change.is_of_health()).collect();
        if changes.is_empty() {
            return;
        }
        let put = |out: &mut BTreeSet<SocketAddr>, change: &Change, is_out: bool| match is_out {
            true => out.insert(change.endpoint),
            false => out.remove(&change.endpoint),
        };
        let mut current = self.book.ejected();
        for change in changes.iter().rev() {
            put(&mut current, change, change.action == EjectionAction::Uneject);
        }
        for change in changes {
            put(&mut current, change, change.action != EjectionAction::Uneject);
            self.told.health_changed(now, self.merge_window, current.clone());
        }
    }
}

/// Time until the next whole interval since `since`.
fn until_sweep(since: Instant, interval: Duration, now: Instant) -> Duration {
    let into = now.saturating_since(since).as_nanos() % interval.as_nanos().max(1);
    interval.saturating_sub(Duration::from_nanos(u64::try_from(into).unwrap_or(u64::MAX)))
}

impl std::fmt::Debug for Outliers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outliers").field("cluster", &self.0.cluster).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
