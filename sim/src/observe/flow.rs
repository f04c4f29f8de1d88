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
                node.children.extend(arms.iter().map(|(arm, own)| {
                    let share = *own as f64 * 100.0 / count as f64;
                    Flow::leaf(format!("{callee} {arm}"), Some(format!("{share:.1}%")))
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
