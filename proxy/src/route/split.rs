//! Route to cluster. Envoy: `RouteAction.cluster_specifier`, `WeightedCluster`.

use std::sync::Arc;

use http::HeaderMap;
use wavetank_platform::RandomStream;

use crate::snapshot::route::{ClusterChoice, WeightedCluster};

/// The cluster of one request, with the arm of the split that named it.
///
/// A weighted choice draws one number, whatever the number of arms; an arm of weight 0 is never chosen.
/// A cluster that does not exist keeps its share (Envoy does not hand it to the others). `None`: no arm has
/// weight, or the header that names the cluster is missing; both answer as a missing cluster.
pub fn choose_cluster<'a>(
    choice: &'a ClusterChoice,
    headers: &HeaderMap,
    random: &mut RandomStream,
) -> Option<(Arc<str>, Option<&'a WeightedCluster>)> {
    match choice {
        ClusterChoice::Single(name) => Some((name.clone(), None)),
        ClusterChoice::Weighted(arms) => {
            let arm = pick_weighted(arms, |arm| arm.weight, random)?;
            Some((arm.name.clone(), Some(arm)))
        }
        ClusterChoice::Header(name) => {
            let value = headers.get(name)?.to_str().ok()?;
            (!value.is_empty()).then(|| (value.into(), None))
        }
    }
}

/// One of `items`, each with a chance of its weight over the sum; `None` when the sum is 0. Draws one
/// number unless the sum is 0. Also splits TCP connections.
pub fn pick_weighted<'a, T>(items: &'a [T], weight: impl Fn(&T) -> u32, random: &mut RandomStream) -> Option<&'a T> {
    let total: u64 = items.iter().map(|item| u64::from(weight(item))).sum();
    if total == 0 {
        return None;
    }
    let mut point = random.below(total);
    for item in items {
        let own = u64::from(weight(item));
        if point < own {
            return Some(item);
        }
        point -= own;
    }
    unreachable!("the point lies below the sum of the weights")
}
