//! Sends a plan's requests and gathers what came of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use wavetank_platform::{Entropy, Instant};

use super::arrivals::Arrivals;
use super::browser::Browser;
use super::plan::{Load, Plan};
use crate::world::client::{CallFailure, Reply};

/// Requests one plan sends at most, whatever it asks for: the results are kept in memory.
pub const COUNT_MAX: u64 = 10_000_000;

/// One request that was sent.
#[derive(Debug)]
pub struct Sent {
    /// Counted from 1 within its plan.
    pub number: u64,
    /// Which of the plan's callers sent it, from 0.
    pub caller: usize,
    /// When it was sent.
    pub at: Instant,
    /// From sending to the last byte of the reply, or to the failure.
    pub took: Duration,
    /// Our end of the connection; `None` when none was opened.
    pub local: Option<SocketAddr>,
    /// The reply, or why there is none.
    pub result: Result<Reply, CallFailure>,
}

/// Sends the requests of `plan` from `callers` in turn, `plan.at` after `start`, and waits until each is
/// done. The results are in the order of sending.
///
/// Requests of a caller whose process is killed are not among the results.
pub async fn drive(plan: Arc<Plan>, callers: Vec<Browser>, entropy: &Entropy, start: Instant) -> Vec<Sent> {
    let Some(first) = callers.first() else { return Vec::new() };
    let begin = start + plan.at;
    let (results, mut gathered) = unbounded_channel();
    match plan.load {
        Load::Open { rate, spacing } => {
            let random = entropy.fork("arrivals").stream_named(&plan.name);
            let arrivals = Arrivals::new(rate, spacing, random);
            let clock = first.platform().clock.clone();
            for (at, number) in arrivals.zip(1..=count_max(&plan)) {
                if plan.duration.is_some_and(|duration| at >= duration) {
                    break;
                }
                clock.sleep_until(begin + at).await;
                let caller = (number - 1) as usize % callers.len();
                let browser = callers[caller].clone();
                let (plan, results) = (plan.clone(), results.clone());
                callers[caller].platform().spawn.go(async move {
                    send_one(&plan, &browser, caller, number, &results).await;
                });
            }
        }
        Load::Closed { clients, think } => {
            let counter = Arc::new(AtomicU64::new(0));
            for client in 0..clients as usize {
                let caller = client % callers.len();
                let looping = Looping {
                    plan: plan.clone(),
                    caller,
                    begin,
                    think,
                    counter: counter.clone(),
                    results: results.clone(),
                };
                callers[caller].platform().spawn.go(looping.run(callers[caller].clone()));
            }
        }
    }
    drop(results);
    let mut all = Vec::new();
    while let Some(sent) = gathered.recv().await {
        all.push(sent);
    }
    all.sort_by_key(|sent: &Sent| (sent.at, sent.number));
    all
}

/// Requests the plan sends at most; none when it says neither how many nor how long.
fn count_max(plan: &Plan) -> u64 {
    match (plan.count, plan.duration) {
        (None, None) => 0,
        (count, _) => count.unwrap_or(COUNT_MAX).min(COUNT_MAX),
    }
}

async fn send_one(plan: &Plan, browser: &Browser, caller: usize, number: u64, results: &UnboundedSender<Sent>) {
    let clock = &browser.platform().clock;
    let at = clock.now();
    let made = browser.call(plan.call.clone(), plan.timeout).await;
    let took = clock.now() - at;
    // The receiver outlives every sender.
    let _ = results.send(Sent { number, caller, at, took, local: made.local, result: made.result });
}

/// One client of a closed loop.
struct Looping {
    plan: Arc<Plan>,
    caller: usize,
    begin: Instant,
    think: Duration,
    counter: Arc<AtomicU64>,
    results: UnboundedSender<Sent>,
}

impl Looping {
    async fn run(self, browser: Browser) {
        let plan = &self.plan;
        let clock = browser.platform().clock.clone();
        let end = plan.duration.map(|duration| self.begin + duration);
        let count = count_max(plan);
        clock.sleep_until(self.begin).await;
        while end.is_none_or(|end| clock.now() < end) {
            let number = self.counter.fetch_add(1, Ordering::Relaxed) + 1;
            if number > count {
                break;
            }
            let before = clock.now();
            send_one(plan, &browser, self.caller, number, &self.results).await;
            // A call that takes no time at all must not stop the clock.
            let least = if clock.now() == before { Duration::from_millis(1) } else { Duration::ZERO };
            clock.sleep(self.think.max(least)).await;
        }
    }
}
