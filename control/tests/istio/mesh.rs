//! Small meshes, written as YAML in one line for each object, and what proxies are given of them.

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_action::ClusterSpecifier;
use envoy_types::pb::envoy::config::route::v3::{Route, RouteConfiguration, VirtualHost};
use wavetank_control::Dialect;
use wavetank_control::config::SourceFile;
use wavetank_control::generate::{ProxyIdentity, ProxyKind, Resources, generate};
use wavetank_control::model::{ConfigStore, Mesh, MeshConfig};

/// An object of Istio's: kind, `namespace/name`, and its spec in flow style.
pub(crate) fn istio(kind: &str, name: &str, spec: &str) -> String {
    let (namespace, name) = name.split_once('/').unwrap_or(("default", name));
    format!(
        "apiVersion: networking.istio.io/v1alpha3\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n"
    )
}

pub(crate) fn virtual_service(name: &str, spec: &str) -> String {
    istio("VirtualService", name, spec)
}

pub(crate) fn rule(name: &str, spec: &str) -> String {
    istio("DestinationRule", name, spec)
}

pub(crate) fn gateway(name: &str, servers: &str) -> String {
    istio("Gateway", name, &format!("{{selector: {{istio: ingressgateway}}, servers: {servers}}}"))
}

/// A Service; `ip` may be `None`.
pub(crate) fn service(name: &str, ip: &str, ports: &str) -> String {
    let (namespace, name) = name.split_once('/').unwrap_or(("default", name));
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {{clusterIP: {ip}, ports: {ports}}}\n"
    )
}

/// A pod of `default`, with or without a sidecar, and the slice that puts it behind a service's port `http`.
pub(crate) fn endpoint(service: &str, address: &str, port: u16, sidecar: bool) -> String {
    let name = format!("{service}-{}", address.replace('.', "-"));
    let labels = if sidecar { "{security.istio.io/tlsMode: istio}" } else { "{}" };
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {labels}}}\nspec: {{serviceAccountName: {service}}}\n\
         status: {{podIP: {address}}}\n---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {{name: {name}, labels: {{kubernetes.io/service-name: {service}}}}}\naddressType: IPv4\n\
         endpoints: [{{addresses: [{address}]}}]\nports: [{{name: http, port: {port}}}]\n"
    )
}

pub(crate) fn mesh(dialect: Dialect, texts: &[String]) -> Mesh {
    let mut store = ConfigStore::new(dialect);
    for (index, text) in texts.iter().enumerate() {
        let applied = store.apply(&SourceFile::new(format!("{index}.yaml"), text.as_str()));
        assert!(!applied.has_errors(), "{:#?}", applied.diagnostics);
    }
    Mesh::resolve(&store.snapshot(), dialect, MeshConfig::default()).0
}

/// A proxy of a pod with labels `app: client` and `istio: ingressgateway`.
pub(crate) fn proxy(kind: ProxyKind, namespace: &str, address: &str) -> ProxyIdentity {
    let address = address.parse().expect("an address");
    let mut proxy = ProxyIdentity::new(kind, address, "pod", namespace, "cluster.local");
    for (name, value) in [("istio", "ingressgateway"), ("app", "client")] {
        proxy.labels.insert(name.to_owned(), value.to_owned());
    }
    proxy
}

/// What a sidecar at 10.0.0.1 in `default` is given.
pub(crate) fn sidecar(dialect: Dialect, texts: &[String]) -> Resources {
    generate(&mesh(dialect, texts), &proxy(ProxyKind::Sidecar, "default", "10.0.0.1"))
}

/// What a gateway at 10.0.0.1 in `default` is given.
pub(crate) fn edge(dialect: Dialect, texts: &[String]) -> Resources {
    generate(&mesh(dialect, texts), &proxy(ProxyKind::Gateway, "default", "10.0.0.1"))
}

pub(crate) fn configuration<'r>(resources: &'r Resources, name: &str) -> &'r RouteConfiguration {
    resources.routes.iter().find(|routes| routes.name == name).unwrap_or_else(|| panic!("no routes {name}"))
}

/// Names of the virtual hosts of a route configuration.
pub(crate) fn hosts<'r>(resources: &'r Resources, configuration_name: &str) -> Vec<&'r str> {
    configuration(resources, configuration_name).virtual_hosts.iter().map(|host| host.name.as_str()).collect()
}

pub(crate) fn host<'r>(resources: &'r Resources, configuration_name: &str, name: &str) -> &'r VirtualHost {
    let hosts = &configuration(resources, configuration_name).virtual_hosts;
    hosts.iter().find(|host| host.name == name).unwrap_or_else(|| panic!("no virtual host {name}"))
}

/// `outbound|80|v1|go.default.svc.cluster.local` of `80|v1|go`.
pub(crate) fn cluster_name(short: &str) -> String {
    format!("outbound|{short}.default.svc.cluster.local")
}

/// Where a route leads: cluster names, with weights where there are several.
pub(crate) fn leads(route: &Route) -> String {
    let Some(Action::Route(action)) = &route.action else { return format!("{:?}", route.action) };
    match action.cluster_specifier.as_ref().expect("a cluster") {
        ClusterSpecifier::Cluster(name) => name.clone(),
        ClusterSpecifier::WeightedClusters(weighted) => {
            let arm = |arm: &_| {
                let arm: &envoy_types::pb::envoy::config::route::v3::weighted_cluster::ClusterWeight = arm;
                format!("{} {}", arm.weight.map_or(0, |weight| weight.value), arm.name)
            };
            weighted.clusters.iter().map(arm).collect::<Vec<_>>().join(", ")
        }
        other => panic!("{other:?}"),
    }
}

/// Where the routes of a virtual host lead, short: `80|v1|go`.
pub(crate) fn ways(host: &VirtualHost) -> Vec<String> {
    let short = |way: String| way.replace("outbound|", "").replace(".default.svc.cluster.local", "");
    host.routes.iter().map(|route| short(leads(route))).collect()
}

pub(crate) fn cluster<'r>(resources: &'r Resources, name: &str) -> &'r Cluster {
    resources.clusters.iter().find(|cluster| cluster.name == name).unwrap_or_else(|| panic!("no cluster {name}"))
}
