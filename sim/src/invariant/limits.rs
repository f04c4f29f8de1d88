//! Circuit breakers hold, for each proxy and cluster: requests, pending requests, retries and connections at
//! once, and requests of one connection.
//!
//! Only what records prove is counted, so what is found is too much by any count. A request runs for
//! certain from the moment at which the endpoint's own proxy has it to its response head; it is pending while
//! it has an endpoint and no connection; a retry is one from its start to its end; a connection is open from the
//! first request that the endpoint is known to have to the last response head.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use wavetank_platform::Instant;
use wavetank_proxy::record::Direction;
use wavetank_proxy::snapshot::cluster::Breakers;
use wavetank_proxy::snapshot::{Cluster, Snapshot};

use super::Found;
use crate::explain::Book;
use crate::explain::words::assignment;
use crate::observe::ObservationLog;

/// Connections that are opened, by anyone, before a pod uses a port again, at least. What lies further apart
/// may be two connections.
const PORTS_APART: usize = 8_000;

/// Node and cluster.
type Owner<'a> = (&'a str, &'a str);
type Span = (Instant, Instant);

/// What one proxy is known to have had of one cluster.
#[derive(Default)]
struct Use {
    under_way: Vec<Span>,
    running: Vec<Span>,
    pending: Vec<Span>,
    retries: Vec<Span>,
    /// By endpoint.
    connections: BTreeMap<SocketAddr, Vec<Span>>,
    /// Requests of the connection that served most.
    requests_of_one: u64,
}

pub(super) fn broken(_log: &ObservationLog, book: &Book) -> Found {
    let mut found = Found::new();
    for ((node, cluster), used) in uses(book) {
        let Some(limits) = Limits::of(book, node, cluster) else { continue };
        let mut judge = |what: &str, most: u64, limit: u64| {
            if most > limit {
                found.push(format!("{node} had {most} {what} {cluster}; {limit} is the limit"));
            }
        };
        let Breakers { connections_max, pending_requests_max, requests_max, retries_max } = limits.breakers;
        let all = u64::from(requests_max.max(1)) + u64::from(pending_requests_max);
        judge("requests running or waiting at once for", most_at_once(used.under_way), all);
        judge("requests at once at", most_at_once(used.running), requests_max.into());
        judge("pending requests at once for", most_at_once(used.pending), pending_requests_max.into());
        judge("retries at once at", most_at_once(used.retries), retries_max.into());
        judge("requests on one connection to", used.requests_of_one, limits.requests_per_connection);
        for (endpoint, spans) in used.connections {
            // One is always allowed to an endpoint without any, and it has a new pool each time it comes back.
            let pools = pools(book, node, cluster, endpoint);
            judge("connections to one endpoint of", most_at_once(spans), u64::from(connections_max.max(1)) + pools - 1);
        }
    }
    found
}

/// Everything that records prove.
fn uses(book: &Book) -> BTreeMap<Owner<'_>, Use> {
    let arrived = arrivals(book);
    let mut uses: BTreeMap<Owner<'_>, Use> = BTreeMap::new();
    // By node and ends: since when it is known, until when, its requests, and its number.
    let mut connections: BTreeMap<(Owner<'_>, SocketAddr, SocketAddr), (Span, u64, usize)> = BTreeMap::new();
    let mut opened = 0;
    let mut limited: BTreeMap<Owner<'_>, bool> = BTreeMap::new();
    for record in book.records.iter().filter(|record| !record.method.is_empty()) {
        for attempt in &record.attempts {
            let owner: Owner<'_> = (&record.node, &attempt.cluster);
            let is_limited = || Limits::of(book, owner.0, owner.1).is_some_and(|own| !own.are_none());
            // Most clusters of today's Istio have none, and most records are of them.
            if !*limited.entry(owner).or_insert_with(is_limited) {
                continue;
            }
            let used = uses.entry(owner).or_default();
            let span = (attempt.start, attempt.start + attempt.duration);
            if attempt.number > 1 {
                used.retries.push(span);
            }
            let Some(leg) = &attempt.upstream else {
                used.pending.extend(attempt.endpoint.map(|_| span));
                continue;
            };
            used.under_way.push(span);
            let request = record.request_id.as_deref().unwrap_or_default();
            let since = arrived.get(&(request, leg.local)).copied().filter(|at| *at <= span.1);
            used.running.extend(since.map(|at| (at, span.1)));
            let known = (since.unwrap_or(span.1), span.1);
            let key = (owner, leg.local, leg.remote);
            match connections.get_mut(&key).filter(|(_, _, number)| opened - *number < PORTS_APART) {
                Some((whole, requests, _)) => {
                    *whole = (whole.0.min(known.0), whole.1.max(known.1));
                    *requests += 1;
                }
                None => {
                    opened += 1;
                    let older = connections.insert(key, (known, 1, opened));
                    note_connection(used, leg.remote, older);
                }
            }
        }
    }
    for ((owner, _, endpoint), own) in connections {
        note_connection(uses.entry(owner).or_default(), endpoint, Some(own));
    }
    uses
}

fn note_connection(used: &mut Use, endpoint: SocketAddr, own: Option<(Span, u64, usize)>) {
    if let Some((span, requests, _)) = own {
        used.connections.entry(endpoint).or_default().push(span);
        used.requests_of_one = used.requests_of_one.max(requests);
    }
}

/// When the endpoint's own proxy had a request, by the connection that it came on. The latest, where it came
/// more than once.
fn arrivals(book: &Book) -> BTreeMap<(&str, SocketAddr), Instant> {
    let inbound = book.records.iter().filter(|record| record.direction == Direction::Inbound);
    inbound.filter_map(|own| Some(((own.request_id.as_deref()?, own.downstream.remote), own.start))).collect()
}

/// The most spans that overlap. Where times are equal, ends come first.
fn most_at_once(spans: Vec<Span>) -> u64 {
    let mut moments: Vec<(Instant, i64)> = spans.into_iter().flat_map(|(from, to)| [(from, 1), (to, -1)]).collect();
    moments.sort_unstable();
    let (mut now, mut most) = (0, 0);
    for (_, change) in moments {
        now += change;
        most = most.max(now);
    }
    u64::try_from(most).unwrap_or_default()
}

/// The most that any configuration of the run allowed.
struct Limits {
    breakers: Breakers,
    requests_per_connection: u64,
}

impl Limits {
    /// Whether nothing is limited.
    fn are_none(&self) -> bool {
        let Breakers { connections_max, pending_requests_max, requests_max, retries_max } = self.breakers;
        let breakers = [connections_max, pending_requests_max, requests_max, retries_max];
        breakers.iter().all(|max| *max == u32::MAX) && self.requests_per_connection == u64::MAX
    }

    fn of(book: &Book, node: &str, cluster: &str) -> Option<Self> {
        let all: Vec<&Cluster> = configured(book, node, cluster).collect();
        let most = |limit: fn(&Breakers) -> u32| all.iter().map(|own| limit(&own.breakers)).max();
        let requests = all.iter().map(|own| own.requests_per_connection_max.map_or(u64::MAX, u64::from));
        Some(Self {
            breakers: Breakers {
                connections_max: most(|own| own.connections_max)?,
                pending_requests_max: most(|own| own.pending_requests_max)?,
                requests_max: most(|own| own.requests_max)?,
                retries_max: most(|own| own.retries_max)?,
            },
            requests_per_connection: requests.max()?,
        })
    }
}

fn snapshots<'a>(book: &'a Book, node: &str) -> impl Iterator<Item = &'a Snapshot> {
    book.histories.get(node).into_iter().flatten().map(|(_, snapshot)| &**snapshot)
}

fn configured<'a>(book: &'a Book, node: &str, cluster: &'a str) -> impl Iterator<Item = &'a Cluster> {
    snapshots(book, node).filter_map(move |own| own.clusters.get(cluster).map(|own| &**own))
}

/// How many pools a proxy has had for an endpoint: a new one each time that it came back, or is spoken to in
/// another way.
fn pools(book: &Book, node: &str, cluster: &str, endpoint: SocketAddr) -> u64 {
    let sockets = snapshots(book, node).map(|known| {
        let cluster = known.clusters.get(cluster)?;
        let own = assignment(known, cluster)?.endpoints().iter().find(|own| own.address == endpoint)?;
        Some(cluster.socket_for(own))
    });
    let (mut last, mut pools) = (None, 0);
    for socket in sockets {
        pools += u64::from(socket.is_some() && socket != last);
        last = socket;
    }
    pools.max(1)
}
