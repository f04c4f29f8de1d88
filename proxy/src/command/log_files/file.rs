//! One file of access logs, written by a thread of its own: a slow disk, or a pipe that nobody reads, holds up no
//! request.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use wavetank_proxy::stats::LogCounts;

/// Bytes that wait for one file, at most: other lines are lost.
pub(super) const QUEUED_MAX: usize = 4 * 1024 * 1024;

/// One file.
#[derive(Debug)]
pub(super) struct LogFile {
    jobs: Sender<Job>,
    state: Arc<State>,
}

/// What its thread shares.
#[derive(Debug)]
struct State {
    path: Arc<str>,
    counts: Arc<LogCounts>,
    backlog: Arc<Backlog>,
    /// Bytes that wait.
    queued: AtomicUsize,
    /// It is to be opened anew.
    stale: AtomicBool,
    /// Lines were lost because too many waited, which its thread is to tell: whoever hands lines over waits for nobody.
    overflowed: AtomicBool,
}

/// Something to be done, which counts until it is.
#[derive(Debug)]
struct Job {
    /// Whole lines; none: the file is to be opened anew.
    lines: Vec<u8>,
    _counted: Counted,
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

    fn jobs(&self) -> MutexGuard<'_, usize> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One more job, until this is dropped.
#[derive(Debug)]
struct Counted(Arc<Backlog>);

impl Counted {
    fn new(backlog: &Arc<Backlog>) -> Self {
        *backlog.jobs() += 1;
        Self(backlog.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        *self.0.jobs() -= 1;
        self.0.done.notify_all();
    }
}

impl LogFile {
    /// The file at `path`, which is opened when there is something to write. Errs when the system gives no thread.
    pub(super) fn start(path: &Arc<str>, counts: &Arc<LogCounts>, backlog: &Arc<Backlog>) -> io::Result<Self> {
        let (jobs, todo) = channel();
        let state = Arc::new(State {
            path: path.clone(),
            counts: counts.clone(),
            backlog: backlog.clone(),
            queued: AtomicUsize::default(),
            stale: AtomicBool::default(),
            overflowed: AtomicBool::default(),
        });
        let own = state.clone();
        thread::Builder::new().name("access-log".to_owned()).spawn(move || own.run(&todo))?;
        Ok(Self { jobs, state })
    }

    /// Has whole lines written. Those for which there is no room are lost.
    pub(super) fn write(&self, lines: Vec<u8>) {
        let size = lines.len();
        let has_room = self.state.queued.fetch_add(size, Ordering::Relaxed) + size <= QUEUED_MAX;
        if !has_room || !self.give(lines) {
            self.state.queued.fetch_sub(size, Ordering::Relaxed);
            self.state.counts.note_lost();
            self.state.overflowed.store(true, Ordering::Relaxed);
        }
    }

    /// Has the file opened anew, after what has been given to it or in between.
    pub(super) fn reopen(&self) {
        // Once it is so, its thread has been told to look.
        if !self.state.stale.swap(true, Ordering::Relaxed) {
            self.give(Vec::new());
        }
    }

    /// Errs when the thread has ended.
    fn give(&self, lines: Vec<u8>) -> bool {
        self.jobs.send(Job { lines, _counted: Counted::new(&self.state.backlog) }).is_ok()
    }
}

impl State {
    fn run(&self, todo: &Receiver<Job>) {
        let mut target = None;
        // That lines are lost is told once, until lines are written again.
        let mut told = false;
        for job in todo {
            if self.stale.swap(false, Ordering::Relaxed) {
                self.reopen(&mut target);
            }
            let written = if job.lines.is_empty() { Ok(()) } else { self.write(&mut target, &job.lines) };
            self.queued.fetch_sub(job.lines.len(), Ordering::Relaxed);
            let lost = match written {
                Err(error) => Some(error.to_string()),
                Ok(()) => self.overflowed.swap(false, Ordering::Relaxed).then(|| "it is written too slowly".to_owned()),
            };
            if let Some(error) = lost.as_ref().filter(|_| !told) {
                tracing::error!(path = %self.path, error, "access log cannot be written; its lines are lost");
            }
            told = lost.is_some();
        }
    }

    fn write(&self, target: &mut Option<Target>, lines: &[u8]) -> io::Result<()> {
        let open = match target.take() {
            Some(open) => Ok(open),
            None => Target::open(&self.path),
        };
        let written = open.and_then(|open| target.insert(open).write(lines));
        match written {
            Ok(()) => self.counts.note_written(),
            Err(_) => self.counts.note_lost(),
        }
        written
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
