//! Everything accepted, what it makes us want, and the snapshot that follows.
//!
//! A cluster is used when its endpoints have come, a listener when its routes have, or when the server
//! said that there are none, or did not answer for 15 s (Envoy: warming, `initial_fetch_timeout`). Until
//! then the version in force stays. Listeners are asked for after the clusters, so that no route points at
//! a cluster that is still on its way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use wavetank_platform::Instant;

use super::kind::Kind;
use super::resource;
use super::shelf::{Shelf, Update};
use crate::snapshot::cluster::Discovery;
use crate::snapshot::listener::{Handler, RouteSource};
use crate::snapshot::{Assignment, Cluster, Listener, RouteConfig, Snapshot};

/// How long a resource is waited for before it counts as absent. Envoy's default.
const FETCH_TIMEOUT: Duration = Duration::from_secs(15);

/// The state of the xDS client that survives reconnects.
#[derive(Debug)]
pub(super) struct Inventory {
    resources_max: usize,
    clusters: Shelf<Cluster>,
    assignments: Shelf<Assignment>,
    listeners: Shelf<Listener>,
    routes: Shelf<RouteConfig>,
    /// Named resources wanted, and until when each is waited for; `None`: no longer.
    wants: BTreeMap<(Kind, Arc<str>), Option<Instant>>,
    /// Their names by type.
    wanted: BTreeMap<Kind, Arc<BTreeSet<Arc<str>>>>,
    /// Until when the first answer about clusters is waited for; `None`: it came, or not asked yet.
    clusters_deadline: Option<Instant>,
    clusters_asked: bool,
    listeners_open: bool,
    published: Snapshot,
}

impl Inventory {
    /// Holds nothing; keeps at most `resources_max` of each type.
    pub(super) fn new(resources_max: usize) -> Self {
        Self {
            resources_max,
            clusters: Shelf::new(Kind::Cluster),
            assignments: Shelf::new(Kind::Assignment),
            listeners: Shelf::new(Kind::Listener),
            routes: Shelf::new(Kind::Route),
            wants: BTreeMap::new(),
            wanted: BTreeMap::new(),
            clusters_deadline: None,
            clusters_asked: false,
            listeners_open: false,
            published: Snapshot::default(),
        }
    }

    /// Takes in a response and returns why some of it was not: resource and field, a line each.
    pub(super) fn apply(&mut self, update: Update, now: Instant) -> Vec<String> {
        let (kind, max) = (update.kind, self.resources_max);
        let removed = update.removed.clone();
        let wanted = self.wanted(kind);
        let rejections = match kind {
            Kind::Cluster => self.clusters.apply(update, resource::cluster, None, max),
            Kind::Assignment => self.assignments.apply(update, resource::assignment, Some(&wanted), max),
            Kind::Listener => self.listeners.apply(update, resource::listener, None, max),
            Kind::Route => self.routes.apply(update, resource::route, Some(&wanted), max),
        };
        if kind == Kind::Cluster {
            self.clusters_deadline = None;
        }
        for name in removed {
            if let Some(deadline) = self.wants.get_mut(&(kind, name.into())) {
                *deadline = None;
            }
        }
        // Endpoints and routes ask for nothing.
        if kind.is_wildcard() {
            self.renew_wants(now);
        }
        rejections
    }

    /// Which types may be asked for now. Starts the clock of the first answer about clusters.
    pub(super) fn open_kinds(&mut self, now: Instant) -> &'static [Kind] {
        if !self.clusters_asked {
            self.clusters_asked = true;
            self.clusters_deadline = Some(now + FETCH_TIMEOUT);
        }
        self.listeners_open |= self.clusters_deadline.is_none_or(|deadline| deadline <= now)
            && self
                .wants
                .keys()
                .filter(|(kind, _)| *kind == Kind::Assignment)
                .all(|(kind, name)| self.is_settled(*kind, name, now));
        if self.listeners_open { &Kind::ALL } else { &Kind::ALL[..2] }
    }

    /// Names wanted of a type that is asked for by name; empty for the others.
    pub(super) fn wanted(&self, kind: Kind) -> Arc<BTreeSet<Arc<str>>> {
        self.wanted.get(&kind).cloned().unwrap_or_default()
    }

    /// Names and versions held of a type.
    pub(super) fn versions(&self, kind: Kind) -> BTreeMap<String, String> {
        match kind {
            Kind::Cluster => self.clusters.versions(),
            Kind::Assignment => self.assignments.versions(),
            Kind::Listener => self.listeners.versions(),
            Kind::Route => self.routes.versions(),
        }
    }

    /// When waiting for something ends next; `None`: nothing is waited for.
    pub(super) fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let named = self.wants.iter().filter(|((kind, name), _)| !self.is_held(*kind, name));
        let named = named.filter_map(|(_, deadline)| *deadline);
        named.chain(self.clusters_deadline).filter(|deadline| *deadline > now).min()
    }

    /// The snapshot that follows from what is held; `None` when it is the one last returned.
    pub(super) fn settle(&mut self, now: Instant) -> Option<Snapshot> {
        let old = &self.published;
        let mut next = Snapshot { version: old.version + 1, ..Snapshot::default() };
        for (name, cluster) in self.clusters.iter() {
            let ready = eds_name(cluster).is_none_or(|eds| self.is_settled(Kind::Assignment, eds, now));
            let used = if ready { Some(cluster) } else { old.clusters.get(name) };
            let Some(used) = used else { continue };
            if let Some(eds) = eds_name(used)
                && let Some(assignment) = self.assignments.get(eds).or_else(|| old.assignments.get(eds))
            {
                next.assignments.insert(eds.clone(), assignment.clone());
            }
            next.clusters.insert(name.clone(), used.clone());
        }
        for (name, listener) in self.listeners.iter() {
            let ready = rds_names(listener).all(|rds| self.is_settled(Kind::Route, rds, now));
            let used = if ready { Some(listener) } else { old.listeners.get(name) };
            let Some(used) = used else { continue };
            for rds in rds_names(used) {
                if let Some(route) = self.routes.get(rds).or_else(|| old.routes.get(rds)) {
                    next.routes.insert(rds.clone(), route.clone());
                }
            }
            next.listeners.insert(name.clone(), used.clone());
        }
        if is_same(old, &next) {
            return None;
        }
        self.published = next.clone();
        Some(next)
    }

    /// What clusters and listeners ask for by name, each with its own patience.
    fn renew_wants(&mut self, now: Instant) {
        let mut wants = BTreeMap::new();
        let mut want = |kind: Kind, name: &Arc<str>| {
            let key = (kind, name.clone());
            let deadline = self.wants.get(&key).copied().unwrap_or(Some(now + FETCH_TIMEOUT));
            wants.insert(key, deadline);
        };
        self.clusters.iter().filter_map(|(_, cluster)| eds_name(cluster)).for_each(|eds| want(Kind::Assignment, eds));
        self.listeners.iter().flat_map(|(_, listener)| rds_names(listener)).for_each(|rds| want(Kind::Route, rds));
        self.wants = wants;
        for kind in [Kind::Assignment, Kind::Route] {
            let names = self.wants.keys().filter(|(wanted, _)| *wanted == kind).map(|(_, name)| name);
            // The same set is kept while it holds the same names: streams see by that that they need not ask.
            if !self.wanted.get(&kind).is_some_and(|wanted| wanted.iter().eq(names.clone())) {
                self.wanted.insert(kind, Arc::new(names.cloned().collect()));
            }
        }
        let (assignments, routes) = (self.wanted(Kind::Assignment), self.wanted(Kind::Route));
        self.assignments.keep(&assignments);
        self.routes.keep(&routes);
    }

    fn is_held(&self, kind: Kind, name: &str) -> bool {
        match kind {
            Kind::Assignment => self.assignments.get(name).is_some(),
            Kind::Route => self.routes.get(name).is_some(),
            Kind::Cluster => self.clusters.get(name).is_some(),
            Kind::Listener => self.listeners.get(name).is_some(),
        }
    }

    /// It has come, or is not waited for any more.
    fn is_settled(&self, kind: Kind, name: &Arc<str>, now: Instant) -> bool {
        let waited_for = || match self.wants.get(&(kind, name.clone())) {
            Some(Some(deadline)) => *deadline > now,
            Some(None) | None => false,
        };
        self.is_held(kind, name) || !waited_for()
    }
}

fn eds_name(cluster: &Cluster) -> Option<&Arc<str>> {
    match &cluster.discovery {
        Discovery::Eds(name) => Some(name),
        _ => None,
    }
}

fn rds_names(listener: &Listener) -> impl Iterator<Item = &Arc<str>> {
    listener.filter_chains.iter().chain(&listener.default_filter_chain).filter_map(|chain| match &chain.handler {
        Handler::Http(manager) => match &manager.routes {
            RouteSource::Rds(name) => Some(name),
            RouteSource::Inline(_) => None,
        },
        Handler::Tcp(_) => None,
    })
}

fn is_same(a: &Snapshot, b: &Snapshot) -> bool {
    fn same<T>(a: &BTreeMap<Arc<str>, Arc<T>>, b: &BTreeMap<Arc<str>, Arc<T>>) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|((a_name, a), (b_name, b))| a_name == b_name && Arc::ptr_eq(a, b))
    }
    same(&a.listeners, &b.listeners)
        && same(&a.routes, &b.routes)
        && same(&a.clusters, &b.clusters)
        && same(&a.assignments, &b.assignments)
}

#[cfg(test)]
mod tests;
