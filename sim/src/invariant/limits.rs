//! Circuit breakers hold: requests of one proxy to one cluster, counted from each try's start to its response
//! head, are never more at once than the cluster lets run and wait.
//!
//! A try's end comes later than what is counted here, so what is found here is too much by any count.

use std::collections::BTreeMap;

use wavetank_platform::Instant;

use super::Found;
use crate::explain::Book;
use crate::observe::ObservationLog;

/// Begins (+1) and ends (-1) of tries, by node and cluster.
type Edges<'a> = BTreeMap<(&'a str, &'a str), Vec<(Instant, i64)>>;

pub(super) fn broken(_log: &ObservationLog, book: &Book) -> Found {
    let mut edges: Edges<'_> = BTreeMap::new();
    for record in &book.records {
        for attempt in record.attempts.iter().filter(|attempt| attempt.upstream.is_some()) {
            let own = edges.entry((&record.node, &attempt.cluster)).or_default();
            own.push((attempt.start, 1));
            own.push((attempt.start + attempt.duration, -1));
        }
    }
    let mut found = Found::new();
    for ((node, cluster), mut moments) in edges {
        // Ends come first where times are equal.
        moments.sort_unstable();
        let (mut now, mut most) = (0, 0);
        for (_, change) in moments {
            now += change;
            most = most.max(now);
        }
        if let Some(limit) = limit(book, node, cluster).filter(|limit| most > *limit) {
            found.push(format!("{node} had {most} requests to {cluster} at once; {limit} may run and wait"));
        }
    }
    found
}

/// The most that any configuration of the run allowed.
fn limit(book: &Book, node: &str, cluster: &str) -> Option<i64> {
    let configurations = book.histories.get(node)?.iter();
    let limits = configurations.filter_map(|(_, snapshot)| {
        let breakers = &snapshot.clusters.get(cluster)?.breakers;
        Some(i64::from(breakers.requests_max.max(1)) + i64::from(breakers.pending_requests_max))
    });
    limits.max()
}
