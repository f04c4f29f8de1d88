//! The network between pods: the keys of `network`, and the links in it that are unlike the others.

use std::time::Duration;

use wavetank_control::config::yaml::Node;

use super::expect::place;
use super::fault::bits;
use super::fields::{Findings, Keys};
use super::model::{Network, OwnLink};
use super::parse::percent;

pub(super) const NETWORK: Keys =
    Keys { of: "network", known: &["latency", "loss", "bandwidth", "links"], later: &["zones"] };
pub(super) const LATENCY: Keys = Keys { of: "latency", known: &["base", "jitter"], later: &[] };
pub(super) const LINK: Keys =
    Keys { of: "a link", known: &["link", "latency", "jitter", "loss", "bandwidth"], later: &[] };

/// Reads `network`: what holds for every link, and the links that are unlike it.
pub(super) fn read(node: Option<&Node>, findings: &mut Findings) -> (Network, Vec<OwnLink>) {
    let mut network = Network::default();
    let Some(mapping) = node.and_then(|node| findings.mapping(node, &NETWORK)) else { return (network, Vec::new()) };
    if let Some(node) = mapping.get("latency") {
        let (base, jitter) = latency(node, findings);
        network.latency = base.unwrap_or(network.latency);
        network.jitter = jitter.unwrap_or(network.jitter);
    }
    if let Some(loss) = mapping.get("loss").and_then(|node| findings.read(node, "loss", percent)) {
        network.loss_percent = loss;
    }
    network.bandwidth = mapping.get("bandwidth").and_then(|node| findings.read(node, "bandwidth", bits));
    let items = mapping.get("links").map(|node| findings.items(node)).unwrap_or_default();
    (network, items.iter().filter_map(|item| link(item, findings)).collect())
}

/// `1ms`, or `{base: 1ms, jitter: 200us}`.
fn latency(node: &Node, findings: &mut Findings) -> (Option<Duration>, Option<Duration>) {
    if node.as_mapping().is_none() {
        return (findings.duration(node, "latency"), None);
    }
    let Some(parts) = findings.mapping(node, &LATENCY) else { return (None, None) };
    let mut part = |name: &str| parts.get(name).and_then(|node| findings.duration(node, name));
    (part("base"), part("jitter"))
}

fn link(node: &Node, findings: &mut Findings) -> Option<OwnLink> {
    let mapping = findings.mapping(node, &LINK)?;
    let Some(entry) = mapping.entry("link") else {
        findings.missing(&node.span, "a link of the network needs the key `link`, like `a <-> b`");
        return None;
    };
    let link = findings.link(&entry.value, "link");
    let (base, jitter) = mapping.get("latency").map_or((None, None), |node| latency(node, findings));
    let own_jitter = mapping.get("jitter").and_then(|node| findings.duration(node, "jitter"));
    let loss_percent = mapping.get("loss").and_then(|node| findings.read(node, "loss", percent));
    let bandwidth = mapping.get("bandwidth").and_then(|node| findings.read(node, "bandwidth", bits));
    if mapping.len() == 1 {
        findings.missing(&node.span, "this link is like all others; add `latency`, `jitter`, `loss` or `bandwidth`");
    }
    let (asked_at, width) = place(&entry.key, &entry.value.span);
    Some(OwnLink {
        asked_at,
        width,
        link: link?,
        latency: base,
        jitter: own_jitter.or(jitter),
        loss_percent,
        bandwidth,
    })
}
