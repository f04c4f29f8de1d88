//! Who has the bytes after a head that asks for another protocol: the gate, which judges them, or whoever
//! speaks that protocol. Decided by the exchange, asked by the gate.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// One connection's passage.
#[derive(Debug, Default)]
pub(crate) struct Passage {
    /// The last request, counted from 1, with which the protocol stays.
    stays: AtomicU64,
    open: AtomicBool,
}

/// Who has the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// They are HTTP/1, and judged.
    Judged,
    /// They wait.
    Undecided,
    /// They are another protocol's.
    Open,
}

impl Passage {
    /// Who has the bytes behind a message whose head was the `head`th to pass.
    ///
    /// A request is known to the exchange by its head, to the gate by its end: either may come first.
    pub(super) fn way(&self, head: u64) -> Way {
        if self.open.load(Ordering::Relaxed) {
            Way::Open
        } else if self.stays.load(Ordering::Relaxed) >= head {
            Way::Judged
        } else {
            Way::Undecided
        }
    }

    /// The protocol stays with this request.
    pub(crate) fn stay(&self, request: u64) {
        self.stays.store(request, Ordering::Relaxed);
    }

    /// The protocol has changed.
    pub(crate) fn open(&self) {
        self.open.store(true, Ordering::Relaxed);
    }
}
