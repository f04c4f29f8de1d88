//! What proxies recorded and logged, in the order they did.

use std::sync::{Arc, Mutex, PoisonError};

use wavetank_platform::Platform;
use wavetank_proxy::ejection::Ejection;
use wavetank_proxy::record::{Record, Recorder};

use crate::live;

/// Keeps every record, every ejection and every line of access logs in memory.
#[derive(Debug, Default)]
pub struct Records(Mutex<Vec<Record>>, Mutex<Vec<Ejection>>, Mutex<Vec<u8>>);

impl Recorder for Records {
    fn record(&self, record: &Record) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(record.clone());
    }

    fn ejection(&self, ejection: Ejection) {
        self.1.lock().unwrap_or_else(PoisonError::into_inner).push(ejection);
    }

    fn access_log(&self, _path: &Arc<str>, write: &mut dyn FnMut(&mut Vec<u8>)) {
        write(&mut self.2.lock().unwrap_or_else(PoisonError::into_inner));
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

    /// All lines of access logs, whatever their files.
    pub fn logged(&self) -> String {
        self.logged_since(0)
    }

    /// What came into access logs after this many bytes.
    pub fn logged_since(&self, from: usize) -> String {
        let bytes = self.2.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(bytes.get(from..).unwrap_or_default()).into_owned()
    }

    /// How many bytes came into access logs.
    pub fn logged_bytes(&self) -> usize {
        self.2.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// All records but the first so many.
    pub fn since(&self, from: usize) -> Vec<Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(from..).unwrap_or_default().to_vec()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
