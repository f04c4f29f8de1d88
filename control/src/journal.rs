//! What goes between the control plane and its proxies, as lines of JSON for whoever judges it.
//!
//! `{"at":UNIX_NANOSECONDS,"node":"…","type":"type.googleapis.com/…","version":"…","what":"pushed|acked|nacked"}`,
//! and `"error"` with a refusal.

use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;
use wavetank_platform::{Clock, Instant};

use crate::ads::Observer;

/// Writes each push and each answer as one line. A line that cannot be written is lost, and told once.
pub struct Journal<W> {
    clock: Arc<dyn Clock>,
    out: Mutex<Out<W>>,
}

struct Out<W> {
    writer: W,
    failed: bool,
}

impl<W> fmt::Debug for Journal<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Journal(..)")
    }
}

impl<W: Write + Send> Journal<W> {
    /// Writes to `writer`, which is flushed after every line; times are by `clock`.
    pub fn new(writer: W, clock: Arc<dyn Clock>) -> Self {
        Self { clock, out: Mutex::new(Out { writer, failed: false }) }
    }

    fn note(&self, node: &str, type_url: &str, version: &str, what: &str, error: Option<&str>) {
        let at = u64::try_from(self.clock.unix().since_epoch().as_nanos()).unwrap_or(u64::MAX);
        let mut line = json!({ "at": at, "node": node, "type": type_url, "version": version, "what": what });
        if let Some(error) = error {
            line["error"] = error.into();
        }
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let written = out.writer.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.writer.flush());
        if let Err(error) = written
            && !std::mem::replace(&mut out.failed, true)
        {
            tracing::error!(%error, "events cannot be written");
        }
    }
}

impl<W: Write + Send> Observer for Journal<W> {
    fn pushed(&self, node: &str, type_url: &str, version: &str, _: Instant) {
        self.note(node, type_url, version, "pushed", None);
    }

    fn acked(&self, node: &str, type_url: &str, version: &str, _: Instant) {
        self.note(node, type_url, version, "acked", None);
    }

    fn nacked(&self, node: &str, type_url: &str, version: &str, error: &str, _: Instant) {
        tracing::warn!(node, type_url, version, error, "a proxy refused its configuration");
        self.note(node, type_url, version, "nacked", Some(error));
    }
}
