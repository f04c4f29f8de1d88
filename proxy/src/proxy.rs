//! One proxy: started, asked, drained.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use wavetank_platform::spawn::OwnedTask;
use wavetank_platform::watch;
use wavetank_platform::{ListenOptions, Platform};

use crate::bootstrap::{Bootstrap, Limits};
use crate::drain::{Drain, DrainTimes, Stage};
use crate::http::headers::Dates;
use crate::identity::{Identity, IdentityError};
use crate::listener::connections::Connections;
use crate::listener::manager::Listeners;
use crate::process::{Listening, Process, WorkerView};
use crate::record::Recorder;
use crate::shared::{Random, Shared};
use crate::tls::Tls;
use crate::upstream::clusters::Clusters;
use crate::upstream::connect::Connector;
use crate::xds::{self, Store};

/// Time that connections get to leave when their listener changes; Istio's default.
const PATIENCE_DEFAULT: Duration = Duration::from_secs(45);

/// A running proxy, or one worker of a process that has several. Dropping it ends all its tasks at once.
pub struct Proxy {
    shared: Arc<Shared>,
    process: Arc<Process>,
    connections: Arc<Connections>,
    drain: Drain,
    listening: watch::Receiver<Listening>,
    tasks: Vec<OwnedTask>,
}

impl Proxy {
    /// Starts a proxy that is configured, and given its certificate, as `bootstrap` says.
    ///
    /// Errs when the roots of the certificate authority do not parse.
    pub fn start(platform: Platform, bootstrap: Bootstrap, recorder: Arc<dyn Recorder>) -> Result<Self, IdentityError> {
        Self::start_listening(platform, bootstrap, ListenOptions::default(), recorder)
    }

    /// As [`Self::start`], with sockets that other workers, and other processes, may share.
    pub fn start_first(
        platform: Platform,
        bootstrap: Bootstrap,
        recorder: Arc<dyn Recorder>,
    ) -> Result<Self, IdentityError> {
        let options = ListenOptions { reuse_port: true, ..ListenOptions::default() };
        Self::start_listening(platform, bootstrap, options, recorder)
    }

    /// Starts one more worker of `process`, on the runtime of `platform`. It takes the configuration and the
    /// certificate that the first one keeps.
    pub fn start_another(platform: Platform, process: &Arc<Process>, recorder: Arc<dyn Recorder>) -> Self {
        Self::worker(platform, process.clone(), recorder)
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
        let options = ListenOptions::default();
        let process = Process::new(&platform, node, (store, tls), limits, options, recorder.clone());
        Self::worker(platform, process, recorder)
    }

    fn start_listening(
        platform: Platform,
        bootstrap: Bootstrap,
        options: ListenOptions,
        recorder: Arc<dyn Recorder>,
    ) -> Result<Self, IdentityError> {
        let (store, tls) = (Store::new(), Tls::new(&platform));
        let Bootstrap { node, limits, ca, .. } = &bootstrap;
        let identity = match ca {
            Some(ca) => Some(Identity::new(platform.clone(), ca.clone(), limits, tls.clone())?),
            None => None,
        };
        let secured = (store.clone(), tls.clone());
        let process = Process::new(&platform, &node.id, secured, limits, options, recorder.clone());
        let mut proxy = Self::worker(platform.clone(), process, recorder);
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

    fn worker(platform: Platform, process: Arc<Process>, recorder: Arc<dyn Recorder>) -> Self {
        let (store, tls) = (process.store.clone(), process.tls.clone());
        let connector = Arc::new(Connector { platform: platform.clone(), tls: tls.clone(), ids: process.ids.clone() });
        let shared = Arc::new(Shared {
            dates: Dates::new(),
            random: Random::new(&platform),
            platform: platform.clone(),
            node: process.node.clone(),
            store,
            tls,
            recorder,
            clusters: Clusters::new(connector, process.registry.clone()),
        });
        let connections = process.connections();
        let (addresses, listening) = watch::channel(None);
        process.joined(WorkerView { listening: listening.clone(), connections: connections.clone() });
        let drain = Drain::new();
        let options = process.listen.clone();
        let listeners = Listeners::new(shared.clone(), connections.clone(), options, PATIENCE_DEFAULT, addresses);
        let task = platform.spawn.go(listeners.run(drain.watch())).abort_on_drop();
        Self { shared, process, connections, drain, listening, tasks: vec![task] }
    }

    /// What further workers share with this one.
    pub fn process(&self) -> &Arc<Process> {
        &self.process
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

    /// Ends in good order: asks callers to leave; after the minimum closes the listening sockets, those by which the
    /// workload calls others when its own callers are gone; lets requests finish, and ends what is left after the
    /// maximum.
    pub async fn drain(&self, times: DrainTimes) {
        self.drain.advance(Stage::Draining);
        let clock = &self.shared.platform.clock;
        let mut listening = self.listening.clone();
        let ended = async {
            if !times.minimum.is_zero() {
                clock.sleep(times.minimum).await;
            }
            self.drain.advance(Stage::Closing);
            // Sockets close before this waits, so that nothing new comes while the last connection ends.
            drop(listening.wait_for(Option::is_none).await);
            self.connections.all_ended().await;
        };
        let _in_time = clock.timeout(times.maximum, ended).await;
        self.drain.advance(Stage::Ended);
        self.connections.abort();
    }
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy").field("node", &self.shared.node).finish_non_exhaustive()
    }
}
