//! Laws of a push, over random meshes, orders of messages and refusals, in both modes:
//!
//! - a route is sent only when every cluster it names has been taken, or is missing from the mesh
//! - a cluster is removed only when no route that the proxy has in force names it any more
//! - a proxy that refuses nothing ends with what the mesh means

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use proptest::prelude::*;
use wavetank_control::ads::ResourceType::{Cluster as C, Endpoint as E, Listener as L, Route as R};
use wavetank_control::ads::{Ask, Change, Mode, Push, Resource, ResourceType, Session, SessionLimits, Snapshot};
use wavetank_platform::Instant;

/// A mesh of up to 5 clusters, 3 listeners and their 3 route configurations, as bit sets.
#[derive(Debug, Clone)]
struct Plan {
    clusters: u8,
    listeners: u8,
    /// Clusters that each route configuration names, whether they are there or not.
    routes: [u8; 3],
    /// Content of clusters and endpoints.
    seeds: [u8; 2],
}

fn bits(set: u8, count: u8) -> impl Iterator<Item = u8> {
    (0..count).filter(move |bit| set & (1 << bit) != 0)
}

impl Plan {
    fn snapshot(&self, generation: u64) -> Snapshot {
        let mut snapshot = Snapshot::new(generation);
        for bit in bits(self.clusters, 5) {
            let name = format!("c{bit}");
            let cluster =
                Cluster { name: name.clone(), alt_stat_name: self.seeds[0].to_string(), ..Default::default() };
            snapshot.insert(C, Resource::pack(&name, &cluster, vec![name.clone()]));
            let endpoints = ClusterLoadAssignment { cluster_name: self.seeds[1].to_string(), ..Default::default() };
            snapshot.insert(E, Resource::pack(&name, &endpoints, Vec::new()));
        }
        for bit in bits(self.listeners, 3) {
            let (name, routes) = (format!("l{bit}"), format!("r{bit}"));
            let stat_prefix = self.seeds[0].to_string();
            let listener = Listener { name: name.clone(), stat_prefix, ..Default::default() };
            snapshot.insert(L, Resource::pack(&name, &listener, vec![routes.clone()]));
            let refs: Vec<String> = bits(self.routes[usize::from(bit)], 5).map(|bit| format!("c{bit}")).collect();
            let body = RouteConfiguration {
                name: routes.clone(),
                internal_only_headers: refs.clone(),
                request_headers_to_remove: vec![self.seeds[1].to_string()],
                ..Default::default()
            };
            snapshot.insert(R, Resource::pack(&routes, &body, refs));
        }
        snapshot
    }
}

/// A proxy that subscribes as Envoy does: everything of CDS and LDS, and what those lead to.
struct Proxy {
    mode: Mode,
    held: BTreeMap<ResourceType, BTreeMap<String, Resource>>,
    names: BTreeMap<ResourceType, BTreeSet<String>>,
    nonces: BTreeMap<ResourceType, String>,
    outbox: VecDeque<Ask>,
}

impl Proxy {
    fn new(mode: Mode) -> Self {
        let mut proxy = Self {
            mode,
            held: BTreeMap::new(),
            names: BTreeMap::new(),
            nonces: BTreeMap::new(),
            outbox: VecDeque::new(),
        };
        for kind in [C, L] {
            let change = proxy.no_change(kind);
            proxy.outbox.push_back(Ask { kind, nonce: String::new(), error: None, change });
        }
        proxy
    }

    fn no_change(&self, kind: ResourceType) -> Change {
        match self.mode {
            Mode::StateOfTheWorld => Change::Exactly(self.names.get(&kind).cloned().unwrap_or_default()),
            Mode::Delta => by(BTreeSet::new(), BTreeSet::new()),
        }
    }

    fn held(&self, kind: ResourceType) -> impl Iterator<Item = &Resource> {
        self.held.get(&kind).into_iter().flat_map(BTreeMap::values)
    }

    fn holds(&self, kind: ResourceType, name: &str) -> bool {
        self.held.get(&kind).is_some_and(|held| held.contains_key(name))
    }

    fn take(&mut self, push: &Push, refuse: bool) {
        let kind = push.kind;
        self.nonces.insert(kind, push.nonce.clone());
        let error = refuse.then(|| "refused".to_owned());
        self.outbox.push_back(Ask { kind, nonce: push.nonce.clone(), error, change: self.no_change(kind) });
        if refuse {
            return;
        }
        let held = self.held.entry(kind).or_default();
        if self.mode == Mode::StateOfTheWorld && matches!(kind, C | L) {
            held.clear();
        }
        // As to Envoy: what nobody asks for any more may still be on its way, and is left where it is.
        let names = self.names.get(&kind);
        let is_wanted = |resource: &&Resource| match kind {
            C | L => true,
            E | R => names.is_some_and(|names| names.contains(&*resource.name)),
        };
        let wanted = push.resources.iter().filter(is_wanted);
        held.extend(wanted.map(|resource| (resource.name.to_string(), resource.clone())));
        push.removed.iter().for_each(|name| drop(held.remove(&**name)));
        match kind {
            C => self.follow(C, E),
            L => self.follow(L, R),
            E | R => {}
        }
    }

    fn follow(&mut self, from: ResourceType, to: ResourceType) {
        let wanted: BTreeSet<String> = self.held(from).flat_map(|resource| resource.refs.to_vec()).collect();
        let before = self.names.insert(to, wanted.clone());
        if before.as_ref() == Some(&wanted) {
            return;
        }
        let before = before.unwrap_or_default();
        if let Some(held) = self.held.get_mut(&to) {
            held.retain(|name, _| wanted.contains(name));
        }
        let change = match self.mode {
            Mode::StateOfTheWorld => Change::Exactly(wanted),
            Mode::Delta => by(&wanted - &before, &before - &wanted),
        };
        let nonce = match self.mode {
            Mode::StateOfTheWorld => self.nonces.get(&to).cloned().unwrap_or_default(),
            Mode::Delta => String::new(),
        };
        self.outbox.push_back(Ask { kind: to, nonce, error: None, change });
    }
}

fn by(subscribe: BTreeSet<String>, unsubscribe: BTreeSet<String>) -> Change {
    Change::By { subscribe, unsubscribe, holds: BTreeMap::new() }
}

struct World {
    session: Session,
    proxy: Proxy,
    target: Arc<Snapshot>,
}

impl World {
    fn new(mode: Mode, plan: &Plan) -> Self {
        let target = Arc::new(plan.snapshot(1));
        let session = Session::new(mode, SessionLimits::default(), target.clone());
        Self { session, proxy: Proxy::new(mode), target }
    }

    fn retarget(&mut self, plan: &Plan) {
        self.target = Arc::new(plan.snapshot(self.target.generation + 1));
        self.session.retarget(self.target.clone());
    }

    /// One message from the proxy, if it has one.
    fn hear(&mut self) -> bool {
        let Some(ask) = self.proxy.outbox.pop_front() else { return false };
        self.session.receive(ask).expect("within the limits");
        true
    }

    /// One push, if one is due; checks the laws.
    fn push(&mut self, refuse: bool) -> Result<bool, TestCaseError> {
        let Some(push) = self.session.next_push(Instant::START) else { return Ok(false) };
        let clusters = self.target.of(C);
        if push.kind == R {
            for name in push.resources.iter().flat_map(|routes| routes.refs.iter()) {
                let there = self.proxy.holds(C, name) && self.proxy.holds(E, name);
                prop_assert!(there || !clusters.contains_key(name.as_str()), "{name} is named before it is there");
            }
        }
        if push.kind == C {
            let whole = matches!(self.proxy.mode, Mode::StateOfTheWorld);
            let sent: BTreeSet<&str> = push.resources.iter().map(|cluster| &*cluster.name).collect();
            let goes = |name: &str| {
                let removed = push.removed.iter().any(|removed| &**removed == name);
                removed || (whole && self.proxy.holds(C, name) && !sent.contains(name))
            };
            for routes in self.proxy.held(R) {
                let next = self.target.of(R).get(&routes.name);
                for name in routes.refs.iter().filter(|name| goes(name)) {
                    let stays_named = next.is_some_and(|next| next.refs.contains(name));
                    prop_assert!(stays_named, "{name} goes while {} names it", routes.name);
                }
            }
        }
        self.proxy.take(&push, refuse);
        Ok(true)
    }

    fn is_where_the_mesh_is(&self) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.session.settled(), Some(self.target.generation));
        for kind in ResourceType::ALL {
            let held: Vec<_> = self.proxy.held(kind).map(|held| (&held.name, &held.version)).collect();
            let target: Vec<_> = self.target.of(kind).values().map(|meant| (&meant.name, &meant.version)).collect();
            prop_assert_eq!(held, target, "{}", kind);
        }
        Ok(())
    }

    fn run_dry(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..1000 {
            if !(self.push(false)? | self.hear()) {
                return Ok(());
            }
        }
        prop_assert!(false, "the session never rests");
        Ok(())
    }
}

#[derive(Debug, Clone)]
enum Step {
    Mesh(Plan),
    Push { refuse: bool },
    Hear,
}

fn plan() -> impl Strategy<Value = Plan> {
    (0u8..32, 0u8..8, [0u8..32, 0u8..32, 0u8..32], [0u8..2, 0u8..2])
        .prop_map(|(clusters, listeners, routes, seeds)| Plan { clusters, listeners, routes, seeds })
}

fn steps(refusals: bool) -> impl Strategy<Value = Vec<Step>> {
    let refuse = if refusals { (0u8..4).prop_map(|n| n == 0).boxed() } else { Just(false).boxed() };
    let step = prop_oneof![
        1 => plan().prop_map(Step::Mesh),
        4 => refuse.prop_map(|refuse| Step::Push { refuse }),
        4 => Just(Step::Hear),
    ];
    prop::collection::vec(step, 0..60)
}

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::StateOfTheWorld), Just(Mode::Delta)]
}

fn walk(world: &mut World, steps: &[Step]) -> Result<(), TestCaseError> {
    for step in steps {
        match step {
            Step::Mesh(plan) => world.retarget(plan),
            Step::Push { refuse } => drop(world.push(*refuse)?),
            Step::Hear => drop(world.hear()),
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_route_leads_nowhere_whatever_is_refused(mode in mode(), first in plan(), steps in steps(true)) {
        let mut world = World::new(mode, &first);
        walk(&mut world, &steps)?;
        world.run_dry()?;
    }

    #[test]
    fn a_willing_proxy_ends_with_what_the_mesh_means(mode in mode(), first in plan(), steps in steps(false)) {
        let mut world = World::new(mode, &first);
        walk(&mut world, &steps)?;
        world.run_dry()?;
        world.is_where_the_mesh_is()?;
    }

    #[test]
    fn a_refusal_is_over_when_the_mesh_changes(
        mode in mode(), first in plan(), steps in steps(true), mut last in plan(),
    ) {
        let mut world = World::new(mode, &first);
        walk(&mut world, &steps)?;
        world.run_dry()?;
        last.seeds = [9, 9];
        world.retarget(&last);
        world.run_dry()?;
        world.is_where_the_mesh_is()?;
    }
}

/// Envoy keeps its answer about new clusters back until they have their endpoints. Once, each waited for the other.
#[test]
fn endpoints_of_a_new_cluster_do_not_wait_for_the_answer_about_it() {
    for mode in [Mode::StateOfTheWorld, Mode::Delta] {
        let plan = Plan { clusters: 1, listeners: 1, routes: [1, 0, 0], seeds: [0, 0] };
        let mut world = World::new(mode, &plan);
        walk(&mut world, &[]).expect("nothing happens");
        world.run_dry().expect("the first push");
        world.retarget(&Plan { clusters: 3, routes: [3, 0, 0], ..plan });
        assert!(world.push(false).expect("a push"));
        let kept_back = world.proxy.outbox.pop_front().expect("an answer");
        assert_eq!(kept_back.kind, C);
        assert!(world.hear(), "it asks for the endpoints");
        let push = world.session.next_push(Instant::START).expect("they are sent");
        assert_eq!((push.kind, push.resources.iter().any(|own| &*own.name == "c1")), (E, true));
        world.proxy.take(&push, false);
        assert_eq!(world.session.next_push(Instant::START), None, "and nothing else before the answer");
        world.proxy.outbox.push_front(kept_back);
        world.run_dry().expect("the rest");
        world.is_where_the_mesh_is().expect("all of it");
    }
}
