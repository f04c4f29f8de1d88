//! Who has the bytes after a head that asks for another protocol: the gate, which judges them, or whoever
//! speaks that protocol. Decided by the exchange, asked by the gate.

use std::sync::atomic::{AtomicU8, Ordering};

/// One connection's passage.
#[derive(Debug, Default)]
pub(crate) struct Passage(AtomicU8);

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
    /// Who has the bytes now.
    pub(crate) fn way(&self) -> Way {
        match self.0.load(Ordering::Relaxed) {
            0 => Way::Judged,
            1 => Way::Undecided,
            _ => Way::Open,
        }
    }

    /// A head asks for another protocol.
    pub(super) fn ask(&self) {
        self.0.store(1, Ordering::Relaxed);
    }

    /// The protocol stays.
    pub(crate) fn refuse(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// The protocol has changed.
    pub(crate) fn open(&self) {
        self.0.store(2, Ordering::Relaxed);
    }
}
