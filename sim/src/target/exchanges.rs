//! What the control plane sends and what proxies answer, as the log tells it.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use std::{fs, io};

use serde::Deserialize;
use wavetank_control::ads::Observer;
use wavetank_platform::{Instant, UnixTime};

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

/// A line of a control plane's journal.
#[derive(Deserialize)]
struct Event {
    at: u64,
    node: String,
    #[serde(rename = "type")]
    type_url: String,
    version: String,
    what: Kind,
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Pushed,
    Acked,
    Nacked,
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

    /// Adds what a control plane wrote to `path`, at times of a clock that began at `epoch`. A file that is not there
    /// says nothing.
    ///
    /// Errs when it cannot be read, or has a line that is no event.
    pub(super) fn read(&self, path: &Path, epoch: UnixTime) -> io::Result<()> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            text => text?,
        };
        for line in text.lines() {
            let event: Event = serde_json::from_str(line)?;
            let at = Duration::from_nanos(event.at).saturating_sub(epoch.since_epoch());
            let what = match event.what {
                Kind::Pushed => What::Pushed,
                Kind::Acked => What::Acked,
                Kind::Nacked => What::Nacked(event.error.unwrap_or_default()),
            };
            self.note(&event.node, &event.type_url, &event.version, Instant::from_start(at), what);
        }
        Ok(())
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
