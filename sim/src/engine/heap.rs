//! What happens next: events in order of time, and of creation within one moment.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::flow::Dir;
use super::slab::Key;

/// Nanoseconds since the start of the world.
pub(super) type Nanos = u64;

/// Something due at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    /// A segment of this flow reaches the other end.
    Arrive { conn: Key, dir: Dir },
    /// The retransmission timer of this flow; `timer` tells it from timers set earlier.
    Retry { conn: Key, dir: Dir, timer: u32 },
    /// A segment that belongs to no connection reaches its host.
    Stray { packet: Key },
}

/// The queue of events.
#[derive(Debug)]
pub(super) struct Heap {
    entries: BinaryHeap<Reverse<(Nanos, u64, Event)>>,
    created: u64,
}

impl Heap {
    pub(super) fn new() -> Self {
        Self { entries: BinaryHeap::new(), created: 0 }
    }

    pub(super) fn push(&mut self, at: Nanos, event: Event) {
        self.created += 1;
        self.entries.push(Reverse((at, self.created, event)));
    }

    /// When the next event is due; `None` when none is.
    pub(super) fn next_at(&self) -> Option<Nanos> {
        self.entries.peek().map(|Reverse((at, ..))| *at)
    }

    /// The next event, when it is due at `now` or before.
    pub(super) fn pop_due(&mut self, now: Nanos) -> Option<Event> {
        if self.next_at()? > now {
            return None;
        }
        self.entries.pop().map(|Reverse((_, _, event))| event)
    }

    /// Events made so far.
    pub(super) fn created(&self) -> u64 {
        self.created
    }
}
