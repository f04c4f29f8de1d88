//! All traffic of a scenario, sent.

use std::sync::Arc;

use wavetank_platform::{Entropy, Instant, Platform};

use super::callers::{Caller, plan};
use super::side::Seat;
use super::witness::Driven;
use crate::scenario::Scenario;
use crate::traffic::browser::Browser;
use crate::traffic::drive;

/// Sends all traffic and waits until each request is done.
///
/// `at` gives the process that calls from a seat, `keeper` keeps the schedules, and the random streams of arrivals are
/// of `entropy`.
pub(super) async fn send(
    scenario: &Scenario,
    callers: Vec<Vec<Caller>>,
    at: impl Fn(Seat) -> Platform,
    keeper: &Platform,
    entropy: &Entropy,
    start: Instant,
) -> Vec<Driven> {
    let (results, mut gathered) = tokio::sync::mpsc::channel(callers.len().max(1));
    for (index, (traffic, callers)) in scenario.traffic.iter().zip(callers).enumerate() {
        let plan = Arc::new(plan(traffic, scenario.until));
        let request = &traffic.request;
        let browser = |caller: &Caller| Browser::new(at(caller.seat()), &request.host, request.port);
        let browsers = callers.iter().map(browser).collect();
        let (results, entropy) = (results.clone(), entropy.clone());
        let who = callers.iter().map(Caller::place).collect();
        keeper.spawn.go(async move {
            let sent = drive(plan.clone(), browsers, &entropy, start).await;
            // The receiver waits for every sender.
            let _ = results.send((index, Driven { plan, callers: who, sent })).await;
        });
    }
    drop(results);
    let mut driven = Vec::new();
    while let Some(one) = gathered.recv().await {
        driven.push(one);
    }
    driven.sort_by_key(|(index, _)| *index);
    driven.into_iter().map(|(_, driven)| driven).collect()
}
