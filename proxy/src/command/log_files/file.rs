//! One file of access logs, written by a thread of its own: a slow disk, or a pipe that nobody reads, holds up no
//! request.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use wavetank_proxy::stats::LogCounts;

/// Buffers that wait for one file, at most: the lines of others are lost.
pub(super) const QUEUED_MAX: usize = 64;

/// One file.
#[derive(Debug)]
pub(super) struct LogFile {
    jobs: SyncSender<Job>,
    state: Arc<State>,
}

/// What its thread shares.
#[derive(Debug)]
struct State {
    path: Arc<str>,
    counts: Arc<LogCounts>,
    backlog: Arc<Backlog>,
    /// It is to be opened anew.
    stale: AtomicBool,
    /// That lines are lost has been told.
    told: AtomicBool,
}

#[derive(Debug)]
enum Job {
    /// Whole lines.
    Write(Vec<u8>),
    /// To look whether the file is stale.
    Look,
}

/// What all files have before them.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    jobs: Mutex<usize>,
    done: Condvar,
}

impl Backlog {
    /// Waits until there is nothing to be written, for so long at most; says whether it came to that.
    pub(super) fn settle(&self, at_most: Duration) -> bool {
        let waited = self.done.wait_timeout_while(self.jobs(), at_most, |jobs| *jobs > 0);
        *waited.unwrap_or_else(PoisonError::into_inner).0 == 0
    }

    fn begin(&self) {
        *self.jobs() += 1;
    }

    fn end(&self) {
        *self.jobs() -= 1;
        self.done.notify_all();
    }

    fn jobs(&self) -> MutexGuard<'_, usize> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogFile {
    /// The file at `path`, which is opened when there is something to write. Errs when the system gives no thread.
    pub(super) fn start(path: &Arc<str>, counts: &Arc<LogCounts>, backlog: &Arc<Backlog>) -> io::Result<Self> {
        let (jobs, todo) = sync_channel(QUEUED_MAX);
        let state = Arc::new(State {
            path: path.clone(),
            counts: counts.clone(),
            backlog: backlog.clone(),
            stale: AtomicBool::default(),
            told: AtomicBool::default(),
        });
        let own = state.clone();
        thread::Builder::new().name("access-log".to_owned()).spawn(move || own.run(&todo))?;
        Ok(Self { jobs, state })
    }

    /// Has whole lines written. Those for which there is no room are lost.
    pub(super) fn write(&self, lines: Vec<u8>) {
        if !self.give(Job::Write(lines)) {
            self.state.lose("it is written too slowly");
        }
    }

    /// Has the file opened anew, after what has been given to it or in between.
    pub(super) fn reopen(&self) {
        self.state.stale.store(true, Ordering::Relaxed);
        // Where there is no room for it, somebody is about to look.
        self.give(Job::Look);
    }

    fn give(&self, job: Job) -> bool {
        self.state.backlog.begin();
        let given = self.jobs.try_send(job).is_ok();
        if !given {
            self.state.backlog.end();
        }
        given
    }
}

impl State {
    fn run(&self, todo: &Receiver<Job>) {
        let mut target = None;
        for job in todo {
            if self.stale.swap(false, Ordering::Relaxed) {
                self.reopen(&mut target);
            }
            if let Job::Write(lines) = job {
                self.write(&mut target, &lines);
            }
            self.backlog.end();
        }
    }

    fn write(&self, target: &mut Option<Target>, lines: &[u8]) {
        let open = match target.take() {
            Some(open) => Ok(open),
            None => Target::open(&self.path),
        };
        match open.and_then(|open| target.insert(open).write(lines)) {
            Ok(()) => {
                self.told.store(false, Ordering::Relaxed);
                self.counts.note_written();
            }
            Err(error) => self.lose(&error.to_string()),
        }
    }

    fn reopen(&self, target: &mut Option<Target>) {
        match Target::open(&self.path) {
            Ok(new) => *target = Some(new),
            Err(error) => {
                self.counts.note_unopened();
                tracing::error!(path = %self.path, %error, "access log cannot be opened anew; the old one stays");
            }
        }
    }

    /// Counts lines that are lost, and tells so once until lines are written again.
    fn lose(&self, why: &str) {
        self.counts.note_lost();
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::error!(path = %self.path, error = why, "access log cannot be written; its lines are lost");
        }
    }
}

#[derive(Debug)]
enum Target {
    Stdout,
    Stderr,
    File(File),
}

impl Target {
    fn open(path: &str) -> io::Result<Self> {
        match path {
            "/dev/stdout" => Ok(Self::Stdout),
            "/dev/stderr" => Ok(Self::Stderr),
            path => OpenOptions::new().append(true).create(true).open(path).map(Self::File),
        }
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.write_all(lines),
            Self::Stdout => {
                let mut stream = io::stdout().lock();
                stream.write_all(lines).and_then(|()| stream.flush())
            }
            Self::Stderr => io::stderr().lock().write_all(lines),
        }
    }
}
