//! Work done side by side, its results taken in order.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// How often `tick` is called while nothing else happens.
const TICK: Duration = Duration::from_millis(100);

/// What the workers are at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// Done.
    pub(super) done: usize,
    /// Begun and not done, in order.
    pub(super) running: Vec<usize>,
}

enum Word<T> {
    Begun(usize),
    Done(usize, T),
}

/// Does `work` for 0 to `count`, at most `jobs` at once, and hands each result to `take` in that order
/// however they came. When `take` returns false no further work begins and no further result is taken.
///
/// # Errors
/// The first error of `take` or `tick`.
pub(super) fn in_order<T: Send>(
    count: usize,
    jobs: usize,
    work: impl Fn(usize) -> T + Sync,
    mut take: impl FnMut(T) -> io::Result<bool>,
    mut tick: impl FnMut(&Standing) -> io::Result<()>,
) -> io::Result<()> {
    let (next, stopped) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let (words, said) = mpsc::channel();
        for _ in 0..jobs.clamp(1, count.max(1)) {
            let (words, next, stopped, work) = (words.clone(), &next, &stopped, &work);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count || stopped.load(Ordering::Relaxed) || words.send(Word::Begun(at)).is_err() {
                        break;
                    }
                    let result = work(at);
                    if words.send(Word::Done(at, result)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(words);
        let ended = gather(&said, &mut take, &mut tick);
        stopped.store(true, Ordering::Relaxed);
        ended
    })
}

fn gather<T>(
    said: &mpsc::Receiver<Word<T>>,
    take: &mut impl FnMut(T) -> io::Result<bool>,
    tick: &mut impl FnMut(&Standing) -> io::Result<()>,
) -> io::Result<()> {
    let (mut standing, mut early, mut wanted) = (Standing::default(), BTreeMap::new(), 0);
    loop {
        match said.recv_timeout(TICK) {
            Ok(Word::Begun(at)) => {
                standing.running.push(at);
                standing.running.sort_unstable();
            }
            Ok(Word::Done(at, result)) => {
                standing.running.retain(|own| *own != at);
                standing.done += 1;
                early.insert(at, result);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        while let Some(result) = early.remove(&wanted) {
            wanted += 1;
            if !take(result)? {
                return Ok(());
            }
        }
        tick(&standing)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(count: usize, jobs: usize, until: usize) -> Vec<usize> {
        let mut taken = Vec::new();
        // Later ones are quicker.
        let work = |at: usize| {
            (0..(count - at) * 2000).fold(0usize, |sum, own| sum.wrapping_mul(31).wrapping_add(own));
            at
        };
        let take = |at| {
            taken.push(at);
            Ok(at < until)
        };
        in_order(count, jobs, work, take, |_| Ok(())).unwrap();
        taken
    }

    #[test]
    fn results_come_in_order_however_many_work() {
        for jobs in [1, 2, 7] {
            assert_eq!(taken(20, jobs, 99), (0..20).collect::<Vec<_>>(), "{jobs}");
        }
        assert!(taken(0, 4, 99).is_empty());
    }

    #[test]
    fn nothing_is_taken_after_the_last_one_wanted() {
        for jobs in [1, 4] {
            assert_eq!(taken(20, jobs, 3), [0, 1, 2, 3], "{jobs}");
        }
    }
}
