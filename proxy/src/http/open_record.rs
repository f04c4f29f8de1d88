//! The record of a request that is under way. It is handed over exactly once: when the last byte of the
//! response is done with, or, if the caller leaves before, when its request is dropped.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use wavetank_platform::Clock;

use super::progress::Progress;
use crate::access_log::logging::Logging;
use crate::idle::Activity;
use crate::record::{Flag, Protocol, Record, Recorder};
use crate::route::RequestHead;
use crate::upstream::meter::Meter;

/// A record that is still being written.
pub(crate) struct OpenRecord {
    /// What is known so far.
    pub(crate) record: Box<Record>,
    /// What access logs want beside it; `None`: there are none.
    pub(crate) logging: Option<Box<Logging>>,
    progress: Arc<Progress>,
    downstream: Arc<Meter>,
    recorder: Arc<dyn Recorder>,
    clock: Arc<dyn Clock>,
    activity: Arc<Activity>,
    closed: bool,
}

impl OpenRecord {
    /// Begins with `record`. `downstream` is the caller's connection, and `activity` what is under way on it.
    pub(crate) fn new(
        record: Record,
        logging: Option<Box<Logging>>,
        progress: Arc<Progress>,
        downstream: Arc<Meter>,
        recorder: Arc<dyn Recorder>,
        clock: Arc<dyn Clock>,
        activity: Arc<Activity>,
    ) -> Self {
        activity.begin();
        Self { record: Box::new(record), logging, progress, downstream, recorder, clock, activity, closed: false }
    }

    /// Adds a flag, once.
    pub(crate) fn flag(&mut self, flag: Flag) {
        if !self.record.flags.contains(&flag) {
            self.record.flags.push(flag);
        }
    }

    /// Keeps what access logs want of the request's head; `prepared`: it has what routing needs.
    pub(crate) fn log_request(&mut self, head: &RequestHead<'_>, prepared: bool) {
        if let Some(logging) = &mut self.logging {
            logging.request(head, prepared);
        }
    }

    /// The request was not read to its end.
    pub(crate) fn log_unread(&mut self) {
        if let Some(logging) = &mut self.logging {
            logging.unread = true;
        }
    }

    /// The response did not go out to its end.
    pub(crate) fn log_broken(&mut self) {
        if let Some(logging) = &mut self.logging {
            logging.broken = true;
        }
    }

    /// Keeps what access logs want of the response's head as the caller gets it.
    pub(crate) fn log_response(&mut self, status: StatusCode, headers: &HeaderMap) {
        if let Some(logging) = &mut self.logging {
            logging.response(status, headers);
        }
    }

    /// Counts bytes that came outside the request's body.
    pub(crate) fn note_received(&mut self, count: u64) {
        self.progress.receive(usize::try_from(count).unwrap_or(usize::MAX), self.clock.now());
    }

    /// Hands the record over.
    pub(crate) fn close(mut self) {
        self.hand_over();
    }

    fn hand_over(&mut self) {
        self.closed = true;
        self.record.bytes_received = self.progress.received();
        self.record.duration = self.clock.now().saturating_since(self.record.start);
        if let Some(logging) = &self.logging {
            logging.write(&self.record, self.progress.completed_at(), &*self.clock, &*self.recorder);
        }
        self.recorder.record(&self.record);
    }

    /// The caller left: the connection ended, or (HTTP/2) it reset the stream.
    fn abandon(&mut self) {
        let reset = self.record.protocol == Protocol::Http2 && !self.downstream.has_ended();
        let (flag, details) =
            if reset { (Flag::DR, "http2.remote_reset") } else { (Flag::DC, "downstream_remote_disconnect") };
        self.flag(flag);
        self.log_broken();
        self.record.details = details.into();
        let now = self.clock.now();
        if let Some(attempt) = self.record.attempts.last_mut().filter(|attempt| attempt.is_under_way()) {
            attempt.duration = now.saturating_since(attempt.start);
            attempt.failure = Some(details.into());
        }
        self.hand_over();
    }
}

impl Drop for OpenRecord {
    fn drop(&mut self) {
        if !self.closed {
            self.abandon();
        }
        self.activity.end();
    }
}

impl std::fmt::Debug for OpenRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenRecord").field("record", &self.record).finish_non_exhaustive()
    }
}
