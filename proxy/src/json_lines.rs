//! Records and ejections as lines of JSON; an ejection's has it in the field `ejection`.

use std::fmt;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::ejection::Ejection;
use crate::record::{Record, Recorder};

/// Writes each record and each ejection as one line. A line that cannot be written is lost, and told once.
pub struct JsonLines<W>(Mutex<Out<W>>);

struct Out<W> {
    writer: W,
    failed: bool,
}

impl<W: Write + Send> JsonLines<W> {
    /// Writes to `writer`, which is flushed after every line.
    pub fn new(writer: W) -> Self {
        Self(Mutex::new(Out { writer, failed: false }))
    }
}

impl<W: Write> Out<W> {
    fn write(&mut self, value: &impl Serialize) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.writer.write_all(&line)?;
        self.writer.flush()
    }
}

/// The line of an ejection.
#[derive(Serialize)]
struct EjectionLine {
    ejection: Ejection,
}

impl<W: Write + Send> Recorder for JsonLines<W> {
    fn record(&self, record: Record) {
        self.line(&record);
    }

    fn ejection(&self, ejection: Ejection) {
        self.line(&EjectionLine { ejection });
    }
}

impl<W: Write + Send> JsonLines<W> {
    fn line(&self, value: &impl Serialize) {
        let mut out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = out.write(value)
            && !std::mem::replace(&mut out.failed, true)
        {
            tracing::error!(%error, "records cannot be written");
        }
    }
}

impl<W> fmt::Debug for JsonLines<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JsonLines(..)")
    }
}
