//! Records and ejections as lines of JSON; an ejection's has it in the field `ejection`.
//!
//! Moments in the lines count from the zero of the proxy's clock; the first line,
//! `{"origin":{"unixNanos":N}}`, says when that was on the wall clock.

use std::fmt;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use wavetank_platform::{Platform, UnixTime};

use crate::ejection::Ejection;
use crate::record::{Record, Recorder};

/// Bytes that wait before they are written.
const BUFFERED_MAX: usize = 64 * 1024;

/// How long a line waits before it is written, where [`JsonLines::run`] runs.
const FLUSH_EVERY: Duration = Duration::from_millis(100);

/// Writes each record and each ejection as one line. Lines that cannot be written are lost, and told once.
///
/// Lines are gathered and written whole: when 64 KiB are there, when [`Self::flush`] says so, and when this is
/// dropped.
pub struct JsonLines<W: Write>(Mutex<Out<W>>);

struct Out<W: Write> {
    writer: W,
    lines: Vec<u8>,
    failed: bool,
}

impl<W: Write> JsonLines<W> {
    /// Writes to `writer`, without a line about the clock.
    pub fn new(writer: W) -> Self {
        Self(Mutex::new(Out { writer, lines: Vec::new(), failed: false }))
    }

    /// Writes to `writer`; the first line tells `origin`, when the clock of the records was zero.
    pub fn since(writer: W, origin: UnixTime) -> Self {
        let lines = Self::new(writer);
        let unix_nanos = u64::try_from(origin.since_epoch().as_nanos()).unwrap_or(u64::MAX);
        lines.line(&OriginLine { origin: Origin { unix_nanos } });
        lines.flush();
        lines
    }

    /// Writes what has been gathered.
    pub fn flush(&self) {
        self.out().write();
    }

    fn line(&self, value: &impl Serialize) {
        let mut out = self.out();
        let whole = out.lines.len();
        match serde_json::to_writer(&mut out.lines, value) {
            Ok(()) => out.lines.push(b'\n'),
            Err(error) => {
                out.lines.truncate(whole);
                out.fail(&error.into());
            }
        }
        if out.lines.len() >= BUFFERED_MAX {
            out.write();
        }
    }

    fn out(&self) -> MutexGuard<'_, Out<W>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Write + Send> JsonLines<W> {
    /// Sees to it that no line waits for longer than 100 ms. Never returns.
    pub async fn run(&self, platform: &Platform) {
        loop {
            platform.clock.sleep(FLUSH_EVERY).await;
            self.flush();
        }
    }
}

impl<W: Write> Out<W> {
    fn write(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        let written = self.writer.write_all(&self.lines).and_then(|()| self.writer.flush());
        self.lines.clear();
        if let Err(error) = written {
            self.fail(&error);
        }
    }

    fn fail(&mut self, error: &std::io::Error) {
        if !std::mem::replace(&mut self.failed, true) {
            tracing::error!(%error, "records cannot be written");
        }
    }
}

impl<W: Write> Drop for Out<W> {
    fn drop(&mut self) {
        self.write();
    }
}

/// The first line.
#[derive(Serialize)]
struct OriginLine {
    origin: Origin,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Origin {
    unix_nanos: u64,
}

/// The line of an ejection.
#[derive(Serialize)]
struct EjectionLine {
    ejection: Ejection,
}

impl<W: Write + Send> Recorder for JsonLines<W> {
    fn record(&self, record: &Record) {
        self.line(record);
    }

    fn ejection(&self, ejection: Ejection) {
        self.line(&EjectionLine { ejection });
    }
}

impl<W: Write> fmt::Debug for JsonLines<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JsonLines(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// What has been written so far.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Written {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    #[test]
    fn the_origin_is_there_at_once_and_lines_when_flushed_or_dropped() {
        let written = Written::default();
        let origin = UnixTime::from_epoch(Duration::new(1_700_000_000, 7));
        let lines = JsonLines::since(written.clone(), origin);
        let first = "{\"origin\":{\"unixNanos\":1700000000000000007}}\n";
        assert_eq!(written.text(), first);
        lines.line(&"one");
        assert_eq!(written.text(), first);
        lines.flush();
        assert_eq!(written.text(), format!("{first}\"one\"\n"));
        lines.line(&"two");
        drop(lines);
        assert_eq!(written.text(), format!("{first}\"one\"\n\"two\"\n"));
    }

    #[test]
    fn many_lines_are_written_without_being_told() {
        let written = Written::default();
        let lines = JsonLines::new(written.clone());
        let line = "x".repeat(1000);
        while written.text().is_empty() {
            lines.line(&line);
        }
        let text = written.text();
        assert!(text.len() >= BUFFERED_MAX && text.len() < BUFFERED_MAX + 2000, "{}", text.len());
        assert!(text.ends_with("\"\n"));
    }
}
