//! The running world as a scenario's timeline works on it: who is meant by a name, and breaking and mending
//! them.

use std::sync::Arc;
use std::time::Duration;

use super::mesh::Mesh;
use super::outcome::RunError;
use super::who::Who;
use crate::engine::{Container, FaultCounter, PodId, TankHandle};
use crate::observe::Selector;
use crate::world::cast::{Cast, Role};
use crate::world::kubelet::{Kubelet, Roster};

/// How long a deleted pod's last packets have to reach their peers.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Everyone and everything of a running world. Cheap to clone; clones are the same world.
#[derive(Clone)]
pub(super) struct Stage {
    pub(super) tank: TankHandle,
    pub(super) cast: Arc<Cast>,
    pub(super) roster: Roster,
    pub(super) kubelet: Kubelet,
    pub(super) mesh: Arc<Mesh>,
}

impl Stage {
    /// The numbers of the pods of the start that a name selects.
    pub(super) fn pods(cast: &Cast, name: &Selector) -> Vec<usize> {
        let who = Who::new(cast);
        let selected = cast.pods.iter().enumerate().filter(|(_, pod)| name.selects_party(&who.party(pod)));
        selected.map(|(index, _)| index).collect()
    }

    /// Whether a name selects anyone: a pod of the start, or a caller outside.
    pub(super) fn is_someone(cast: &Cast, name: &Selector) -> bool {
        cast.outside().any(|(outside, _)| name.name() == Some(outside)) || !Self::pods(cast, name).is_empty()
    }

    /// The places of everyone whom a name selects: pods, fresh ones too, and callers outside.
    pub(super) fn places(cast: &Cast, roster: &Roster, name: &Selector) -> Vec<PodId> {
        let who = Who::new(cast);
        let pods = cast.all_pods().enumerate().filter(|(_, pod)| name.selects_party(&who.party(pod)));
        let outside = cast.outside().enumerate().filter(|(_, (_, ip))| name.selects_party(&who.party_at((*ip).into())));
        let pods = pods.map(|(index, _)| roster.pod(index));
        pods.chain(outside.map(|(index, _)| roster.outside(index))).collect()
    }

    /// Kills the process that a pod is for, its program or, in a gateway, its proxy; a probe finds it gone.
    /// Returns the number of connections that it had.
    pub(super) async fn kill(&self, index: usize) -> u64 {
        let touched = self.tank.kill_process(self.roster.pod(index), self.own_process(index));
        self.note_loss(index);
        self.kubelet.report(&[self.cast.pod(index).ip], false).await;
        touched as u64
    }

    /// Starts the process again that [`kill`](Self::kill) ended.
    pub(super) async fn restart(&self, index: usize) -> Result<(), RunError> {
        self.start(index, &[self.own_process(index)]).await
    }

    /// Cuts a pod's power; a probe misses it. The counter counts the packets that are sent to it.
    pub(super) async fn power_off(&self, index: usize) -> FaultCounter {
        let counter = self.tank.power_off(self.roster.pod(index));
        self.note_loss(index);
        self.kubelet.report(&[self.cast.pod(index).ip], false).await;
        counter
    }

    /// Gives a pod its power back, and starts all that ran in it.
    pub(super) async fn power_on(&self, index: usize) -> Result<(), RunError> {
        self.tank.power_on(self.roster.pod(index));
        self.tank.sleep(self.kubelet.delays().start).await;
        self.start(index, &[Container::App, Container::Sidecar]).await
    }

    /// Deletes a pod: it leaves its Services at once, and its processes end after their termination time.
    /// Returns the number of connections that they had.
    pub(super) async fn delete(&self, index: usize) -> u64 {
        let (pod, place) = (self.cast.pod(index), self.roster.pod(index));
        let deleted = self.tank.now();
        self.kubelet.set_absent(index, true).await;
        self.mesh.delete_pod(pod);
        self.tank.clock().sleep_until(deleted + self.kubelet.delays().termination).await;
        let containers = [Container::App, Container::Sidecar];
        let touched: usize = containers.iter().map(|own| self.tank.kill_process(place, *own)).sum();
        self.tank.sleep(LAST_WORDS).await;
        self.tank.power_off(place);
        touched as u64
    }

    /// Starts the fresh pod of this number.
    pub(super) async fn start_fresh(&self, index: usize) -> Result<(), RunError> {
        self.mesh.apply_pod(self.cast.pod(index));
        self.kubelet.set_absent(index, false).await;
        self.tank.sleep(self.kubelet.delays().start).await;
        self.start(index, &[Container::App, Container::Sidecar]).await
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
        self.kubelet.report(&[pod.ip], true).await;
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
