//! The logs of one owner: a connection manager, its router, a TCP proxy or a listener.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::capture::Wanted;
use super::entry::Entry;
use super::filter::Filter;
use super::format::Format;
use crate::record::Recorder;

/// One log: its file, which entries it is for, and what their lines say.
#[derive(Debug, Clone, PartialEq)]
pub struct AccessLog {
    /// Path of the file, as configured.
    pub path: Arc<str>,
    /// `None`: every entry.
    pub filter: Option<Filter>,
    /// Of a line, its end included.
    pub format: Format,
}

impl Serialize for AccessLog {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([("path", &*self.path), ("format", self.format.source())])
    }
}

/// All logs of one owner, in their order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AccessLogs {
    logs: Vec<AccessLog>,
    wanted: Wanted,
}

impl AccessLogs {
    /// These logs; `wanted` is what their formats and filters were made with.
    pub fn new(logs: Vec<AccessLog>, wanted: Wanted) -> Self {
        Self { logs, wanted }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.logs.is_empty()
    }

    /// The logs.
    pub fn logs(&self) -> &[AccessLog] {
        &self.logs
    }

    /// What must be captured for them.
    pub(crate) fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// Writes the lines of `entry`.
    pub(crate) fn write(&self, entry: &Entry<'_>, recorder: &dyn Recorder) {
        for log in &self.logs {
            if log.filter.as_ref().is_none_or(|filter| filter.passes(entry, &self.wanted)) {
                recorder.access_log(&log.path, &mut |line| log.format.write(entry, line));
            }
        }
    }
}

impl Serialize for AccessLogs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.logs)
    }
}
