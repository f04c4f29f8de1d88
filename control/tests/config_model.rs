//! From manifests to the resolved mesh: names, endpoints, rules, and the store that keeps them.

use std::net::IpAddr;
use std::time::Duration;

use wavetank_control::config::{ConfigKey, Kind, SourceFile};
use wavetank_control::dialect::Dialect;
use wavetank_control::model::{
    Applied, ClusterIp, ConfigStore, GatewayRef, LoadBalancer, Mesh, MeshConfig, Protocol, StringMatch, TlsMode,
};

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: service-go, labels: {app: service-go}}
spec:
  clusterIP: 10.96.0.7
  selector: {app: service-go}
  ports:
  - {name: http, port: 80, targetPort: 8080}
  - {name: dns, port: 53, protocol: UDP}
---
apiVersion: v1
kind: Pod
metadata:
  name: service-go-v1-abc-1
  labels: {app: service-go, version: v1, security.istio.io/tlsMode: istio}
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: service-go-v1-abc, uid: x}]
spec: {serviceAccountName: go, nodeName: node-1, containers: [{name: app, ports: [{containerPort: 8080}]}]}
status: {podIP: 10.0.0.1, phase: Running}
---
apiVersion: v1
kind: Pod
metadata: {name: service-go-v2, labels: {app: service-go, version: v2}}
spec: {containers: [{name: app}]}
status: {podIP: 10.0.0.2}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: service-go-1, labels: {kubernetes.io/service-name: service-go}}
addressType: IPv4
endpoints:
- {addresses: [10.0.0.2], conditions: {ready: false}, targetRef: {kind: Pod, name: service-go-v2}}
- {addresses: [10.0.0.1], conditions: {ready: true, serving: true, terminating: false}}
ports:
- {name: http, port: 8080, protocol: TCP}
";

/// A 70/30 canary shaped like the book's.
const CANARY: &str = "
apiVersion: networking.istio.io/v1alpha3
kind: DestinationRule
metadata:
  name: service-go
spec:
  host: service-go
  trafficPolicy:
    tls: {mode: ISTIO_MUTUAL}
    loadBalancer: {simple: ROUND_ROBIN}
    portLevelSettings:
    - port: {number: 8000}
      loadBalancer: {simple: RANDOM}
  subsets:
  - name: v1
    labels: {version: v1}
  - name: v2
    labels: {version: v2}
    trafficPolicy:
      loadBalancer: {simple: LEAST_CONN}
      portLevelSettings:
      - port: {number: 8000}
        connectionPool: {tcp: {maxConnections: 10, connectTimeout: 30ms}, http: {maxRetries: 0, http2MaxRequests: '7'}}
---
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata:
  name: service-go
spec:
  hosts:
  - service-go
  http:
  - match:
    - headers:
        User-Agent:
          regex: '.*?(Firefox).*?'
      uri: {prefix: /env}
    route:
    - destination:
        host: service-go
        subset: v1
      weight: 70
    - destination:
        host: service-go
        subset: v2
        port: {number: 80}
      weight: 30
    timeout: 1.5s
    retries: {attempts: 3, perTryTimeout: 500ms}
  - route:
    - destination:
        host: service-go
        subset: v1
";

fn store(dialect: Dialect, texts: &[&str]) -> ConfigStore {
    let mut store = ConfigStore::new(dialect);
    for (index, text) in texts.iter().enumerate() {
        let applied = store.apply(&SourceFile::new(format!("{index}.yaml"), *text));
        assert!(!applied.has_errors(), "{:?}", applied.diagnostics);
    }
    store
}

fn mesh(dialect: Dialect, texts: &[&str]) -> Mesh {
    let (mesh, mut findings) = resolve(dialect, texts);
    // A port that the Service lacks and a subset that an older rule has are among what is merged here.
    findings.retain(|found| !found.contains("[MS0227]") && !found.contains("[MS0228]"));
    assert_eq!(findings, Vec::<String>::new());
    mesh
}

fn resolve(dialect: Dialect, texts: &[&str]) -> (Mesh, Vec<String>) {
    let (mesh, findings) = Mesh::resolve(&store(dialect, texts).snapshot(), dialect, MeshConfig::default());
    (mesh, findings.iter().map(ToString::to_string).collect())
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn services_know_their_endpoints_and_the_pods_behind_them() {
    let mesh = mesh(Dialect::V1, &[SERVICE]);
    let service = mesh.service("service-go.default.svc.cluster.local").unwrap();
    assert_eq!(service.cluster_ip, ClusterIp::Assigned(ip("10.96.0.7")));
    assert_eq!(service.ports.len(), 1, "UDP ports are left out");
    let port = service.port(80).unwrap();
    assert_eq!(port.protocol, Protocol::Http);
    assert_eq!(port.span.to_string(), "0.yaml:9:5");
    let [first, second] = port.endpoints.as_slice() else { panic!("{:?}", port.endpoints) };
    assert_eq!((first.address, first.port, first.ready), (ip("10.0.0.1"), 8080, true));
    assert_eq!((first.service_account.as_str(), first.has_sidecar, first.node.as_str()), ("go", true, "node-1"));
    assert_eq!((second.address, second.ready, second.has_sidecar), (ip("10.0.0.2"), false, false));
    assert_eq!(second.labels["version"], "v2");
    let workload = mesh.workload(ip("10.0.0.1")).unwrap();
    assert_eq!(workload.owner, "service-go-v1");
    assert_eq!(workload.spiffe_id("cluster.local"), "spiffe://cluster.local/ns/default/sa/go");
    let inbound = mesh.inbound_ports(ip("10.0.0.2"));
    assert_eq!(inbound.len(), 1);
    assert_eq!((inbound[0].port.number, inbound[0].endpoint.port), (80, 8080));
    assert!(mesh.inbound_ports(ip("10.9.9.9")).is_empty());
    assert_eq!(service.names_seen_from("default").last().unwrap(), "service-go");
    assert_eq!(service.names_seen_from("other").last().unwrap(), "service-go.default");
}

#[test]
fn a_canary_keeps_names_weights_and_places() {
    for dialect in Dialect::ALL {
        let mesh = mesh(dialect, &[SERVICE, CANARY]);
        let service = &mesh.virtual_services[0];
        assert_eq!(service.hosts[0].name, "service-go.default.svc.cluster.local");
        assert_eq!(service.hosts[0].written, "service-go");
        assert_eq!(service.gateways, [GatewayRef::Mesh]);
        let route = &service.http[0];
        let agent = &route.matches[0].headers["user-agent"];
        assert_eq!(*agent, StringMatch::Regex(".*?(Firefox).*?".into()));
        assert_eq!(route.matches[0].uri, Some(StringMatch::Prefix("/env".into())));
        assert_eq!(route.timeout, Some(Duration::from_millis(1500)));
        let bound = route.retries.as_ref().unwrap().per_try_timeout.as_ref().map(|bound| bound.value);
        assert_eq!(bound, Some(Duration::from_millis(500)));
        let shown: Vec<_> = route
            .destinations
            .iter()
            .map(|to| format!("{}/{} {} at {}", to.host, to.subset.as_deref().unwrap(), to.weight, to.weight_span))
            .collect();
        assert_eq!(
            shown,
            [
                "service-go.default.svc.cluster.local/v1 70 at 1.yaml:42:15",
                "service-go.default.svc.cluster.local/v2 30 at 1.yaml:47:15"
            ]
        );
        assert_eq!(service.http[1].destinations[0].weight, 100);
        assert_eq!(service.http[0].destinations[1].port, Some(80));
    }
}

#[test]
fn port_level_settings_replace_and_subsets_override() {
    for dialect in Dialect::ALL {
        let mesh = mesh(dialect, &[SERVICE, CANARY]);
        let rule = mesh.destination_rule("service-go.default.svc.cluster.local", "default").unwrap();
        let (v1, v2) = (rule.subset("v1"), rule.subset("v2"));
        let general = rule.components(None, 80, dialect);
        assert_eq!((general.load_balancer, general.tls), (Some(LoadBalancer::RoundRobin), Some(TlsMode::IstioMutual)));
        assert_eq!(rule.components(v1, 80, dialect), general);
        // The port's entry names no TLS, so there is none.
        let port = rule.components(v1, 8000, dialect);
        assert_eq!((port.load_balancer, port.tls), (Some(LoadBalancer::Random), None));
        let subset = rule.components(v2, 80, dialect);
        assert_eq!((subset.load_balancer, subset.tls), (Some(LoadBalancer::LeastRequest), Some(TlsMode::IstioMutual)));
        let both = rule.components(v2, 8000, dialect);
        let pool = both.connection_pool.unwrap();
        assert_eq!((pool.connections_max, pool.requests_max, pool.retries_max), (Some(10), Some(7), None));
        let timeout = pool.connect_timeout.as_ref().map(|timeout| timeout.value);
        assert_eq!(timeout, Some(Duration::from_millis(30)));
        let inherited = if dialect == Dialect::V1_0 { Some(LoadBalancer::Random) } else { None };
        assert_eq!(both.load_balancer, inherited, "{dialect}");
    }
}

fn rule(name: &str, namespace: &str, host: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: networking.istio.io/v1alpha3, kind: DestinationRule, metadata: {{name: {name}, namespace: {namespace}}},
        spec: {{host: '{host}', {spec}}}}}\n---\n"
    )
}

#[test]
fn rules_of_one_host_are_merged_and_the_most_specific_is_taken() {
    let text = [
        rule("all", "istio-system", "*.local", "trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}"),
        rule("first", "default", "service-go", "subsets: [{name: v1, labels: {version: v1}}]"),
        rule(
            "second",
            "default",
            "service-go",
            "trafficPolicy: {tls: {mode: DISABLE}}, subsets: [{name: v1}, {name: v2}]",
        ),
        rule("other", "other", "service-go.default.svc.cluster.local", "subsets: [{name: v3}]"),
    ]
    .concat();
    let host = "service-go.default.svc.cluster.local";
    let names = |mesh: &Mesh, client: &str, host: &str| {
        let rule = mesh.destination_rule(host, client)?;
        let subsets: Vec<_> = rule.subsets.iter().map(|subset| subset.name.clone()).collect();
        Some(format!("{}: {}", rule.name, subsets.join(" ")))
    };
    let old = mesh(Dialect::V1_0, &[&text]);
    assert_eq!(names(&old, "any", host).unwrap(), "first: v1 v2 v3");
    assert_eq!(old.destination_rule(host, "any").unwrap().subset("v1").unwrap().labels["version"], "v1");
    assert_eq!(names(&old, "any", "b.any.svc.cluster.local").unwrap(), "all: ");
    let today = mesh(Dialect::V1, &[SERVICE, &text]);
    assert_eq!(names(&today, "default", host).unwrap(), "first: v1 v2");
    assert_eq!(names(&today, "other", host).unwrap(), "other: v3");
    assert_eq!(names(&today, "third", host).unwrap(), "first: v1 v2", "the service's namespace is asked next");
    assert_eq!(names(&today, "third", "b.any.svc.cluster.local").unwrap(), "all: ", "the root namespace last");
    assert_eq!(names(&today, "third", "example.com"), None);
}

#[test]
fn a_bad_document_leaves_its_previous_version_in_force() {
    let mut store = store(Dialect::V1_0, &[CANARY]);
    let before = store.snapshot();
    let bad = CANARY.replace("weight: 30", "weight: 40").replace("- name: v2", "- name: v_2");
    let applied = store.apply(&SourceFile::new("bad.yaml", bad));
    let shown: Vec<_> = applied.diagnostics.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "bad.yaml:17:11: error[MS0209]: `v_2` is no name of a subset",
            "bad.yaml:42:15: error[MS0206]: the weights are 70 + 40 = 110, not 100"
        ]
    );
    assert_eq!(applied.changed, []);
    assert_eq!(store.snapshot(), before);
    assert!(applied.into_result().is_err());
}

#[test]
fn objects_come_change_and_go() {
    let mut store = store(Dialect::V1, &[SERVICE, CANARY]);
    let rule = ConfigKey::new(Kind::DestinationRule, "default", "service-go");
    let created = store.objects().get(&rule).unwrap().created;
    assert_eq!(store.apply(&SourceFile::new("1.yaml", CANARY)), Applied { changed: vec![], ..notes(CANARY) });
    // Applying another rule of that name replaces the whole rule, subsets and all.
    let text = "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: service-go},
        spec: {host: service-go, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}}";
    let applied = store.apply(&SourceFile::new("on.yaml", text));
    assert_eq!(applied.into_result().unwrap(), std::slice::from_ref(&rule));
    assert_eq!(store.objects().get(&rule).unwrap().created, created, "a new version keeps its place");
    let (_, findings) = Mesh::resolve(&store.snapshot(), Dialect::V1, MeshConfig::default());
    assert_eq!(findings.len(), 3, "both subsets are gone: {findings:?}");
    assert!(
        findings[0]
            .to_string()
            .starts_with("1.yaml:41:17: warning[MS0212]: no DestinationRule defines the subset `v1`")
    );
    assert_eq!(findings[0].related[0].message, "the DestinationRule for this host has no subsets");
    assert!(store.delete(Kind::DestinationRule, "default", "service-go"));
    assert!(!store.delete(Kind::DestinationRule, "default", "service-go"));
    assert!(store.objects().get(&rule).is_none());
}

/// What applying a text says, without what it changes.
fn notes(text: &str) -> Applied {
    let applied = ConfigStore::new(Dialect::V1).apply(&SourceFile::new("1.yaml", text));
    Applied { changed: vec![], ..applied }
}

#[test]
fn a_service_without_address_takes_the_assigned_one() {
    let text = "{apiVersion: v1, kind: Service, metadata: {name: a, namespace: b}, spec: {ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: h}, spec: {clusterIP: None, ports: [{port: 80}]}}";
    let mut store = store(Dialect::V1, &[text]);
    let address = |store: &ConfigStore, host| {
        let (mesh, _) = Mesh::resolve(&store.snapshot(), Dialect::V1, MeshConfig::default());
        mesh.service(host).unwrap().cluster_ip
    };
    assert_eq!(address(&store, "a.b.svc.cluster.local"), ClusterIp::Unassigned);
    store.assign_cluster_ip("b", "a", ip("10.96.0.1"));
    assert_eq!(address(&store, "a.b.svc.cluster.local"), ClusterIp::Assigned(ip("10.96.0.1")));
    assert_eq!(address(&store, "h.default.svc.cluster.local"), ClusterIp::Headless);
}

#[test]
fn lists_and_empty_documents_are_fine() {
    let text = "---\n---\n# nothing\n---\n{apiVersion: v1, kind: List, items: [
        {apiVersion: v1, kind: Namespace, metadata: {name: a}},
        {apiVersion: v1, kind: ServiceAccount, metadata: {name: b, namespace: a}}]}\n";
    let store = store(Dialect::V1, &[text]);
    let keys: Vec<_> = store.objects().keys().map(ToString::to_string).collect();
    assert_eq!(keys, ["Namespace a", "ServiceAccount a/b"]);
}

#[test]
fn gateways_and_their_hosts() {
    let text = "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ['*.example.com', default/Foo.com, ./own.com]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: vs}
spec:
  hosts: ['*']
  gateways: [istio-system/gw]
  http: [{route: [{destination: {host: a.example.com}}]}]
";
    let mesh = mesh(Dialect::V1, &[text]);
    let labels = [("istio".to_owned(), "ingressgateway".to_owned())].into();
    let gateway = mesh.gateways_of(&labels).next().unwrap();
    let hosts = &gateway.servers[0].hosts;
    assert_eq!(hosts[0].intersection("any", "a.example.com").unwrap(), "a.example.com");
    assert_eq!(hosts[0].intersection("any", "*").unwrap(), "*.example.com");
    assert_eq!(hosts[1].intersection("default", "foo.com").unwrap(), "foo.com");
    assert_eq!(hosts[1].intersection("other", "foo.com"), None);
    assert_eq!(hosts[2].namespace.as_deref(), Some("istio-system"));
    let named = GatewayRef::Gateway { namespace: "istio-system".into(), name: "gw".into() };
    assert_eq!(mesh.virtual_services[0].gateways, [named]);
    assert!(mesh.gateways_of(&Default::default()).next().is_none());
}
