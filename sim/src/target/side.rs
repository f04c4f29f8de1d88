//! A running world as a scenario's timeline works on it, wherever it runs: breaking, mending and changing it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use wavetank_control::config::SourceFile;
use wavetank_control::model::Applied;
use wavetank_platform::{BoxFuture, Instant, Platform, RandomStream};
use wavetank_proxy::record::Record;

use super::outcome::RunError;
use super::who::Who;
use crate::fault::{Link, LinkChange};
use crate::observe::Selector;
use crate::world::app::Condition;
use crate::world::cast::Cast;

/// A number of things touched so far, and growing.
pub(super) type Touched = Box<dyn Fn() -> u64 + Send + Sync>;

/// A running world. Pods go by their numbers in the cast.
pub(super) trait Side: Send + Sync {
    /// Who is in it.
    fn cast(&self) -> &Arc<Cast>;

    /// Where the schedule is kept: someone whom no fault reaches.
    fn keeper(&self) -> &Platform;

    /// Puts other manifests in force, in place of the user's before.
    fn replace_manifests(&self, files: &[SourceFile]) -> Applied;

    /// Which pods' proxies have the newest manifests, as the control plane knows.
    fn in_sync(&self) -> BTreeMap<usize, bool>;

    /// Copies of the records of what began at `since` or later and has ended.
    fn records_since(&self, since: Instant) -> Vec<Record>;

    /// What passes between a process's death and its restart, where nobody says how long.
    fn restart_delay(&self) -> Duration;

    /// Ends the process that a pod is for: its program or, in a gateway, its proxy. Returns the number of connections
    /// that it had, or more.
    fn kill(&self, pod: usize) -> BoxFuture<'_, Result<u64, RunError>>;

    /// Starts the process again that [`kill`](Self::kill) ended.
    fn restart(&self, pod: usize) -> BoxFuture<'_, Result<(), RunError>>;

    /// Cuts a pod's power, without a word to anyone. What it returns counts the packets that are sent to it.
    fn power_off(&self, pod: usize) -> BoxFuture<'_, Result<Touched, RunError>>;

    /// Gives a pod its power back, and starts all that ran in it.
    fn power_on(&self, pod: usize) -> BoxFuture<'_, Result<(), RunError>>;

    /// Deletes a pod: it leaves its Services at once, and its processes end after their termination time. Returns the
    /// number of connections that they had, or more.
    fn delete(&self, pod: usize) -> BoxFuture<'_, Result<u64, RunError>>;

    /// Ends a pod in good order: it leaves its Services, and at the same time its proxy is told to drain; when that has,
    /// all of it ends. Adds the number of connections that it has at first, or more, to `touched` before it waits.
    fn retire<'a>(&'a self, pod: usize, touched: &'a AtomicU64) -> BoxFuture<'a, Result<(), RunError>>;

    /// Starts a fresh pod; returns when it is ready and its Services know it.
    fn start_fresh(&self, pod: usize) -> BoxFuture<'_, Result<(), RunError>>;

    /// Puts a pod's program under a condition, for fault number `fault`; `touched` counts the requests it touches.
    fn set_condition(
        &self,
        pod: usize,
        fault: usize,
        condition: Condition,
        random: RandomStream,
        touched: Arc<AtomicU64>,
    );

    /// Ends the condition that fault number `fault` put a pod's program under.
    fn end_condition(&self, pod: usize, fault: usize);

    /// Lets no packet pass a link, for fault number `fault`.
    fn cut(&self, fault: usize, link: &Link);

    /// Makes a link worse, for fault number `fault`.
    fn worsen(&self, fault: usize, link: &Link, change: LinkChange);

    /// Ends what fault number `fault` did to links.
    fn mend(&self, fault: usize);

    /// Packets that fault number `fault` touched so far on links.
    fn packets_touched(&self, fault: usize) -> u64;
}

/// The numbers of the pods of the start that a name selects.
pub(super) fn pods(cast: &Cast, name: &Selector) -> Vec<usize> {
    let who = Who::new(cast);
    let selected = cast.pods.iter().enumerate().filter(|(_, pod)| name.selects_party(&who.party(pod)));
    selected.map(|(index, _)| index).collect()
}

/// Whether a name selects anyone: a pod of the start, or a caller outside.
pub(super) fn is_someone(cast: &Cast, name: &Selector) -> bool {
    cast.outside().any(|(outside, _)| name.name() == Some(outside)) || !pods(cast, name).is_empty()
}

/// Someone who has a place in the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Seat {
    /// The pod of this number, fresh ones too.
    Pod(usize),
    /// The caller outside of this number.
    Outside(usize),
}

/// Everyone whom a name selects.
pub(super) fn seats(cast: &Cast, name: &Selector) -> Vec<Seat> {
    let who = Who::new(cast);
    let pods = cast.all_pods().enumerate().filter(|(_, pod)| name.selects_party(&who.party(pod)));
    let outside = cast.outside().enumerate().filter(|(_, (_, ip))| name.selects_party(&who.party_at((*ip).into())));
    let pods = pods.map(|(index, _)| Seat::Pod(index));
    pods.chain(outside.map(|(index, _)| Seat::Outside(index))).collect()
}

/// The directions that a link stands for, from and to, those within a pod left out.
pub(super) fn directions(cast: &Cast, link: &Link) -> Vec<(Seat, Seat)> {
    let ends = [&link.a, &link.b].map(|end| seats(cast, end));
    let mut ways = Vec::new();
    for a in &ends[0] {
        for b in ends[1].iter().filter(|b| *b != a) {
            ways.push((*a, *b));
            if link.both {
                ways.push((*b, *a));
            }
        }
    }
    ways
}
