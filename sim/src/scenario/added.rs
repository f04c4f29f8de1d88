//! Echo services that a scenario adds: the entries of `add` in `app`.

use std::time::Duration;

use wavetank_control::config::yaml::Node;

use super::fields::{Findings, Keys};
use super::model::Added;
use super::traffic::request_of;

pub(super) const ADD: Keys = Keys {
    of: "an added service",
    known: &["service", "version", "sidecar", "calls", "latency", "status"],
    later: &["replicas", "zone", "port", "namespace"],
};

/// Reads `add`.
pub(super) fn read(node: Option<&Node>, findings: &mut Findings) -> Vec<Added> {
    let items = node.map(|node| findings.items(node)).unwrap_or_default();
    items.iter().filter_map(|item| added(item, findings)).collect()
}

fn added(node: &Node, findings: &mut Findings) -> Option<Added> {
    let mapping = findings.mapping(node, &ADD)?;
    let Some(service) = mapping.get("service") else {
        findings.missing(&node.span, "an added service needs the key `service`, its name");
        return None;
    };
    let label = |text: &str| {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let is_label = !text.is_empty() && text.len() <= 63 && text.chars().all(legal) && !text.starts_with('-');
        if is_label { Ok(text.to_owned()) } else { Err(format!("`{text}` is not a name like `legacy`")) }
    };
    let service = findings.read(service, "service", label);
    let version = mapping.get("version").and_then(|node| findings.read(node, "version", label));
    let sidecar = mapping.get("sidecar").and_then(|node| {
        let given = node.as_bool();
        if given.is_none() {
            findings.wrong(&node.span, "sidecar is true or false");
        }
        given
    });
    let mut calls = Vec::new();
    for item in mapping.get("calls").map(|node| findings.items(node)).unwrap_or_default() {
        let read = |text: &str| {
            request_of(&format!("GET {text}")).map_err(|_| format!("`{text}` is not like `service-go/env`"))
        };
        calls.extend(findings.read(item, "calls", read));
    }
    let latency = mapping.get("latency").map_or(Some(Duration::ZERO), |node| findings.duration(node, "latency"))?;
    let status = match mapping.get("status") {
        Some(node) => Some(u16::try_from(findings.whole(node, "status", 200, 599)?).ok()?),
        None => None,
    };
    Some(Added { service: service?, version, sidecar, calls, latency, status })
}
