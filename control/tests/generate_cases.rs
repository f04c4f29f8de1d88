//! Single rules of generation, each on the smallest mesh that shows it.

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_action::ClusterSpecifier;
use envoy_types::pb::envoy::config::route::v3::{Route, VirtualHost};
use wavetank_control::Dialect;
use wavetank_control::config::SourceFile;
use wavetank_control::generate::{ProxyIdentity, ProxyKind, Resources, generate};
use wavetank_control::model::{ConfigStore, Mesh, MeshConfig};

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: go}
spec:
  clusterIP: 10.96.0.1
  ports: [{name: http, port: 80}]
";
const GATEWAY: &str = "
apiVersion: networking.istio.io/v1alpha3
kind: Gateway
metadata: {name: edge}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]
";

fn virtual_service(body: &str) -> String {
    let head = "apiVersion: networking.istio.io/v1alpha3\nkind: VirtualService\nmetadata: {name: go}\nspec:\n";
    format!("{head}{body}")
}

fn rule(body: &str) -> String {
    let head =
        "apiVersion: networking.istio.io/v1alpha3\nkind: DestinationRule\nmetadata: {name: go}\nspec:\n  host: go\n";
    format!("{head}{body}")
}

fn resources(dialect: Dialect, kind: ProxyKind, texts: &[&str]) -> Resources {
    let mut store = ConfigStore::new(dialect);
    for (index, text) in texts.iter().enumerate() {
        let applied = store.apply(&SourceFile::new(format!("{index}.yaml"), *text));
        assert!(!applied.has_errors(), "{:#?}", applied.diagnostics);
    }
    let (mesh, _) = Mesh::resolve(&store.snapshot(), dialect, MeshConfig::default());
    let address = "10.0.0.1".parse().expect("an address");
    let mut proxy = ProxyIdentity::new(kind, address, "pod", "default", "cluster.local");
    proxy.labels.insert("istio".to_owned(), "ingressgateway".to_owned());
    generate(&mesh, &proxy)
}

fn names(hosts: &[VirtualHost]) -> Vec<&str> {
    hosts.iter().map(|host| host.name.as_str()).collect()
}

/// Clusters that a route names, with their weights; 100 for an only one.
fn arms(route: &Route) -> Vec<(&str, u32)> {
    let Some(Action::Route(action)) = &route.action else { panic!("no route action") };
    match action.cluster_specifier.as_ref().expect("a cluster") {
        ClusterSpecifier::Cluster(name) => vec![(name, 100)],
        ClusterSpecifier::WeightedClusters(weighted) => {
            let weight = |weight: Option<_>| {
                weight.map_or(0, |weight: envoy_types::pb::google::protobuf::UInt32Value| weight.value)
            };
            weighted.clusters.iter().map(|arm| (arm.name.as_str(), weight(arm.weight))).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_a_gateway_nothing_listens() {
    for dialect in Dialect::ALL {
        let edge = resources(dialect, ProxyKind::Gateway, &[SERVICE]);
        assert!(edge.listeners.is_empty() && edge.routes.is_empty());
    }
}

#[test]
fn a_gateway_that_nothing_is_bound_to_answers_with_404() {
    for dialect in Dialect::ALL {
        let edge = resources(dialect, ProxyKind::Gateway, &[SERVICE, GATEWAY]);
        assert_eq!(edge.listeners[0].name, "0.0.0.0_80");
        let hosts = &edge.routes[0].virtual_hosts;
        assert_eq!(names(hosts), ["blackhole:80"]);
        assert_eq!((hosts[0].domains.as_slice(), hosts[0].routes.len()), (["*".to_owned()].as_slice(), 0));
    }
}

#[test]
fn a_gateway_takes_the_narrower_of_its_hosts_and_a_virtual_services() {
    let bound =
        virtual_service("  hosts: [a.test]\n  gateways: [edge]\n  http: [{route: [{destination: {host: go}}]}]\n");
    for (dialect, domains) in [(Dialect::V1_0, vec!["a.test", "a.test:80"]), (Dialect::V1, vec!["a.test"])] {
        let edge = resources(dialect, ProxyKind::Gateway, &[SERVICE, GATEWAY, &bound]);
        let host = &edge.routes[0].virtual_hosts[0];
        assert_eq!(host.domains, domains);
        assert_eq!(arms(&host.routes[0]), [("outbound|80||go.default.svc.cluster.local", 100)]);
        // A VirtualService of a gateway is none of the sidecars' business.
        let sidecar = resources(dialect, ProxyKind::Sidecar, &[SERVICE, GATEWAY, &bound]);
        assert!(!names(&sidecar.routes[0].virtual_hosts).contains(&"a.test:80"));
    }
}

#[test]
fn an_unknown_host_is_refused_in_1_0_and_passed_through_today() {
    let hosts = |dialect| resources(dialect, ProxyKind::Sidecar, &[SERVICE]).routes.remove(0).virtual_hosts;
    assert_eq!(names(&hosts(Dialect::V1_0)), ["go.default.svc.cluster.local:80"]);
    assert_eq!(names(&hosts(Dialect::V1)), ["go.default.svc.cluster.local:80", "allow_any"]);
    assert_eq!(arms(&hosts(Dialect::V1)[1].routes[0]), [("PassthroughCluster", 100)]);
}

#[test]
fn an_arm_of_weight_zero_is_left_out() {
    let split = virtual_service(
        "  hosts: [go]\n  http:\n  - route:\n    - {destination: {host: go, subset: v1}, weight: 100}\n    \
         - {destination: {host: go, subset: v2}, weight: 0}\n",
    );
    let route = |dialect| {
        let resources = resources(dialect, ProxyKind::Sidecar, &[SERVICE, &split]);
        resources.routes[0].virtual_hosts[0].routes[0].clone()
    };
    for dialect in Dialect::ALL {
        assert_eq!(arms(&route(dialect)), [("outbound|80|v1|go.default.svc.cluster.local", 100)]);
    }
}

#[test]
fn tls_is_what_the_rule_says_else_what_the_dialect_does() {
    let cluster = |dialect, body: &str| -> Cluster {
        let rule = rule(body);
        let texts: &[&str] = if body.is_empty() { &[SERVICE] } else { &[SERVICE, &rule] };
        resources(dialect, ProxyKind::Sidecar, texts).clusters.remove(0)
    };
    let shape = |cluster: Cluster| (cluster.transport_socket.is_some(), cluster.transport_socket_matches.len());
    for (dialect, automatic) in [(Dialect::V1_0, 0), (Dialect::V1, 2)] {
        assert_eq!(shape(cluster(dialect, "")), (false, automatic));
        assert_eq!(shape(cluster(dialect, "  trafficPolicy: {tls: {mode: DISABLE}}\n")), (false, 0));
        assert_eq!(shape(cluster(dialect, "  trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}\n")), (true, 0));
    }
}

#[test]
fn equal_meshes_give_equal_bytes() {
    use prost::Message;
    let bytes = || {
        let resources = resources(Dialect::V1, ProxyKind::Sidecar, &[SERVICE, GATEWAY]);
        let all = |messages: Vec<Vec<u8>>| messages.concat();
        all(resources.listeners.iter().map(Message::encode_to_vec).collect())
            .into_iter()
            .chain(all(resources.routes.iter().map(Message::encode_to_vec).collect()))
            .chain(all(resources.clusters.iter().map(Message::encode_to_vec).collect()))
            .collect::<Vec<u8>>()
    };
    let first = bytes();
    // Another thread has hashers of its own.
    let other = std::thread::scope(|scope| scope.spawn(bytes).join().expect("no panic"));
    assert_eq!(first, other);
}
