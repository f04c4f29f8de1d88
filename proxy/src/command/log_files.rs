//! The files that access logs go to: one for each path, opened once and shared by all workers, each of which gathers
//! its lines in a buffer of its own.
//!
//! A buffer is written when it has 64 KiB, once a second, and at the end. Files are appended to, made where there is
//! none, and opened anew when told (by SIGUSR1 or the admin port), as after a rotation. `/dev/stdout` and
//! `/dev/stderr` are the process's own streams.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use wavetank_platform::Platform;
use wavetank_platform::spawn::OwnedTask;
use wavetank_proxy::stats::LogCounts;

/// Bytes that wait before they are written, of one worker for one file.
const BUFFERED_MAX: usize = 64 * 1024;

/// How long a line waits before it is written.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// Files, at most: the lines of others are lost.
const FILES_MAX: usize = 256;

/// All access log files of the process.
#[derive(Debug, Default)]
pub(super) struct LogFiles {
    files: Mutex<BTreeMap<Arc<str>, Arc<LogFile>>>,
    workers: Mutex<Vec<Weak<WorkerLogs>>>,
    /// That there are too many has been told.
    told: AtomicBool,
    counts: Arc<LogCounts>,
}

/// One file.
#[derive(Debug)]
struct LogFile {
    path: Arc<str>,
    out: Mutex<Out>,
    counts: Arc<LogCounts>,
}

#[derive(Debug, Default)]
struct Out {
    /// `None`: not open yet, or not to be opened.
    target: Option<Target>,
    /// That lines are lost has been told.
    told: bool,
}

#[derive(Debug)]
enum Target {
    Stdout,
    Stderr,
    File(File),
}

/// One worker's lines that wait. They are written when this is dropped, at the latest.
#[derive(Debug)]
pub(super) struct WorkerLogs {
    files: Arc<LogFiles>,
    buffers: Mutex<BTreeMap<Arc<str>, Buffer>>,
}

#[derive(Debug)]
struct Buffer {
    file: Arc<LogFile>,
    lines: Vec<u8>,
}

impl LogFiles {
    /// What is counted of them.
    pub(super) fn counts(&self) -> &Arc<LogCounts> {
        &self.counts
    }

    /// The lines of one more worker.
    pub(super) fn worker(self: &Arc<Self>) -> Arc<WorkerLogs> {
        let worker = Arc::new(WorkerLogs { files: self.clone(), buffers: Mutex::default() });
        lock(&self.workers).push(Arc::downgrade(&worker));
        worker
    }

    /// Writes all that waits.
    pub(super) fn flush(&self) {
        let workers: Vec<_> = lock(&self.workers).iter().filter_map(Weak::upgrade).collect();
        workers.iter().for_each(|worker| worker.flush());
    }

    /// Opens every file anew. What waits goes to the new ones.
    pub(super) fn reopen(&self) {
        let files: Vec<_> = lock(&self.files).values().cloned().collect();
        for file in files {
            file.reopen();
        }
    }

    /// Sees to it, on `platform`, that no line waits for longer than a second.
    pub(super) fn keep_flushing(self: &Arc<Self>, platform: &Platform) -> OwnedTask {
        let (files, clock) = (self.clone(), platform.clock.clone());
        let flushing = async move {
            loop {
                clock.sleep(FLUSH_EVERY).await;
                files.flush();
            }
        };
        platform.spawn.go(flushing).abort_on_drop()
    }

    fn file(&self, path: &Arc<str>) -> Option<Arc<LogFile>> {
        let mut files = lock(&self.files);
        if let Some(file) = files.get(path) {
            return Some(file.clone());
        }
        if files.len() >= FILES_MAX {
            if !self.told.swap(true, Ordering::Relaxed) {
                tracing::error!(%path, "more than {FILES_MAX} access log files; its lines are lost, and those of later ones");
            }
            return None;
        }
        let file = Arc::new(LogFile { path: path.clone(), out: Mutex::default(), counts: self.counts.clone() });
        files.insert(path.clone(), file.clone());
        Some(file)
    }
}

impl WorkerLogs {
    /// Has `write` append a line for the file at `path`.
    pub(super) fn line(&self, path: &Arc<str>, write: &mut dyn FnMut(&mut Vec<u8>)) {
        let mut buffers = lock(&self.buffers);
        if !buffers.contains_key(path) {
            let Some(file) = self.files.file(path) else { return self.files.counts.note_lost() };
            buffers.insert(path.clone(), Buffer { file, lines: Vec::new() });
        }
        let Some(buffer) = buffers.get_mut(path) else { return };
        write(&mut buffer.lines);
        if buffer.lines.len() >= BUFFERED_MAX {
            buffer.flush();
        }
    }

    fn flush(&self) {
        for buffer in lock(&self.buffers).values_mut() {
            buffer.flush();
        }
    }
}

impl Drop for WorkerLogs {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Buffer {
    fn flush(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        self.file.write(&self.lines);
        self.lines.clear();
    }
}

impl LogFile {
    /// Writes whole lines. Those that cannot be written are lost, which is counted, and told once until lines are
    /// written again.
    fn write(&self, lines: &[u8]) {
        let mut out = lock(&self.out);
        match out.write(&self.path, lines) {
            Ok(()) => {
                out.told = false;
                self.counts.note_written();
            }
            Err(error) => {
                self.counts.note_lost();
                if !std::mem::replace(&mut out.told, true) {
                    tracing::error!(path = %self.path, %error, "access log cannot be written; its lines are lost");
                }
            }
        }
    }

    fn reopen(&self) {
        let mut out = lock(&self.out);
        match Target::open(&self.path) {
            Ok(target) => out.target = Some(target),
            Err(error) => {
                self.counts.note_unopened();
                tracing::error!(path = %self.path, %error, "access log cannot be opened anew; the old one stays");
            }
        }
    }
}

impl Out {
    fn write(&mut self, path: &str, lines: &[u8]) -> io::Result<()> {
        if self.target.is_none() {
            self.target = Some(Target::open(path)?);
        }
        match &mut self.target {
            Some(Target::File(file)) => file.write_all(lines),
            Some(Target::Stdout) => {
                let mut stream = io::stdout().lock();
                stream.write_all(lines).and_then(|()| stream.flush())
            }
            Some(Target::Stderr) => io::stderr().lock().write_all(lines),
            None => Ok(()),
        }
    }
}

impl Target {
    fn open(path: &str) -> io::Result<Self> {
        match path {
            "/dev/stdout" => Ok(Self::Stdout),
            "/dev/stderr" => Ok(Self::Stderr),
            path => OpenOptions::new().append(true).create(true).open(path).map(Self::File),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("wavetank-logs-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn path(&self, name: &str) -> Arc<str> {
            self.0.join(name).to_str().unwrap().into()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _gone = std::fs::remove_dir_all(&self.0);
        }
    }

    fn say(worker: &WorkerLogs, path: &Arc<str>, text: &str) {
        worker.line(path, &mut |line| line.extend_from_slice(text.as_bytes()));
    }

    /// Buffers written, and lost.
    fn counted(files: &LogFiles) -> (u64, u64) {
        let count = |name| files.counts().named().into_iter().find_map(|(own, count)| (own == name).then_some(count));
        (count("write_completed").unwrap(), count("write_failed").unwrap())
    }

    fn read(path: &str) -> String {
        std::fs::read_to_string(path).unwrap_or_default()
    }

    #[test]
    fn lines_of_two_workers_are_appended_when_flushed() {
        let (folder, files) = (Folder::new("append"), Arc::new(LogFiles::default()));
        let (one, two, path) = (files.worker(), files.worker(), folder.path("a"));
        std::fs::write(&*path, "before\n").unwrap();
        say(&one, &path, "one\n");
        say(&two, &path, "two\n");
        assert_eq!(read(&path), "before\n");
        files.flush();
        say(&one, &path, "three\n");
        drop(one);
        assert_eq!(read(&path), "before\none\ntwo\nthree\n");
        assert_eq!(counted(&files), (3, 0));
    }

    #[test]
    fn a_full_buffer_is_written_at_once() {
        let (folder, files) = (Folder::new("full"), Arc::new(LogFiles::default()));
        let (worker, path) = (files.worker(), folder.path("a"));
        say(&worker, &path, &"x".repeat(BUFFERED_MAX - 1));
        assert_eq!(read(&path), "");
        say(&worker, &path, "\n");
        assert_eq!(read(&path).len(), BUFFERED_MAX);
    }

    #[test]
    fn what_waits_when_files_are_opened_anew_goes_to_the_new_one() {
        let (folder, files) = (Folder::new("reopen"), Arc::new(LogFiles::default()));
        let (worker, path, old) = (files.worker(), folder.path("a"), folder.path("a.1"));
        say(&worker, &path, "one\n");
        files.flush();
        std::fs::rename(&*path, &*old).unwrap();
        say(&worker, &path, "two\n");
        files.flush();
        say(&worker, &path, "three\n");
        files.reopen();
        files.flush();
        assert_eq!((read(&old).as_str(), read(&path).as_str()), ("one\ntwo\n", "three\n"));
    }

    #[test]
    fn a_file_that_cannot_be_written_loses_its_lines_and_is_tried_again() {
        let (folder, files) = (Folder::new("lost"), Arc::new(LogFiles::default()));
        let (worker, path) = (files.worker(), folder.path("no/a"));
        say(&worker, &path, "lost\n");
        files.flush();
        assert_eq!(counted(&files), (0, 1));
        std::fs::create_dir_all(folder.0.join("no")).unwrap();
        say(&worker, &path, "kept\n");
        files.flush();
        assert_eq!(read(&path), "kept\n");
    }

    #[test]
    fn there_are_so_many_files_and_no_more() {
        let (folder, files) = (Folder::new("many"), Arc::new(LogFiles::default()));
        let worker = files.worker();
        for number in 0..=FILES_MAX {
            say(&worker, &folder.path(&number.to_string()), "x\n");
        }
        files.flush();
        assert_eq!(counted(&files), (FILES_MAX as u64, 1));
    }
}
