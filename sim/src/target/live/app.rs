//! A pod's program as a process of its own, and the conditions it runs under.
//!
//! `wavetank app FILE` reads orders from its standard input and tells on its standard output what conditions touched.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::ChildStdout;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::process::Process;
use crate::world::app::Condition;

/// What a program is told, a line of JSON each.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Order {
    /// Run under a condition from now on.
    Begin {
        /// The fault's number.
        fault: usize,
        /// The condition.
        condition: Condition,
        /// Seed of its random stream.
        seed: u64,
    },
    /// The condition of this fault is over.
    End {
        /// The fault's number.
        fault: usize,
    },
}

/// What a program tells, a line of JSON each: requests touched by fault since it was last told.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct TouchedSince {
    /// Requests by the number of the fault.
    pub touched: BTreeMap<usize, u64>,
}

type Counters = Arc<Mutex<BTreeMap<usize, Arc<AtomicU64>>>>;

/// A pod's program. It may be started again, and runs under the same conditions then.
#[derive(Debug, Default)]
pub(super) struct App {
    process: Option<Process>,
    orders: BTreeMap<usize, Order>,
    counters: Counters,
}

impl App {
    /// Its process was started.
    pub(super) fn begin(&mut self, mut process: Process) {
        if let Some(stdout) = process.take_stdout() {
            let counters = self.counters.clone();
            // Ends when the process does.
            let _ = std::thread::Builder::new().name("app".to_owned()).spawn(move || count(stdout, &counters));
        }
        for order in self.orders.values() {
            tell(&mut process, order);
        }
        self.process = Some(process);
    }

    /// Ends its process.
    pub(super) fn end(&mut self) {
        self.process = None;
    }

    /// Puts it under a condition.
    pub(super) fn set_condition(&mut self, fault: usize, condition: Condition, seed: u64, touched: Arc<AtomicU64>) {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner).insert(fault, touched);
        let order = Order::Begin { fault, condition, seed };
        if let Some(process) = &mut self.process {
            tell(process, &order);
        }
        self.orders.insert(fault, order);
    }

    /// Ends a condition. What it touched last may still be told.
    pub(super) fn end_condition(&mut self, fault: usize) {
        self.orders.remove(&fault);
        if let Some(process) = &mut self.process {
            tell(process, &Order::End { fault });
        }
    }
}

fn tell(process: &mut Process, order: &Order) {
    // Orders are plain data, which always becomes JSON.
    if let Ok(line) = serde_json::to_string(order) {
        process.tell(&line);
    }
}

fn count(stdout: ChildStdout, counters: &Counters) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        let Ok(TouchedSince { touched }) = serde_json::from_str(&line) else { continue };
        let counters = counters.lock().unwrap_or_else(PoisonError::into_inner);
        for (fault, requests) in touched {
            if let Some(counter) = counters.get(&fault) {
                counter.fetch_add(requests, Ordering::Relaxed);
            }
        }
    }
}
