//! What makes a running program slow or failing, from outside it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wavetank_platform::RandomStream;

/// The conditions under which the program of one pod runs. Clones are the same conditions.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    in_force: Arc<Mutex<BTreeMap<usize, InForce>>>,
}

#[derive(Debug)]
struct InForce {
    condition: Condition,
    random: RandomStream,
    touched: Arc<AtomicU64>,
}

/// One condition.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Condition {
    /// Requests wait this long before they are looked at.
    Slow(Duration),
    /// This share of requests, in percent, is answered with this status and not looked at.
    Fail {
        /// The status.
        status: u16,
        /// The share.
        percent: f64,
    },
}

/// What the conditions mean for one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Fate {
    /// What it waits.
    pub(super) wait: Duration,
    /// The error it is answered with.
    pub(super) fails: Option<u16>,
}

impl Conditions {
    /// Puts a condition in force under a number; `touched` counts the requests it touches, and shares are
    /// drawn from `random`.
    pub fn add(&self, number: usize, condition: Condition, random: RandomStream, touched: Arc<AtomicU64>) {
        self.lock().insert(number, InForce { condition, random, touched });
    }

    /// Ends the condition of this number.
    pub fn remove(&self, number: usize) {
        self.lock().remove(&number);
    }

    /// The fate of a request that arrives now.
    pub(super) fn fate(&self) -> Fate {
        let mut fate = Fate::default();
        for own in self.lock().values_mut() {
            let touches = match own.condition {
                Condition::Slow(by) => {
                    fate.wait += by;
                    true
                }
                Condition::Fail { status, percent } => {
                    let fails = percent >= 100.0 || own.random.chance(percent / 100.0);
                    if fails && fate.fails.is_none() {
                        fate.fails = Some(status);
                    }
                    fails
                }
            };
            own.touched.fetch_add(u64::from(touches), Ordering::Relaxed);
        }
        fate
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<usize, InForce>> {
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_platform::Entropy;

    #[test]
    fn delays_add_up_and_each_condition_counts_what_it_touches() {
        let conditions = Conditions::default();
        assert_eq!(conditions.fate(), Fate::default());
        let counts = [(); 3].map(|()| Arc::new(AtomicU64::new(0)));
        let random = || Entropy::from_seed(1).stream_named("fault");
        let slow = Condition::Slow(Duration::from_millis(200));
        conditions.add(0, slow, random(), counts[0].clone());
        conditions.add(1, slow, random(), counts[1].clone());
        conditions.add(2, Condition::Fail { status: 503, percent: 100.0 }, random(), counts[2].clone());
        assert_eq!(conditions.fate(), Fate { wait: Duration::from_millis(400), fails: Some(503) });
        conditions.remove(1);
        assert_eq!(conditions.fate().wait, Duration::from_millis(200));
        assert_eq!(counts.map(|count| count.load(Ordering::Relaxed)), [2, 1, 2]);
    }
}
