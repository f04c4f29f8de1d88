//! Breaking, mending and changing a live world.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wavetank_control::config::SourceFile;
use wavetank_control::model::{Applied, ConfigStore};
use wavetank_platform::{BoxFuture, Instant, Platform, RandomStream};
use wavetank_proxy::record::{Provenance, Record};

use super::super::mesh::node_id;
use super::super::outcome::RunError;
use super::super::side::{Side, Touched};
use super::links::Way;
use super::network::Host;
use super::world::{World, broken, lock};
use crate::fault::{Link, LinkChange};
use crate::world::app::Condition;
use crate::world::cast::{Cast, Role};

/// A world that may be shared with what happens to it.
#[derive(Clone)]
pub(super) struct Live(pub(super) Arc<World>);

impl Live {
    /// All records so far, with the names that the user knows of files.
    pub(super) fn records(&self) -> Result<Vec<Record>, RunError> {
        let mut all = Vec::new();
        for pod in &self.0.pods {
            for book in &mut lock(pod).sidecar.books {
                book.update().map_err(|error| broken("records", &error))?;
                all.extend(book.records().iter().cloned());
            }
        }
        let api = lock(&self.0.api);
        for record in &mut all {
            let decision = &mut record.decision;
            for from in [
                &mut decision.virtual_host_from,
                &mut decision.route_from,
                &mut decision.arm_from,
                &mut decision.cluster_from,
            ] {
                if let Some(Provenance { file, .. }) = from
                    && let Some(told) = api.told(file)
                {
                    *file = told.clone();
                }
            }
        }
        Ok(all)
    }

    /// Ends the process that a pod is for; returns the connections that its pod had.
    fn end_own(&self, pod: usize) -> u64 {
        let touched = connections(self.0.host(pod));
        let mut own = self.0.pod(pod);
        match self.0.cast.pod(pod).role {
            Role::App { .. } => own.app.end(),
            Role::Gateway => own.sidecar.process = None,
            Role::ControlPlane => own.control = None,
        }
        touched
    }

    /// Ends every process of a pod.
    fn end_all(&self, pod: usize) -> u64 {
        let touched = self.end_own(pod);
        let mut own = self.0.pod(pod);
        own.app.end();
        (own.sidecar.process, own.control) = (None, None);
        touched
    }

    fn ways(&self, link: &Link) -> Vec<Way> {
        self.0.ways(link).into_iter().map(|(from, to)| (Some(from), Some(to))).collect()
    }

    /// Cuts everything from and to a pod.
    fn isolate(&self, pod: usize) -> Result<(), RunError> {
        let ip = Some(self.0.cast.pod(pod).ip);
        let node = &self.0.network.node;
        let into = self.0.links.cut(node, &powerless(pod, "in"), &[(None, ip)]);
        let out = self.0.links.cut(node, &powerless(pod, "out"), &[(ip, None)]);
        into.and(out).map_err(|error| broken("a pod cannot be cut off", &error))
    }
}

/// The chain that keeps packets from or to a pod without power.
fn powerless(pod: usize, way: &str) -> String {
    format!("power-{pod}-{way}")
}

fn chain(fault: usize) -> String {
    format!("fault-{fault}")
}

/// Connections that are established in a pod's network; none where that cannot be told.
fn connections(host: &Host) -> u64 {
    // The thread's own view: the process has not moved.
    let read = |table: &str| fs::read_to_string(format!("/proc/thread-self/net/{table}"));
    let tables = host.namespace.within(|| Ok([read("tcp")?, read("tcp6")?])).unwrap_or_default();
    let is_established = |line: &&str| line.split_whitespace().nth(3) == Some("01");
    tables.iter().map(|table| table.lines().filter(is_established).count() as u64).sum()
}

impl Side for Live {
    fn cast(&self) -> &Arc<Cast> {
        &self.0.cast
    }

    fn keeper(&self) -> &Platform {
        &self.0.door
    }

    fn replace_manifests(&self, files: &[SourceFile]) -> Applied {
        let mut store = ConfigStore::new(self.0.dialect);
        let mut whole = Applied::default();
        for file in files {
            let applied = store.apply(file);
            whole.changed.extend(applied.changed);
            whole.diagnostics.extend(applied.diagnostics);
        }
        if whole.has_errors() {
            return whole;
        }
        let written = {
            let mut api = lock(&self.0.api);
            api.set_manifests(files);
            api.publish()
        };
        match written {
            Ok(version) => {
                let mut standing = self.0.standing();
                (standing.wanted, standing.newest) = (version, None);
            }
            Err(error) => tracing::error!(%error, "manifests cannot be written"),
        }
        whole
    }

    fn in_sync(&self) -> BTreeMap<usize, bool> {
        let newest = self.0.standing().newest;
        let status = self.0.watch.status();
        let proxies = status.iter().flat_map(|status| &status.proxies);
        let settled: BTreeMap<_, _> = proxies.map(|own| (own.node.as_str(), own)).collect();
        let is_in_sync = |node: &str| match (newest, settled.get(node)) {
            (Some(newest), Some(own)) => own.connected && own.settled.is_some_and(|settled| settled >= newest),
            _ => false,
        };
        self.0.proxied().map(|(index, pod)| (index, is_in_sync(&node_id(pod)))).collect()
    }

    fn records_since(&self, since: Instant) -> Vec<Record> {
        let records = self.records().unwrap_or_default();
        records.into_iter().filter(|record| record.start >= since).collect()
    }

    fn restart_delay(&self) -> Duration {
        self.0.delays.restart
    }

    fn kill(&self, pod: usize) -> BoxFuture<'_, Result<u64, RunError>> {
        Box::pin(async move {
            let touched = self.end_own(pod);
            self.0.report(&[self.0.cast.pod(pod).ip], false).await?;
            Ok(touched)
        })
    }

    fn restart(&self, pod: usize) -> BoxFuture<'_, Result<(), RunError>> {
        Box::pin(async move {
            self.0.start_pod(pod, true).await?;
            self.0.report(&[self.0.cast.pod(pod).ip], true).await
        })
    }

    fn power_off(&self, pod: usize) -> BoxFuture<'_, Result<Touched, RunError>> {
        Box::pin(async move {
            // Nobody hears of the processes' end.
            self.isolate(pod)?;
            self.end_all(pod);
            self.0.report(&[self.0.cast.pod(pod).ip], false).await?;
            let own = self.clone();
            let touched: Touched = Box::new(move || own.0.links.touched(&own.0.network.node, &powerless(pod, "in")));
            Ok(touched)
        })
    }

    fn power_on(&self, pod: usize) -> BoxFuture<'_, Result<(), RunError>> {
        Box::pin(async move {
            for way in ["in", "out"] {
                let mended = self.0.links.mend(&self.0.network.node, &powerless(pod, way));
                mended.map_err(|error| broken("a pod stays cut off", &error))?;
            }
            self.0.door.clock.sleep(self.0.delays.start).await;
            self.0.start_pod(pod, false).await?;
            self.0.report(&[self.0.cast.pod(pod).ip], true).await
        })
    }

    fn delete(&self, pod: usize) -> BoxFuture<'_, Result<u64, RunError>> {
        Box::pin(async move {
            let deleted = self.0.door.clock.now();
            lock(&self.0.api).delete_pod(self.0.cast.pod(pod));
            self.0.set_absent(pod, true).await?;
            self.0.door.clock.sleep_until(deleted + self.0.delays.termination).await;
            Ok(self.end_all(pod))
        })
    }

    fn retire<'a>(&'a self, pod: usize, touched: &'a AtomicU64) -> BoxFuture<'a, Result<(), RunError>> {
        Box::pin(async move {
            touched.fetch_add(connections(self.0.host(pod)), Ordering::Relaxed);
            lock(&self.0.api).delete_pod(self.0.cast.pod(pod));
            let (left, drained) =
                tokio::join!(biased; self.0.set_absent(pod, true), super::sidecar::drain(&self.0, pod));
            self.end_all(pod);
            left.and(drained.map_err(|error| broken("a proxy does not drain", &error)))
        })
    }

    fn start_fresh(&self, pod: usize) -> BoxFuture<'_, Result<(), RunError>> {
        Box::pin(async move {
            lock(&self.0.api).add_pod(self.0.cast.pod(pod));
            self.0.set_absent(pod, false).await?;
            self.0.door.clock.sleep(self.0.delays.start).await;
            self.0.start_pod(pod, false).await?;
            self.0.report(&[self.0.cast.pod(pod).ip], true).await
        })
    }

    fn set_condition(
        &self,
        pod: usize,
        fault: usize,
        condition: Condition,
        mut random: RandomStream,
        touched: Arc<AtomicU64>,
    ) {
        self.0.pod(pod).app.set_condition(fault, condition, random.next_u64(), touched);
    }

    fn end_condition(&self, pod: usize, fault: usize) {
        self.0.pod(pod).app.end_condition(fault);
    }

    fn cut(&self, fault: usize, link: &Link) {
        self.0.note(self.0.links.cut(&self.0.network.node, &chain(fault), &self.ways(link)));
    }

    fn worsen(&self, fault: usize, link: &Link, change: LinkChange) {
        // Whoever asks for this has lanes.
        let Some(lanes) = &self.0.lanes else { return };
        self.0.note(lanes.change(&self.0.network.node, fault, &self.0.ways(link), change));
    }

    fn mend(&self, fault: usize) {
        self.0.note(self.0.links.mend(&self.0.network.node, &chain(fault)));
        if let Some(lanes) = &self.0.lanes {
            lanes.mend(fault);
        }
    }

    fn packets_touched(&self, fault: usize) -> u64 {
        let slow = self.0.lanes.as_ref().map_or(0, |lanes| lanes.touched(fault));
        slow + self.0.links.touched(&self.0.network.node, &chain(fault))
    }
}
