//! Steps, faults, requests and configuration over time.

use std::collections::BTreeMap;

use wavetank_reports::html::{Band, LatencyBin, ProxyRow, RateBin, Timeline};

use super::faults::named;
use super::{is_failed, millis, since};
use crate::observe::{Mark, Observation, ObservationLog};
use crate::target::RunOutcome;

/// Bins of requests at most.
const BINS_MAX: f64 = 160.0;
/// Widths that a bin may have, in milliseconds; whole multiples of the last beyond.
const BIN_WIDTHS: [f64; 17] =
    [10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 2e3, 5e3, 1e4, 2e4, 6e4, 12e4, 3e5, 6e5, 18e5, 36e5];
/// Bins of requests to one of latencies: quantiles need more requests than counts.
const BINS_OF_LATENCY: f64 = 4.0;
/// How much of the time before the traffic is shown, as a share of the time after.
const BEFORE: f64 = 0.25;
/// Proxies with a row of their own.
const PROXIES_MAX: usize = 30;

/// What happened when.
pub(super) fn timeline(outcome: &RunOutcome) -> Timeline {
    let log = &outcome.log;
    let mut proxies = proxies(log);
    let calls = log.calls().map(|call| since(log.start(), call.at) + millis(call.latency));
    let to_ms = calls.chain(log.marks().map(|(at, _)| millis(at))).fold(1.0, f64::max);
    let first = proxies.iter().flat_map(marks).fold(0.0, |first: f64, own| first.min(own));
    let from_ms = first.max(-to_ms * BEFORE);
    let earlier = cut_before(&mut proxies, from_ms);
    let faults = outcome.faults.iter().map(|fault| Band {
        label: named(fault),
        is_fault: true,
        from_ms: fault.result.from_ms as f64,
        to_ms: (fault.result.to_ms as f64).max(fault.result.from_ms as f64),
    });
    let bin_ms = bin_width(to_ms);
    let proxies_left_out = proxies.len().saturating_sub(PROXIES_MAX);
    proxies.truncate(PROXIES_MAX);
    let mut bands = steps(log, to_ms);
    bands.extend(faults);
    Timeline {
        from_ms,
        to_ms,
        bands,
        bin_ms,
        rates: rates(log, bin_ms),
        splits: Vec::new(),
        latencies: latencies(log, bin_ms * BINS_OF_LATENCY),
        proxies,
        proxies_left_out,
        earlier,
    }
}

fn marks(row: &ProxyRow) -> impl Iterator<Item = f64> {
    row.pushes.iter().chain(&row.acks).chain(&row.nacks).copied()
}

/// Leaves out what came before `from_ms`; how much that was.
fn cut_before(proxies: &mut [ProxyRow], from_ms: f64) -> u64 {
    let all = |proxies: &[ProxyRow]| proxies.iter().flat_map(marks).count() as u64;
    let before = all(proxies);
    for row in proxies.iter_mut() {
        for times in [&mut row.pushes, &mut row.acks, &mut row.nacks] {
            times.retain(|at| *at >= from_ms);
        }
    }
    before - all(proxies)
}

/// Quantiles of the clients' latencies; a bin without requests is left out.
fn latencies(log: &ObservationLog, width: f64) -> Vec<LatencyBin> {
    let mut bins: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for call in log.calls() {
        bins.entry((since(log.start(), call.at).max(0.0) / width) as u64).or_default().push(millis(call.latency));
    }
    let bin = |(at, mut samples): (u64, Vec<f64>)| {
        samples.sort_by(f64::total_cmp);
        let quantile =
            |share: f64| samples[((share * samples.len() as f64).ceil() as usize).clamp(1, samples.len()) - 1];
        let from_ms = at as f64 * width;
        LatencyBin { from_ms, to_ms: from_ms + width, quantiles: [quantile(0.5), quantile(0.95), quantile(0.99)] }
    };
    bins.into_iter().map(bin).collect()
}

fn bin_width(to_ms: f64) -> f64 {
    let fits = BIN_WIDTHS.into_iter().find(|width| to_ms / width <= BINS_MAX);
    let last = BIN_WIDTHS[BIN_WIDTHS.len() - 1];
    fits.unwrap_or_else(|| last * (to_ms / BINS_MAX / last).ceil())
}

fn rates(log: &ObservationLog, bin_ms: f64) -> Vec<RateBin> {
    let mut bins: Vec<RateBin> = Vec::new();
    for call in log.calls() {
        let at = (since(log.start(), call.at).max(0.0) / bin_ms) as usize;
        if bins.len() <= at {
            bins.resize(at + 1, RateBin::default());
        }
        let bin = &mut bins[at];
        let count = match call.status {
            500.. => &mut bin.failed,
            _ if is_failed(call.status, call.failure) => &mut bin.lost,
            400..500 => &mut bin.refused,
            _ => &mut bin.fine,
        };
        *count += 1;
    }
    bins
}

/// A step lasts until the next one, or until it is aborted.
fn steps(log: &ObservationLog, to_ms: f64) -> Vec<Band> {
    let mut bands: Vec<Band> = Vec::new();
    for (at, mark) in log.marks() {
        let at = millis(at);
        let label = match mark {
            Mark::Step(step) => format!("step {step}"),
            Mark::Aborted(step) => format!("aborted in {step}"),
            Mark::Converged(_) => continue,
        };
        if let Some(before) = bands.last_mut() {
            before.to_ms = at;
        }
        bands.push(Band { label, is_fault: false, from_ms: at, to_ms: to_ms.max(at) });
    }
    bands
}

fn proxies(log: &ObservationLog) -> Vec<ProxyRow> {
    let mut rows: BTreeMap<String, ProxyRow> = BTreeMap::new();
    for entry in log.entries() {
        let at = since(log.start(), entry.at());
        match entry {
            Observation::Push(push) => rows.entry(push.proxy.to_string()).or_default().pushes.push(at),
            Observation::Ack(ack) => {
                let row = rows.entry(ack.proxy.to_string()).or_default();
                if ack.refused.is_some() { row.nacks.push(at) } else { row.acks.push(at) }
            }
            _ => {}
        }
    }
    rows.into_iter().map(|(name, row)| ProxyRow { name, ..row }).collect()
}
