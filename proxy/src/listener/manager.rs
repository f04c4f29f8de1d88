//! Keeps the sockets as the configuration wants them: binds what is new, leaves open what stays, drains
//! what is gone or changed.
//!
//! A listener whose address stays keeps its socket; connections accepted from then on meet its new chains,
//! those accepted before are asked to leave.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use wavetank_platform::spawn::OwnedTask;
use wavetank_platform::watch;
use wavetank_platform::{ListenOptions, Listener as Socket};

use super::connection;
use super::connections::Connections;
use crate::drain::{Drain, Draining, Stage};
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
    /// Time that connections get to leave when their listener changes.
    patience: Duration,
    bound: BTreeMap<Arc<str>, Bound>,
    addresses: watch::Sender<Option<BTreeMap<Arc<str>, SocketAddr>>>,
}

/// One socket and those who came through it.
struct Bound {
    socket: Arc<Socket>,
    wanted: SocketAddr,
    serving: Serving,
    _accepting: OwnedTask,
}

/// What an accepting task serves by; replaced in place when the configuration changes.
#[derive(Clone)]
struct Serving(watch::Sender<Option<(Arc<Listener>, Arc<Drain>)>>);

impl Listeners {
    /// None bound yet. `addresses` tells who listens where; `None` until a configuration has been applied,
    /// and again when all sockets are closed for good.
    pub(crate) fn new(
        shared: Arc<Shared>,
        connections: Arc<Connections>,
        patience: Duration,
        addresses: watch::Sender<Option<BTreeMap<Arc<str>, SocketAddr>>>,
    ) -> Self {
        Self { shared, connections, patience, bound: BTreeMap::new(), addresses }
    }

    /// Follows the configuration until `draining` begins, then closes every socket.
    pub(crate) async fn run(mut self, mut draining: Draining) {
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
                () = draining.reached(Stage::Draining) => break,
                changed = changes.changed() => if changed.is_err() { break },
                () = clock.sleep(REBIND_AFTER), if !complete => {}
            }
        }
        for (_, bound) in std::mem::take(&mut self.bound) {
            bound.close(&self.shared, self.patience);
        }
        self.addresses.send_replace(None);
        draining.reached(Stage::Ended).await;
    }

    /// Makes the sockets those of `snapshot`; false when one could not be bound.
    async fn apply(&mut self, snapshot: &Snapshot) -> bool {
        let wanted: BTreeMap<_, _> = snapshot.listeners.iter().filter(|(_, listener)| listener.bind_to_port).collect();
        let stays =
            |name: &Arc<str>, bound: &Bound| wanted.get(name).is_some_and(|listener| listener.address == bound.wanted);
        let (kept, gone): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.bound).into_iter().partition(|(name, bound)| stays(name, bound));
        self.bound = kept;
        for bound in gone.into_values() {
            bound.close(&self.shared, self.patience);
        }
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
        if snapshot.version > 0 || !snapshot.listeners.is_empty() {
            let addresses = self.bound.iter().map(|(name, bound)| (name.clone(), bound.socket.local_addr())).collect();
            self.addresses.send_replace(Some(addresses));
        }
        complete
    }

    async fn bind(&self, listener: &Arc<Listener>) -> std::io::Result<Bound> {
        let platform = &self.shared.platform;
        let socket = Arc::new(platform.net.listen(listener.address, ListenOptions::default()).await?);
        let serving = Serving(watch::Sender::new(Some((listener.clone(), Arc::new(Drain::new())))));
        let accepting = accept(self.shared.clone(), self.connections.clone(), socket.clone(), serving.0.subscribe());
        let accepting = platform.spawn.go(accepting).abort_on_drop();
        Ok(Bound { socket, wanted: listener.address, serving, _accepting: accepting })
    }
}

impl Bound {
    /// Closes the socket; those who came through it are asked to leave.
    fn close(self, shared: &Arc<Shared>, patience: Duration) {
        if let Some((_, drain)) = self.serving.0.send_replace(None) {
            end_in_good_order(shared, drain, patience);
        }
    }
}

impl Serving {
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

/// Accepts connections until aborted.
async fn accept(
    shared: Arc<Shared>,
    connections: Arc<Connections>,
    socket: Arc<Socket>,
    serving: watch::Receiver<Option<(Arc<Listener>, Arc<Drain>)>>,
) {
    loop {
        let stream = match socket.accept().await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(%error, "accept");
                shared.platform.clock.sleep(ACCEPT_REST).await;
                continue;
            }
        };
        let Some((listener, drain)) = serving.borrow().clone() else { return };
        let draining = drain.watch();
        connections.spawn(&shared.platform, connection::serve(shared.clone(), listener, stream, draining));
    }
}
