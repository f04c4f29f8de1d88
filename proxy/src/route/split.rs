//! Route to cluster. Envoy: `RouteAction.cluster_specifier`, `WeightedCluster`.

use std::sync::Arc;

use wavetank_platform::RandomStream;

use crate::http::headers::HeaderList;
use crate::snapshot::route::{ClusterChoice, WeightedCluster};

/// The cluster of one request, with the arm of the split that named it.
///
/// A weighted choice draws one number, whatever the number of arms; an arm of weight 0 is never chosen.
/// A cluster that does not exist keeps its share (Envoy does not hand it to the others). `None`: no arm has
/// weight, or the header that names the cluster is missing; both answer as a missing cluster.
pub fn choose_cluster<'a>(
    choice: &'a ClusterChoice,
    headers: &HeaderList,
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

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;
    use wavetank_platform::Entropy;

    use super::*;
    use crate::snapshot::route::HeaderMutations;

    fn split(weights: &[u32]) -> ClusterChoice {
        let arm = |(at, weight): (usize, &u32)| WeightedCluster {
            name: at.to_string().into(),
            weight: *weight,
            headers: HeaderMutations::default(),
            provenance: None,
        };
        ClusterChoice::Weighted(weights.iter().enumerate().map(arm).collect())
    }

    fn counts(weights: &[u32], seed: u64, draws: u32) -> Vec<u32> {
        let (choice, mut random) = (split(weights), Entropy::from_seed(seed).stream());
        let mut counts = vec![0; weights.len()];
        for _ in 0..draws {
            let (name, _) = choose_cluster(&choice, &HeaderList::new(), &mut random).unwrap();
            counts[name.parse::<usize>().unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn no_weight_at_all_is_no_cluster() {
        let mut random = Entropy::from_seed(1).stream();
        assert!(choose_cluster(&split(&[0, 0]), &HeaderList::new(), &mut random).is_none());
    }

    #[test]
    fn a_header_names_the_cluster() {
        let choice = ClusterChoice::Header(HeaderName::from_static("x-cluster"));
        let (mut headers, mut random) = (HeaderList::new(), Entropy::from_seed(1).stream());
        assert!(choose_cluster(&choice, &headers, &mut random).is_none());
        headers.insert(HeaderName::from_static("x-cluster"), HeaderValue::from_static("b"));
        assert_eq!(choose_cluster(&choice, &headers, &mut random).map(|(name, _)| name).as_deref(), Some("b"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn arms_get_their_share_and_arms_of_weight_0_nothing(
            weights in prop::collection::vec(0u32..100, 1..5).prop_filter("some weight", |w| w.iter().any(|w| *w > 0)),
            seed: u64,
        ) {
            let draws = 4000;
            let total: u32 = weights.iter().sum();
            for (count, weight) in counts(&weights, seed, draws).into_iter().zip(&weights) {
                let share = f64::from(*weight) / f64::from(total);
                let deviation = (f64::from(draws) * share * (1.0 - share)).sqrt();
                // Seven deviations: wrong once in 10^11 arms.
                prop_assert!((f64::from(count) - f64::from(draws) * share).abs() <= 7.0 * deviation);
                prop_assert!(*weight > 0 || count == 0);
            }
        }
    }
}
