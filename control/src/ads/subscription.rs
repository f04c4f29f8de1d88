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
    /// What the proxy refused of the present target, by name: a version, or (`None`) a removal. It is not
    /// sent again, and nothing that may depend on it is sent, until the target changes.
    pub(super) refused: BTreeMap<Arc<str>, Option<Arc<str>>>,
}

/// A push that waits for its answer.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) nonce: String,
    pub(super) version: Arc<str>,
    /// What `sent` had before of each name that it changes, to go back to when it is refused.
    pub(super) before: Vec<(Arc<str>, Option<Option<Resource>>)>,
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
            sent.is_none_or(|sent| sent.version != resource.version) && !self.is_refused(resource)
        };
        if self.wildcard {
            return target.values().filter(differs).collect();
        }
        self.names.iter().filter_map(|name| target.get(name.as_str())).filter(differs).collect()
    }

    /// What the proxy was sent and that is gone from `target`.
    pub(super) fn leftover(&self, target: &BTreeMap<Arc<str>, Resource>) -> impl Iterator<Item = &Resource> {
        self.sent.values().flatten().filter(|sent| !target.contains_key(&sent.name))
    }

    /// Names of what is left over and that the proxy has not refused to give up.
    pub(super) fn gone(&self, target: &BTreeMap<Arc<str>, Resource>) -> Vec<Arc<str>> {
        let names = self.leftover(target).map(|sent| &sent.name);
        names.filter(|name| !self.refused.contains_key(*name)).cloned().collect()
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
        let (wildcard, names) = (self.wildcard, &self.names);
        self.refused.retain(|name, _| wildcard || names.contains(&**name));
    }

    /// Whether the proxy refused this very version.
    fn is_refused(&self, resource: &Resource) -> bool {
        self.refused.get(&resource.name).is_some_and(|refused| refused.as_ref() == Some(&resource.version))
    }

    /// What the proxy is to hold of `target`: of what it refused, the version that it has.
    pub(super) fn wanted(&self, target: &BTreeMap<Arc<str>, Resource>) -> Vec<Resource> {
        let wanted = target.values().filter(|resource| self.wants(&resource.name));
        let acceptable = |resource: &Resource| match self.is_refused(resource) {
            false => Some(resource.clone()),
            true => self.sent.get(&resource.name).cloned().flatten(),
        };
        wanted.filter_map(acceptable).collect()
    }

    /// Notes what is sent and removed; returns what was there before of what that changes.
    pub(super) fn note(
        &mut self,
        resources: &[Resource],
        removed: &[Arc<str>],
    ) -> Vec<(Arc<str>, Option<Option<Resource>>)> {
        let mut before = Vec::new();
        for resource in resources {
            let old = self.sent.insert(resource.name.clone(), Some(resource.clone()));
            let same = old.as_ref().and_then(Option::as_ref).is_some_and(|old| old.version == resource.version);
            if !same {
                before.push((resource.name.clone(), old));
            }
        }
        for name in removed {
            // Only a name that was asked for can come back unasked.
            let asked = self.names.contains(&**name);
            let old = if asked { self.sent.insert(name.clone(), None) } else { self.sent.remove(name) };
            before.push((name.clone(), old));
        }
        before
    }

    /// Goes back to what was before a refused push; what `target` still means of it counts as refused.
    pub(super) fn undo(&mut self, push: InFlight, target: &BTreeMap<Arc<str>, Resource>) {
        for (name, before) in push.before {
            if !self.wants(&name) {
                continue;
            }
            let told = match before {
                Some(old) => self.sent.insert(name.clone(), old),
                None => self.sent.remove(&name),
            };
            let refused = told.flatten().map(|resource| resource.version);
            if target.get(&name).map(|resource| &resource.version) == refused.as_ref() {
                self.refused.insert(name, refused);
            }
        }
    }

    /// Forgets refusals of what a new `target` no longer says, and tries removals again.
    pub(super) fn forgive(&mut self, target: &BTreeMap<Arc<str>, Resource>) {
        let still_meant = |name: &Arc<str>, version: &Arc<str>| target.get(name).is_some_and(|t| t.version == *version);
        self.refused.retain(|name, refused| refused.as_ref().is_some_and(|version| still_meant(name, version)));
    }

    /// The version of everything the proxy was sent.
    pub(super) fn version(&self) -> Arc<str> {
        let held = self.sent.values().flatten();
        version_of(held.flat_map(|resource| [resource.name.as_bytes(), resource.version.as_bytes()]))
    }
}
