//! The log summed up as a tree: who called whom, how often from outside, and in which shares where a
//! check asks for shares.

use std::collections::{BTreeMap, BTreeSet};

use wavetank_reports::Flow;

use super::log::ObservationLog;
use super::party::{Party, Service};
use super::selector::Edge;

/// Deepest chain of calls that is drawn.
const DEPTH_MAX: usize = 12;

/// Calls per destination and, below it, per version of the chosen pod.
type Callees = BTreeMap<String, BTreeMap<String, u64>>;

/// One tree per caller that sent traffic. Edges in `splits` are drawn with the share of each version.
pub fn flow(log: &ObservationLog, splits: &[Edge]) -> Vec<Flow> {
    let mut edges: BTreeMap<String, Callees> = BTreeMap::new();
    let mut shown_split: BTreeSet<(String, String)> = BTreeSet::new();
    for hop in log.hops() {
        let (source, destination) = (name_of(&hop.source), hop.destination.to_string());
        if splits.iter().any(|edge| edge.selects(hop)) {
            shown_split.insert((source.clone(), destination.clone()));
        }
        let arm = hop.arm().unwrap_or("nowhere").to_owned();
        *edges.entry(source).or_default().entry(destination).or_default().entry(arm).or_default() += 1;
    }
    let roots: BTreeSet<String> = log.calls().map(|call| name_of(&call.source)).collect();
    let tree = Tree { edges: &edges, splits: &shown_split };
    roots.iter().map(|root| tree.node(root, None, &mut Vec::new())).collect()
}

/// The shares of `counts` in `all`, in tenths of a percent that add up to all of it: what rounding down leaves goes to
/// those that lost most by it.
fn tenths(counts: impl Iterator<Item = u64>, all: u64) -> Vec<u64> {
    let all = all.max(1);
    let exact: Vec<u64> = counts.map(|count| count * 1000).collect();
    let mut shares: Vec<u64> = exact.iter().map(|own| own / all).collect();
    let mut by_loss: Vec<usize> = (0..exact.len()).collect();
    by_loss.sort_by_key(|at| std::cmp::Reverse(exact[*at] % all));
    let missing = (exact.iter().sum::<u64>() / all).saturating_sub(shares.iter().sum());
    by_loss.into_iter().take(usize::try_from(missing).unwrap_or(0)).for_each(|at| shares[at] += 1);
    shares
}

/// The caller without version and pod, as it is named where it is a destination.
fn name_of(party: &Party) -> String {
    Service::new(party.name.clone(), party.namespace.clone()).to_string()
}

struct Tree<'a> {
    edges: &'a BTreeMap<String, Callees>,
    splits: &'a BTreeSet<(String, String)>,
}

impl Tree<'_> {
    fn node(&self, name: &str, label: Option<String>, above: &mut Vec<String>) -> Flow {
        let mut node = Flow::leaf(name, label);
        if above.iter().any(|own| own == name) || above.len() >= DEPTH_MAX {
            return node;
        }
        let is_root = above.is_empty();
        above.push(name.to_owned());
        for (callee, arms) in self.edges.get(name).into_iter().flatten() {
            let count: u64 = arms.values().sum();
            let is_leaf = !self.edges.contains_key(callee);
            if is_leaf && self.splits.contains(&(name.to_owned(), callee.clone())) {
                let shares = tenths(arms.values().copied(), count);
                node.children.extend(arms.keys().zip(shares).map(|(arm, share)| {
                    Flow::leaf(format!("{callee} {arm}"), Some(format!("{}.{}%", share / 10, share % 10)))
                }));
            } else {
                let label = is_root.then(|| count.to_string());
                node.children.push(self.node(callee, label, above));
            }
        }
        above.pop();
        node
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_all() {
        for (counts, wanted) in [
            (&[1, 1, 1][..], &[334, 333, 333][..]),
            (&[1, 5], &[167, 833]),
            (&[1392, 608], &[696, 304]),
            (&[1, 1, 1, 1, 1, 1], &[167, 167, 167, 167, 166, 166]),
            (&[7], &[1000]),
        ] {
            assert_eq!(tenths(counts.iter().copied(), counts.iter().sum()), wanted);
        }
    }
}
