//! Which filter chain of a listener takes a connection, from its addresses and first bytes.
//!
//! Envoy, `FilterChainMatch`: criteria are looked at one after the other, in the order of [`select`]; each
//! keeps the chains with the most specific value that fits, and a choice once made is never taken back.

use std::cmp::Ordering;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::snapshot::listener::{Cidr, FilterChain, FilterChainMatch, Listener, TransportProtocol};

/// What is known of a connection when its chain is chosen.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionFacts<'a> {
    /// Original destination; our own address where the connection was not redirected.
    pub destination: SocketAddr,
    /// The peer.
    pub source: SocketAddr,
    /// Whether the first bytes are a TLS ClientHello.
    pub transport: TransportProtocol,
    /// Server name of the ClientHello.
    pub sni: Option<&'a str>,
    /// ALPN of the ClientHello in its order, or what the HTTP inspector found.
    pub alpn: &'a [Arc<str>],
}

/// The chain of `listener` for a connection; `None`: it is closed (flag `NR`, `filter_chain_not_found`).
///
/// Order: destination port, destination address, server names, transport protocol, application protocols,
/// source address; then the default chain. Of chains that match alike the first wins.
pub fn select<'a>(listener: &'a Listener, facts: &ConnectionFacts<'_>) -> Option<&'a FilterChain> {
    let mut left: Vec<&FilterChain> = listener.filter_chains.iter().collect();
    let sni = facts.sni.unwrap_or_default().to_ascii_lowercase();
    keep_most_specific(&mut left, |of| by_option(of.destination_port, facts.destination.port()));
    keep_most_specific(&mut left, |of| by_prefix(&of.prefix_ranges, facts.destination.ip()));
    keep_most_specific(&mut left, |of| by_server_name(&of.server_names, &sni));
    keep_most_specific(&mut left, |of| by_option(of.transport_protocol, facts.transport));
    keep_most_specific(&mut left, |of| by_protocol(&of.application_protocols, facts.alpn));
    keep_most_specific(&mut left, |of| by_prefix(&of.source_prefix_ranges, facts.source.ip()));
    left.first().copied().or(listener.default_filter_chain.as_ref())
}

/// How specific a fit is; a chain that asks for nothing fits with 0. `None`: no fit.
type Fit = Option<usize>;

/// Keeps the chains with the greatest fit. A chain that does not fit is out.
fn keep_most_specific(left: &mut Vec<&FilterChain>, fit: impl Fn(&FilterChainMatch) -> Fit) {
    let mut best: Fit = None;
    let mut kept = 0;
    for at in 0..left.len() {
        let this = fit(&left[at].matches);
        match this.cmp(&best) {
            _ if this.is_none() => continue,
            Ordering::Less => continue,
            Ordering::Equal => {}
            Ordering::Greater => {
                best = this;
                kept = 0;
            }
        }
        left[kept] = left[at];
        kept += 1;
    }
    left.truncate(kept);
}

fn by_option<T: PartialEq>(wanted: Option<T>, actual: T) -> Fit {
    match wanted {
        None => Some(0),
        Some(wanted) => (wanted == actual).then_some(1),
    }
}

/// The longest prefix that holds the address; no prefixes and `/0` are the same.
fn by_prefix(ranges: &[Cidr], address: IpAddr) -> Fit {
    if ranges.is_empty() {
        return Some(0);
    }
    ranges.iter().filter(|range| range.contains(address)).map(|range| usize::from(range.prefix_len)).max()
}

/// An exact name before a wildcard, a longer wildcard before a shorter one, no name last.
fn by_server_name(names: &[Arc<str>], sni: &str) -> Fit {
    if names.is_empty() {
        return Some(0);
    }
    names.iter().filter_map(|name| server_name_fit(name, sni)).max()
}

fn server_name_fit(name: &str, sni: &str) -> Fit {
    match name.strip_prefix("*.") {
        Some(suffix) => {
            let label = sni.strip_suffix(suffix)?.strip_suffix('.')?;
            (!label.is_empty()).then_some(1 + suffix.len())
        }
        None => (!sni.is_empty() && name == sni).then_some(usize::MAX),
    }
}

/// The connection's order of preference decides, not the chain's.
fn by_protocol(wanted: &[Arc<str>], offered: &[Arc<str>]) -> Fit {
    if wanted.is_empty() {
        return Some(0);
    }
    let first = offered.iter().position(|protocol| wanted.contains(protocol))?;
    Some(offered.len() - first)
}

#[cfg(test)]
mod tests;
