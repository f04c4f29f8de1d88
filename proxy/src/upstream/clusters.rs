//! The state of every cluster, by name: breakers, balancer, pools. A change of configuration leaves it as
//! it is, but for pools of endpoints that are no longer there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wavetank_platform::{Instant, RandomStream};

use super::connect::Connector;
use super::outliers::Outliers;
use super::pool::{Pool, Wire};
use super::registry::{ActiveByEndpoint, Common, Registry};
use crate::cluster::outlier::Outcome;
use crate::cluster::{Avoid, BalancerState, Breakers, Unpickable, pick};
use crate::snapshot::cluster::{Discovery, Endpoint};
use crate::snapshot::tls::TransportSocket;
use crate::snapshot::{Assignment, Cluster, Snapshot};

/// Pools of one cluster beyond which unused ones are dropped.
const POOLS_MAX: usize = 4096;

/// How long a host name's addresses are used; Envoy's default.
const DNS_REFRESH: Duration = Duration::from_secs(5);

/// All clusters that requests of one worker have gone to.
pub(crate) struct Clusters {
    connector: Arc<Connector>,
    registry: Arc<Registry>,
    by_name: Mutex<BTreeMap<Arc<str>, Arc<ClusterState>>>,
}

impl Clusters {
    /// None yet. What workers share is in `registry`.
    pub(crate) fn new(connector: Arc<Connector>, registry: Arc<Registry>) -> Self {
        Self { connector, registry, by_name: Mutex::default() }
    }

    /// What connections are made with.
    pub(crate) fn connector(&self) -> &Arc<Connector> {
        &self.connector
    }

    /// The state of the cluster of that name.
    pub(crate) fn state(&self, name: &Arc<str>) -> Arc<ClusterState> {
        let mut by_name = self.by_name();
        if let Some(state) = by_name.get(name) {
            return state.clone();
        }
        let random = self.connector.platform.entropy.stream_named(&format!("lb/{name}"));
        let state = Arc::new(ClusterState {
            connector: self.connector.clone(),
            common: self.registry.of(name),
            balancer: Mutex::new((BalancerState::default(), random)),
            pools: Mutex::default(),
            resolved: Mutex::default(),
        });
        by_name.insert(name.clone(), state.clone());
        state
    }

    /// Closes what idles towards endpoints that `snapshot` no longer has, forgets what they were busy with (to
    /// Envoy an endpoint that comes back is a new host), and tells outlier detection of those it has.
    pub(crate) fn reconcile(&self, snapshot: &Snapshot) {
        for (name, cluster) in &snapshot.clusters {
            if cluster.outlier_detection.is_some() {
                self.state(name).follow(snapshot, cluster);
            }
        }
        let mut by_name = self.by_name();
        by_name.retain(|name, state| {
            let cluster = snapshot.clusters.get(name);
            if let Some(cluster) = cluster {
                state.follow(snapshot, cluster);
                lock(&state.common.active).retain(|address, _| lists(snapshot, cluster, *address));
            } else {
                self.registry.forget(name, &state.common);
            }
            let cluster = cluster.filter(|_| self.registry.is_current(name, &state.common));
            state.retain_pools(|pool| cluster.is_some_and(|cluster| has_endpoint(snapshot, cluster, pool)));
            cluster.is_some()
        });
    }

    fn by_name(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Arc<ClusterState>>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether `cluster` still leads to what `pool` is connected to.
fn has_endpoint(snapshot: &Snapshot, cluster: &Cluster, pool: &Pool) -> bool {
    let configured = |assignment: &Assignment| {
        assignment
            .endpoints()
            .iter()
            .any(|endpoint| endpoint.address == pool.address() && cluster.socket_for(endpoint) == pool.socket())
    };
    match &cluster.discovery {
        Discovery::Static(assignment) => configured(assignment),
        Discovery::Eds(name) => snapshot.assignments.get(name).is_some_and(|assignment| configured(assignment)),
        Discovery::OriginalDst | Discovery::StrictDns(_) => *pool.socket() == cluster.transport_socket,
    }
}

/// Whether `cluster` has an endpoint there, as far as it has a list of them.
fn lists(snapshot: &Snapshot, cluster: &Cluster, address: SocketAddr) -> bool {
    let listed = |assignment: &Assignment| assignment.endpoints().iter().any(|endpoint| endpoint.address == address);
    match &cluster.discovery {
        Discovery::Static(assignment) => listed(assignment),
        Discovery::Eds(name) => snapshot.assignments.get(name).is_some_and(|assignment| listed(assignment)),
        Discovery::OriginalDst | Discovery::StrictDns(_) => true,
    }
}

/// Pools by endpoint and protocol; those of one entry differ by transport socket.
type Pools = BTreeMap<(SocketAddr, Wire), Vec<Arc<Pool>>>;

/// One cluster's state in one worker.
pub(crate) struct ClusterState {
    connector: Arc<Connector>,
    common: Arc<Common>,
    balancer: Mutex<(BalancerState, RandomStream)>,
    pools: Mutex<Pools>,
    resolved: Mutex<Option<(Instant, Arc<Assignment>)>>,
}

/// An endpoint chosen, and how to speak to it.
#[derive(Debug, Clone)]
pub(crate) struct Picked {
    /// Address.
    pub(crate) address: SocketAddr,
    /// Raw or TLS.
    pub(crate) socket: TransportSocket,
    /// Whose endpoint it is.
    pub(crate) workload: Option<Arc<str>>,
}

/// One more request at an endpoint, until dropped.
#[derive(Debug)]
pub(crate) struct Active {
    all: ActiveByEndpoint,
    count: Arc<AtomicU32>,
    outliers: Outliers,
    address: SocketAddr,
}

impl Active {
    /// Tells outlier detection how it went.
    pub(crate) fn note(&self, outcome: Outcome) {
        self.outliers.note(self.address, outcome);
    }
}

impl ClusterState {
    /// How much the cluster is asked for now.
    pub(crate) fn breakers(&self) -> &Breakers {
        &self.common.breakers
    }

    /// An endpoint for one attempt. `original_dst` is the caller's, for clusters of that type.
    ///
    /// Errs when there is none.
    pub(crate) async fn pick(
        &self,
        snapshot: &Snapshot,
        cluster: &Arc<Cluster>,
        original_dst: Option<SocketAddr>,
        avoid: Avoid<'_>,
    ) -> Result<Picked, Unpickable> {
        let assignment = match &cluster.discovery {
            Discovery::OriginalDst => {
                let address = original_dst.ok_or(Unpickable)?;
                return Ok(Picked { address, socket: cluster.transport_socket.clone(), workload: None });
            }
            Discovery::Static(assignment) => assignment.clone(),
            Discovery::Eds(name) => snapshot.assignments.get(name).ok_or(Unpickable)?.clone(),
            Discovery::StrictDns(hosts) => self.resolve(hosts).await,
        };
        self.common.outliers.configure(snapshot.version, cluster, &assignment);
        let assignment = self.common.outliers.known_to_balancer(&assignment);
        let active = |address: SocketAddr| {
            lock(&self.common.active).get(&address).map_or(0, |count| count.load(Ordering::Relaxed))
        };
        let (state, random) = &mut *lock(&self.balancer);
        let endpoint = pick(cluster, &assignment, state, avoid, &active, random)?;
        let workload = endpoint.workload.clone();
        Ok(Picked { address: endpoint.address, socket: cluster.socket_for(endpoint).clone(), workload })
    }

    /// Counts one request at `address`, for the least-request balancer.
    pub(crate) fn begin(&self, address: SocketAddr) -> Active {
        let mut all = lock(&self.common.active);
        let count = all.entry(address).or_default().clone();
        count.fetch_add(1, Ordering::Relaxed);
        drop(all);
        Active { all: self.common.active.clone(), count, outliers: self.common.outliers.clone(), address }
    }

    /// Tells outlier detection how an attempt at `address` went.
    pub(crate) fn note(&self, address: SocketAddr, outcome: Outcome) {
        self.common.outliers.note(address, outcome);
    }

    /// Tells outlier detection what `snapshot` says of the cluster. Host names are not looked up for it.
    fn follow(&self, snapshot: &Snapshot, cluster: &Arc<Cluster>) {
        let assignment = match &cluster.discovery {
            Discovery::Static(assignment) => Some(assignment),
            Discovery::Eds(name) => snapshot.assignments.get(name),
            Discovery::OriginalDst | Discovery::StrictDns(_) => None,
        };
        if let Some(assignment) = assignment {
            self.common.outliers.configure(snapshot.version, cluster, assignment);
        }
    }

    /// The pool of an endpoint.
    pub(crate) fn pool(&self, picked: &Picked, wire: Wire) -> Arc<Pool> {
        let mut pools = lock(&self.pools);
        if pools.len() >= POOLS_MAX {
            pools.retain(|_, same| same.iter().any(|pool| !pool.is_unused()));
        }
        let same = pools.entry((picked.address, wire)).or_default();
        if let Some(pool) = same.iter().find(|pool| *pool.socket() == picked.socket) {
            return pool.clone();
        }
        let (connector, breakers) = (self.connector.clone(), self.common.breakers.clone());
        let pool = Arc::new(Pool::new(connector, breakers, picked.address, picked.socket.clone(), wire));
        same.push(pool.clone());
        pool
    }

    fn retain_pools(&self, keep: impl Fn(&Pool) -> bool) {
        let mut retired = Vec::new();
        lock(&self.pools).retain(|_, same| {
            retired.extend(same.extract_if(.., |pool| !keep(pool)));
            !same.is_empty()
        });
        for pool in retired {
            pool.retire();
        }
    }

    /// The addresses of `hosts`, looked up anew when those known are old. A host that has none is left out.
    async fn resolve(&self, hosts: &[(Arc<str>, u16)]) -> Arc<Assignment> {
        let now = self.connector.platform.clock.now();
        if let Some((at, assignment)) = &*lock(&self.resolved)
            && now.saturating_since(*at) < DNS_REFRESH
        {
            return assignment.clone();
        }
        let mut endpoints = Vec::new();
        for (host, port) in hosts {
            if let Ok(addresses) = self.connector.platform.resolver.resolve(host).await {
                endpoints.extend(addresses.into_iter().map(|ip| Endpoint::at(SocketAddr::new(ip, *port))));
            }
        }
        let mut resolved = lock(&self.resolved);
        // A look-up that changes nothing is no change: not even the order of the addresses counts, which a
        // server may turn with each answer.
        let assignment = match resolved.take() {
            Some((_, known)) if addresses(known.endpoints()) == addresses(&endpoints) => known,
            _ => Arc::new(Assignment::new(endpoints)),
        };
        *resolved = Some((now, assignment.clone()));
        assignment
    }
}

fn addresses(endpoints: &[Endpoint]) -> BTreeSet<SocketAddr> {
    endpoints.iter().map(|endpoint| endpoint.address).collect()
}

impl Drop for Active {
    fn drop(&mut self) {
        let mut all = lock(&self.all);
        let is_last = self.count.fetch_sub(1, Ordering::Relaxed) == 1;
        // The address may have a count of a later life by now.
        if is_last && all.get(&self.address).is_some_and(|count| Arc::ptr_eq(count, &self.count)) {
            all.remove(&self.address);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
