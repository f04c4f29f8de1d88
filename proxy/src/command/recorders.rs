//! Who hears of each request: the counts of the worker that served it, the files of access logs, and the file of
//! records.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use wavetank_platform::spawn::OwnedTask;
use wavetank_platform::{Platform, UnixTime};
use wavetank_proxy::ejection::Ejection;
use wavetank_proxy::json_lines::JsonLines;
use wavetank_proxy::record::{Record, Recorder};
use wavetank_proxy::stats::WorkerStats;

use super::Failure;
use super::log_files::{LogFiles, WorkerLogs};

/// The file of records, if there is to be one.
pub(super) struct RecordFile {
    lines: Option<Arc<JsonLines<File>>>,
    _flushing: Option<OwnedTask>,
}

impl RecordFile {
    /// Makes the file anew.
    pub(super) fn open(platform: &Platform, file: Option<&Path>) -> Result<Self, Failure> {
        let Some(file) = file else { return Ok(Self { lines: None, _flushing: None }) };
        let writer = File::create(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let (now, since_start) = (platform.clock.unix(), platform.clock.now().since_start());
        let origin = UnixTime::from_epoch(now.since_epoch().saturating_sub(since_start));
        let lines = Arc::new(JsonLines::since(writer, origin));
        let (own, flushed) = (platform.clone(), lines.clone());
        let flushing = platform.spawn.go(async move { flushed.run(&own).await }).abort_on_drop();
        Ok(Self { lines: Some(lines), _flushing: Some(flushing) })
    }

    /// The recorder of the worker that counts in `stats` and logs to `logs`.
    pub(super) fn beside(&self, stats: &Arc<WorkerStats>, logs: &Arc<LogFiles>) -> Arc<dyn Recorder> {
        Arc::new(Recorders { stats: stats.clone(), lines: self.lines.clone(), logs: logs.worker() })
    }

    /// Writes what waits.
    pub(super) fn flush(&self) {
        if let Some(lines) = &self.lines {
            lines.flush();
        }
    }
}

struct Recorders {
    stats: Arc<WorkerStats>,
    lines: Option<Arc<JsonLines<File>>>,
    logs: Arc<WorkerLogs>,
}

impl Recorder for Recorders {
    fn record(&self, record: &Record) {
        self.stats.note(record);
        self.lines.record(record);
    }

    fn ejection(&self, ejection: Ejection) {
        self.stats.ejection(ejection.clone());
        self.lines.ejection(ejection);
    }

    fn access_log(&self, path: &Arc<str>, write: &mut dyn FnMut(&mut Vec<u8>)) {
        self.logs.line(path, write);
    }
}
