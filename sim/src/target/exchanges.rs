//! What the control plane sends and what proxies answer, as the log tells it.

use std::sync::{Mutex, PoisonError};

use wavetank_control::ads::Observer;
use wavetank_platform::Instant;

use super::who::Who;
use crate::observe::{Ack, Observation, Party, Push};

/// Keeps what went between the control plane and the proxies.
#[derive(Default)]
pub(super) struct Exchanges(Mutex<Vec<Exchange>>);

struct Exchange {
    at: Instant,
    node: String,
    kind: String,
    version: String,
    what: What,
}

enum What {
    Pushed,
    Acked,
    Nacked(String),
}

impl Exchanges {
    /// All that went, as the log tells it.
    pub(super) fn take(&self, who: &Who<'_>) -> Vec<Observation> {
        let exchanges = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        exchanges.into_iter().map(|exchange| exchange.observed(who)).collect()
    }

    fn note(&self, node: &str, type_url: &str, version: &str, at: Instant, what: What) {
        let (node, version) = (node.to_owned(), version.to_owned());
        let exchange = Exchange { at, node, kind: kind(type_url).to_owned(), version, what };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(exchange);
    }
}

impl Observer for Exchanges {
    fn pushed(&self, node: &str, type_url: &str, version: &str, now: Instant) {
        self.note(node, type_url, version, now, What::Pushed);
    }

    fn acked(&self, node: &str, type_url: &str, version: &str, now: Instant) {
        self.note(node, type_url, version, now, What::Acked);
    }

    fn nacked(&self, node: &str, type_url: &str, version: &str, error: &str, now: Instant) {
        self.note(node, type_url, version, now, What::Nacked(error.to_owned()));
    }
}

impl Exchange {
    fn observed(self, who: &Who<'_>) -> Observation {
        let proxy = who.pod_of_node(&self.node).map_or_else(|| Party::named(self.node.as_str()), |pod| who.party(pod));
        let (at, kind, version) = (self.at, self.kind.into(), self.version.into());
        match self.what {
            What::Pushed => Observation::Push(Push { at, proxy, kind, version }),
            What::Acked => Observation::Ack(Ack { at, proxy, kind, version, refused: None }),
            What::Nacked(why) => Observation::Ack(Ack { at, proxy, kind, version, refused: Some(why.into()) }),
        }
    }
}

/// The discovery service that a type belongs to.
fn kind(type_url: &str) -> &str {
    match type_url.rsplit('.').next() {
        Some("Cluster") => "cds",
        Some("ClusterLoadAssignment") => "eds",
        Some("Listener") => "lds",
        Some("RouteConfiguration") => "rds",
        Some("Secret") => "sds",
        _ => type_url,
    }
}
