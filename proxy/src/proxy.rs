//! One proxy: started, asked, drained.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use wavetank_platform::Platform;
use wavetank_platform::spawn::OwnedTask;
use wavetank_platform::watch;

use crate::bootstrap::{Bootstrap, Limits};
use crate::drain::{Drain, Stage};
use crate::identity::{Identity, IdentityError};
use crate::listener::connections::Connections;
use crate::listener::manager::Listeners;
use crate::record::Recorder;
use crate::shared::{Random, Shared};
use crate::tls::Tls;
use crate::upstream::clusters::Clusters;
use crate::upstream::connect::Connector;
use crate::upstream::outliers::Reporter;
use crate::xds::{self, Store};

/// Time that connections get to leave when their listener changes; Istio's default.
const PATIENCE_DEFAULT: Duration = Duration::from_secs(45);

/// A running proxy. Dropping it ends all its tasks at once.
pub struct Proxy {
    shared: Arc<Shared>,
    connections: Arc<Connections>,
    drain: Drain,
    listening: watch::Receiver<Option<BTreeMap<Arc<str>, SocketAddr>>>,
    tasks: Vec<OwnedTask>,
}

impl Proxy {
    /// Starts a proxy that is configured, and given its certificate, as `bootstrap` says.
    ///
    /// Errs when the roots of the certificate authority do not parse.
    pub fn start(platform: Platform, bootstrap: Bootstrap, recorder: Arc<dyn Recorder>) -> Result<Self, IdentityError> {
        let (store, tls) = (Store::new(), Tls::new(&platform));
        let identity = match &bootstrap.ca {
            Some(ca) => Some(Identity::new(platform.clone(), ca.clone(), &bootstrap.limits, tls.clone())?),
            None => None,
        };
        let Bootstrap { node, limits, .. } = &bootstrap;
        let mut proxy = Self::with_store(platform.clone(), &node.id, store.clone(), tls.clone(), limits, recorder);
        if let Some(identity) = identity {
            let renewing = async move {
                identity.run().await;
            };
            proxy.tasks.push(platform.spawn.go(renewing).abort_on_drop());
        }
        let configuring = platform.clone();
        proxy.tasks.push(platform.spawn.go(xds::run(configuring, bootstrap, tls, store)).abort_on_drop());
        Ok(proxy)
    }

    /// Starts a proxy that is configured by whatever `store` holds, now and later.
    ///
    /// `node` names it in records; `tls` has its certificates.
    pub fn with_store(
        platform: Platform,
        node: &str,
        store: Store,
        tls: Tls,
        limits: &Limits,
        recorder: Arc<dyn Recorder>,
    ) -> Self {
        let connector = Arc::new(Connector { platform: platform.clone(), tls: tls.clone() });
        let node: Arc<str> = node.into();
        let reporter = Reporter { node: node.clone(), recorder: recorder.clone() };
        let shared = Arc::new(Shared {
            random: Random::new(&platform),
            platform: platform.clone(),
            node,
            store,
            tls,
            recorder,
            clusters: Clusters::new(connector, reporter),
        });
        let connections = Arc::new(Connections::new(limits.connections_max));
        let (addresses, listening) = watch::channel(None);
        let drain = Drain::new();
        let listeners = Listeners::new(shared.clone(), connections.clone(), PATIENCE_DEFAULT, addresses);
        let task = platform.spawn.go(listeners.run(drain.watch())).abort_on_drop();
        Self { shared, connections, drain, listening, tasks: vec![task] }
    }

    /// The configuration in force, and the way to put another in force where no xDS server does.
    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    /// Version of the configuration in force, counted up at every change.
    pub fn config_version(&self) -> u64 {
        self.shared.store.current().version
    }

    /// Who listens where, by listener name, with the real ports.
    pub fn listening(&self) -> BTreeMap<Arc<str>, SocketAddr> {
        self.listening.borrow().clone().unwrap_or_default()
    }

    /// Waits until a configuration has been applied to the sockets: the first that the xDS server sent, or
    /// the one that the proxy was started with.
    pub async fn ready(&self) {
        let mut listening = self.listening.clone();
        let _ended = listening.wait_for(Option::is_some).await;
    }

    /// Ends in good order: closes the listening sockets, asks callers to leave, lets requests finish, and
    /// ends what is left after `grace`.
    pub async fn drain(&self, grace: Duration) {
        self.drain.advance(Stage::Draining);
        // Sockets close before this waits, so that nothing new comes while the last connection ends.
        let clock = &self.shared.platform.clock;
        let mut listening = self.listening.clone();
        let ended = async {
            let _gone = listening.wait_for(Option::is_none).await;
            self.connections.all_ended().await;
        };
        let _in_time = clock.timeout(grace, ended).await;
        self.drain.advance(Stage::Ended);
        self.connections.abort();
    }
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy").field("node", &self.shared.node).finish_non_exhaustive()
    }
}
