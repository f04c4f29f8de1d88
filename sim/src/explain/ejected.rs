//! Which endpoints a proxy had ejected at some moment, from what it reported and the configurations it had.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use wavetank_platform::Instant;
use wavetank_proxy::ejection::{Ejection, EjectionAction};
use wavetank_proxy::snapshot::Snapshot;

use super::{Book, words};

/// The endpoints of `cluster` that the proxy `node` had ejected at `at`, each with the report of it.
pub fn out<'b>(book: &'b Book, node: &str, cluster: &str, at: Instant) -> BTreeMap<SocketAddr, &'b Ejection> {
    let own = book.ejections.iter().filter(|own| *own.node == *node && *own.cluster == *cluster);
    after(book, node, cluster, own.take_while(|own| own.at <= at), at)
}

/// The same, by the reports `so_far`, which are all of that proxy and cluster, in order.
pub fn after<'b>(
    book: &'b Book,
    node: &str,
    cluster: &str,
    so_far: impl Iterator<Item = &'b Ejection>,
    at: Instant,
) -> BTreeMap<SocketAddr, &'b Ejection> {
    let mut out = BTreeMap::new();
    for report in so_far {
        match report.action {
            EjectionAction::Eject { enforced: true, .. } => {
                out.insert(report.endpoint, report);
            }
            EjectionAction::Eject { .. } => {}
            EjectionAction::Uneject => {
                out.remove(&report.endpoint);
            }
        }
    }
    let history = book.histories.get(node).map(Vec::as_slice).unwrap_or_default();
    for pair in history.windows(2) {
        let ((_, before), (since, now)) = (&pair[0], &pair[1]);
        if *since > at {
            break;
        }
        let forgets = forgets(before, now, cluster);
        out.retain(|address, report| report.at > *since || !(forgets || has_left(now, cluster, *address)));
    }
    out
}

/// Whether a proxy that takes `now` after `before` begins to count anew: it was started again, or detects in
/// another way.
fn forgets(before: &Snapshot, now: &Snapshot, cluster: &str) -> bool {
    let detection = |snapshot: &Snapshot| snapshot.clusters.get(cluster).and_then(|own| own.outlier_detection.clone());
    now.version <= before.version || detection(before) != detection(now)
}

fn has_left(snapshot: &Arc<Snapshot>, cluster: &str, address: SocketAddr) -> bool {
    let assignment = snapshot.clusters.get(cluster).and_then(|own| words::assignment(snapshot, own));
    assignment.is_some_and(|own| own.endpoints().iter().all(|endpoint| endpoint.address != address))
}
