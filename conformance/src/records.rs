//! What proxies recorded, in the order they did.

use std::sync::{Mutex, PoisonError};

use wavetank_platform::Platform;
use wavetank_proxy::ejection::Ejection;
use wavetank_proxy::record::{Record, Recorder};

use crate::live;

/// Keeps every record and every ejection in memory.
#[derive(Debug, Default)]
pub struct Records(Mutex<Vec<Record>>, Mutex<Vec<Ejection>>);

impl Recorder for Records {
    fn record(&self, record: &Record) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(record.clone());
    }

    fn ejection(&self, ejection: Ejection) {
        self.1.lock().unwrap_or_else(PoisonError::into_inner).push(ejection);
    }
}

impl Records {
    /// Waits for the record at `index`, counted from 0: a record closes a little after its reply has come.
    pub async fn nth(&self, platform: &Platform, index: usize) -> Record {
        let look = || self.0.lock().unwrap_or_else(PoisonError::into_inner).get(index).cloned();
        live::until(platform, "a record", look).await
    }

    /// Waits for a record that `fits`, and returns the first that does.
    pub async fn find(&self, platform: &Platform, fits: impl Fn(&Record) -> bool) -> Record {
        let look = || self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().find(|one| fits(one)).cloned();
        live::until(platform, "a record", look).await
    }

    /// All of them.
    pub fn all(&self) -> Vec<Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All ejections.
    pub fn ejections(&self) -> Vec<Ejection> {
        self.1.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
