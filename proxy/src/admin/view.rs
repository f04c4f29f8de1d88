//! What can be seen of a process, and what can be asked of it: to drain, and to open its access logs anew.

use std::sync::Arc;
use std::time::Duration;

use wavetank_platform::{Clock, Instant, watch};

use super::app_metrics::Scraper;
use crate::bootstrap::{Bootstrap, Token};
use crate::process::{Process, WorkerView};
use crate::stats::envoy::{self, Stat};
use crate::stats::{LogCounts, WorkerStats, Workload};
use crate::tls::Secrets;

/// What is put instead of a secret.
const REDACTED: &str = "[redacted]";

/// A configuration that has no listener after this long has none: what xDS asks for is waited for no longer.
const LISTENERS_WITHIN: Duration = Duration::from_secs(15);

/// One process, seen from its admin ports.
pub struct View {
    pub(super) process: Arc<Process>,
    /// As it was started with, without its token.
    pub(super) bootstrap: Bootstrap,
    pub(super) workload: Workload,
    pub(super) clock: Arc<dyn Clock>,
    /// Asks the application for its metrics, where it has some.
    pub(super) scraper: Option<Scraper>,
    stats: Vec<Arc<WorkerStats>>,
    logs: Arc<LogCounts>,
    start: Instant,
    draining: watch::Sender<bool>,
    reopenings: watch::Sender<u64>,
}

impl View {
    /// Shows `process`, which was started with `bootstrap` and has a worker for each of `stats`; `logs` counts what
    /// becomes of its access logs.
    pub fn new(
        process: Arc<Process>,
        bootstrap: &Bootstrap,
        stats: Vec<Arc<WorkerStats>>,
        logs: Arc<LogCounts>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let mut shown = bootstrap.clone();
        if let Some(ca) = &mut shown.ca {
            ca.token = Token(REDACTED.to_owned());
        }
        let (workload, start) = (Workload::of(bootstrap), clock.now());
        let scraper = bootstrap.app_metrics.clone().map(Scraper::new);
        let (draining, reopenings) = (watch::Sender::new(false), watch::Sender::new(0));
        Self { process, bootstrap: shown, workload, clock, scraper, stats, logs, start, draining, reopenings }
    }

    /// Waits until somebody wants the process to drain.
    pub async fn drain_requested(&self) {
        let mut draining = self.draining.subscribe();
        let _requested = draining.wait_for(|draining| *draining).await;
    }

    /// Tells when somebody wants the access logs to be opened anew.
    pub fn reopenings(&self) -> watch::Receiver<u64> {
        self.reopenings.subscribe()
    }

    pub(super) fn reopen_logs(&self) {
        self.reopenings.send_modify(|count| *count += 1);
    }

    /// The process drains, or is to.
    pub fn drain(&self) {
        self.draining.send_replace(true);
    }

    pub(super) fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Whether every worker has a configuration and serves by it. Clusters come before listeners: until
    /// those would have come, a worker without a socket is still waiting for them.
    pub(super) fn is_ready(&self) -> bool {
        let workers = self.process.seen();
        let waited = self.clock.now().saturating_since(self.start) >= LISTENERS_WITHIN;
        let serves =
            |worker: &WorkerView| worker.listening.borrow().as_ref().is_some_and(|all| waited || !all.is_empty());
        workers.iter().all(serves) && workers.len() == self.stats.len() && !self.is_draining()
    }

    pub(super) fn secrets(&self) -> &Secrets {
        self.process.tls.secrets()
    }

    /// The counts of all workers together, and Envoy's statistics.
    pub(super) fn counted(&self) -> (crate::stats::Tables, Vec<Stat>) {
        let mut counts = crate::stats::Tables::default();
        for worker in &self.stats {
            counts.add(&worker.copied());
        }
        let uptime = self.clock.now().saturating_since(self.start);
        let stats = envoy::gather(&self.process, &counts, &self.logs, uptime, self.is_draining());
        (counts, stats)
    }
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View").field("process", &self.process).finish_non_exhaustive()
    }
}
