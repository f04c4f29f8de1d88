//! After a run: time passes until everything has settled, and what is left is counted.
//!
//! Minutes and hours pass at one stroke, so this costs no more than the packets that end what idles.

use std::time::Duration;

use wavetank_proxy::snapshot::Snapshot;
use wavetank_proxy::snapshot::listener::Handler;

use super::stage::Stage;
use super::standing::behind;
use crate::engine::Holdings;
use crate::explain::{Book, Remains};

/// Longer than a request may go without progress, by Envoy's default of five minutes.
const REQUESTS_END: Duration = Duration::from_secs(6 * 60);
/// Envoy's idle timeout of connections.
const IDLE_DEFAULT: Duration = Duration::from_secs(3600);
/// A longer idle timeout is as good as none.
const IDLE_MAX: Duration = Duration::from_secs(30 * 86_400);
/// Time for last words, and for a stream to the control plane that was lost to come back: a probe without
/// an answer ends it after 10 s, connecting takes as long at most.
const SETTLE: Duration = Duration::from_secs(45);
/// Between two looks at the same thing: what is seen twice stays.
const BETWEEN: Duration = Duration::from_secs(5);

/// Waits, and says what is left. `changed`: the configuration changed after traffic began.
pub(super) async fn aftermath(stage: &Stage, book: &Book, at_start: Vec<Holdings>, changed: bool) -> Remains {
    let tank = &stage.tank;
    let control_plane = stage.cast.control_plane().map(|pod| pod.ip.into()).collect();
    if at_start.is_empty() {
        return Remains::default();
    }
    tank.skip(REQUESTS_END).await;
    tank.sleep(SETTLE).await;
    let quiet = lasting(stage).await;
    let idle = match longest_idle(book) {
        None => None,
        Some(longest) => {
            // What was under way at the first stroke idles from then on.
            for _ in 0..2 {
                tank.skip(longest + BETWEEN).await;
                tank.sleep(SETTLE).await;
            }
            Some(lasting(stage).await)
        }
    };
    Remains { at_start, quiet, idle, control_plane, behind: behind(stage, changed) }
}

/// What each process of a pod holds now. Callers outside are left out: they run the scenario itself.
pub(super) fn census(stage: &Stage) -> Vec<Holdings> {
    let is_pod = |own: &Holdings| stage.cast.pod_at(own.ip).is_some();
    stage.tank.census().into_iter().filter(is_pod).collect()
}

/// What each process holds at two looks.
async fn lasting(stage: &Stage) -> Vec<Holdings> {
    let before = census(stage);
    stage.tank.sleep(BETWEEN).await;
    let mut now = census(stage);
    for own in &mut now {
        let same = before.iter().find(|old| (old.ip, old.container) == (own.ip, own.container));
        own.tasks = own.tasks.min(same.map_or(0, |old| old.tasks));
        own.streams.retain(|stream| same.is_some_and(|old| old.streams.iter().any(|other| other.is(stream))));
    }
    now
}

/// The longest time for which any proxy may keep a connection that nobody uses; `None`: for ever.
fn longest_idle(book: &Book) -> Option<Duration> {
    let snapshots = book.histories.values().flatten().map(|(_, snapshot)| &**snapshot);
    snapshots.flat_map(idle_timeouts).try_fold(IDLE_DEFAULT, |longest, own| {
        let own = own.unwrap_or(IDLE_DEFAULT);
        (!own.is_zero() && own <= IDLE_MAX).then_some(longest.max(own))
    })
}

fn idle_timeouts(snapshot: &Snapshot) -> impl Iterator<Item = Option<Duration>> {
    let clusters = snapshot.clusters.values().map(|cluster| cluster.idle_timeout);
    let listeners = snapshot.listeners.values();
    let chains = listeners.flat_map(|own| own.filter_chains.iter().chain(&own.default_filter_chain));
    clusters.chain(chains.map(|chain| match &chain.handler {
        Handler::Http(manager) => manager.idle_timeout,
        Handler::Tcp(proxy) => proxy.idle_timeout,
    }))
}
