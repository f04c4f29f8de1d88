//! What breaks: the entries of `faults`.

use std::time::Duration;

use wavetank_control::config::yaml::{Mapping, Node};
use wavetank_reports::Place;

use super::expect::place;
use super::fields::{Findings, Keys};
use super::moment::Times;
use super::parse::percent;
use crate::fault::{Fault, FaultKind, Link, LinkChange};

pub(super) const FAULT: Keys = Keys {
    of: "a fault",
    known: &[
        "at",
        "for",
        "may_miss",
        "partition",
        "delay",
        "loss",
        "bandwidth",
        "kill",
        "power_off",
        "delete",
        "restart",
        "slow",
        "fail",
    ],
    later: &["reject", "reset", "blackhole", "clock_skew"],
};
const DELAY: Keys = Keys { of: "delay", known: &["link", "by", "jitter"], later: &[] };
const LOSS: Keys = Keys { of: "loss", known: &["link", "rate"], later: &[] };
const BANDWIDTH: Keys = Keys { of: "bandwidth", known: &["link", "rate"], later: &[] };
const SLOW: Keys = Keys { of: "slow", known: &["at", "by"], later: &[] };
const FAIL: Keys = Keys { of: "fail", known: &["at", "status", "rate"], later: &[] };

/// The keys that say what breaks.
const KINDS: [&str; 10] =
    ["partition", "delay", "loss", "bandwidth", "kill", "power_off", "delete", "restart", "slow", "fail"];

/// Reads `faults`: one or a list of them.
pub(super) fn read(node: Option<&Node>, times: &mut Times, findings: &mut Findings) -> Vec<Fault> {
    let mut faults = Vec::new();
    for item in node.map(|node| findings.items(node)).unwrap_or_default() {
        let fault = fault(item, times, findings);
        times.add_fault(fault.as_ref());
        faults.extend(fault);
    }
    faults
}

fn fault(node: &Node, times: &Times, findings: &mut Findings) -> Option<Fault> {
    let mapping = findings.mapping(node, &FAULT)?;
    let at = match mapping.get("at") {
        Some(at) => times.fixed(at, "at", findings)?,
        None => Duration::ZERO,
    };
    let duration = match mapping.get("for") {
        Some(node) => Some(findings.duration(node, "for")?),
        None => None,
    };
    let may_miss = match mapping.get("may_miss") {
        Some(node) => match node.as_bool() {
            Some(may_miss) => may_miss,
            None => {
                findings.wrong(&node.span, "may_miss is true or false");
                return None;
            }
        },
        None => false,
    };
    let given: Vec<_> = mapping.iter().filter(|(name, _)| KINDS.contains(name)).collect();
    let [(name, own)] = given.as_slice() else {
        let what = if given.is_empty() { "what breaks" } else { "one thing that breaks, not several" };
        findings.missing(&node.span, format!("a fault says {what}: {}", KINDS.join(", ")));
        return None;
    };
    let kind = kind(name, &own.value, findings)?;
    let without_end = match &kind {
        FaultKind::Delete(_) => Some("a deleted pod does not come back, so `delete` has no `for`"),
        FaultKind::Restart(_) => Some("each pod takes the time it needs, so `restart` has no `for`"),
        _ => None,
    };
    if let (Some(why), Some(node)) = (without_end, mapping.get("for")) {
        findings.wrong(&node.span, why);
    }
    let (asked_at, width): (Place, usize) = place(&own.key, &own.value.span);
    Some(Fault { asked_at, width, at, duration, may_miss, kind })
}

fn kind(name: &str, node: &Node, findings: &mut Findings) -> Option<FaultKind> {
    match name {
        "partition" => findings.link(node, "partition").map(FaultKind::Partition),
        "kill" => findings.party(node, "kill").map(FaultKind::Kill),
        "power_off" => findings.party(node, "power_off").map(FaultKind::PowerOff),
        "delete" => findings.party(node, "delete").map(FaultKind::Delete),
        "restart" => findings.party(node, "restart").map(FaultKind::Restart),
        "delay" => {
            let parts = findings.mapping(node, &DELAY)?;
            let (link, by) = (link(parts, node, findings), needed(parts, node, "by", findings));
            let by = by.and_then(|node| findings.duration(node, "by"));
            let jitter = parts.get("jitter").map_or(Some(Duration::ZERO), |node| findings.duration(node, "jitter"));
            Some(FaultKind::Link(link?, LinkChange::Delay { by: by?, jitter: jitter? }))
        }
        "loss" => {
            let parts = findings.mapping(node, &LOSS)?;
            let (link, rate) = (link(parts, node, findings), needed(parts, node, "rate", findings));
            let rate = rate.and_then(|node| findings.read(node, "rate", percent));
            Some(FaultKind::Link(link?, LinkChange::Loss(rate?)))
        }
        "bandwidth" => {
            let parts = findings.mapping(node, &BANDWIDTH)?;
            let (link, rate) = (link(parts, node, findings), needed(parts, node, "rate", findings));
            let rate = rate.and_then(|node| findings.read(node, "rate", bits));
            Some(FaultKind::Link(link?, LinkChange::Bandwidth(rate?)))
        }
        "slow" => {
            let parts = findings.mapping(node, &SLOW)?;
            let (at, by) = (needed(parts, node, "at", findings), needed(parts, node, "by", findings));
            let at = at.and_then(|node| findings.party(node, "at"));
            Some(FaultKind::Slow(at?, by.and_then(|node| findings.duration(node, "by"))?))
        }
        _ => {
            let parts = findings.mapping(node, &FAIL)?;
            let at = needed(parts, node, "at", findings).and_then(|node| findings.party(node, "at"));
            let status = parts.get("status").map_or(Some(503), |node| findings.whole(node, "status", 200, 599));
            let percent = parts.get("rate").map_or(Some(100.0), |node| findings.read(node, "rate", percent));
            Some(FaultKind::Fail { at: at?, status: u16::try_from(status?).ok()?, percent: percent? })
        }
    }
}

fn link(parts: &Mapping, node: &Node, findings: &mut Findings) -> Option<Link> {
    needed(parts, node, "link", findings).and_then(|node| findings.link(node, "link"))
}

fn needed<'n>(parts: &'n Mapping, node: &Node, name: &str, findings: &mut Findings) -> Option<&'n Node> {
    let found = parts.get(name);
    if found.is_none() {
        findings.missing(&node.span, format!("this fault needs the key `{name}`"));
    }
    found
}

/// `10Mbit/s`, `64kbit/s`, in powers of ten.
pub(super) fn bits(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a bandwidth like `10Mbit/s`");
    let units = [("Gbit/s", 1_000_000_000_u64), ("Mbit/s", 1_000_000), ("kbit/s", 1_000), ("bit/s", 1)];
    let unit = units.into_iter().find_map(|(unit, size)| Some((text.strip_suffix(unit)?, size)));
    let (number, size) = unit.ok_or_else(wrong)?;
    let number: u64 = number.trim().parse().map_err(|_| wrong())?;
    number.checked_mul(size).filter(|bits| *bits > 0).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bandwidth_has_its_unit() {
        assert_eq!(bits("10Mbit/s"), Ok(10_000_000));
        assert_eq!(bits("64 kbit/s"), Ok(64_000));
        for text in ["10", "0bit/s", "-1bit/s", "10MB/s", "99999999999999999Gbit/s"] {
            assert!(bits(text).is_err(), "{text}");
        }
    }
}
