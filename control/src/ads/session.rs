//! The order in which a proxy is told what changed.
//!
//! A session walks the stages clusters → endpoints → listeners → routes → removals and sends the first thing
//! that differs, then waits for its answer; endpoints alone do not wait for the answer about clusters. So a
//! route never names a cluster that the proxy has not been sent, a cluster goes only after every route to it is
//! gone, and a NACK stops the push where it stands without touching traffic (xDS protocol, "Eventual
//! consistency considerations").
//!
//! The session is a plain function of what it receives; time enters as `now`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use wavetank_platform::Instant;

use super::exchange::{Ask, Change, Outcome, Push, TooManyNames};
use super::resource::{Resource, ResourceType, Snapshot};
use super::subscription::{InFlight, Subscription};

/// How resources are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Whole sets of listeners and clusters; what is missing is gone.
    StateOfTheWorld,
    /// Changes and removals.
    Delta,
}

/// Bounds of a session.
#[derive(Debug, Clone, Copy)]
pub struct SessionLimits {
    /// Names a proxy may ask for, per type.
    pub names_max: usize,
    /// Length of one name in bytes.
    pub name_bytes_max: usize,
    /// How long listeners wait for a proxy that was sent a cluster to ask for its endpoints.
    pub warming_max: Duration,
}

impl Default for SessionLimits {
    /// 16,384 names of 1 KiB; 2 s.
    fn default() -> Self {
        Self { names_max: 16_384, name_bytes_max: 1024, warming_max: Duration::from_secs(2) }
    }
}

/// A step of a push. The order of the variants is the order on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Update(ResourceType),
    RemoveClusters,
    RemoveEndpoints,
}

const STAGES: [Stage; 6] = [
    Stage::Update(ResourceType::Cluster),
    Stage::Update(ResourceType::Endpoint),
    Stage::Update(ResourceType::Listener),
    Stage::Update(ResourceType::Route),
    Stage::RemoveClusters,
    Stage::RemoveEndpoints,
];

impl Stage {
    fn kind(self) -> ResourceType {
        match self {
            Self::Update(kind) => kind,
            Self::RemoveClusters => ResourceType::Cluster,
            Self::RemoveEndpoints => ResourceType::Endpoint,
        }
    }
}

/// One proxy's stream.
#[derive(Debug)]
pub struct Session {
    mode: Mode,
    limits: SessionLimits,
    types: [Subscription; 4],
    target: Arc<Snapshot>,
    nonces: u64,
    warming_until: Option<Instant>,
}

impl Session {
    /// A session that brings its proxy to `target`.
    pub fn new(mode: Mode, limits: SessionLimits, target: Arc<Snapshot>) -> Self {
        Self { mode, limits, types: Default::default(), target, nonces: 0, warming_until: None }
    }

    /// The proxy's standing on a type.
    pub fn subscription(&self, kind: ResourceType) -> &Subscription {
        &self.types[kind.index()]
    }

    /// From now on the proxy is brought to `target`.
    pub fn retarget(&mut self, target: Arc<Snapshot>) {
        if self.mode == Mode::StateOfTheWorld {
            // Such a proxy cannot be told that these are gone; it drops them with what led to them.
            for kind in [ResourceType::Endpoint, ResourceType::Route] {
                self.types[kind.index()].sent.retain(|name, _| target.of(kind).contains_key(name));
            }
        }
        for kind in ResourceType::ALL {
            self.types[kind.index()].forgive(target.of(kind));
        }
        self.target = target;
        self.warming_until = None;
    }

    /// When, after `now`, [`Session::next_push`] may have more to say though nothing is received.
    pub fn wake_at(&self, now: Instant) -> Option<Instant> {
        self.warming_until.filter(|until| *until > now)
    }

    /// The generation that the proxy has wholly taken; `None` while something is outstanding or refused.
    pub fn settled(&self) -> Option<u64> {
        use ResourceType::{Cluster, Endpoint, Listener, Route};
        let quiet = |kind: ResourceType| {
            let subscription = self.subscription(kind);
            let target = self.target.of(kind);
            !subscription.active
                || (subscription.in_flight.is_none()
                    && subscription.refused.is_empty()
                    && subscription.changed(target).is_empty()
                    && subscription.gone(target).is_empty())
        };
        let asked = self.subscription(Cluster).active && self.subscription(Listener).active;
        let led = self.unasked(Cluster, Endpoint).is_none() && self.unasked(Listener, Route).is_none();
        (asked && led && ResourceType::ALL.into_iter().all(quiet)).then_some(self.target.generation)
    }

    /// Takes a request.
    ///
    /// Errs when it goes beyond the limits; the stream must then end.
    pub fn receive(&mut self, ask: Ask) -> Result<Outcome, TooManyNames> {
        self.check_size(&ask)?;
        let mode = self.mode;
        let subscription = &mut self.types[ask.kind.index()];
        let first = !subscription.active;
        let answers = !first && !ask.nonce.is_empty();
        let stale = answers && ask.nonce != subscription.last_nonce;
        // A delta request changes the subscription whatever it answers; a state-of-the-world one that
        // answers an old push also names what was wanted then (xDS protocol, "ACK/NACK and versioning").
        if stale && mode == Mode::StateOfTheWorld {
            return Ok(Outcome::Stale);
        }
        subscription.active = true;
        subscription.answer_due |= first;
        change(subscription, ask.kind, ask.change, first);
        if stale {
            return Ok(Outcome::Stale);
        }
        Ok(answer(subscription, self.target.of(ask.kind), &ask.nonce, ask.error))
    }

    fn check_size(&self, ask: &Ask) -> Result<(), TooManyNames> {
        let SessionLimits { names_max, name_bytes_max, .. } = self.limits;
        let held = self.subscription(ask.kind).names.len();
        let short = |name: &String| name.len() <= name_bytes_max;
        let fits = match &ask.change {
            Change::Exactly(names) => names.len() <= names_max && names.iter().all(short),
            Change::By { subscribe, unsubscribe: _, holds } => {
                held + subscribe.len() <= names_max
                    && holds.len() <= names_max
                    && subscribe.iter().all(short)
                    && holds.keys().all(short)
            }
        };
        if fits { Ok(()) } else { Err(TooManyNames { kind: ask.kind, names_max, name_bytes_max }) }
    }

    /// The next response to send, if one is due. Call until `None`.
    pub fn next_push(&mut self, now: Instant) -> Option<Push> {
        for stage in STAGES {
            let kind = stage.kind();
            let subscription = &self.types[kind.index()];
            if subscription.active {
                if subscription.in_flight.is_some() {
                    // Envoy answers for new clusters when they have their endpoints, so these do not wait for that.
                    if stage == Stage::Update(ResourceType::Cluster) {
                        continue;
                    }
                    return None;
                }
                if let Some((resources, removed)) = self.due(stage) {
                    return Some(self.push(kind, resources, removed));
                }
                if !self.types[kind.index()].refused.is_empty() {
                    return None;
                }
            }
            let clusters_outstanding = self.subscription(ResourceType::Cluster).in_flight.is_some();
            if stage == Stage::Update(ResourceType::Endpoint) && (clusters_outstanding || self.is_warming(now)) {
                return None;
            }
        }
        None
    }

    /// What a stage has to say: resources and removed names.
    fn due(&self, stage: Stage) -> Option<(Vec<Resource>, Vec<Arc<str>>)> {
        let kind = stage.kind();
        let subscription = &self.types[kind.index()];
        let target = self.target.of(kind);
        match stage {
            Stage::Update(_) => {
                let changed = subscription.changed(target);
                let gone = match kind {
                    // Removed in stages of their own, when nothing leads to them any more.
                    ResourceType::Cluster | ResourceType::Endpoint => Vec::new(),
                    ResourceType::Listener => subscription.gone(target),
                    ResourceType::Route if self.mode == Mode::Delta => subscription.gone(target),
                    ResourceType::Route => Vec::new(),
                };
                let absent = if self.mode == Mode::Delta { subscription.absent(target) } else { Vec::new() };
                let nothing = changed.is_empty() && gone.is_empty() && absent.is_empty();
                // A proxy that asked for names which do not exist waits for them; a wildcard is answered.
                let owed = subscription.answer_due && subscription.wildcard;
                (!nothing || owed).then(|| (self.resources(kind, changed), [gone, absent].concat()))
            }
            Stage::RemoveClusters => {
                let gone = subscription.gone(target);
                (!gone.is_empty()).then(|| match self.mode {
                    Mode::Delta => (Vec::new(), gone),
                    Mode::StateOfTheWorld => (subscription.wanted(target), gone),
                })
            }
            Stage::RemoveEndpoints => {
                let gone = subscription.gone(target);
                (self.mode == Mode::Delta && !gone.is_empty()).then_some((Vec::new(), gone))
            }
        }
    }

    /// The changed resources, or in state-of-the-world mode the whole set where the type needs it.
    fn resources(&self, kind: ResourceType, changed: Vec<&Resource>) -> Vec<Resource> {
        let subscription = &self.types[kind.index()];
        let target = self.target.of(kind);
        match (self.mode, kind) {
            (Mode::StateOfTheWorld, ResourceType::Listener) => subscription.wanted(target),
            (Mode::StateOfTheWorld, ResourceType::Cluster) => {
                let mut whole = subscription.wanted(target);
                whole.extend(subscription.leftover(target).cloned());
                whole
            }
            _ => changed.into_iter().cloned().collect(),
        }
    }

    fn push(&mut self, kind: ResourceType, resources: Vec<Resource>, removed: Vec<Arc<str>>) -> Push {
        if kind == ResourceType::Cluster {
            self.resend_endpoints_of(&resources);
        }
        self.nonces += 1;
        let nonce = self.nonces.to_string();
        let subscription = &mut self.types[kind.index()];
        let before = subscription.note(&resources, &removed);
        let version = subscription.version();
        subscription.answer_due = false;
        subscription.last_nonce.clone_from(&nonce);
        subscription.in_flight = Some(InFlight { nonce: nonce.clone(), version: version.clone(), before });
        let removed = if self.mode == Mode::Delta { removed } else { Vec::new() };
        Push { kind, nonce, version, resources, removed }
    }

    /// A proxy warms a cluster that changed as if it were new, and waits for its endpoints again.
    fn resend_endpoints_of(&mut self, clusters: &[Resource]) {
        let sent = &self.types[ResourceType::Cluster.index()].sent;
        let changed = clusters.iter().filter(|cluster| {
            let old = sent.get(&cluster.name).and_then(Option::as_ref);
            old.is_none_or(|old| old.version != cluster.version)
        });
        let names: Vec<String> = changed.flat_map(|cluster| cluster.refs.iter().cloned()).collect();
        let endpoints = &mut self.types[ResourceType::Endpoint.index()];
        for name in names {
            endpoints.sent.remove(name.as_str());
        }
    }

    fn is_warming(&mut self, now: Instant) -> bool {
        let missing = self.subscription(ResourceType::Cluster).active
            && self.unasked(ResourceType::Cluster, ResourceType::Endpoint).is_some();
        if !missing {
            self.warming_until = None;
            return false;
        }
        let limit = self.limits.warming_max;
        let until = *self.warming_until.get_or_insert(now + limit);
        now < until
    }

    /// A name of type `to` that a resource of type `from`, as sent, leads to and that the proxy has not asked for.
    fn unasked(&self, from: ResourceType, to: ResourceType) -> Option<&str> {
        let target = self.target.of(to);
        let subscription = self.subscription(to);
        let sent = self.subscription(from).sent.values().flatten();
        let mut names = sent.flat_map(|resource| resource.refs.iter().map(String::as_str));
        names.find(|name| target.contains_key(*name) && !subscription.wants(name))
    }
}

fn change(subscription: &mut Subscription, kind: ResourceType, change: Change, first: bool) {
    match change {
        Change::Exactly(mut names) => {
            let implicit = kind.has_implicit_wildcard() && names.is_empty() && (first || subscription.wildcard);
            subscription.wildcard = names.remove("*") || implicit;
            subscription.names = names;
        }
        Change::By { mut subscribe, mut unsubscribe, holds } => {
            let implicit = first && kind.has_implicit_wildcard() && subscribe.is_empty();
            subscription.wildcard = (subscription.wildcard && !unsubscribe.remove("*")) || implicit;
            subscription.wildcard |= subscribe.remove("*");
            for name in &unsubscribe {
                subscription.names.remove(name);
                if !subscription.wildcard {
                    subscription.sent.remove(name.as_str());
                }
            }
            for (name, version) in holds.iter().filter(|_| first) {
                subscription.sent.insert(name.as_str().into(), Some(Resource::remembered(name, version)));
            }
            for name in subscribe {
                // Asking again for what was sent asks for it to be sent again; held versions still count.
                if !holds.contains_key(&name) {
                    subscription.sent.remove(name.as_str());
                }
                subscription.refused.remove(name.as_str());
                subscription.names.insert(name);
            }
        }
    }
    subscription.forget_unwanted();
}

fn answer(
    subscription: &mut Subscription,
    target: &BTreeMap<Arc<str>, Resource>,
    nonce: &str,
    error: Option<String>,
) -> Outcome {
    match subscription.in_flight.take_if(|push| push.nonce == nonce) {
        None => Outcome::Subscribed,
        Some(push) => match error {
            None => Outcome::Acked(push.version),
            Some(error) => {
                let version = push.version.clone();
                subscription.undo(push, target);
                Outcome::Nacked(version, error)
            }
        },
    }
}
