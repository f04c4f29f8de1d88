//! One proxy's standing on one resource type: what it asked for, what it was sent, what it answered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::resource::{Resource, version_of};

/// The state of one type on one stream.
#[derive(Debug, Default)]
pub struct Subscription {
    /// Whether the proxy asked for this type at all.
    pub(super) active: bool,
    /// Whether it wants every resource of the type.
    pub(super) wildcard: bool,
    /// Names it asked for.
    pub(super) names: BTreeSet<String>,
    /// What it was last sent, by name; `None`: it was told that there is no such resource.
    pub(super) sent: BTreeMap<Arc<str>, Option<Resource>>,
    /// The push that it has not answered.
    pub(super) in_flight: Option<InFlight>,
    /// Nonce of the last push; empty before the first.
    pub(super) last_nonce: String,
    /// Whether an answer is due even if nothing changed.
    pub(super) answer_due: bool,
    /// Whether the last answer was a NACK.
    pub(super) nacked: bool,
}

/// A push that waits for its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InFlight {
    pub(super) nonce: String,
    pub(super) version: Arc<str>,
}

impl Subscription {
    /// Whether the proxy asked for `name`.
    pub fn wants(&self, name: &str) -> bool {
        self.active && (self.wildcard || self.names.contains(name))
    }

    /// Resources of `target` that the proxy wants and was not sent in this version.
    pub(super) fn changed<'t>(&self, target: &'t BTreeMap<Arc<str>, Resource>) -> Vec<&'t Resource> {
        let differs = |resource: &&Resource| {
            let sent = self.sent.get(&resource.name).and_then(Option::as_ref);
            sent.is_none_or(|sent| sent.version != resource.version)
        };
        if self.wildcard {
            return target.values().filter(differs).collect();
        }
        self.names.iter().filter_map(|name| target.get(name.as_str())).filter(differs).collect()
    }

    /// Names that the proxy was sent and that are gone from `target`.
    pub(super) fn gone(&self, target: &BTreeMap<Arc<str>, Resource>) -> Vec<Arc<str>> {
        let is_gone = |(name, sent): &(&Arc<str>, &Option<Resource>)| sent.is_some() && !target.contains_key(*name);
        self.sent.iter().filter(is_gone).map(|(name, _)| name.clone()).collect()
    }

    /// Names asked for that `target` lacks and whose absence the proxy was not told.
    pub(super) fn absent(&self, target: &BTreeMap<Arc<str>, Resource>) -> Vec<Arc<str>> {
        let unknown = |name: &&String| !target.contains_key(name.as_str()) && !self.sent.contains_key(name.as_str());
        self.names.iter().filter(unknown).map(|name| name.as_str().into()).collect()
    }

    /// Forgets what the proxy no longer wants.
    pub(super) fn forget_unwanted(&mut self) {
        if !self.wildcard {
            let names = &self.names;
            self.sent.retain(|name, _| names.contains(&**name));
        }
    }

    /// The version of everything the proxy was sent.
    pub(super) fn version(&self) -> Arc<str> {
        let held = self.sent.values().flatten();
        version_of(held.flat_map(|resource| [resource.name.as_bytes(), resource.version.as_bytes()]))
    }
}
