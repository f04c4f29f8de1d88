//! The mesh in a tank: the control plane in its pod, a proxy in each pod that has one, and what they tell.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;
use wavetank_control::ads::TypeStatus;
use wavetank_control::ca as authority;
use wavetank_control::config::{Kind, SourceFile};
use wavetank_control::diagnostic::Diagnostic;
use wavetank_control::dialect::Dialect;
use wavetank_control::model::Applied;
use wavetank_control::{Control, ControlConfig};
use wavetank_platform::{Entropy, Instant, Platform};
use wavetank_proxy::bootstrap::{Bootstrap, CaConfig, KeyType, NodeIdentity, Token, XdsMode, XdsSecurity, XdsServer};
use wavetank_proxy::ejection::Ejection;
use wavetank_proxy::record::{Record, Recorder};
use wavetank_proxy::snapshot::Snapshot;
use wavetank_proxy::{DrainTimes, Proxy};

use super::exchanges::Exchanges;
use super::objects::Objects;
use super::outcome::RunError;
use super::who::Who;
use super::witness::in_order;
use crate::engine::TankHandle;
use crate::explain::{Book, Scribe};
use crate::observe::Observation;
use crate::scenario::Scenario;
use crate::world::cast::{CONTROL_PLANE, CONTROL_PLANE_PORT, Cast, Pod, Role, SYSTEM_NAMESPACE};
use crate::world::kube::KubeFile;
use crate::world::kubelet::Roster;

/// How long proxies get to take the configuration, and how often that is looked at.
const CONVERGENCE_MAX: Duration = Duration::from_secs(60);
const CONVERGENCE_LOOK: Duration = Duration::from_millis(10);
/// Asked of the certificate authority by every proxy.
const CERTIFICATE_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// Control plane and proxies of a running tank.
pub(super) struct Mesh {
    control: Mutex<Arc<Control>>,
    config: ControlConfig,
    /// Of the control plane's first process. Its authority's key follows from it, which a cluster keeps in a
    /// Secret: a process that comes back signs as the one before did.
    entropy: Entropy,
    objects: Mutex<Objects>,
    records: Arc<Records>,
    exchanges: Arc<Exchanges>,
    proxies: Mutex<BTreeMap<usize, Proxy>>,
    /// The generation with the newest manifests in it; `None` while the control plane is down and they are
    /// in none.
    newest: Mutex<Option<u64>>,
    scribe: Scribe,
}

impl Mesh {
    /// Starts the control plane in its pod.
    pub(super) async fn start(
        dialect: Dialect,
        cast: &Cast,
        tank: &TankHandle,
        roster: &Roster,
    ) -> Result<Self, RunError> {
        let place = cast.pods.iter().position(|pod| pod.role == Role::ControlPlane);
        let place = place.ok_or_else(|| RunError::Internal("the world has no control plane".to_owned()))?;
        // Keys and signatures of fixed length, all from the seed.
        let ca = authority::CaConfig { key_type: authority::KeyType::Ed25519, ..authority::CaConfig::default() };
        let config = ControlConfig { dialect, ca, ..ControlConfig::default() };
        let exchanges = Arc::new(Exchanges::default());
        let platform = tank.app_platform(roster.pod(place));
        let entropy = platform.entropy.clone();
        let control = Control::start(platform, config.clone(), exchanges.clone()).await.map_err(not_started)?;
        // A manifest of the user's may stand in for one of the world's that had an address.
        for service in &cast.services {
            control.assign_cluster_ip(&service.namespace, &service.name, service.cluster_ip.into());
        }
        Ok(Self {
            control: Mutex::new(Arc::new(control)),
            config,
            entropy,
            objects: Mutex::default(),
            records: Arc::default(),
            exchanges,
            proxies: Mutex::default(),
            newest: Mutex::new(Some(0)),
            scribe: Scribe::default(),
        })
    }

    /// Starts the control plane again as a process of `platform`, with all that the cluster's API holds, and
    /// waits until its mesh is in force.
    pub(super) async fn restart_control(&self, platform: Platform, cast: &Cast) -> Result<(), RunError> {
        let platform = Platform { entropy: self.entropy.clone(), ..platform };
        let control = Control::start(platform, self.config.clone(), self.exchanges.clone()).await;
        let control = Arc::new(control.map_err(not_started)?);
        for service in &cast.services {
            control.assign_cluster_ip(&service.namespace, &service.name, service.cluster_ip.into());
        }
        // Tokens are drawn in this order, so they are those that the proxies have.
        for pod in cast.pods.iter().filter(|pod| pod.has_proxy()) {
            control.issue_token(&pod.namespace, &pod.service_account);
        }
        self.objects().tell(&control);
        *self.control.lock().unwrap_or_else(PoisonError::into_inner) = control.clone();
        let first = control.next_generation(0).await;
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(first);
        Ok(())
    }

    /// The control plane's process is gone.
    pub(super) fn lose_control(&self) {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Puts other manifests in force, in place of the user's before.
    pub(super) fn replace_manifests(&self, files: &[SourceFile]) -> Applied {
        let control = self.control();
        let applied = self.objects().replace(&control, files);
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if !applied.changed.is_empty() && newest.is_some() {
            *newest = Some(control.generation() + 1);
        }
        applied
    }

    /// Which pods' proxies have the newest manifests, as the control plane knows.
    pub(super) fn in_sync(&self, cast: &Cast) -> BTreeMap<usize, bool> {
        let newest = *self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let settled: BTreeMap<_, _> = self
            .control()
            .status()
            .into_iter()
            .map(|status| (status.node, (status.connected, status.settled)))
            .collect();
        let is_in_sync = |pod: &Pod| match (newest, settled.get(&node_id(pod))) {
            (Some(newest), Some((true, Some(settled)))) => *settled >= newest,
            _ => false,
        };
        let proxies = cast.pods.iter().enumerate().filter(|(_, pod)| pod.has_proxy());
        proxies.map(|(index, pod)| (index, is_in_sync(pod))).collect()
    }

    /// Copies of the records of what began at `since` or later and has ended.
    pub(super) fn records_since(&self, since: Instant) -> Vec<Record> {
        let records = self.records.records.lock().unwrap_or_else(PoisonError::into_inner);
        // Records come in the order of their ends.
        let ended_before = |record: &&Record| record.start + record.duration >= since;
        records.iter().rev().take_while(ended_before).filter(|record| record.start >= since).cloned().collect()
    }

    pub(super) fn control(&self) -> Arc<Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn objects(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the control plane the world's own objects.
    pub(super) fn apply_world(&self, files: Vec<SourceFile>) -> Result<(), RunError> {
        let control = self.control();
        self.objects().set_world(files.clone());
        for file in files {
            let name = file.name.clone();
            if let Some(problem) = control.apply(&file).diagnostics.iter().find(|found| found.is_error()) {
                return Err(RunError::Internal(format!("{name}: {}", problem.message)));
            }
        }
        Ok(())
    }

    /// Gives the control plane the scenario's manifests, and returns what it and the world (`found`) have to
    /// say below an error.
    ///
    /// Errs with everything found when anything is an error.
    pub(super) fn apply_manifests(
        &self,
        scenario: &Scenario,
        mut found: Vec<Diagnostic>,
    ) -> Result<Vec<Diagnostic>, RunError> {
        let control = self.control();
        self.objects().set_manifests(&scenario.config);
        for file in &scenario.config {
            found.extend(control.apply(file).diagnostics);
        }
        if found.iter().any(Diagnostic::is_error) { Err(RunError::Manifests(found)) } else { Ok(found) }
    }

    /// Gives the control plane an EndpointSlice as it is now.
    pub(super) fn apply_endpoints(&self, file: &KubeFile) {
        let source = self.objects().change(file);
        self.control().apply(&source);
    }

    /// Tells the control plane of a fresh pod.
    pub(super) fn apply_pod(&self, pod: &Pod) {
        let source = self.objects().add_pod(pod);
        self.control().apply(&source);
    }

    /// Tells the control plane that a pod is gone.
    pub(super) fn delete_pod(&self, pod: &Pod) {
        self.objects().delete_pod(pod);
        self.control().delete(Kind::Pod, &pod.namespace, &pod.name);
    }

    /// Starts the proxy of every pod that has one.
    pub(super) fn start_proxies(&self, cast: &Cast, tank: &TankHandle, roster: &Roster) -> Result<(), RunError> {
        for (index, pod) in cast.pods.iter().enumerate().filter(|(_, pod)| pod.has_proxy()) {
            self.start_proxy(index, pod, tank.sidecar_platform(roster.pod(index)))?;
        }
        Ok(())
    }

    /// Starts the proxy of pod number `index` as a process of `platform`, in place of the one it had.
    pub(super) fn start_proxy(&self, index: usize, pod: &Pod, platform: Platform) -> Result<(), RunError> {
        let control = self.control();
        let token = control.issue_token(&pod.namespace, &pod.service_account);
        let token = token.ok_or_else(|| RunError::Internal("more accounts than the authority knows".to_owned()))?;
        // Keys and signatures of fixed length, all from the seed.
        let bootstrap = bootstrap(pod, token, control.root_certificate_pem(), KeyType::Ed25519);
        let proxy = Proxy::start(platform.clone(), bootstrap, self.records.clone());
        let proxy = proxy.map_err(|error| RunError::Internal(format!("{}: {error}", pod.name)))?;
        self.scribe.follow(node_id(pod), proxy.store().clone(), &platform);
        self.proxies().insert(index, proxy);
        Ok(())
    }

    /// Whether the proxy of pod number `index` serves by a configuration.
    pub(super) fn is_ready(&self, index: usize) -> bool {
        self.proxies().get(&index).is_some_and(|proxy| !proxy.listening().is_empty())
    }

    /// Tells the proxy of pod number `index` to end in good order, and waits until it has.
    pub(super) async fn drain_proxy(&self, index: usize) {
        let proxy = self.proxies().remove(&index);
        if let Some(proxy) = proxy {
            proxy.drain(DrainTimes::default()).await;
        }
    }

    fn proxies(&self) -> MutexGuard<'_, BTreeMap<usize, Proxy>> {
        self.proxies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The generation with the newest manifests in it, if it is known.
    pub(super) fn newest(&self) -> Option<u64> {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the proxy of pod number `index` has in force, if one was started there.
    pub(super) fn configuration(&self, index: usize) -> Option<Arc<Snapshot>> {
        Some(self.proxies().get(&index)?.store().current())
    }

    /// What the control plane finds about its objects as a set.
    pub(super) fn findings(&self) -> Vec<Diagnostic> {
        self.control().findings()
    }

    /// The proxies that have not taken the present state of the mesh, each with why.
    fn late(&self, cast: &Cast) -> Vec<String> {
        let control = self.control();
        let generation = control.generation();
        let statuses: BTreeMap<_, _> =
            control.status().into_iter().map(|status| (status.node.clone(), status)).collect();
        let why = |pod: &Pod| match statuses.get(&node_id(pod)) {
            None => Some("it never connected".to_owned()),
            Some(status) if status.settled == Some(generation) => None,
            Some(status) => {
                let refused = |(kind, standing): (_, &TypeStatus)| {
                    Some(format!("it refused {kind}: {}", standing.nack.as_ref()?))
                };
                let refused: Vec<_> = status.types.iter().filter_map(refused).collect();
                Some(if refused.is_empty() { "it is behind".to_owned() } else { refused.join(", ") })
            }
        };
        let proxies = cast.pods.iter().filter(|pod| pod.has_proxy());
        proxies.filter_map(|pod| Some(format!("{}.{}: {}", pod.name, pod.namespace, why(pod)?))).collect()
    }

    /// What proxies recorded, and the configurations they had.
    pub(super) fn take_book(&self, cast: &Cast) -> Book {
        let records = std::mem::take(&mut *self.records.records.lock().unwrap_or_else(PoisonError::into_inner));
        let mut ejections = std::mem::take(&mut *self.records.ejections.lock().unwrap_or_else(PoisonError::into_inner));
        // One proxy's stay in the order they came in.
        ejections.sort_by(|a, b| (a.at, &a.node).cmp(&(b.at, &b.node)));
        let parties = Who::new(cast).parties();
        Book { records: in_order(records), ejections, histories: self.scribe.take(), parties, ..Book::default() }
    }

    /// What the control plane sent and what proxies answered.
    pub(super) fn take_exchanges(&self, cast: &Cast) -> Vec<Observation> {
        self.exchanges.take(&Who::new(cast))
    }
}

fn not_started(error: std::io::Error) -> RunError {
    RunError::Internal(format!("the control plane did not start: {error}"))
}

/// `sidecar~10.244.0.3~service-go-v1-0.default~default.svc.cluster.local`.
pub(super) fn node_id(pod: &Pod) -> String {
    let kind = if pod.role == Role::Gateway { "router" } else { "sidecar" };
    let Pod { namespace, name, ip, .. } = pod;
    format!("{kind}~{ip}~{name}.{namespace}~{namespace}.svc.cluster.local")
}

/// What a proxy is told at its start.
pub(super) fn bootstrap(pod: &Pod, token: String, roots_pem: &str, key_type: KeyType) -> Bootstrap {
    let Pod { namespace, service_account, name, ip, .. } = pod;
    let host = format!("{CONTROL_PLANE}.{SYSTEM_NAMESPACE}.svc");
    let metadata = [
        ("LABELS", json!(pod.labels)),
        ("NAMESPACE", json!(namespace)),
        ("SERVICE_ACCOUNT", json!(service_account)),
        ("WORKLOAD_NAME", json!(pod.workload)),
        ("CLUSTER_ID", json!("Kubernetes")),
        ("INSTANCE_IPS", json!(ip.to_string())),
        ("MESH_ID", json!("cluster.local")),
        ("NAME", json!(name)),
    ];
    let node = NodeIdentity {
        id: node_id(pod),
        cluster: format!("{}.{namespace}", pod.app()),
        metadata: metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<BTreeMap<_, _>>(),
        ..NodeIdentity::default()
    };
    let xds = XdsServer {
        host: host.clone(),
        port: CONTROL_PLANE_PORT,
        mode: XdsMode::Delta,
        security: XdsSecurity::Mutual { server_name: host.clone() },
    };
    let ca = CaConfig {
        server_name: host.clone(),
        host,
        port: CONTROL_PLANE_PORT,
        roots_pem: roots_pem.to_owned(),
        identity: format!("spiffe://cluster.local/ns/{namespace}/sa/{service_account}"),
        token: Token(token),
        key_type,
        lifetime: CERTIFICATE_LIFETIME,
        refresh_at: 0.8,
    };
    Bootstrap { ca: Some(ca), ..Bootstrap::new(node, xds) }
}

/// Waits until changes made just now are in force and every proxy has taken them.
///
/// Errs with the proxies that have not in [`CONVERGENCE_MAX`], and with why they refused.
pub(super) async fn convergence(mesh: &Mesh, cast: &Cast, tank: &TankHandle) -> Result<(), RunError> {
    let clock = tank.clock();
    let deadline = clock.now() + CONVERGENCE_MAX;
    let control = mesh.control();
    let seen = control.generation();
    // Where nothing changed there is no new generation, and the old one stands.
    let _ = clock.timeout_at(deadline, control.next_generation(seen)).await;
    loop {
        let late = mesh.late(cast);
        if late.is_empty() {
            return Ok(());
        }
        if clock.now() >= deadline {
            return Err(RunError::NotConverged(late.join("; ")));
        }
        clock.sleep(CONVERGENCE_LOOK).await;
    }
}

/// Keeps every record and every ejection in memory.
#[derive(Default)]
struct Records {
    records: Mutex<Vec<Record>>,
    ejections: Mutex<Vec<Ejection>>,
}

impl Recorder for Records {
    fn record(&self, record: &Record) {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).push(record.clone());
    }

    fn ejection(&self, ejection: Ejection) {
        self.ejections.lock().unwrap_or_else(PoisonError::into_inner).push(ejection);
    }
}
