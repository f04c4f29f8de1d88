//! Connections of one endpoint, lent to requests.
//!
//! As in Envoy, a request that finds no ready connection becomes pending, and one connection is opened for
//! each pending request that none is being opened for. Whatever becomes ready first serves the oldest
//! pending request, and a connect failure fails all of them.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::client::conn::http2::SendRequest;
use tokio::sync::oneshot;
use wavetank_platform::spawn::OwnedTask;

use super::connect::{Connector, Target};
use super::connection::{self, Connection, Limits};
use super::lease::{Lease, Sender};
use super::reset::Reset;
use crate::cluster::Breakers;
use crate::http::request_body::RequestBody;
use crate::route::ResetReason;
use crate::snapshot::Cluster;
use crate::snapshot::cluster::Breakers as BreakerLimits;
use crate::snapshot::tls::TransportSocket;

/// Envoy's default.
const IDLE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(3600);

/// What a pool's connections speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wire {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
}

/// How a pool opens connections; from the cluster, as of the latest request.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    source: Option<IpAddr>,
    connect_timeout: Duration,
    limits: Limits,
    breakers: BreakerLimits,
}

impl From<&Cluster> for Settings {
    fn from(cluster: &Cluster) -> Self {
        Self {
            source: cluster.source,
            connect_timeout: cluster.connect_timeout,
            limits: Limits {
                requests_max: cluster.requests_per_connection_max,
                idle: cluster.idle_timeout.unwrap_or(IDLE_TIMEOUT_DEFAULT),
            },
            breakers: cluster.breakers,
        }
    }
}

/// The pool of one endpoint, transport socket and protocol.
pub(crate) struct Pool {
    connector: Arc<Connector>,
    breakers: Breakers,
    address: SocketAddr,
    socket: TransportSocket,
    wire: Wire,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// HTTP/1: free connections, the one used last at the end; each holds its own channel. HTTP/2: all that take
    /// requests, with hyper's handle.
    ready: Vec<(Option<SendRequest<RequestBody>>, Arc<Connection>)>,
    waiting: VecDeque<oneshot::Sender<Result<Lease, Reset>>>,
    connecting: usize,
    tasks: BTreeMap<u64, OwnedTask>,
    next_id: u64,
    settings: Option<Settings>,
    retired: bool,
}

impl Pool {
    /// A pool without connections.
    pub(crate) fn new(
        connector: Arc<Connector>,
        breakers: Breakers,
        address: SocketAddr,
        socket: TransportSocket,
        wire: Wire,
    ) -> Self {
        Self { connector, breakers, address, socket, wire, state: Mutex::default() }
    }

    /// The endpoint.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Raw or TLS.
    pub(crate) fn socket(&self) -> &TransportSocket {
        &self.socket
    }

    /// What its connections speak.
    pub(crate) fn wire(&self) -> Wire {
        self.wire
    }

    /// How its connections are made.
    pub(super) fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Whether it holds nothing.
    pub(crate) fn is_unused(&self) -> bool {
        let state = self.state();
        state.tasks.is_empty() && state.waiting.is_empty()
    }

    /// Borrows a connection, opening one if need be.
    ///
    /// Errs when a breaker refuses or connecting fails. Has no bound of its own beyond the connect timeout.
    pub(crate) async fn lease(self: &Arc<Self>, settings: Settings) -> Result<Lease, Reset> {
        let limits = settings.breakers;
        if let Some(lease) = self.take_ready() {
            return self.admit(lease, &limits);
        }
        let pending = self.breakers.try_pending_request(&limits).ok_or_else(|| Reset::from(ResetReason::Overflow))?;
        let (give, take) = oneshot::channel();
        {
            let mut state = self.state();
            state.waiting.retain(|waiter| !waiter.is_closed());
            state.waiting.push_back(give);
            state.settings = Some(settings);
            self.open_as_needed(&mut state);
        }
        let outcome = take.await;
        drop(pending);
        match outcome {
            Ok(Ok(lease)) => self.admit(lease, &limits),
            Ok(Err(reset)) => Err(reset),
            Err(_pool_gone) => Err(ResetReason::ConnectionTermination.into()),
        }
    }

    /// Closes what idles, and from now on every connection that nobody waits for: the endpoint or its
    /// transport socket is no longer configured. Requests that chose it before are served.
    pub(crate) fn retire(&self) {
        let idle = {
            let mut state = self.state();
            state.retired = true;
            std::mem::take(&mut state.ready)
        };
        for (_, connection) in &idle {
            connection.close_idle();
        }
    }

    fn admit(&self, mut lease: Lease, limits: &BreakerLimits) -> Result<Lease, Reset> {
        let permit = self.breakers.try_request(limits).ok_or_else(|| Reset::from(ResetReason::Overflow))?;
        lease.count(permit);
        Ok(lease)
    }

    fn take_ready(self: &Arc<Self>) -> Option<Lease> {
        let mut state = self.state();
        while let Some((sender, connection)) = state.ready.pop() {
            match sender {
                None => {
                    if let Some(channel) = connection.take() {
                        return Some(Lease::new(Sender::Http1(channel), connection, self.clone()));
                    }
                }
                Some(sender) if sender.is_closed() => {}
                Some(sender) => {
                    let lease = Lease::new(Sender::Http2(sender.clone()), connection.clone(), self.clone());
                    if !connection.is_exhausted() {
                        state.ready.push((Some(sender), connection));
                    }
                    return Some(lease);
                }
            }
        }
        None
    }

    /// Opens a connection for each pending request that none is being opened for.
    fn open_as_needed(self: &Arc<Self>, state: &mut State) {
        let Some(settings) = state.settings.clone() else { return };
        let waiting = state.waiting.iter().filter(|waiter| !waiter.is_closed()).count();
        let wanted = match self.wire {
            Wire::Http1 => waiting,
            Wire::Http2 => waiting.min(1),
        };
        while state.connecting < wanted {
            let Some(permit) = self.breakers.try_connection(&settings.breakers, state.tasks.is_empty()) else {
                return;
            };
            let id = state.next_id;
            state.next_id += 1;
            state.connecting += 1;
            let target = Target {
                address: self.address,
                source: settings.source,
                socket: self.socket.clone(),
                timeout: settings.connect_timeout,
            };
            let (pool, limits) = (self.clone(), settings.limits);
            let task = self.connector.platform.spawn.go(async move {
                connection::run(pool, id, target, limits).await;
                drop(permit);
            });
            state.tasks.insert(id, task.abort_on_drop());
        }
    }

    /// A connection is there.
    pub(super) fn connected(self: &Arc<Self>, sender: Sender, connection: &Arc<Connection>) {
        self.state().connecting -= 1;
        self.give_back(sender, connection);
    }

    /// No connection came about: every pending request fails with it.
    pub(super) fn connect_failed(&self, reset: Reset) {
        let waiting = {
            let mut state = self.state();
            state.connecting -= 1;
            std::mem::take(&mut state.waiting)
        };
        for waiter in waiting {
            let _gone = waiter.send(Err(reset.clone()));
        }
    }

    /// A connection takes requests (again): the oldest pending request gets it, else it rests.
    pub(super) fn give_back(self: &Arc<Self>, sender: Sender, connection: &Arc<Connection>) {
        let mut sender = Some(sender);
        loop {
            let waiter = {
                let mut state = self.state();
                if connection.is_exhausted() {
                    break;
                }
                match state.waiting.pop_front() {
                    Some(waiter) => waiter,
                    None if state.retired => break,
                    None => {
                        match sender.take() {
                            Some(Sender::Http2(sender)) => state.ready.push((Some(sender), connection.clone())),
                            Some(Sender::Http1(channel)) => {
                                state.ready.extend(connection.rest(channel).then(|| (None, connection.clone())));
                            }
                            None => {}
                        }
                        break;
                    }
                }
            };
            let lent = match sender.take() {
                Some(Sender::Http2(shared)) => {
                    sender = Some(Sender::Http2(shared.clone()));
                    Sender::Http2(shared)
                }
                Some(one) => one,
                None => break,
            };
            match waiter.send(Ok(Lease::new(lent, connection.clone(), self.clone()))) {
                Ok(()) if sender.is_none() => break,
                Ok(()) => {}
                Err(unwanted) => {
                    connection.uncount();
                    let back = unwanted.ok().and_then(Lease::into_sender);
                    sender = sender.or(back);
                }
            }
        }
        if let Some(Sender::Http1(channel)) = sender {
            connection.close(channel);
        }
    }

    /// Lends connection `id` no more; it closes when nothing is under way on it.
    pub(super) fn forget(&self, id: u64) {
        let gone: Vec<_> = {
            let mut state = self.state();
            state.ready.extract_if(.., |(_, connection)| connection.id() == id).collect()
        };
        drop(gone);
    }

    /// Connection `id` is over.
    pub(super) fn ended(self: &Arc<Self>, id: u64) {
        self.forget(id);
        let mut state = self.state();
        let task = state.tasks.remove(&id);
        self.open_as_needed(&mut state);
        drop(state);
        drop(task);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("address", &self.address).field("wire", &self.wire).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
