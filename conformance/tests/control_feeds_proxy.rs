//! Whatever set of objects is in force, what the control plane makes of it holds together, and the proxy takes it.
//!
//! Objects are drawn from few names, so that they meet: hosts, subsets, ports and Gateways that are there, and such
//! that are not. Objects that are refused are left out, as they are by the store. A real Envoy takes a sample, where
//! `WAVETANK_ENVOY` names one.

use std::collections::BTreeSet;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::listener::v3::filter::ConfigType;
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_action::ClusterSpecifier;
use envoy_types::pb::envoy::config::route::v3::{Route, RouteConfiguration};
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, http_connection_manager::RouteSpecifier,
};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use prost::{Message, Name};
use wavetank_conformance::envoy;
use wavetank_control::Dialect;
use wavetank_control::config::SourceFile;
use wavetank_control::config::access_log::{AccessLog, AccessLogs, LogFormat, ObservationLogs};
use wavetank_control::generate::shape::any;
use wavetank_control::generate::{ProxyIdentity, ProxyKind, Resources, generate, static_bootstrap};
use wavetank_control::model::{ConfigStore, Mesh, MeshConfig};
use wavetank_proxy::xds::decode;

const NAMESPACES: [&str; 3] = ["default", "other", "istio-system"];
const PROXY_ADDRESS: &str = "10.0.0.1";
/// Meshes that a real Envoy is given.
const ENVOY_SAMPLE: usize = 12;

fn pick(of: &'static [&'static str]) -> impl Strategy<Value = String> {
    select(of).prop_map(str::to_owned)
}

fn some_of(of: &'static [&'static str], least: usize) -> impl Strategy<Value = String> {
    subsequence(of, least..=of.len().min(3)).prop_map(|of| format!("[{}]", of.join(", ")))
}

/// `field: value, `, or nothing.
fn maybe(field: &'static str, value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    prop::option::of(value).prop_map(move |value| value.map(|value| format!("{field}: {value}, ")).unwrap_or_default())
}

/// The same for a field that dialect 1.0 does not have.
fn today(dialect: Dialect, field: &'static str, value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let has = dialect == Dialect::V1;
    maybe(field, value).prop_map(move |text| if has { text } else { String::new() })
}

fn list(
    of: impl Strategy<Value = String>,
    count: impl Into<prop::collection::SizeRange>,
) -> impl Strategy<Value = String> {
    prop::collection::vec(of, count).prop_map(|of| format!("[{}]", of.join(", ")))
}

fn object(
    api: &'static str,
    kind: &'static str,
    names: &'static [&'static str],
    spec: impl Strategy<Value = String>,
) -> impl Strategy<Value = String> {
    (select(names), select(&NAMESPACES[..]), spec).prop_map(move |(name, namespace, spec)| {
        format!(
            "apiVersion: {api}\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {{{spec}}}\n"
        )
    })
}

fn service() -> impl Strategy<Value = String> {
    const PORTS: &[&str] = &[
        "{name: http, port: 80}",
        "{name: http-other, port: 8080, targetPort: 80}",
        "{name: grpc, port: 81}",
        "{name: grpc-web, port: 82}",
        "{name: tcp, port: 9000}",
        "{name: raw, port: 8080}",
        "{name: mysql, port: 3306}",
        "{name: app, port: 80, appProtocol: http2}",
    ];
    let address = pick(&["10.96.0.1", "10.96.0.2", "10.96.0.3", "None", "''"]);
    let spec = (address, some_of(PORTS, 1)).prop_map(|(ip, ports)| format!("clusterIP: {ip}, ports: {ports}"));
    object("v1", "Service", &["a", "b", "edge"], spec)
}

fn endpoints() -> impl Strategy<Value = String> {
    let addresses = pick(&[PROXY_ADDRESS, "10.0.0.2", "10.0.0.3"]);
    let ports = some_of(
        &["{name: http, port: 80}", "{name: grpc, port: 81}", "{name: raw, port: 8080}", "{name: tcp, port: 9000}"],
        1,
    );
    let of =
        (select(&["a", "b", "edge"][..]), select(&NAMESPACES[..]), addresses, ports, prop::bool::ANY, prop::bool::ANY);
    of.prop_map(|(service, namespace, address, ports, sidecar, ready)| {
        let name = format!("{service}-{}", address.replace('.', "-"));
        let labels = if sidecar { "{version: v1, security.istio.io/tlsMode: istio}" } else { "{version: v2}" };
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {namespace}, labels: {labels}}}\n\
             spec: {{}}\nstatus: {{podIP: {address}}}\n---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
             metadata: {{name: {name}, namespace: {namespace}, labels: {{kubernetes.io/service-name: {service}}}}}\n\
             addressType: IPv4\nendpoints: [{{addresses: [{address}], conditions: {{ready: {ready}}}}}]\nports: {ports}\n"
        )
    })
}

fn gateway() -> impl Strategy<Value = String> {
    let server = (select(&[80_u16, 8080][..]), some_of(&["'*'", "a.test", "'*.test'", "other/b.test", "./c.test"], 1));
    let server = server.prop_map(|(port, hosts)| {
        format!("{{port: {{number: {port}, name: http-{port}, protocol: HTTP}}, hosts: {hosts}}}")
    });
    let selector = pick(&["{istio: ingressgateway}", "{istio: other}", "{}"]);
    let spec = (selector, list(server, 1..3)).prop_map(|(selector, of)| format!("selector: {selector}, servers: {of}"));
    object("networking.istio.io/v1alpha3", "Gateway", &["one", "two"], spec)
}

const GATEWAYS: &[&str] = &["mesh", "one", "two", "other/one", "one.default.svc.cluster.local"];

fn string_match() -> impl Strategy<Value = String> {
    pick(&["{exact: x}", "{prefix: x}", "{regex: 'x+'}", "{regex: '.*'}"])
}

fn match_block(dialect: Dialect) -> impl Strategy<Value = String> {
    let first = (
        maybe("uri", pick(&["{exact: /a}", "{prefix: /}", "{prefix: /a}", "{regex: '.*'}", "{regex: '/[ab]+'}"])),
        maybe("headers", string_match().prop_map(|of| format!("{{a: {of}}}"))),
        maybe("method", string_match()),
        today(dialect, "queryParams", string_match().prop_map(|of| format!("{{q: {of}}}"))),
        today(dialect, "withoutHeaders", string_match().prop_map(|of| format!("{{b: {of}}}"))),
    );
    let second = (
        maybe("gateways", some_of(GATEWAYS, 1)),
        maybe("sourceLabels", pick(&["{app: client}", "{app: other}"])),
        maybe("port", pick(&["80", "8080"])),
        today(dialect, "ignoreUriCase", pick(&["true"])),
        today(dialect, "name", pick(&["m"])),
    );
    (first, second).prop_map(|((a, b, c, d, e), (f, g, h, i, j))| format!("{{{a}{b}{c}{d}{e}{f}{g}{h}{i}{j}}}"))
}

/// Hosts of VirtualServices, of which few overlap.
const HOSTS: &[&str] = &["a", "b", "a.other.svc.cluster.local", "a.test", "b.test"];
const WIDE_HOSTS: &[&str] = &["'*.default.svc.cluster.local'", "'*.test'", "'*'"];

/// One destination, or two that share the requests.
fn route() -> impl Strategy<Value = String> {
    let destination = || {
        let host = pick(&["a", "b", "a.other.svc.cluster.local", "edge", "nowhere", "a.test"]);
        let subset = maybe("subset", pick(&["v1", "v2", "none"]));
        let port = maybe("port", pick(&["{number: 80}", "{number: 81}", "{number: 8080}", "{number: 7}"]));
        (host, subset, port).prop_map(|(host, subset, port)| format!("destination: {{{subset}{port}host: {host}}}"))
    };
    let share = prop::option::of(select(&[0_u32, 30, 100][..]));
    (destination(), destination(), share).prop_map(|(one, other, share)| match share {
        None => format!("[{{{one}}}]"),
        Some(share) => format!("[{{weight: {share}, {one}}}, {{weight: {}, {other}}}]", 100 - share),
    })
}

fn virtual_service(dialect: Dialect) -> impl Strategy<Value = String> {
    let retries: &'static [&'static str] = match dialect {
        Dialect::V1_0 => &["{attempts: 2}", "{attempts: 3, perTryTimeout: 1s}"],
        Dialect::V1 => &["{attempts: 2}", "{attempts: 0}", "{attempts: 3, retryOn: '5xx,503', backoff: 1s}"],
    };
    let http = (
        maybe("match", list(match_block(dialect), 1..3)),
        today(dialect, "name", pick(&["r"])),
        maybe("timeout", pick(&["1s", "0s", "500ms"])),
        maybe("retries", pick(retries)),
        route(),
    );
    let http = http.prop_map(|(matches, name, timeout, retries, route)| {
        format!("{{{matches}{name}{timeout}{retries}route: {route}}}")
    });
    let parts = (
        prop_oneof![3 => some_of(HOSTS, 1).boxed(), 1 => some_of(WIDE_HOSTS, 1).boxed()],
        maybe("gateways", some_of(GATEWAYS, 1)),
        today(dialect, "exportTo", some_of(&["'.'", "'*'", "other"], 1)),
        list(http, 1..4),
    );
    let spec = parts.prop_map(|(hosts, gateways, to, http)| format!("{gateways}{to}hosts: {hosts}, http: {http}"));
    object("networking.istio.io/v1alpha3", "VirtualService", &["one", "two", "three", "four", "five", "six"], spec)
}

fn policy() -> impl Strategy<Value = String> {
    let components = || {
        (
            maybe("tls", pick(&["{mode: DISABLE}", "{mode: ISTIO_MUTUAL}"])),
            maybe("loadBalancer", pick(&["{simple: RANDOM}", "{simple: ROUND_ROBIN}", "{simple: PASSTHROUGH}"])),
            maybe(
                "connectionPool",
                pick(&[
                    "{tcp: {maxConnections: 3, connectTimeout: 2s}}",
                    "{http: {maxRequestsPerConnection: 1, maxRetries: 2}}",
                ]),
            ),
        )
            .prop_map(|(tls, balancer, pool)| format!("{tls}{balancer}{pool}"))
    };
    let entry = components().prop_map(|of| format!("[{{{of}port: {{number: 80}}}}]"));
    (components(), maybe("portLevelSettings", entry)).prop_map(|(of, ports)| format!("{{{of}{ports}}}"))
}

fn rule(dialect: Dialect) -> impl Strategy<Value = String> {
    let hosts = pick(&["a", "b", "a.other.svc.cluster.local", "'*.local'", "'*.default.svc.cluster.local'"]);
    let subset = (pick(&["v1", "v2"]), maybe("trafficPolicy", policy()))
        .prop_map(|(name, policy)| format!("{{{policy}name: {name}, labels: {{version: {name}}}}}"));
    let parts = (
        hosts,
        maybe("trafficPolicy", policy()),
        maybe("subsets", list(subset, 0..3)),
        today(dialect, "exportTo", some_of(&["'.'", "'*'", "other"], 1)),
    );
    let spec = parts.prop_map(|(host, policy, subsets, to)| format!("{policy}{subsets}{to}host: {host}"));
    object("networking.istio.io/v1alpha3", "DestinationRule", &["one", "two"], spec)
}

/// Texts of objects, any of which may be refused.
fn objects(dialect: Dialect) -> impl Strategy<Value = Vec<String>> {
    let any = prop_oneof![
        2 => service().boxed(), 3 => endpoints().boxed(), 2 => gateway().boxed(), 5 => virtual_service(dialect).boxed(),
        3 => rule(dialect).boxed(),
    ];
    prop::collection::vec(any, 1..16)
}

fn mesh(dialect: Dialect, texts: &[String]) -> Mesh {
    let mut store = ConfigStore::new(dialect);
    for (index, text) in texts.iter().enumerate() {
        store.apply(&SourceFile::new(format!("{index}.yaml"), text.as_str()));
    }
    Mesh::resolve(&store.snapshot(), dialect, MeshConfig::default()).0
}

fn proxies() -> Vec<ProxyIdentity> {
    let of = |kind, namespace| {
        let address = PROXY_ADDRESS.parse().expect("an address");
        let mut proxy = ProxyIdentity::new(kind, address, "pod", namespace, "cluster.local");
        proxy.labels = [("app", "client"), ("istio", "ingressgateway")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        proxy
    };
    let both = |namespace| [of(ProxyKind::Sidecar, namespace), of(ProxyKind::Gateway, namespace)];
    NAMESPACES.into_iter().flat_map(both).collect()
}

/// Clusters that a route leads to.
fn leads(route: &Route) -> Vec<&str> {
    let Some(Action::Route(action)) = &route.action else { return Vec::new() };
    match &action.cluster_specifier {
        Some(ClusterSpecifier::Cluster(name)) => vec![name],
        Some(ClusterSpecifier::WeightedClusters(of)) => of.clusters.iter().map(|arm| arm.name.as_str()).collect(),
        _ => Vec::new(),
    }
}

/// Whether a cluster that is not there has a reason: no such service, port or subset.
fn is_known_to_be_missing(mesh: &Mesh, namespace: &str, cluster: &str) -> bool {
    let parts: Vec<&str> = cluster.split('|').collect();
    let ["outbound", port, subset, host] = parts[..] else { return false };
    let port: Option<u16> = port.parse().ok();
    let found = port.and_then(|port| mesh.service(host)?.port(port));
    let rule = mesh.destination_rule(host, namespace);
    found.is_none() || (!subset.is_empty() && rule.is_none_or(|rule| rule.subset(subset).is_none()))
}

/// Asserts that names are there once and lead somewhere.
fn hold_together(mesh: &Mesh, proxy: &ProxyIdentity, resources: &Resources) {
    fn once<'n>(names: impl Iterator<Item = &'n str>) -> BTreeSet<&'n str> {
        let mut seen = BTreeSet::new();
        names.for_each(|name| assert!(seen.insert(name), "{name} is there twice"));
        seen
    }
    let clusters = once(resources.clusters.iter().map(|cluster| cluster.name.as_str()));
    let configurations = once(resources.routes.iter().map(|routes| routes.name.as_str()));
    once(resources.listeners.iter().map(|listener| listener.name.as_str()));
    let eds = |cluster: &&Cluster| cluster.eds_cluster_config.is_some();
    let wanted: BTreeSet<_> = resources.clusters.iter().filter(eds).map(|cluster| cluster.name.as_str()).collect();
    assert_eq!(once(resources.endpoints.iter().map(|of| of.cluster_name.as_str())), wanted);
    for configuration in &resources.routes {
        let hosts = &configuration.virtual_hosts;
        once(hosts.iter().map(|host| host.name.as_str()));
        once(hosts.iter().flat_map(|host| &host.domains).map(String::as_str));
        for cluster in hosts.iter().flat_map(|host| &host.routes).flat_map(leads) {
            let missing = is_known_to_be_missing(mesh, &proxy.namespace, cluster);
            assert_ne!(clusters.contains(cluster), missing, "{cluster}");
        }
    }
    for listener in &resources.listeners {
        let chains = listener.filter_chains.iter().chain(&listener.default_filter_chain);
        for filter in chains.flat_map(|chain| &chain.filters) {
            let Some(ConfigType::TypedConfig(config)) = &filter.config_type else { panic!("no config") };
            if config.type_url != HttpConnectionManager::type_url() {
                continue;
            }
            let manager = HttpConnectionManager::decode(config.value.as_slice()).expect("a connection manager");
            if let Some(RouteSpecifier::Rds(rds)) = manager.route_specifier {
                assert!(configurations.contains(rds.route_config_name.as_str()), "{}", rds.route_config_name);
            }
        }
    }
}

/// Asserts that the proxy takes every resource.
fn are_taken(resources: &Resources) {
    let taken = |name: &str, result: Result<(), decode::DecodeError>| {
        if let Err(error) = result {
            panic!("{name}: {error}");
        }
    };
    resources.listeners.iter().for_each(|of| taken(&of.name, decode::listener(&any(of)).map(drop)));
    resources
        .routes
        .iter()
        .for_each(|of: &RouteConfiguration| taken(&of.name, decode::route_config(&any(of)).map(drop)));
    resources.clusters.iter().for_each(|of| taken(&of.name, decode::cluster(&any(of)).map(drop)));
    resources.endpoints.iter().for_each(|of| taken(&of.cluster_name, decode::assignment(&any(of)).map(drop)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_generated_holds_together_and_the_proxy_takes_it(
        old in objects(Dialect::V1_0), new in objects(Dialect::V1),
    ) {
        for (dialect, texts) in [(Dialect::V1_0, old), (Dialect::V1, new)] {
            let mesh = mesh(dialect, &texts);
            for proxy in proxies() {
                let resources = generate(&mesh, &proxy);
                hold_together(&mesh, &proxy, &resources);
                are_taken(&resources);
            }
        }
    }
}

#[test]
fn every_access_log_that_can_be_asked_for_is_taken() {
    let mut runner = TestRunner::deterministic();
    let observation = ObservationLogs { requests: "/r".to_owned(), attempts: "/a".to_owned() };
    for dialect in Dialect::ALL {
        let mut mesh = mesh(dialect, &objects(dialect).new_tree(&mut runner).expect("objects").current());
        for format in [LogFormat::Text(None), LogFormat::Json(None)] {
            let requests = Some(AccessLog { file: "/dev/stdout".to_owned(), format });
            mesh.config.access_logs = AccessLogs { requests, observation: Some(observation.clone()) };
            for proxy in proxies() {
                are_taken(&generate(&mesh, &proxy));
            }
        }
    }
}

#[test]
fn most_of_what_is_drawn_is_in_force() {
    let mut runner = TestRunner::deterministic();
    let (mut drawn, mut hosts) = (0, 0);
    for index in 0..64 {
        let dialect = Dialect::ALL[index % 2];
        let texts = objects(dialect).new_tree(&mut runner).expect("objects").current();
        let mesh = mesh(dialect, &texts);
        drawn += texts.iter().filter(|text| text.contains("kind: VirtualService")).count();
        hosts += mesh.virtual_services.len();
    }
    assert!(hosts * 3 > drawn, "{hosts} of {drawn} VirtualServices are in force");
}

#[test]
fn envoy_takes_a_sample() {
    let Some(binary) = envoy::binary() else { return };
    let mut runner = TestRunner::deterministic();
    for index in 0..ENVOY_SAMPLE {
        let dialect = Dialect::ALL[index % 2];
        let texts = objects(dialect).new_tree(&mut runner).expect("objects").current();
        let mesh = mesh(dialect, &texts);
        let proxy = &proxies()[index % 6];
        let bootstrap = static_bootstrap(&generate(&mesh, proxy), &proxy.node_id);
        if let Err(said) = envoy::validate(&binary, &bootstrap) {
            panic!("{}: {said}\n{}", mesh.dialect, texts.join("---\n"));
        }
    }
}
