//! Links that are unlike the rest of the network, for the whole run.

use wavetank_control::diagnostic::Diagnostic;

use super::faults::nobody;
use super::outcome::RunError;
use super::side::is_someone;
use super::stage::ways;
use crate::engine::{LinkConfig, TankHandle};
use crate::fault::LinkBook;
use crate::scenario::{Network, OwnLink, Scenario};
use crate::world::cast::Cast;
use crate::world::kubelet::Roster;

/// Whether both ends of every such link are there.
///
/// Errs with all that are not.
pub(super) fn admit(scenario: &Scenario, cast: &Cast) -> Result<(), RunError> {
    let mut wrong: Vec<Diagnostic> = Vec::new();
    for own in &scenario.links {
        let missing = [&own.link.a, &own.link.b].into_iter().find(|end| !is_someone(cast, end));
        wrong.extend(missing.map(|end| nobody(&own.asked_at, own.width, &format!("link: `{end}` is nobody here"))));
    }
    if wrong.is_empty() { Ok(()) } else { Err(RunError::Manifests(wrong)) }
}

/// A link of the network.
pub(super) fn link(network: &Network) -> LinkConfig {
    LinkConfig {
        latency: network.latency,
        jitter: network.jitter,
        loss: network.loss_percent / 100.0,
        bandwidth: network.bandwidth,
    }
}

/// The links of the run, with those set that are unlike the others. Of two that are about one direction, the
/// later has its way in what it gives.
pub(super) fn set(scenario: &Scenario, cast: &Cast, tank: &TankHandle, roster: &Roster) -> LinkBook {
    let mut book = LinkBook::new(link(&scenario.network));
    for own in &scenario.links {
        for way in ways(cast, roster, &own.link) {
            book.set_own(tank, way, laid_over(own, book.own(way)));
        }
    }
    book
}

/// What a link is like that is as `below` where it does not say.
pub(super) fn laid_over(own: &OwnLink, below: LinkConfig) -> LinkConfig {
    LinkConfig {
        latency: own.latency.unwrap_or(below.latency),
        jitter: own.jitter.unwrap_or(below.jitter),
        loss: own.loss_percent.map_or(below.loss, |percent| percent / 100.0),
        bandwidth: own.bandwidth.or(below.bandwidth),
    }
}
