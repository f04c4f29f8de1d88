//! Where the nodes of the service graph stand: in layers from left to right, callers before callees.
//!
//! A layer is the length of the longest way from a caller that nobody calls; edges that would close a circle
//! are left out of that count. An edge over several layers passes a slot of its own in each.

use std::collections::{BTreeMap, BTreeSet};

/// A node or the passage of a long edge, in a slot of a layer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    /// Layer and slot of each node, by its index.
    pub(super) nodes: Vec<(usize, usize)>,
    /// Slots that each edge passes in the layers between its ends, by its index.
    pub(super) passages: Vec<Vec<(usize, usize)>>,
    /// How many slots each layer has.
    pub(super) sizes: Vec<usize>,
}

/// The layout of `count` nodes with `edges` from one to another.
pub(super) fn lay_out(count: usize, edges: &[(usize, usize)]) -> Layout {
    let back = closing(count, edges);
    let layer = longest(count, edges, &back);
    // Every item of a layer: a node, or (edge, layer) for a passage.
    let mut layers: Vec<Vec<Item>> = vec![Vec::new(); layer.iter().max().map_or(0, |last| last + 1)];
    for (node, at) in layer.iter().enumerate() {
        layers[*at].push(Item::Node(node));
    }
    for (edge, (from, to)) in edges.iter().enumerate().filter(|(edge, _)| !back.contains(edge)) {
        for layer in &mut layers[layer[*from] + 1..layer[*to]] {
            layer.push(Item::Passage(edge));
        }
    }
    let mut slots: BTreeMap<(usize, Item), usize> = BTreeMap::new();
    for (at, items) in layers.iter_mut().enumerate() {
        // Items stand near the mean of what leads to them.
        let wish = |item: &Item| {
            let before: Vec<f64> = edges
                .iter()
                .enumerate()
                .filter(|(edge, (_, to))| match item {
                    Item::Node(node) => to == node && !back.contains(edge),
                    Item::Passage(own) => edge == own,
                })
                .filter_map(|(edge, (from, _))| {
                    let passed = slots.get(&(at.wrapping_sub(1), Item::Passage(edge)));
                    passed.or_else(|| slots.get(&(layer[*from], Item::Node(*from)))).map(|slot| *slot as f64)
                })
                .collect();
            if before.is_empty() { f64::MAX } else { before.iter().sum::<f64>() / before.len() as f64 }
        };
        let mut keyed: Vec<(f64, Item)> = items.iter().map(|item| (wish(item), *item)).collect();
        keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
        *items = keyed.into_iter().map(|(_, item)| item).collect();
        slots.extend(items.iter().enumerate().map(|(slot, item)| ((at, *item), slot)));
    }
    let slot = |at: usize, item: Item| slots.get(&(at, item)).copied().unwrap_or(0);
    let passages = edges.iter().enumerate().map(|(edge, (from, to))| {
        let between = if back.contains(&edge) { 0..0 } else { layer[*from] + 1..layer[*to] };
        between.map(|at| (at, slot(at, Item::Passage(edge)))).collect()
    });
    Layout {
        nodes: layer.iter().enumerate().map(|(node, at)| (*at, slot(*at, Item::Node(node)))).collect(),
        passages: passages.collect(),
        sizes: layers.iter().map(Vec::len).collect(),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Item {
    Node(usize),
    Passage(usize),
}

/// Edges that close a circle, found depth first.
fn closing(count: usize, edges: &[(usize, usize)]) -> BTreeSet<usize> {
    let mut back = BTreeSet::new();
    let mut state = vec![0u8; count];
    let called: BTreeSet<usize> = edges.iter().map(|(_, to)| *to).collect();
    let roots = (0..count).filter(|node| !called.contains(node));
    for root in roots.chain(0..count) {
        if state[root] != 0 {
            continue;
        }
        // (node, next edge to look at)
        let mut stack = vec![(root, 0)];
        state[root] = 1;
        while let Some((node, next)) = stack.pop() {
            let found = edges.iter().enumerate().skip(next).find(|(_, (from, _))| *from == node);
            let Some((edge, (_, to))) = found else {
                state[node] = 2;
                continue;
            };
            stack.push((node, edge + 1));
            match state[*to] {
                0 => {
                    state[*to] = 1;
                    stack.push((*to, 0));
                }
                1 => {
                    back.insert(edge);
                }
                _ => {}
            }
        }
    }
    back
}

/// The layer of each node: the longest way to it without the edges in `back`.
fn longest(count: usize, edges: &[(usize, usize)], back: &BTreeSet<usize>) -> Vec<usize> {
    let mut layer = vec![0; count];
    for _ in 0..count {
        let mut moved = false;
        for (_, (from, to)) in edges.iter().enumerate().filter(|(edge, _)| !back.contains(edge)) {
            if layer[*to] <= layer[*from] {
                layer[*to] = layer[*from] + 1;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    layer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callees_stand_right_of_their_callers() {
        // client -> ingress -> python -> lua, node -> go; and python -> go directly.
        let found = lay_out(6, &[(0, 1), (1, 2), (2, 3), (2, 4), (4, 5), (2, 5)]);
        let layers: Vec<usize> = found.nodes.iter().map(|(layer, _)| *layer).collect();
        assert_eq!(layers, [0, 1, 2, 3, 3, 4]);
        assert_eq!(found.passages[5], [(3, 2)]);
        assert_eq!(found.sizes, [1, 1, 1, 3, 1]);
    }

    #[test]
    fn circles_end() {
        let found = lay_out(3, &[(0, 1), (1, 2), (2, 0), (1, 1)]);
        assert_eq!(found.nodes.iter().map(|(layer, _)| *layer).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(lay_out(0, &[]).sizes, Vec::<usize>::new());
    }
}
