//! `wavetank app FILE`: a program of the world as a process of its own.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use wavetank_platform::{Entropy, Platform};

use super::app::{Order, TouchedSince};
use crate::world::app::{Conditions, Program};

/// How often it tells what conditions touched.
const TELL: Duration = Duration::from_millis(50);

type Counters = Arc<Mutex<BTreeMap<usize, Arc<AtomicU64>>>>;

/// Runs the program that a file of JSON describes, until the process is ended.
///
/// Errs when the file cannot be read, or the program's port cannot be bound.
pub fn run(file: &Path) -> io::Result<()> {
    let program: Program = serde_json::from_slice(&fs::read(file)?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let platform = wavetank_platform::linux::platform()?;
        let (conditions, counters) = (Conditions::default(), Counters::default());
        program.start_under(&platform, conditions.clone()).await?;
        let (obeyed, counted) = (conditions.clone(), counters.clone());
        std::thread::Builder::new().name("orders".to_owned()).spawn(move || obey(&obeyed, &counted))?;
        tell(&platform, &counters).await
    })
}

/// Follows orders from standard input.
fn obey(conditions: &Conditions, counters: &Counters) {
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        match serde_json::from_str(&line) {
            Ok(Order::Begin { fault, condition, seed }) => {
                let counter = Arc::<AtomicU64>::default();
                counters.lock().unwrap_or_else(PoisonError::into_inner).insert(fault, counter.clone());
                let random = Entropy::from_seed(seed).stream_named("condition");
                conditions.add(fault, condition, random, counter);
            }
            Ok(Order::End { fault }) => conditions.remove(fault),
            Err(error) => eprintln!("`{line}` is no order: {error}"),
        }
    }
}

/// Tells on standard output what conditions touched, until nobody reads it.
async fn tell(platform: &Platform, counters: &Counters) -> io::Result<()> {
    let mut told: BTreeMap<usize, u64> = BTreeMap::new();
    loop {
        platform.clock.sleep(TELL).await;
        let mut news = TouchedSince::default();
        for (fault, counter) in counters.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let now = counter.load(Ordering::Relaxed);
            let before = told.insert(*fault, now).unwrap_or(0);
            if now > before {
                news.touched.insert(*fault, now - before);
            }
        }
        if !news.touched.is_empty() {
            let mut out = io::stdout().lock();
            writeln!(out, "{}", serde_json::to_string(&news)?)?;
            out.flush()?;
        }
    }
}
