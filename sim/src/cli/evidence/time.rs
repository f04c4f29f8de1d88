//! Steps, faults, requests and configuration over time.

use std::collections::BTreeMap;

use wavetank_reports::html::{Band, ProxyRow, RateBin, Timeline};

use super::{is_failed, millis, since};
use crate::observe::{Mark, Observation, ObservationLog};
use crate::target::RunOutcome;

/// Bins of requests at most.
const BINS_MAX: f64 = 160.0;
/// Widths that a bin may have, in milliseconds; whole multiples of the last beyond.
const BIN_WIDTHS: [f64; 13] = [10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 2e3, 5e3, 1e4, 2e4, 6e4, 36e5];
/// Proxies with a row of their own.
const PROXIES_MAX: usize = 30;

/// What happened when.
pub(super) fn timeline(outcome: &RunOutcome) -> Timeline {
    let log = &outcome.log;
    let mut proxies = proxies(log);
    let pushes = proxies.iter().flat_map(|row| row.pushes.iter().chain(&row.acks));
    let from_ms = pushes.fold(0.0, |first: f64, own| first.min(*own));
    let to_ms = log.calls().map(|call| since(log.start(), call.at) + millis(call.latency)).fold(1.0, f64::max);
    let faults = outcome.faults.iter().map(|fault| &fault.result);
    let faults: Vec<Band> = faults
        .map(|fault| Band {
            label: format!("{} {}", fault.kind, fault.on).trim_end().to_owned(),
            is_fault: true,
            from_ms: fault.from_ms as f64,
            to_ms: (fault.to_ms as f64).max(fault.from_ms as f64),
        })
        .collect();
    let bin_ms = bin_width(to_ms);
    let proxies_left_out = proxies.len().saturating_sub(PROXIES_MAX);
    proxies.truncate(PROXIES_MAX);
    let mut bands = steps(log, to_ms);
    bands.extend(faults);
    Timeline { from_ms, to_ms, bands, bin_ms, rates: rates(log, bin_ms), proxies, proxies_left_out }
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
