//! The mesh in a tank: the control plane in its pod, a proxy in each pod that has one, and what they tell.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use wavetank_control::ads::{Observer, TypeStatus};
use wavetank_control::ca as authority;
use wavetank_control::config::SourceFile;
use wavetank_control::diagnostic::Diagnostic;
use wavetank_control::dialect::Dialect;
use wavetank_control::{Control, ControlConfig};
use wavetank_platform::Instant;
use wavetank_proxy::Proxy;
use wavetank_proxy::bootstrap::{Bootstrap, CaConfig, KeyType, NodeIdentity, Token, XdsMode, XdsSecurity, XdsServer};

use super::gathered::{Gathered, Gatherer};
use super::outcome::RunError;
use super::who::Who;
use crate::engine::TankHandle;
use crate::observe::{Ack, Observation, Party, Push};
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
    control: Control,
    records: Arc<Gatherer>,
    exchanges: Arc<Exchanges>,
    proxies: Mutex<Vec<Proxy>>,
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
        let control = Control::start(tank.app_platform(roster.pod(place)), config, exchanges.clone())
            .await
            .map_err(|error| RunError::Internal(format!("the control plane did not start: {error}")))?;
        // A manifest of the user's may stand in for one of the world's that had an address.
        for service in &cast.services {
            control.assign_cluster_ip(&service.namespace, &service.name, service.cluster_ip.into());
        }
        Ok(Self { control, records: Arc::default(), exchanges, proxies: Mutex::default() })
    }

    /// Gives the control plane the world's own objects.
    pub(super) fn apply_world(&self, files: Vec<SourceFile>) -> Result<(), RunError> {
        for file in files {
            let name = file.name.clone();
            if let Some(problem) = self.control.apply(&file).diagnostics.iter().find(|found| found.is_error()) {
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
        for file in &scenario.config {
            found.extend(self.control.apply(file).diagnostics);
        }
        if found.iter().any(Diagnostic::is_error) { Err(RunError::Manifests(found)) } else { Ok(found) }
    }

    /// Gives the control plane an EndpointSlice as it is now.
    pub(super) fn apply_endpoints(&self, file: &KubeFile) {
        self.control.apply(&SourceFile::new(file.name.as_str(), file.text.as_str()));
    }

    /// Starts the proxy of every pod that has one.
    pub(super) fn start_proxies(&self, cast: &Cast, tank: &TankHandle, roster: &Roster) -> Result<(), RunError> {
        let mut proxies = self.proxies.lock().unwrap_or_else(PoisonError::into_inner);
        for (index, pod) in cast.pods.iter().enumerate().filter(|(_, pod)| pod.has_proxy()) {
            let token = self.control.issue_token(&pod.namespace, &pod.service_account);
            let token = token.ok_or_else(|| RunError::Internal("more accounts than the authority knows".to_owned()))?;
            let bootstrap = bootstrap(pod, token, self.control.root_certificate_pem());
            let platform = tank.sidecar_platform(roster.pod(index));
            let proxy = Proxy::start(platform, bootstrap, self.records.clone());
            proxies.push(proxy.map_err(|error| RunError::Internal(format!("{}: {error}", pod.name)))?);
        }
        Ok(())
    }

    /// What the control plane finds about its objects as a set.
    pub(super) fn findings(&self) -> Vec<Diagnostic> {
        self.control.findings()
    }

    /// The proxies that have not taken the present state of the mesh, each with why.
    fn late(&self, cast: &Cast) -> Vec<String> {
        let generation = self.control.generation();
        let statuses: BTreeMap<_, _> =
            self.control.status().into_iter().map(|status| (status.node.clone(), status)).collect();
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

    /// What proxies recorded.
    pub(super) fn take_records(&self) -> Gathered {
        self.records.take()
    }

    /// What the control plane sent and what proxies answered.
    pub(super) fn take_exchanges(&self, cast: &Cast) -> Vec<Observation> {
        let who = Who::new(cast);
        let exchanges = std::mem::take(&mut *self.exchanges.0.lock().unwrap_or_else(PoisonError::into_inner));
        exchanges.into_iter().map(|exchange| exchange.observed(&who)).collect()
    }
}

/// `sidecar~10.244.0.3~service-go-v1-0.default~default.svc.cluster.local`.
fn node_id(pod: &Pod) -> String {
    let kind = if pod.role == Role::Gateway { "router" } else { "sidecar" };
    let Pod { namespace, name, ip, .. } = pod;
    format!("{kind}~{ip}~{name}.{namespace}~{namespace}.svc.cluster.local")
}

/// What a proxy is told at its start.
fn bootstrap(pod: &Pod, token: String, roots_pem: &str) -> Bootstrap {
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
        // Keys and signatures of fixed length, all from the seed.
        key_type: KeyType::Ed25519,
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
    let seen = mesh.control.generation();
    // Where nothing changed there is no new generation, and the old one stands.
    let _ = clock.timeout_at(deadline, mesh.control.next_generation(seen)).await;
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

/// Keeps what went between the control plane and the proxies.
#[derive(Default)]
struct Exchanges(Mutex<Vec<Exchange>>);

struct Exchange {
    at: Instant,
    node: String,
    kind: String,
    version: String,
    what: What,
}

enum What {
    Pushed,
    Acked,
    Nacked(String),
}

impl Exchanges {
    fn note(&self, node: &str, type_url: &str, version: &str, at: Instant, what: What) {
        let (node, version) = (node.to_owned(), version.to_owned());
        let exchange = Exchange { at, node, kind: kind(type_url).to_owned(), version, what };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(exchange);
    }
}

impl Observer for Exchanges {
    fn pushed(&self, node: &str, type_url: &str, version: &str, now: Instant) {
        self.note(node, type_url, version, now, What::Pushed);
    }

    fn acked(&self, node: &str, type_url: &str, version: &str, now: Instant) {
        self.note(node, type_url, version, now, What::Acked);
    }

    fn nacked(&self, node: &str, type_url: &str, version: &str, error: &str, now: Instant) {
        self.note(node, type_url, version, now, What::Nacked(error.to_owned()));
    }
}

impl Exchange {
    fn observed(self, who: &Who<'_>) -> Observation {
        let proxy = who.pod_of_node(&self.node).map_or_else(|| Party::named(self.node.as_str()), |pod| who.party(pod));
        let (at, kind, version) = (self.at, self.kind.into(), self.version.into());
        match self.what {
            What::Pushed => Observation::Push(Push { at, proxy, kind, version }),
            What::Acked => Observation::Ack(Ack { at, proxy, kind, version, refused: None }),
            What::Nacked(why) => Observation::Ack(Ack { at, proxy, kind, version, refused: Some(why.into()) }),
        }
    }
}

/// The discovery service that a type belongs to.
fn kind(type_url: &str) -> &str {
    match type_url.rsplit('.').next() {
        Some("Cluster") => "cds",
        Some("ClusterLoadAssignment") => "eds",
        Some("Listener") => "lds",
        Some("RouteConfiguration") => "rds",
        Some("Secret") => "sds",
        _ => type_url,
    }
}
