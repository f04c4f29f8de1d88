//! Keeps the sockets as the configuration wants them: binds what is new, leaves open what stays, drains
//! what is gone or changed.
//!
//! A listener whose address stays keeps its socket; connections accepted from then on meet its new chains,
//! those accepted before are asked to leave. A socket that closes is emptied first: the host would reset what
//! has come and was not accepted.
//!
//! When the proxy leaves, its callers are asked to, and their sockets close first. Those by which the workload calls
//! others close when its callers are gone: to answer them it may have to call.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use wavetank_platform::spawn::OwnedTask;
use wavetank_platform::watch;
use wavetank_platform::{ListenOptions, Listener as Socket, Stream};

use super::connection;
use super::connections::{Connections, Through};
use crate::drain::{Drain, Draining, Stage};
use crate::process::Listening;
use crate::record::Direction;
use crate::shared::Shared;
use crate::snapshot::{Listener, Snapshot};

/// How long a failed bind waits for its next try.
const REBIND_AFTER: Duration = Duration::from_secs(1);

/// How long accepting rests after an error that says the host is out of something.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// The listeners of one proxy.
pub(crate) struct Listeners {
    shared: Arc<Shared>,
    connections: Arc<Connections>,
    options: ListenOptions,
    /// Time that connections get to leave when their listener changes.
    patience: Duration,
    bound: BTreeMap<Arc<str>, Bound>,
    door: Door,
    addresses: watch::Sender<Listening>,
}

/// Whom the proxy serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Open,
    /// Callers are asked to leave, new ones too.
    Leaving,
    /// The workload alone, for as long as it has callers.
    ClosedToCallers,
}

/// One socket and those who came through it.
struct Bound {
    name: Arc<str>,
    address: SocketAddr,
    wanted: SocketAddr,
    through: Arc<Through>,
    serving: Serving,
    accepting: OwnedTask,
    closed: Closed,
}

/// Ends when a socket has been closed.
type Closed = oneshot::Receiver<Infallible>;

/// What an accepting task serves by; replaced in place when the configuration changes. `None`: no longer.
#[derive(Clone)]
struct Serving(watch::Sender<Option<Terms>>);

type Terms = (Arc<Listener>, Arc<Drain>);

impl Listeners {
    /// None bound yet. `addresses` tells who listens where; `None` until a configuration has been applied,
    /// and again when all sockets are closed for good.
    pub(crate) fn new(
        shared: Arc<Shared>,
        connections: Arc<Connections>,
        options: ListenOptions,
        patience: Duration,
        addresses: watch::Sender<Listening>,
    ) -> Self {
        Self { shared, connections, options, patience, bound: BTreeMap::new(), door: Door::Open, addresses }
    }

    /// Follows the configuration until `draining` has come so far that sockets close, and closes them in their order.
    pub(crate) async fn run(mut self, draining: Draining) {
        let mut stages = draining;
        self.follow_until(stages.reached(Stage::Draining)).await;
        self.door = Door::Leaving;
        self.follow_until(stages.reached(Stage::Closing)).await;
        let callers = self.close_to_callers().await;
        let connections = self.connections.clone();
        let workload_is_alone = async {
            tokio::select! {
                biased;
                () = connections.all_ended_through(&callers) => {}
                () = stages.reached(Stage::Ended) => {}
            }
        };
        self.follow_until(workload_is_alone).await;
        let all = std::mem::take(&mut self.bound);
        self.close(all).await;
        self.addresses.send_replace(None);
        stages.reached(Stage::Ended).await;
    }

    async fn follow_until(&mut self, end: impl Future<Output = ()>) {
        let mut end = std::pin::pin!(end);
        let mut changes = self.shared.store.subscribe();
        loop {
            changes.mark_unchanged();
            let snapshot = self.shared.store.current();
            let complete = self.apply(&snapshot).await;
            self.shared.clusters.reconcile(&snapshot);
            drop(snapshot);
            let clock = self.shared.platform.clock.clone();
            tokio::select! {
                biased;
                () = &mut end => return,
                changed = changes.changed() => if changed.is_err() { return },
                () = clock.sleep(REBIND_AFTER), if !complete => {}
            }
        }
    }

    /// The sockets through which others call the workload; all of them where there is no workload.
    fn callers_sockets(&self) -> Vec<Arc<str>> {
        let is_for_callers = |bound: &&Bound| bound.serving.direction() != Some(Direction::Outbound);
        let all = || self.bound.values();
        let is_sidecar = all().any(|bound| is_for_callers(&bound));
        all().filter(|bound| !is_sidecar || is_for_callers(bound)).map(|bound| bound.name.clone()).collect()
    }

    /// Returns what came through the sockets that closed.
    async fn close_to_callers(&mut self) -> Vec<Arc<Through>> {
        self.door = Door::ClosedToCallers;
        let closing: BTreeMap<_, _> =
            self.callers_sockets().into_iter().filter_map(|name| self.bound.remove_entry(&name)).collect();
        let through = closing.values().map(|bound| bound.through.clone()).collect();
        self.close(closing).await;
        through
    }

    /// Makes the sockets those of `snapshot`; false when one could not be bound.
    async fn apply(&mut self, snapshot: &Snapshot) -> bool {
        let is_open = |name: &Arc<str>| self.door != Door::ClosedToCallers || self.bound.contains_key(name);
        let is_wanted = |(name, listener): &(&Arc<str>, &Arc<Listener>)| listener.bind_to_port && is_open(name);
        let wanted: BTreeMap<_, _> = snapshot.listeners.iter().filter(is_wanted).collect();
        let stays =
            |name: &Arc<str>, bound: &Bound| wanted.get(name).is_some_and(|listener| listener.address == bound.wanted);
        let (kept, gone): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.bound).into_iter().partition(|(name, bound)| stays(name, bound));
        self.bound = kept;
        self.close(gone).await;
        let mut complete = true;
        for (name, listener) in wanted {
            if let Some(bound) = self.bound.get(name) {
                bound.serving.update(&self.shared, listener, self.patience);
                continue;
            }
            match self.bind(listener).await {
                Ok(bound) => {
                    self.bound.insert(name.clone(), bound);
                }
                Err(error) => {
                    tracing::warn!(listener = %name, address = %listener.address, %error, "cannot listen");
                    complete = false;
                }
            }
        }
        if self.door == Door::Leaving {
            for name in self.callers_sockets() {
                self.bound[&name].serving.ask_to_leave();
            }
        }
        if snapshot.version > 0 || !snapshot.listeners.is_empty() {
            let addresses = self.bound.iter().map(|(name, bound)| (name.clone(), bound.address)).collect();
            self.addresses.send_replace(Some(addresses));
        }
        complete
    }

    async fn bind(&self, listener: &Arc<Listener>) -> std::io::Result<Bound> {
        let platform = &self.shared.platform;
        let socket = platform.net.listen(listener.address, self.options.clone()).await?;
        let address = socket.local_addr();
        let terms = (listener.clone(), Arc::new(Drain::new()));
        let serving = Serving(watch::Sender::new(Some(terms.clone())));
        let (open, closed) = oneshot::channel();
        let through = self.connections.through(&listener.name);
        let accepting = Accepting {
            shared: self.shared.clone(),
            connections: self.connections.clone(),
            through: through.clone(),
            socket,
            _open: open,
        };
        let accepting = platform.spawn.go(accepting.run(serving.0.subscribe(), terms)).abort_on_drop();
        let (name, wanted) = (listener.name.clone(), listener.address);
        Ok(Bound { name, address, wanted, through, serving, accepting, closed })
    }

    /// Closes sockets; those who came through them are asked to leave.
    async fn close(&self, bound: BTreeMap<Arc<str>, Bound>) {
        let mut closing = Vec::new();
        for bound in bound.into_values() {
            let drain = bound.serving.0.send_replace(None).map(|(_, drain)| drain);
            closing.push((bound, drain));
        }
        for (Bound { name, accepting, closed, .. }, drain) in closing {
            // Nothing is ever sent: the task drops its end with the socket.
            let _dropped = closed.await;
            drop(accepting);
            self.connections.forget(&name);
            if let Some(drain) = drain {
                end_in_good_order(&self.shared, drain, self.patience);
            }
        }
    }
}

impl Serving {
    /// Side of the workload; `None`: it serves no longer.
    fn direction(&self) -> Option<Direction> {
        self.0.borrow().as_ref().map(|(listener, _)| listener.direction)
    }

    /// Who came is asked to leave, and so is who comes from now on.
    fn ask_to_leave(&self) {
        if let Some((_, drain)) = &*self.0.borrow() {
            drain.advance(Stage::Draining);
        }
    }

    /// Serves by `listener` from now on; who came before, by another, is asked to leave.
    fn update(&self, shared: &Arc<Shared>, listener: &Arc<Listener>, patience: Duration) {
        let same = self.0.borrow().as_ref().is_some_and(|(now, _)| Arc::ptr_eq(now, listener));
        if same {
            return;
        }
        if let Some((_, drain)) = self.0.send_replace(Some((listener.clone(), Arc::new(Drain::new())))) {
            end_in_good_order(shared, drain, patience);
        }
    }
}

/// Asks the connections of `drain` to leave, and after `patience` closes those that idle.
fn end_in_good_order(shared: &Arc<Shared>, drain: Arc<Drain>, patience: Duration) {
    drain.advance(Stage::Draining);
    let clock = shared.platform.clock.clone();
    // Ends by itself after `patience`, or with the process.
    shared.platform.spawn.go(async move {
        clock.sleep(patience).await;
        drain.advance(Stage::Ended);
    });
}

/// One open socket.
struct Accepting {
    shared: Arc<Shared>,
    connections: Arc<Connections>,
    through: Arc<Through>,
    socket: Socket,
    _open: oneshot::Sender<Infallible>,
}

impl Accepting {
    /// Accepts connections until there are no more terms to serve them by.
    async fn run(self, mut serving: watch::Receiver<Option<Terms>>, mut last: Terms) {
        loop {
            let accepted = tokio::select! {
                biased;
                accepted = self.socket.accept() => accepted,
                () = has_ended(&mut serving) => break,
            };
            let terms = serving.borrow().clone();
            let ended = terms.is_none();
            last = terms.unwrap_or(last);
            match accepted {
                Ok(stream) => self.serve(stream, &last),
                // Out of sockets, accepting fails again and again: those that end would never be heard of.
                Err(error) if ended => {
                    tracing::debug!(%error, "accept");
                    break;
                }
                Err(error) => {
                    tracing::debug!(%error, "accept");
                    self.shared.platform.clock.sleep(ACCEPT_REST).await;
                }
            }
        }
        // Their drain has begun or is about to: they are served, and asked to leave.
        while let Some(accepted) = self.socket.accept_now() {
            match accepted {
                Ok(stream) => self.serve(stream, &last),
                Err(error) => {
                    tracing::debug!(%error, "accept");
                    break;
                }
            }
        }
    }

    fn serve(&self, stream: Stream, (listener, drain): &Terms) {
        let serving = connection::serve(self.shared.clone(), listener.clone(), stream, drain.watch());
        self.connections.spawn(&self.shared.platform, &self.through, serving);
    }
}

/// Waits until there are no terms any more.
async fn has_ended(serving: &mut watch::Receiver<Option<Terms>>) {
    let _gone = serving.wait_for(Option::is_none).await;
}
