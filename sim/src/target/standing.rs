//! Which proxies are behind: those that live, reach the control plane, and are not configured as it has it.
//!
//! What the control plane believes is asked first. Where the configuration changed, what each proxy has in
//! force is compared with what the mesh means for it, whatever either of them believes.

use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_control::generate::shape::any;
use wavetank_control::generate::{ProxyIdentity, ProxyKind, generate};
use wavetank_control::model;
use wavetank_proxy::snapshot::Snapshot;
use wavetank_proxy::xds::decode;

use super::mesh::node_id;
use super::stage::Stage;
use crate::engine::Container;
use crate::world::cast::{Pod, Role};

/// The proxies that are behind, by node id, with how it shows. With `compare`, configurations are compared.
pub(super) fn behind(stage: &Stage, compare: bool) -> Vec<(String, String)> {
    let Stage { tank, cast, roster, mesh, .. } = stage;
    let control = mesh.control();
    // Manifests that were applied and never put in force have a generation that never comes.
    let generation = mesh.newest().unwrap_or(0).max(control.generation());
    let meant = control.mesh();
    let status: BTreeMap<_, _> = control.status().into_iter().map(|own| (own.node.clone(), own)).collect();
    let planes = cast.all_pods().enumerate().filter(|(_, pod)| pod.role == Role::ControlPlane);
    let planes: Vec<_> = planes.map(|(index, _)| roster.pod(index)).collect();
    let mut behind = Vec::new();
    for (index, pod) in cast.all_pods().enumerate().filter(|(_, pod)| pod.has_proxy()) {
        let place = roster.pod(index);
        let reaches = |plane| tank.is_running(plane, Container::App) && tank.can_talk(plane, place);
        let Some(has) = mesh.configuration(index).filter(|_| tank.is_running(place, Container::Sidecar)) else {
            continue;
        };
        if !planes.iter().any(|plane| reaches(*plane)) {
            continue;
        }
        let node = node_id(pod);
        let how = match status.get(&node) {
            None => Some("the control plane does not know it".to_owned()),
            Some(own) if !own.connected => Some("it has no stream to the control plane".to_owned()),
            Some(own) if own.settled.is_none_or(|settled| settled < generation) => {
                Some("it has not taken all that it was sent".to_owned())
            }
            Some(_) if compare => differs(&meant, pod, &has),
            Some(_) => None,
        };
        behind.extend(how.map(|how| (node, how)));
    }
    behind
}

/// The first resource that a proxy has otherwise than the mesh means it.
fn differs(mesh: &model::Mesh, pod: &Pod, has: &Snapshot) -> Option<String> {
    let kind = if pod.role == Role::Gateway { ProxyKind::Gateway } else { ProxyKind::Sidecar };
    let own = ProxyIdentity::new(kind, pod.ip.into(), &pod.name, &pod.namespace, "cluster.local");
    let own = ProxyIdentity { labels: pod.labels.clone(), service_account: pod.service_account.clone(), ..own };
    let meant = generate(mesh, &own);
    let clusters = meant.clusters.iter().filter_map(|own| decode::cluster(&any(own)).ok());
    let listeners = meant.listeners.iter().filter_map(|own| decode::listener(&any(own)).ok());
    let routes = meant.routes.iter().filter_map(|own| decode::route_config(&any(own)).ok());
    let endpoints = meant.endpoints.iter().filter_map(|own| decode::assignment(&any(own)).ok());
    first_difference("cluster", &has.clusters, clusters.map(|own| (own.name.clone(), own)), true)
        .or_else(|| first_difference("listener", &has.listeners, listeners.map(|own| (own.name.clone(), own)), true))
        .or_else(|| first_difference("routes", &has.routes, routes.map(|own| (own.name.clone(), own)), false))
        .or_else(|| first_difference("endpoints of", &has.assignments, endpoints, false))
}

/// `whole`: the proxy is sent all there are, not those alone that it asks for.
fn first_difference<T: PartialEq>(
    kind: &str,
    has: &BTreeMap<Arc<str>, Arc<T>>,
    meant: impl Iterator<Item = (Arc<str>, T)>,
    whole: bool,
) -> Option<String> {
    let meant: BTreeMap<Arc<str>, T> = meant.collect();
    if let Some(name) = has.keys().find(|name| !meant.contains_key(*name)) {
        return Some(format!("it still has {kind} {name}"));
    }
    let differs = |name: &Arc<str>, meant: &T| match has.get(name) {
        Some(has) => **has != *meant,
        None => whole,
    };
    let (name, _) = meant.iter().find(|(name, meant)| differs(name, meant))?;
    let how = if has.contains_key(name) { "has an old" } else { "lacks" };
    Some(format!("it {how} {kind} {name}"))
}
