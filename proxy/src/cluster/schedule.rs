//! Weighted turns: Envoy's earliest-deadline-first schedule. Each item is due one `1 / weight` after its
//! last turn, so weights 3:1 come out as `0010 0010 …` and every share is exact over a period.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Items `0..n` that take turns by weight.
#[derive(Debug, Clone, Default)]
pub struct Schedule {
    now: f64,
    added: u64,
    queue: BinaryHeap<Turn>,
}

#[derive(Debug, Clone, Copy)]
struct Turn {
    due: f64,
    order: u64,
    item: u32,
}

impl Schedule {
    /// A schedule of items with these weights, all greater than 0, at their first turn.
    pub fn new(weights: impl IntoIterator<Item = f64>) -> Self {
        let mut schedule = Self::default();
        for (item, weight) in (0..).zip(weights) {
            schedule.add(item, weight);
        }
        schedule
    }

    /// The item whose turn it is; it is put back with the weight it has now. `None` when there is no item.
    pub fn next(&mut self, weight: impl FnOnce(u32) -> f64) -> Option<u32> {
        let turn = self.queue.pop()?;
        self.now = turn.due;
        self.add(turn.item, weight(turn.item));
        Some(turn.item)
    }

    fn add(&mut self, item: u32, weight: f64) {
        self.queue.push(Turn { due: self.now + 1.0 / weight, order: self.added, item });
        self.added += 1;
    }
}

impl Ord for Turn {
    /// The earliest due is the greatest; among equals the one added first.
    fn cmp(&self, other: &Self) -> Ordering {
        other.due.total_cmp(&self.due).then(other.order.cmp(&self.order))
    }
}

impl PartialOrd for Turn {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Turn {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Turn {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_3_to_1_come_out_as_envoy_measured() {
        let weights = [3.0, 1.0];
        let mut schedule = Schedule::new(weights);
        let turns: Vec<_> = (0..12).filter_map(|_| schedule.next(|item| weights[item as usize])).collect();
        assert_eq!(turns, [0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0]);
    }

    #[test]
    fn an_empty_schedule_has_no_turn() {
        assert_eq!(Schedule::new([]).next(|_| 1.0), None);
    }
}
