//! The control plane as its host starts it: manifests in, xDS and certificates out.
//!
//! - [`config`]: what a host chooses
//! - `mesh_source`: the mesh in force, and what it means to a node
//! - `push`: a burst of changes becomes one new mesh
//! - `connection`: ports, TLS, HTTP/2 and the two services behind them

pub mod config;
mod connection;
mod mesh_source;
mod push;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use wavetank_platform::Platform;
use wavetank_platform::spawn::OwnedTask;
use wavetank_platform::watch;

pub use config::ControlConfig;

use crate::ads::{AdsService, Observer, ProxyStatus, StatusBoard};
use crate::ca::{CaError, CaService, CertificateAuthority, Identity, serving};
use crate::config::{ConfigKey, Kind, SourceFile};
use crate::diagnostic::Diagnostic;
use crate::model::{Applied, ConfigStore, Mesh};
use mesh_source::MeshSource;

/// A running control plane. It ends when this handle is dropped.
pub struct Control {
    shared: Arc<Shared>,
    ca: Arc<CertificateAuthority>,
    board: Arc<StatusBoard>,
    plaintext: SocketAddr,
    secure: SocketAddr,
    _tasks: Vec<OwnedTask>,
}

/// What the handle and the tasks share.
struct Shared {
    config: ControlConfig,
    store: Mutex<ConfigStore>,
    /// Wakes the pusher after a change.
    changed: Notify,
    source: Arc<MeshSource>,
    /// The generation of the mesh in force.
    generation: watch::Sender<u64>,
    findings: Mutex<Vec<Diagnostic>>,
}

impl Shared {
    fn store(&self) -> MutexGuard<'_, ConfigStore> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn findings(&self) -> MutexGuard<'_, Vec<Diagnostic>> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control")
            .field("plaintext", &self.plaintext)
            .field("secure", &self.secure)
            .finish_non_exhaustive()
    }
}

impl Control {
    /// Starts a control plane with an empty mesh: its root of trust, and its two ports open.
    ///
    /// Errs when a port cannot be had or a certificate cannot be made.
    pub async fn start(platform: Platform, config: ControlConfig, observer: Arc<dyn Observer>) -> io::Result<Self> {
        let entropy = platform.entropy.fork("ca");
        let refused = |error: CaError| io::Error::other(error.to_string());
        let clock = platform.clock.clone();
        let ca = match &config.root {
            Some(root) => CertificateAuthority::with_root(config.ca.clone(), clock, &entropy, root),
            None => CertificateAuthority::new(config.ca.clone(), clock, &entropy),
        };
        let ca = Arc::new(ca.map_err(refused)?);
        let names = config.server_names();
        let tls = serving::server_config(&ca, &platform.crypto, &platform.clock, names).map_err(refused)?;
        let (generation, generations) = watch::channel(0);
        let source = Arc::new(MeshSource::new(config.dialect, config.mesh.clone()));
        let board = Arc::new(StatusBoard::default());
        let ads =
            AdsService::new(platform.clone(), source.clone(), generations, board.clone(), observer, config.limits.ads);
        let services = connection::Services::new(ads, CaService::new(ca.clone()), config.limits.ads.request_bytes_max);
        let server = connection::Server::new(platform.clone(), services, config.limits);
        let (plaintext, open) = server.listen(SocketAddr::new(config.listen, config.plaintext_port), None).await?;
        let secure_port = SocketAddr::new(config.listen, config.secure_port);
        let (secure, closed) = server.listen(secure_port, Some(Arc::new(tls))).await?;
        let shared = Arc::new(Shared {
            store: Mutex::new(ConfigStore::new(config.dialect)),
            changed: Notify::new(),
            source,
            generation,
            findings: Mutex::default(),
            config,
        });
        let pusher = platform.spawn.go(push::run(platform.clone(), shared.clone())).abort_on_drop();
        Ok(Self { shared, ca, board, plaintext, secure, _tasks: vec![open, closed, pusher] })
    }

    /// Reads manifests and puts the sound ones in force; proxies hear of it when the burst is over.
    ///
    /// A manifest with an error is refused, and a version of it that is in force stays.
    pub fn apply(&self, source: &SourceFile) -> Applied {
        let applied = self.shared.store().apply(source);
        if !applied.changed.is_empty() {
            self.shared.changed.notify_one();
        }
        applied
    }

    /// Takes an object out of force; says whether it was there.
    pub fn delete(&self, kind: Kind, namespace: &str, name: &str) -> bool {
        let was_there = self.shared.store().delete(kind, namespace, name);
        if was_there {
            self.shared.changed.notify_one();
        }
        was_there
    }

    /// Makes `sources` all there is: applies them, and deletes every object that none of them has.
    ///
    /// While any manifest is refused nothing is deleted, so that a mistake takes nothing out of force.
    pub fn replace(&self, sources: &[SourceFile]) -> Applied {
        let mut whole = Applied::default();
        let mut store = self.shared.store();
        let mut named: Vec<ConfigKey> = Vec::new();
        for source in sources {
            let applied = store.apply(source);
            let documents = crate::config::decode(source, self.shared.config.dialect).documents;
            named.extend(documents.iter().map(ConfigKey::of));
            whole.changed.extend(applied.changed);
            whole.diagnostics.extend(applied.diagnostics);
        }
        if !whole.has_errors() {
            let gone: Vec<ConfigKey> =
                store.objects().iter().map(|(key, _)| key).filter(|key| !named.contains(key)).cloned().collect();
            for key in gone {
                store.delete(key.kind, &key.namespace, &key.name);
                whole.changed.push(key);
            }
        }
        drop(store);
        if !whole.changed.is_empty() {
            self.shared.changed.notify_one();
        }
        whole
    }

    /// Gives a Service an address beside its manifest, as an API server does.
    pub fn assign_cluster_ip(&self, namespace: &str, name: &str, address: IpAddr) {
        self.shared.store().assign_cluster_ip(namespace, name, address);
        self.shared.changed.notify_one();
    }

    /// The mesh in force, as proxies are being told it.
    pub fn mesh(&self) -> Arc<Mesh> {
        self.shared.source.mesh()
    }

    /// What is found about the objects of the mesh in force as a set, e.g. a subset that no rule defines.
    pub fn findings(&self) -> Vec<Diagnostic> {
        self.shared.findings().clone()
    }

    /// The generation of the mesh in force: 0 before the first push, then growing by 1.
    pub fn generation(&self) -> u64 {
        *self.shared.generation.borrow()
    }

    /// Waits until the generation is above `seen`, and returns it.
    pub async fn next_generation(&self, seen: u64) -> u64 {
        let mut generations = self.shared.generation.subscribe();
        // The sender is in `self`, so waiting cannot fail.
        generations.wait_for(|generation| *generation > seen).await.map_or(seen, |generation| *generation)
    }

    /// Every proxy's standing, by node id.
    pub fn status(&self) -> Vec<ProxyStatus> {
        self.board.all()
    }

    /// The mesh's root certificate in PEM.
    pub fn root_certificate_pem(&self) -> &str {
        self.ca.root_pem()
    }

    /// The token by which a proxy of this service account proves its identity to the authority.
    ///
    /// `None` when the authority knows as many identities as it can.
    pub fn issue_token(&self, namespace: &str, service_account: &str) -> Option<String> {
        let identity = Identity::new(&self.shared.config.ca.trust_domain, namespace, service_account);
        self.ca.tokens().issue(&identity)
    }

    /// The certificate authority.
    pub fn authority(&self) -> &Arc<CertificateAuthority> {
        &self.ca
    }

    /// Address of the plaintext xDS port.
    pub fn plaintext_addr(&self) -> SocketAddr {
        self.plaintext
    }

    /// Address of the TLS port for xDS and certificates.
    pub fn secure_addr(&self) -> SocketAddr {
        self.secure
    }
}
