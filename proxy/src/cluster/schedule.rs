//! Weighted turns: Envoy's earliest-deadline-first schedule. Each item is due one interval after its last
//! turn, so weights 3:1 come out as `0010 0010 …` and every share is exact over a period.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Items `0..n` that take turns.
#[derive(Debug, Clone, Default)]
pub struct Schedule {
    now: u128,
    added: u64,
    queue: BinaryHeap<Turn>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Turn {
    due: u128,
    order: u64,
    item: u32,
}

/// How long an item of `weight` waits between turns, in units of the schedule; longer the more requests it
/// has already. A weight of 0 counts as 1.
///
/// The unit is a multiple of every number up to 40, so that the turns of small weights meet exactly where
/// they should; with rounded fractions 3 × ⅓ would come before 1 × 1.
pub fn interval(weight: u32, requests: u32) -> u128 {
    const UNIT: u128 = 5_342_931_457_063_200;
    UNIT * (u128::from(requests) + 1) / u128::from(weight.max(1))
}

impl Schedule {
    /// A schedule of items with these intervals, at their first turn.
    pub fn new(intervals: impl IntoIterator<Item = u128>) -> Self {
        let mut schedule = Self::default();
        for (item, interval) in (0..).zip(intervals) {
            schedule.add(item, interval);
        }
        schedule
    }

    /// The item whose turn it is; it is put back with the interval it has now. `None` when there is no item.
    pub fn next(&mut self, interval: impl FnOnce(u32) -> u128) -> Option<u32> {
        let turn = self.queue.pop()?;
        self.now = turn.due;
        self.add(turn.item, interval(turn.item));
        Some(turn.item)
    }

    fn add(&mut self, item: u32, interval: u128) {
        self.queue.push(Turn { due: self.now.saturating_add(interval), order: self.added, item });
        self.added += 1;
    }
}

impl Ord for Turn {
    /// The earliest due is the greatest; among equals the one added first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.due, other.order, other.item).cmp(&(self.due, self.order, self.item))
    }
}

impl PartialOrd for Turn {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_3_to_1_come_out_as_envoy_measured() {
        let intervals = [interval(3, 0), interval(1, 0)];
        let mut schedule = Schedule::new(intervals);
        let turns: String =
            (0..40).filter_map(|_| Some(schedule.next(|item| intervals[item as usize])?.to_string())).collect();
        assert_eq!(turns, "0010001000100010001000100010001000100010");
    }

    #[test]
    fn an_empty_schedule_has_no_turn() {
        assert_eq!(Schedule::new([]).next(|_| 1), None);
    }
}
