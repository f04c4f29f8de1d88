//! Parts of an explanation in words: who, when, where it is written, what a policy is.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use wavetank_platform::Instant;
use wavetank_proxy::record::{Provenance, TlsState};
use wavetank_proxy::snapshot::cluster::{Balancer, Discovery};
use wavetank_proxy::snapshot::route::{RetryOn, RetryPolicy};
use wavetank_proxy::snapshot::{Assignment, Cluster, Snapshot};

use super::book::Book;
use crate::observe::Party;
use crate::scenario::Scenario;

/// How the explanations of one run name things.
#[derive(Debug, Clone, Copy)]
pub struct Words<'a> {
    /// What was run.
    pub scenario: &'a Scenario,
    /// What it left.
    pub book: &'a Book,
    /// When the scenario's own time began.
    pub start: Instant,
}

impl Words<'_> {
    /// A moment in the scenario's time: `t=0.171s`, `0.320s before the start`.
    pub fn when(&self, at: Instant) -> String {
        match at.since_start().checked_sub(self.start.since_start()) {
            Some(since) => format!("t={}", seconds(since)),
            None => format!("{} before the start", seconds(self.start - at)),
        }
    }

    /// The party that has this address; the address where nobody has.
    pub fn who(&self, ip: IpAddr) -> String {
        self.book.parties.get(&ip).map_or_else(|| ip.to_string(), Party::to_string)
    }

    /// A pod and its address.
    pub fn endpoint(&self, address: SocketAddr) -> String {
        match self.book.parties.get(&address.ip()) {
            Some(party) => format!("{party} {address}"),
            None => address.to_string(),
        }
    }

    /// The party of a proxy's node id.
    pub fn proxy(&self, node: &str) -> String {
        node.split('~').nth(1).and_then(|ip| ip.parse().ok()).map_or_else(|| node.to_owned(), |ip| self.who(ip))
    }

    /// A place in a manifest; empty for none.
    pub fn place(&self, from: Option<&Provenance>) -> String {
        from.map(|from| format!("{}:{}", self.scenario.shown(&from.file), from.line)).unwrap_or_default()
    }
}

/// `0.171s`.
pub fn seconds(duration: Duration) -> String {
    format!("{:.3}s", duration.as_secs_f64())
}

/// How a connection was secured.
pub fn tls(state: &TlsState) -> String {
    match state {
        TlsState::Plaintext => "plaintext".to_owned(),
        TlsState::Simple => "TLS, without a certificate of the caller".to_owned(),
        TlsState::Mutual { peer } => format!("mTLS, peer {peer}"),
    }
}

/// The endpoints of a cluster; `None` for one that has no list.
pub fn assignment<'a>(snapshot: &'a Snapshot, cluster: &'a Cluster) -> Option<&'a Assignment> {
    match &cluster.discovery {
        Discovery::Static(own) => Some(own),
        Discovery::Eds(name) => snapshot.assignments.get(name).map(|own| &**own),
        Discovery::OriginalDst | Discovery::StrictDns(_) => None,
    }
}

/// What a cluster has to choose from.
pub fn choice(snapshot: &Snapshot, cluster: &Cluster) -> String {
    match (&cluster.discovery, assignment(snapshot, cluster)) {
        (Discovery::OriginalDst, _) => "the address that was asked for".to_owned(),
        (Discovery::StrictDns(names), _) => {
            let names: Vec<String> = names.iter().map(|(name, port)| format!("{name}:{port}")).collect();
            format!("by DNS: {}", names.join(", "))
        }
        (_, None) => "no endpoints".to_owned(),
        (_, Some(own)) => healthy(own, 0),
    }
}

/// How many endpoints are healthy, and how many are not because they were ejected.
pub fn healthy(assignment: &Assignment, ejected: usize) -> String {
    let ejected = if ejected == 0 { String::new() } else { format!(", {ejected} ejected") };
    let all = assignment.endpoints().len();
    let s = if all == 1 { "" } else { "s" };
    format!("{} of {all} endpoint{s} healthy{ejected}", assignment.healthy().len())
}

/// A balancer as Istio names it.
pub fn balancer(balancer: Balancer) -> &'static str {
    match balancer {
        Balancer::RoundRobin => "ROUND_ROBIN",
        Balancer::LeastRequest { .. } => "LEAST_REQUEST",
        Balancer::Random => "RANDOM",
        Balancer::Provided => "PASSTHROUGH",
    }
}

/// `2 × connect-failure,refused-stream`.
pub fn retries(policy: Option<&RetryPolicy>) -> String {
    let Some(policy) = policy.filter(|policy| policy.retries_max > 0) else { return "none".to_owned() };
    let mut text = format!("{} × {}", policy.retries_max, conditions(&policy.on));
    if !policy.retriable_status_codes.is_empty() {
        let codes: Vec<String> = policy.retriable_status_codes.iter().map(u16::to_string).collect();
        text.push_str(&format!(" ({})", codes.join(",")));
    }
    if let Some(bound) = policy.per_try_timeout.filter(|bound| !bound.is_zero()) {
        text.push_str(&format!(", each within {}", seconds(bound)));
    }
    text
}

fn conditions(on: &RetryOn) -> String {
    let all = [
        (on.server_error, "5xx"),
        (on.gateway_error, "gateway-error"),
        (on.reset, "reset"),
        (on.reset_before_request, "reset-before-request"),
        (on.connect_failure, "connect-failure"),
        (on.refused_stream, "refused-stream"),
        (on.retriable_4xx, "retriable-4xx"),
        (on.retriable_status_codes, "retriable-status-codes"),
        (on.grpc_cancelled, "cancelled"),
        (on.grpc_deadline_exceeded, "deadline-exceeded"),
        (on.grpc_internal, "internal"),
        (on.grpc_resource_exhausted, "resource-exhausted"),
        (on.grpc_unavailable, "unavailable"),
    ];
    all.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect::<Vec<_>>().join(",")
}
