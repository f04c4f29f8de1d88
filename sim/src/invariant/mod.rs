//! What must hold of every run, whatever its scenario asks: each in its own file, judged on the log, the
//! proxies' records, and what the world holds when all is over.
//!
//! An invariant that is broken is a fault of ours or of the engine, never of the user's configuration; it
//! fails the run and is named in the report. None of them is statistical, and none says anything of what is
//! not seen. That each finds what it is for is shown by planted bugs, `conformance/planted`.
//!
//! - [`lost`]: no request is lost that was acknowledged
//! - [`once`]: a request is answered once
//! - [`retried`]: nothing is retried that must not be
//! - [`limits`]: circuit breakers hold
//! - [`ejected`]: ejections stay within their percentage
//! - [`plaintext`]: no plaintext where mTLS is promised
//! - [`converged`]: a proxy that lives takes what it is sent
//! - [`left`](mod@left): nothing is left open

mod converged;
mod ejected;
mod left;
mod limits;
mod lost;
mod once;
mod plaintext;
mod retried;

#[cfg(test)]
mod tests;

use crate::explain::Book;
use crate::observe::ObservationLog;

/// An invariant that a run broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Its name: `answered once`.
    pub name: &'static str,
    /// How it was broken the first time.
    pub how: String,
    /// How often it was.
    pub times: usize,
}

/// What one invariant finds: a sentence for each time it was broken.
type Found = Vec<String>;
type Invariant = (&'static str, Needs, fn(&ObservationLog, &Book) -> Found);

/// What an invariant is judged on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// The log and what was recorded, even if something of it is missing.
    Records,
    /// Every record, and the configuration that it was made under: the tank's book.
    All,
}

const ALL: [Invariant; 8] = [
    ("no acknowledged request is lost", Needs::All, lost::broken),
    ("a request is answered once", Needs::Records, once::broken),
    ("nothing is retried that must not be", Needs::All, retried::broken),
    ("limits are never exceeded", Needs::All, limits::broken),
    ("ejections stay within their percentage", Needs::All, ejected::broken),
    ("no plaintext where mTLS is promised", Needs::All, plaintext::broken),
    ("configuration converges", Needs::Records, converged::broken),
    ("nothing is left open", Needs::All, left::broken),
];

/// The names of all of them.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|(name, ..)| *name)
}

/// The invariants that a run broke. Where its proxies' configurations are not known, as on a real machine, those that
/// need them are not judged.
pub fn broken(log: &ObservationLog, book: &Book) -> Vec<Broken> {
    let is_whole = !book.histories.is_empty();
    let judge = |(name, needs, find): &Invariant| {
        if *needs == Needs::All && !is_whole {
            return None;
        }
        let found = find(log, book);
        Some(Broken { name, how: found.first()?.clone(), times: found.len() })
    };
    ALL.iter().filter_map(judge).collect()
}
