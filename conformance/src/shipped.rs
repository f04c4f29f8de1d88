//! The meshes of the repository's scenarios: the world's objects and the scenario's manifests, resolved.

use std::path::Path;

use wavetank::cli::find::find;
use wavetank::scenario::{App, Compat, Scenario, load};
use wavetank::world::cast::{Cast, Pod, Role};
use wavetank::world::kube;
use wavetank_control::Dialect;
use wavetank_control::config::SourceFile;
use wavetank_control::generate::{ProxyIdentity, ProxyKind};
use wavetank_control::model::{ConfigStore, Mesh, MeshConfig};

/// A scenario's mesh at the moment when its pods are ready.
#[derive(Debug)]
pub struct Shipped {
    /// Path of the scenario.
    pub file: String,
    /// The mesh.
    pub mesh: Mesh,
    cast: Cast,
}

/// The meshes of every scenario below `scenarios/`.
///
/// # Panics
/// When a scenario does not load or a manifest of it is refused.
pub fn all() -> Vec<Shipped> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let files = find(&[folder]).expect("scenarios");
    files.iter().map(|file| shipped(&load(file).unwrap_or_else(|wrong| panic!("{wrong:#?}")))).collect()
}

fn shipped(scenario: &Scenario) -> Shipped {
    let cast = match scenario.app {
        Some(App::IstioLab) => Cast::mesh().with_istio_lab(),
        None => Cast::mesh(),
    };
    let dialect = match scenario.compat {
        Compat::V1_0 => Dialect::V1_0,
        Compat::V1 => Dialect::V1,
    };
    let mut world = kube::objects(&cast);
    world.extend(
        cast.services
            .iter()
            .map(|service| kube::endpoint_slice(service, &cast.pods_behind(service).collect::<Vec<_>>(), |_| true)),
    );
    let world = world.into_iter().map(|file| SourceFile::new(file.name, file.text));
    let mut store = ConfigStore::new(dialect);
    for file in world.chain(scenario.config.iter().cloned()) {
        let applied = store.apply(&file);
        assert!(!applied.has_errors(), "{}: {:#?}", scenario.file, applied.diagnostics);
    }
    // A scenario may be about what is found.
    let (mesh, _findings) = Mesh::resolve(&store.snapshot(), dialect, MeshConfig::default());
    Shipped { file: scenario.file.clone(), mesh, cast }
}

impl Shipped {
    /// Every proxy of the mesh.
    pub fn proxies(&self) -> Vec<ProxyIdentity> {
        self.cast.pods.iter().filter(|pod| pod.has_proxy()).map(proxy).collect()
    }
}

fn proxy(pod: &Pod) -> ProxyIdentity {
    let kind = if pod.role == Role::Gateway { ProxyKind::Gateway } else { ProxyKind::Sidecar };
    let mut proxy = ProxyIdentity::new(kind, pod.ip.into(), &pod.name, &pod.namespace, "cluster.local");
    proxy.labels = pod.labels.clone();
    proxy.service_account = pod.service_account.clone();
    proxy
}
