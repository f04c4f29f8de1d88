//! The files that access logs go to: one for each path, opened once and shared by all workers, each of which gathers
//! its lines in a buffer of its own.
//!
//! A buffer is handed to the file's thread when it has 64 KiB, once a second, and at the end. Files are appended to,
//! made where there is none, and opened anew when told (by SIGUSR1 or the admin port), as after a rotation.
//! `/dev/stdout` and `/dev/stderr` are the process's own streams.
//!
//! - [`file`]: one file and its thread

mod file;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use file::{Backlog, LogFile};
use wavetank_platform::Platform;
use wavetank_platform::spawn::OwnedTask;
use wavetank_proxy::stats::LogCounts;

/// Bytes that wait before they are written, of one worker for one file.
const BUFFERED_MAX: usize = 64 * 1024;

/// How long a line waits before it is written.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// How long the end waits for files to be written.
const SETTLE_MAX: Duration = Duration::from_secs(2);

/// Files, at most: the lines of others are lost.
const FILES_MAX: usize = 256;

/// All access log files of the process.
#[derive(Debug, Default)]
pub(super) struct LogFiles {
    files: Mutex<BTreeMap<Arc<str>, Arc<LogFile>>>,
    workers: Mutex<Vec<Weak<WorkerLogs>>>,
    /// That there are too many, of them or of threads, has been told.
    told: AtomicBool,
    counts: Arc<LogCounts>,
    backlog: Arc<Backlog>,
}

/// One worker's lines that wait. They are handed over when this is dropped, at the latest.
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

    /// Hands over all that waits.
    fn flush(&self) {
        let workers: Vec<_> = lock(&self.workers).iter().filter_map(Weak::upgrade).collect();
        workers.iter().for_each(|worker| worker.flush());
    }

    /// Hands over all that waits, and waits until it is written, for two seconds at most.
    pub(super) fn settle(&self) {
        self.flush();
        if !self.backlog.settle(SETTLE_MAX) {
            tracing::error!("access logs are written too slowly; their last lines are lost");
        }
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
        match LogFile::start(path, &self.counts, &self.backlog) {
            Ok(file) => Some(files.entry(path.clone()).or_insert(Arc::new(file)).clone()),
            Err(error) => {
                if !self.told.swap(true, Ordering::Relaxed) {
                    tracing::error!(%path, %error, "no thread for an access log; its lines are lost");
                }
                None
            }
        }
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
        if !self.lines.is_empty() {
            self.file.write(std::mem::take(&mut self.lines));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::fd::AsRawFd;
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
        files.settle();
        say(&one, &path, "three\n");
        drop(one);
        files.settle();
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
        assert!(files.backlog.settle(SETTLE_MAX));
        assert_eq!(read(&path).len(), BUFFERED_MAX);
    }

    #[test]
    fn what_waits_when_files_are_opened_anew_goes_to_the_new_one() {
        let (folder, files) = (Folder::new("reopen"), Arc::new(LogFiles::default()));
        let (worker, path, old) = (files.worker(), folder.path("a"), folder.path("a.1"));
        say(&worker, &path, "one\n");
        files.settle();
        std::fs::rename(&*path, &*old).unwrap();
        say(&worker, &path, "two\n");
        files.settle();
        say(&worker, &path, "three\n");
        files.reopen();
        files.settle();
        assert_eq!((read(&old).as_str(), read(&path).as_str()), ("one\ntwo\n", "three\n"));
    }

    #[test]
    fn a_file_that_cannot_be_written_loses_its_lines_and_is_tried_again() {
        let (folder, files) = (Folder::new("lost"), Arc::new(LogFiles::default()));
        let (worker, path) = (files.worker(), folder.path("no/a"));
        say(&worker, &path, "lost\n");
        files.settle();
        assert_eq!(counted(&files), (0, 1));
        std::fs::create_dir_all(folder.0.join("no")).unwrap();
        say(&worker, &path, "kept\n");
        files.settle();
        assert_eq!(read(&path), "kept\n");
    }

    /// Once, a worker waited for whoever reads the process's output.
    #[test]
    fn a_pipe_that_nobody_reads_loses_whole_lines_and_holds_up_nobody() {
        let files = Arc::new(LogFiles::default());
        let (mut reader, writer) = std::io::pipe().unwrap();
        let path: Arc<str> = format!("/proc/self/fd/{}", writer.as_raw_fd()).into();
        let worker = files.worker();
        let line = format!("{}\n", "x".repeat(1023));
        let written = 2 * file::QUEUED_MAX / line.len();
        for _ in 0..written {
            say(&worker, &path, &line);
        }
        let (_, lost) = counted(&files);
        assert!(lost > 0);
        let read = std::thread::Builder::new().spawn(move || {
            let mut read = String::new();
            reader.read_to_string(&mut read).unwrap();
            read
        });
        files.settle();
        say(&worker, &path, "last\n");
        files.settle();
        drop((worker, files, writer));
        let read = read.unwrap().join().unwrap();
        let (whole, last) = read.split_at(read.len() - "last\n".len());
        assert_eq!(last, "last\n");
        assert!(whole.lines().all(|own| own.len() == 1023));
        assert_eq!(whole.lines().count() as u64 + lost * (BUFFERED_MAX / line.len()) as u64, written as u64);
    }

    #[test]
    fn there_are_so_many_files_and_no_more() {
        let (folder, files) = (Folder::new("many"), Arc::new(LogFiles::default()));
        let worker = files.worker();
        for number in 0..=FILES_MAX {
            say(&worker, &folder.path(&number.to_string()), "x\n");
        }
        files.settle();
        assert_eq!(counted(&files), (FILES_MAX as u64, 1));
    }
}
