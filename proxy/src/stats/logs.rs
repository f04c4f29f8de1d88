//! What becomes of access logs, in Envoy's names.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of all access log files of one process.
#[derive(Debug, Default)]
pub struct LogCounts {
    write_completed: AtomicU64,
    write_failed: AtomicU64,
    reopen_failed: AtomicU64,
}

impl LogCounts {
    /// A buffer of lines was written.
    pub fn note_written(&self) {
        self.write_completed.fetch_add(1, Ordering::Relaxed);
    }

    /// A buffer of lines, or a line for a file too many, was lost.
    pub fn note_lost(&self) {
        self.write_failed.fetch_add(1, Ordering::Relaxed);
    }

    /// A file could not be opened anew. One that cannot be opened at first loses buffers.
    pub fn note_unopened(&self) {
        self.reopen_failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Each with its name, which follows `filesystem.`.
    pub fn named(&self) -> [(&'static str, u64); 3] {
        [
            ("write_completed", self.write_completed.load(Ordering::Relaxed)),
            ("write_failed", self.write_failed.load(Ordering::Relaxed)),
            ("reopen_failed", self.reopen_failed.load(Ordering::Relaxed)),
        ]
    }
}
