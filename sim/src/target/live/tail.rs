//! Files that processes of a live run write line by line, read as they grow.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use wavetank_platform::{Instant, UnixTime};
use wavetank_proxy::ejection::Ejection;
use wavetank_proxy::record::Record;

/// A file that grows.
#[derive(Debug)]
pub(super) struct Lines {
    path: PathBuf,
    read: u64,
    /// A line that has not ended.
    begun: Vec<u8>,
}

impl Lines {
    /// The lines of `path`, which may not be there yet.
    pub(super) fn of(path: &Path) -> Self {
        Self { path: path.to_owned(), read: 0, begun: Vec::new() }
    }

    /// The lines that were ended since the last time.
    ///
    /// Errs when the file is there and cannot be read.
    pub(super) fn take(&mut self) -> io::Result<Vec<String>> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        file.seek(SeekFrom::Start(self.read))?;
        let mut bytes = Vec::new();
        self.read += file.read_to_end(&mut bytes)? as u64;
        self.begun.append(&mut bytes);
        let whole = self.begun.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let rest = self.begun.split_off(whole);
        let lines = std::mem::replace(&mut self.begun, rest);
        Ok(String::from_utf8_lossy(&lines).lines().map(str::to_owned).collect())
    }
}

/// What a proxy of ours writes.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Line {
    Origin { origin: Origin },
    Ejection { ejection: Ejection },
    Record(Box<Record>),
}

/// Where a process's clock begins.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Origin {
    unix_nanos: u64,
}

/// The records of one process of a proxy.
#[derive(Debug)]
pub(super) struct Records {
    lines: Lines,
    /// The wall-clock time at which our own clock begins.
    epoch: UnixTime,
    /// The same of the process.
    origin: Option<UnixTime>,
    pub(super) records: Vec<Record>,
    pub(super) ejections: Vec<Ejection>,
}

impl Records {
    /// The records in `path`, at times of our clock, which began at `epoch`.
    pub(super) fn of(path: &Path, epoch: UnixTime) -> Self {
        Self { lines: Lines::of(path), epoch, origin: None, records: Vec::new(), ejections: Vec::new() }
    }

    /// Reads what was added.
    ///
    /// Errs when the file cannot be read or has a line that is no record.
    pub(super) fn update(&mut self) -> io::Result<()> {
        for line in self.lines.take()? {
            let line = serde_json::from_str(&line).map_err(|error| io::Error::other(format!("{error} in `{line}`")))?;
            match line {
                Line::Origin { origin } => {
                    self.origin = Some(UnixTime::from_epoch(Duration::from_nanos(origin.unix_nanos)));
                }
                Line::Ejection { ejection } => {
                    let at = self.ours(ejection.at);
                    self.ejections.push(Ejection { at, ..ejection });
                }
                Line::Record(mut record) => {
                    record.start = self.ours(record.start);
                    for attempt in &mut record.attempts {
                        attempt.start = self.ours(attempt.start);
                    }
                    self.records.push(*record);
                }
            }
        }
        Ok(())
    }

    /// A moment of the process's clock by ours.
    fn ours(&self, theirs: Instant) -> Instant {
        let origin = self.origin.unwrap_or(self.epoch).since_epoch();
        Instant::from_start((origin + theirs.since_start()).saturating_sub(self.epoch.since_epoch()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_proxy::ejection::EjectionAction;

    /// A process that is killed may have begun a line; nobody ends it.
    #[test]
    fn a_last_line_that_was_only_begun_is_left_out() {
        let path = std::env::temp_dir().join(format!("wavetank-tail-{}.jsonl", std::process::id()));
        let ejection = Ejection {
            node: "n".into(),
            at: Instant::from_start(Duration::from_secs(3)),
            cluster: "c".into(),
            endpoint: ([10, 0, 0, 1], 80).into(),
            action: EjectionAction::Uneject,
            ejections: 1,
            since_last_action: None,
        };
        let line = format!("{{\"ejection\":{}}}\n", serde_json::to_string(&ejection).expect("JSON"));
        let origin = "{\"origin\":{\"unixNanos\":12000000000}}\n";
        let begun = &line[..line.len() / 2];
        let mut read = Records::of(&path, UnixTime::from_epoch(Duration::from_secs(10)));
        let mut found = Vec::new();
        for text in [String::new(), format!("{origin}{begun}"), format!("{origin}{line}{begun}")] {
            std::fs::write(&path, text).expect("a file");
            read.update().expect("it reads");
            read.update().expect("it reads again");
            found.push(read.ejections.len());
        }
        std::fs::remove_file(&path).expect("a file of ours");
        assert_eq!(found, [0, 0, 1]);
        // 3 s of a clock that began 2 s after ours.
        assert_eq!(read.ejections[0].at, Instant::from_start(Duration::from_secs(5)));
    }
}
