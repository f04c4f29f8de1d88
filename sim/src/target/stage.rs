//! The tank's side of a running world: breaking and mending what the engine simulates.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wavetank_control::config::SourceFile;
use wavetank_control::model::Applied;
use wavetank_platform::{BoxFuture, Instant, Platform, RandomStream};
use wavetank_proxy::record::Record;

use super::mesh::Mesh;
use super::outcome::RunError;
use super::side::{Seat, Side, Touched, directions};
use crate::engine::{Container, PodId, TankHandle};
use crate::fault::{Link, LinkBook, LinkChange};
use crate::world::app::Condition;
use crate::world::cast::{Cast, Role};
use crate::world::kubelet::{Kubelet, Roster};

/// How long a deleted pod's last packets have to reach their peers.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Everyone and everything of a running world.
pub(super) struct Stage {
    pub(super) tank: TankHandle,
    pub(super) cast: Arc<Cast>,
    pub(super) roster: Roster,
    pub(super) kubelet: Kubelet,
    pub(super) mesh: Arc<Mesh>,
    /// The process of someone outside the mesh.
    keeper: Platform,
    links: Mutex<LinkBook>,
}

impl Stage {
    pub(super) fn new(
        tank: TankHandle,
        cast: Arc<Cast>,
        roster: Roster,
        kubelet: Kubelet,
        mesh: Arc<Mesh>,
        links: LinkBook,
    ) -> Self {
        let keeper = tank.app_platform(roster.outside(0));
        Self { tank, cast, roster, kubelet, mesh, keeper, links: Mutex::new(links) }
    }

    fn links(&self) -> MutexGuard<'_, LinkBook> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts processes of a pod, which a probe finds ready.
    async fn start(&self, index: usize, containers: &[Container]) -> Result<(), RunError> {
        let (pod, place) = (self.cast.pod(index), self.roster.pod(index));
        for container in containers {
            match (container, &pod.role) {
                (Container::App, Role::App { .. }) => {
                    self.tank.restart_process(place, Container::App);
                    let started = self.kubelet.start_program(index).await;
                    started.map_err(|error| RunError::Internal(format!("{} did not start: {error}", pod.name)))?;
                }
                (Container::App, Role::ControlPlane) => {
                    let platform = self.tank.restart_process(place, Container::App);
                    self.mesh.restart_control(platform, &self.cast).await?;
                }
                (Container::Sidecar, _) if pod.has_proxy() => {
                    let platform = self.tank.restart_process(place, Container::Sidecar);
                    self.mesh.start_proxy(index, pod, platform)?;
                }
                _ => {}
            }
        }
        let is_ready = || !pod.has_proxy() || self.mesh.is_ready(index);
        self.kubelet.report_once_ready(pod.ip, is_ready).await;
        Ok(())
    }

    fn note_loss(&self, index: usize) {
        if self.cast.pod(index).role == Role::ControlPlane {
            self.mesh.lose_control();
        }
    }

    fn own_process(&self, index: usize) -> Container {
        if self.cast.pod(index).role == Role::Gateway { Container::Sidecar } else { Container::App }
    }
}

impl Stage {
    /// Kills all that runs in a pod, and cuts its power when the peers have heard; returns the connections that it had.
    async fn end(&self, place: PodId) -> u64 {
        let containers = [Container::App, Container::Sidecar];
        let touched: usize = containers.iter().map(|own| self.tank.kill_process(place, *own)).sum();
        self.tank.sleep(LAST_WORDS).await;
        self.tank.power_off(place);
        touched as u64
    }
}

impl Side for Stage {
    fn cast(&self) -> &Arc<Cast> {
        &self.cast
    }

    fn keeper(&self) -> &Platform {
        &self.keeper
    }

    fn replace_manifests(&self, files: &[SourceFile]) -> Applied {
        self.mesh.replace_manifests(files)
    }

    fn in_sync(&self) -> BTreeMap<usize, bool> {
        self.mesh.in_sync(&self.cast)
    }

    fn records_since(&self, since: Instant) -> Vec<Record> {
        self.mesh.records_since(since)
    }

    fn restart_delay(&self) -> Duration {
        self.kubelet.delays().restart
    }

    /// A probe finds the process gone.
    fn kill(&self, pod: usize) -> BoxFuture<'_, Result<u64, RunError>> {
        Box::pin(async move {
            let touched = self.tank.kill_process(self.roster.pod(pod), self.own_process(pod));
            self.note_loss(pod);
            self.kubelet.report(&[self.cast.pod(pod).ip], false).await;
            Ok(touched as u64)
        })
    }

    fn restart(&self, pod: usize) -> BoxFuture<'_, Result<(), RunError>> {
        Box::pin(async move { self.start(pod, &[self.own_process(pod)]).await })
    }

    /// A probe misses the pod.
    fn power_off(&self, pod: usize) -> BoxFuture<'_, Result<Touched, RunError>> {
        Box::pin(async move {
            let counter = self.tank.power_off(self.roster.pod(pod));
            self.note_loss(pod);
            self.kubelet.report(&[self.cast.pod(pod).ip], false).await;
            let touched: Touched = Box::new(move || counter.touched());
            Ok(touched)
        })
    }

    fn power_on(&self, pod: usize) -> BoxFuture<'_, Result<(), RunError>> {
        Box::pin(async move {
            self.tank.power_on(self.roster.pod(pod));
            self.tank.sleep(self.kubelet.delays().start).await;
            self.start(pod, &[Container::App, Container::Sidecar]).await
        })
    }

    fn delete(&self, index: usize) -> BoxFuture<'_, Result<u64, RunError>> {
        Box::pin(async move {
            let (pod, place) = (self.cast.pod(index), self.roster.pod(index));
            let deleted = self.tank.now();
            self.kubelet.set_absent(index, true).await;
            self.mesh.delete_pod(pod);
            self.tank.clock().sleep_until(deleted + self.kubelet.delays().termination).await;
            Ok(self.end(place).await)
        })
    }

    fn retire<'a>(&'a self, index: usize, touched: &'a AtomicU64) -> BoxFuture<'a, Result<(), RunError>> {
        Box::pin(async move {
            let (pod, place) = (self.cast.pod(index), self.roster.pod(index));
            let own = self.tank.census().into_iter().filter(|own| own.ip == IpAddr::V4(pod.ip));
            let streams: usize = own.map(|own| own.streams.len()).sum();
            touched.fetch_add(streams as u64, Ordering::Relaxed);
            let leaves = async {
                self.kubelet.set_absent(index, true).await;
                self.mesh.delete_pod(pod);
            };
            let clock = self.tank.clock();
            let ends = clock.timeout(self.kubelet.delays().grace, self.mesh.drain_proxy(index));
            let ((), _in_time) = tokio::join!(biased; leaves, ends);
            self.end(place).await;
            Ok(())
        })
    }

    fn start_fresh(&self, pod: usize) -> BoxFuture<'_, Result<(), RunError>> {
        Box::pin(async move {
            self.mesh.apply_pod(self.cast.pod(pod));
            self.kubelet.set_absent(pod, false).await;
            self.tank.sleep(self.kubelet.delays().start).await;
            self.start(pod, &[Container::App, Container::Sidecar]).await
        })
    }

    fn set_condition(
        &self,
        pod: usize,
        fault: usize,
        condition: Condition,
        random: RandomStream,
        touched: Arc<AtomicU64>,
    ) {
        self.kubelet.conditions(pod).add(fault, condition, random, touched);
    }

    fn end_condition(&self, pod: usize, fault: usize) {
        self.kubelet.conditions(pod).remove(fault);
    }

    fn cut(&self, fault: usize, link: &Link) {
        self.links().cut(&self.tank, fault, &ways(&self.cast, &self.roster, link));
    }

    fn worsen(&self, fault: usize, link: &Link, change: LinkChange) {
        self.links().change(&self.tank, fault, &ways(&self.cast, &self.roster, link), change);
    }

    fn mend(&self, fault: usize) {
        self.links().mend(&self.tank, fault);
    }

    fn packets_touched(&self, fault: usize) -> u64 {
        self.links().touched(fault)
    }
}

/// The directions that a link stands for, as places in a tank.
pub(super) fn ways(cast: &Cast, roster: &Roster, link: &Link) -> Vec<(PodId, PodId)> {
    let place = |seat| match seat {
        Seat::Pod(index) => roster.pod(index),
        Seat::Outside(index) => roster.outside(index),
    };
    let mut ways: Vec<_> = directions(cast, link).into_iter().map(|(from, to)| (place(from), place(to))).collect();
    ways.sort_unstable();
    ways.dedup();
    ways
}
