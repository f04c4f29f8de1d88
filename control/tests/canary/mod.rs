//! A small canary mesh: `sleep` and `service-go` v1 and v2 behind an ingress gateway, split 70/30, with a TCP
//! service and one whose protocol is not said.

use wavetank_control::Dialect;
use wavetank_control::config::SourceFile;
use wavetank_control::generate::{ProxyIdentity, ProxyKind, Resources, generate};
use wavetank_control::model::{ConfigStore, Mesh, MeshConfig};

/// Kubernetes objects.
const WORKLOADS: &str = include_str!("workloads.yaml");
/// Istio objects.
const ROUTING: &str = include_str!("routing.yaml");

/// The canary mesh.
pub(crate) fn mesh(dialect: Dialect) -> Mesh {
    mesh_of(dialect, &[("workloads.yaml", WORKLOADS), ("routing.yaml", &routing(dialect))])
}

/// [`ROUTING`] as a dialect has it.
fn routing(dialect: Dialect) -> String {
    let known = |line: &'static str| if dialect == Dialect::V1_0 && line.ends_with("# v1") { "" } else { line };
    ROUTING.lines().map(known).collect::<Vec<_>>().join("\n")
}

/// The mesh of some texts, which must have no errors.
fn mesh_of(dialect: Dialect, texts: &[(&str, &str)]) -> Mesh {
    let mut store = ConfigStore::new(dialect);
    for (name, text) in texts {
        let applied = store.apply(&SourceFile::new(*name, *text));
        assert!(!applied.has_errors(), "{:#?}", applied.diagnostics);
    }
    let (mesh, findings) = Mesh::resolve(&store.snapshot(), dialect, MeshConfig::default());
    assert!(!findings.iter().any(wavetank_control::diagnostic::Diagnostic::is_error), "{findings:#?}");
    mesh
}

/// The proxy beside the pod with this address.
fn proxy(mesh: &Mesh, kind: ProxyKind, address: &str) -> ProxyIdentity {
    let workload = mesh.workload(address.parse().expect("an address")).expect("a workload");
    let pod = &workload.pod;
    let mut proxy = ProxyIdentity::new(kind, workload.address, &pod.name, &pod.namespace, "cluster.local");
    proxy.labels = workload.labels.clone();
    proxy.service_account = workload.service_account.clone();
    proxy
}

/// Resources of `sleep`'s sidecar, of `service-go` v1's, and of the gateway.
pub(crate) fn resources(mesh: &Mesh) -> Vec<(&'static str, ProxyIdentity, Resources)> {
    [
        ("sleep", ProxyKind::Sidecar, "10.0.0.5"),
        ("service-go-v1", ProxyKind::Sidecar, "10.0.0.11"),
        ("ingress", ProxyKind::Gateway, "10.0.0.2"),
    ]
    .into_iter()
    .map(|(name, kind, address)| {
        let proxy = proxy(mesh, kind, address);
        let resources = generate(mesh, &proxy);
        (name, proxy, resources)
    })
    .collect()
}
