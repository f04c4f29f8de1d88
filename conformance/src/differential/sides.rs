//! The two that are compared, each behind the same few questions.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use wavetank_platform::Platform;
use wavetank_proxy::bootstrap::Limits;
use wavetank_proxy::ejection::EjectionAction;
use wavetank_proxy::proxy::Proxy;
use wavetank_proxy::snapshot::Snapshot;
use wavetank_proxy::xds::{Store, decode};

use super::client::{self, Sight};
use super::logged::LogLine;
use super::outcome::{Line, Outcome};
use super::pki::Pki;
use super::row::Row;
use super::upstream::Upstream;
use super::world::World;
use crate::envoy::Envoy;
use crate::foreign::shapes::any;
use crate::live::{PATIENCE, free_port, loopback};
use crate::records::Records;
use crate::{http1, live};

/// A log to which nothing is added for so long has all lines.
const QUIET: Duration = Duration::from_millis(60);

/// How far the records and logs of a side had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    /// Records.
    records: usize,
    /// Bytes of the logs.
    log: usize,
}

/// A side. What it runs ends when this handle is dropped.
pub enum Side {
    /// A real Envoy.
    Envoy {
        /// The process.
        envoy: Envoy,
        /// Its admin port.
        admin: SocketAddr,
        /// Where its listeners are.
        ports: BTreeMap<String, SocketAddr>,
    },
    /// Our proxy.
    Ours {
        /// It, while it runs.
        proxy: Box<Proxy>,
        /// What it recorded.
        records: Arc<Records>,
    },
}

impl Side {
    /// A real Envoy with this configuration.
    ///
    /// # Panics
    /// When it refuses the configuration.
    pub async fn envoy(platform: &Platform, binary: &OsString, world: &World, pki: &Pki) -> Self {
        let admin = loopback(free_port(platform).await);
        let (listeners, clusters) = (world.listeners.clone(), world.clusters.clone());
        let bootstrap = crate::envoy::with_static(listeners, clusters, pki.envoys(), admin);
        if let Err(said) = crate::envoy::validate(binary, &bootstrap) {
            panic!("Envoy refuses the configuration: {said}");
        }
        let envoy = Envoy::start(binary, &bootstrap);
        http1::listens(platform, admin).await;
        let listeners = async {
            loop {
                let ports = ports(&http1::get(platform, admin, "admin", "/listeners", &[]).await.body);
                if ports.len() == world.listeners.len() {
                    return ports;
                }
                platform.clock.sleep(PATIENCE / 1000).await;
            }
        };
        let ports = live::within(platform, "all listeners", listeners).await;
        Self::Envoy { envoy, admin, ports }
    }

    /// Our proxy with this configuration.
    ///
    /// # Panics
    /// When it refuses the configuration.
    pub async fn ours(platform: &Platform, world: &World, pki: &Pki) -> Self {
        let mut snapshot = Snapshot { version: 1, ..Snapshot::default() };
        for message in &world.listeners {
            let listener = decode::listener(&any(message)).unwrap_or_else(|error| panic!("{error}"));
            snapshot.listeners.insert(listener.name.clone(), Arc::new(listener));
        }
        for message in &world.clusters {
            let cluster = decode::cluster(&any(message)).unwrap_or_else(|error| panic!("{error}"));
            snapshot.clusters.insert(cluster.name.clone(), Arc::new(cluster));
        }
        let records = Arc::new(Records::default());
        let (store, tls) = (Store::from_snapshot(snapshot), pki.ours(platform));
        let proxy = Proxy::with_store(platform.clone(), "node", store, tls, &Limits::default(), records.clone());
        live::within(platform, "the listeners", proxy.ready()).await;
        Self::Ours { proxy: Box::new(proxy), records }
    }

    /// Where a listener is.
    ///
    /// # Panics
    /// When there is none of this name.
    fn port(&self, listener: &str) -> SocketAddr {
        let port = match self {
            Self::Envoy { ports, .. } => ports.get(listener).copied(),
            Self::Ours { proxy, .. } => proxy.listening().get(listener).copied(),
        };
        port.unwrap_or_else(|| panic!("no listener {listener}"))
    }

    /// All lines recorded; of Envoy, logged.
    fn lines(&self, since: Mark) -> Vec<Line> {
        match self {
            Self::Envoy { .. } => self.logged(since),
            Self::Ours { records, .. } => records.since(since.records).iter().map(Line::of).collect(),
        }
    }

    /// Waits until what workers have told of endpoints is decided, and every worker has heard of it.
    ///
    /// Envoy's main thread decides, and tells its workers. It does so in the order in which it hears, and answers admin
    /// requests: one that comes behind is answered behind. Our workers decide at once.
    pub(super) async fn settle(&self, platform: &Platform) {
        if let Self::Envoy { admin, .. } = self {
            http1::get(platform, *admin, "admin", "/clusters", &[]).await;
        }
    }

    /// Waits until no endpoint of `cluster` is ejected any more.
    ///
    /// # Panics
    /// When one stays so.
    pub(super) async fn back(&self, platform: &Platform, cluster: &str) {
        let is_back = async || match self {
            Self::Envoy { admin, .. } => {
                let page = http1::get(platform, *admin, "admin", "/clusters", &[]).await.body;
                let mut own = page.lines().filter(|line| line.split("::").next() == Some(cluster));
                !own.any(|line| line.contains("/failed_outlier_check"))
            }
            Self::Ours { records, .. } => {
                let ejections = records.ejections();
                let last = ejections.iter().rfind(|one| *one.cluster == *cluster);
                last.is_none_or(|last| last.action == EjectionAction::Uneject)
            }
        };
        let waiting = async {
            while !is_back().await {
                platform.clock.sleep(PATIENCE / 3000).await;
            }
        };
        live::within(platform, "the end of the ejection", waiting).await;
    }

    /// Does a row; the lines of [`super::logged`] that come of it.
    pub async fn log_of(&self, platform: &Platform, row: &Row, upstream: &Upstream, pki: &Pki) -> Vec<LogLine> {
        let before = self.mark();
        let _outcome = self.run(platform, row, upstream, pki).await;
        // A connection's line comes when it has closed, an attempt's about when its request's does.
        let mut seen = self.mark();
        let quiet = async {
            loop {
                platform.clock.sleep(QUIET).await;
                let now = self.mark();
                if std::mem::replace(&mut seen, now) == now {
                    return;
                }
            }
        };
        live::within(platform, "an end of log lines", quiet).await;
        self.log(before).lines().filter_map(LogLine::parse).collect()
    }

    fn mark(&self) -> Mark {
        match self {
            Self::Envoy { envoy, .. } => Mark { records: 0, log: envoy.said_bytes() },
            Self::Ours { records, .. } => Mark { records: records.count(), log: records.logged_bytes() },
        }
    }

    /// All lines of the access logs, as they are written.
    fn log(&self, since: Mark) -> String {
        match self {
            Self::Envoy { envoy, .. } => envoy.said_since(since.log),
            Self::Ours { records, .. } => records.logged_since(since.log),
        }
    }

    fn logged(&self, since: Mark) -> Vec<Line> {
        self.log(since).lines().filter_map(Line::parse).collect()
    }

    /// Does a row.
    pub async fn run(&self, platform: &Platform, row: &Row, upstream: &Upstream, pki: &Pki) -> Outcome {
        upstream.play(&row.acts);
        let before = self.mark();
        let logged = || self.lines(before).len();
        let tls = pki.ours(platform);
        let sight = Sight { upstream, logged: &logged, tls: &tls, side: self, platform };
        let downstream = client::run(row, self.port(row.listener), &sight).await;
        let all = async {
            while logged() < row.logs {
                platform.clock.sleep(PATIENCE / 10_000).await;
            }
        };
        // A row whose lines do not come differs in them.
        let _late = platform.clock.timeout(PATIENCE / 10, all).await;
        let sorted_out = |mut lines: Vec<Line>| {
            if row.any_host {
                Line::number_hosts(&mut lines);
            }
            if let Some(last) = row.last {
                lines.drain(..lines.len().saturating_sub(last));
            }
            if row.unordered {
                lines.sort();
            }
            lines
        };
        let lines = sorted_out(self.lines(before));
        let logged = sorted_out(self.logged(before));
        let mut seen = upstream.seen();
        if row.unordered {
            seen.sort();
        }
        Outcome { downstream, upstream: seen, lines, logged }.masked()
    }
}

/// Names and addresses of Envoy's admin page.
fn ports(page: &str) -> BTreeMap<String, SocketAddr> {
    let line = |line: &str| {
        let (name, addr) = line.split_once("::")?;
        Some((name.to_owned(), addr.parse().ok()?))
    };
    page.lines().filter_map(line).collect()
}
