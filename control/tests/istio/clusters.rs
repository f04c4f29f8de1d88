//! Which DestinationRule a cluster obeys, and what it makes of it; listeners of a workload's own ports.

use envoy_types::pb::envoy::config::cluster::v3::{Cluster, OutlierDetection};
use envoy_types::pb::envoy::config::listener::v3::Filter;
use envoy_types::pb::envoy::config::listener::v3::filter::ConfigType;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::UpstreamTlsContext;
use envoy_types::pb::google::protobuf::{BoolValue, Duration, UInt32Value};
use wavetank_control::Dialect;
use wavetank_control::generate::{ProxyKind, generate};

use crate::mesh::{cluster, cluster_name, endpoint, mesh, proxy, rule, service, sidecar};

fn go() -> String {
    service("go", "10.96.0.1", "[{name: http, port: 80}]")
}

fn max_connections(cluster: &Cluster) -> Option<u32> {
    Some(cluster.circuit_breakers.as_ref()?.thresholds.first()?.max_connections?.value)
}

fn connections(host: &str, limit: u32, more: &str) -> String {
    format!("{{host: {host}, trafficPolicy: {{connectionPool: {{tcp: {{maxConnections: {limit}}}}}}}{more}}}")
}

/// Limit that a client in `namespace` has for `go`.
fn limit(dialect: Dialect, namespace: &str, rules: &[String]) -> Option<u32> {
    let texts = [&[go()], rules].concat();
    let resources = generate(&mesh(dialect, &texts), &proxy(ProxyKind::Sidecar, namespace, "10.0.0.1"));
    max_connections(cluster(&resources, &cluster_name("80||go"))).filter(|limit| *limit < u32::MAX)
}

/// Rules of the root namespace are defaults for all, also for a gateway that lives there.
#[test]
fn a_client_in_the_root_namespace_obeys_the_services_rule_first() {
    let default = rule("istio-system/default", &connections("'*.local'", 1, ""));
    let own = rule("default/go", &connections("go", 2, ""));
    let private = rule("istio-system/private", &connections("'*.local'", 3, ", exportTo: ['.']"));
    let both = [default.clone(), own.clone()];
    assert_eq!(limit(Dialect::V1, "istio-system", &both), Some(2));
    assert_eq!(limit(Dialect::V1, "default", &both), Some(2));
    assert_eq!(limit(Dialect::V1, "istio-system", &[default]), Some(1));
    assert_eq!(limit(Dialect::V1, "istio-system", &[private, own]), Some(3));
}

#[test]
fn a_clients_own_rule_goes_before_the_services_and_that_before_the_roots() {
    let root = rule("istio-system/root", &connections("go.default.svc.cluster.local", 1, ""));
    let of_service = rule("default/go", &connections("'*.svc.cluster.local'", 2, ""));
    let own = rule("client/go", &connections("'*.local'", 3, ""));
    let all = [root, of_service, own];
    assert_eq!(limit(Dialect::V1, "client", &all), Some(3));
    assert_eq!(limit(Dialect::V1, "other", &all), Some(2));
    assert_eq!(limit(Dialect::V1, "other", &all[..1]), Some(1));
    // In 1.0.3 the most specific host counts, wherever the rule is.
    assert_eq!(limit(Dialect::V1_0, "client", &all), Some(1));
}

#[test]
fn the_most_specific_host_counts_before_it_is_asked_who_sees_it() {
    let narrow = rule("default/narrow", &connections("go", 1, ", exportTo: [third]"));
    let wide = rule("default/wide", &connections("'*.local'", 2, ""));
    let hidden = rule("default/hidden", &connections("go", 3, ", exportTo: ['.']"));
    assert_eq!(limit(Dialect::V1, "other", &[narrow, wide.clone()]), None);
    assert_eq!(limit(Dialect::V1, "other", &[hidden, wide]), Some(2));
}

#[test]
fn rules_for_one_host_are_merged_when_they_are_exported_alike() {
    let first = rule("first", "{host: go, subsets: [{name: a, labels: {v: a}}]}");
    let alike = rule("second", "{host: go, subsets: [{name: b, labels: {v: b}}]}");
    let other = rule("third", "{host: go, exportTo: ['.'], subsets: [{name: c, labels: {v: c}}]}");
    let resources = sidecar(Dialect::V1, &[go(), first, alike, other]);
    let has = |subset: &str| resources.clusters.iter().any(|of| of.name == cluster_name(&format!("80|{subset}|go")));
    assert_eq!(["a", "b", "c"].map(has), [true, true, false]);
}

/// 1.0.3 takes a later rule's policy over while it goes through that rule's subsets.
#[test]
fn a_later_rule_without_subsets_gives_its_policy_today() {
    let subsets = ", subsets: [{name: b, labels: {v: b}}]";
    let first = rule("first", "{host: go, subsets: [{name: a, labels: {v: a}}]}");
    let bare = [first.clone(), rule("second", &connections("go", 2, ""))];
    let with_subsets = [first, rule("second", &connections("go", 2, subsets))];
    for (dialect, expected) in [(Dialect::V1_0, None), (Dialect::V1, Some(2))] {
        assert_eq!(limit(dialect, "default", &bare), expected, "{dialect}");
        assert_eq!(limit(dialect, "default", &with_subsets), Some(2), "{dialect}");
    }
}

#[test]
fn a_subsets_pool_replaces_the_hosts_but_for_two_settings_in_1_0() {
    let pool = "{tcp: {maxConnections: 5, connectTimeout: 3s}, http: {maxRequestsPerConnection: 7}}";
    let spec = format!(
        "{{host: go, trafficPolicy: {{connectionPool: {pool}}}, subsets: [{{name: a, labels: {{v: a}}, \
         trafficPolicy: {{connectionPool: {{http: {{http1MaxPendingRequests: 2}}}}}}}}]}}"
    );
    for (dialect, connect, connections, keeps) in
        [(Dialect::V1_0, 3, None, true), (Dialect::V1, 10, Some(u32::MAX), false)]
    {
        let resources = sidecar(dialect, &[go(), rule("go", &spec)]);
        let subset = cluster(&resources, &cluster_name("80|a|go"));
        assert_eq!(subset.connect_timeout.map(|of| of.seconds), Some(connect), "{dialect}");
        assert_eq!(max_connections(subset), connections, "{dialect}");
        assert_eq!(!subset.typed_extension_protocol_options.is_empty(), keeps, "{dialect}");
    }
}

#[test]
fn a_port_entry_replaces_every_component() {
    let spec = "{host: go, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}, connectionPool: {tcp: {maxConnections: 5}}, \
        portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: RANDOM}}]}}";
    let resources = sidecar(Dialect::V1_0, &[go(), rule("go", spec)]);
    let replaced = cluster(&resources, &cluster_name("80||go"));
    assert_eq!((max_connections(replaced), replaced.transport_socket.is_some()), (None, false));
}

/// The outlier detection that a rule with this makes of `go`'s cluster, and the panic threshold.
fn detection(dialect: Dialect, spec: &str) -> (Option<OutlierDetection>, Option<f64>) {
    let resources = sidecar(dialect, &[go(), rule("go", spec)]);
    let cluster = cluster(&resources, &cluster_name("80||go"));
    let threshold = cluster.common_lb_config.as_ref().and_then(|config| config.healthy_panic_threshold.as_ref());
    (cluster.outlier_detection.clone(), threshold.map(|percent| percent.value))
}

fn number(value: u32) -> Option<UInt32Value> {
    Some(UInt32Value { value })
}

fn seconds(seconds: i64) -> Option<Duration> {
    Some(Duration { seconds, nanos: 0 })
}

/// 1.0.3 counts gateway failures and no other 5xx, leaves the success rate on and the panic threshold alone; its
/// Envoy ejected one endpoint of however few, and for as long as it comes to.
#[test]
fn consecutive_errors_are_gateway_failures_in_1_0() {
    let spec = "{host: go, trafficPolicy: {outlierDetection: {consecutiveErrors: 3, interval: 4s, \
        baseEjectionTime: 3m, maxEjectionPercent: 100}}}";
    let wanted = OutlierDetection {
        consecutive_gateway_failure: number(3),
        enforcing_consecutive_gateway_failure: number(100),
        enforcing_consecutive_5xx: number(0),
        interval: seconds(4),
        base_ejection_time: seconds(180),
        max_ejection_time: seconds(365 * 24 * 3600),
        max_ejection_percent: number(100),
        always_eject_one_host: Some(BoolValue { value: true }),
        ..Default::default()
    };
    assert_eq!(detection(Dialect::V1_0, spec), (Some(wanted), None));
}

/// Once, proxies refused the cluster.
#[test]
fn an_ejection_may_last_longer_than_a_year_in_1_0() {
    let spec = "{host: go, trafficPolicy: {outlierDetection: {baseEjectionTime: 10000h}}}";
    let wanted = detection(Dialect::V1_0, spec).0.expect("detection");
    assert_eq!((wanted.base_ejection_time, wanted.max_ejection_time), (seconds(36_000_000), seconds(36_000_000)));
}

#[test]
fn consecutive_errors_do_nothing_today() {
    let spec = "{host: go, trafficPolicy: {outlierDetection: {consecutiveErrors: 3}}}";
    let wanted = OutlierDetection { enforcing_success_rate: number(0), ..Default::default() };
    assert_eq!(detection(Dialect::V1, spec), (Some(wanted), Some(0.0)));
}

#[test]
fn every_count_of_today_is_enforced_and_0_is_off() {
    let spec = "{host: go, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 0, consecutiveGatewayErrors: 4, \
        splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 7, maxEjectionPercent: 0, \
        minHealthPercent: 30}}}";
    let wanted = OutlierDetection {
        consecutive_5xx: number(0),
        enforcing_consecutive_5xx: number(0),
        consecutive_gateway_failure: number(4),
        enforcing_consecutive_gateway_failure: number(100),
        split_external_local_origin_errors: true,
        consecutive_local_origin_failure: number(7),
        enforcing_consecutive_local_origin_failure: number(100),
        enforcing_success_rate: number(0),
        enforcing_local_origin_success_rate: number(0),
        ..Default::default()
    };
    assert_eq!(detection(Dialect::V1, spec), (Some(wanted), Some(30.0)));
}

#[test]
fn without_outlier_detection_there_is_none_and_no_panic_threshold() {
    for dialect in Dialect::ALL {
        assert_eq!(detection(dialect, "{host: go}"), (None, None));
    }
}

/// A port's entry replaces all components, also outlier detection; a subset's overrides the host's.
#[test]
fn outlier_detection_of_ports_and_subsets() {
    let spec = "{host: go, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 2}, \
        portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: RANDOM}}]}}";
    assert_eq!(detection(Dialect::V1, spec), (None, None));
    let spec = "{host: go, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 2}}, subsets: [\
        {name: a, labels: {v: a}}, {name: b, labels: {v: b}, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 9}}}]}";
    let resources = sidecar(Dialect::V1, &[go(), rule("go", spec)]);
    let count =
        |name: &str| cluster(&resources, &cluster_name(name)).outlier_detection.clone().unwrap().consecutive_5xx;
    assert_eq!([count("80||go"), count("80|a|go"), count("80|b|go")], [number(2), number(2), number(9)]);
}

/// Endpoints of a headless service are not chosen one by one, so all must take mutual TLS or none is given it.
#[test]
fn a_headless_service_has_mutual_tls_when_all_its_endpoints_take_it() {
    let headless = service("go", "None", "[{name: http, port: 80}]");
    let shape = |dialect, endpoints: &[String]| {
        let resources = sidecar(dialect, &[std::slice::from_ref(&headless), endpoints].concat());
        let cluster = cluster(&resources, &cluster_name("80||go"));
        (cluster.transport_socket.is_some(), cluster.transport_socket_matches.len())
    };
    let [with, without] = [endpoint("go", "10.0.0.2", 80, true), endpoint("go", "10.0.0.3", 80, false)];
    assert_eq!(shape(Dialect::V1, std::slice::from_ref(&with)), (true, 0));
    assert_eq!(shape(Dialect::V1, &[with.clone(), without]), (false, 0));
    assert_eq!(shape(Dialect::V1, &[]), (false, 0));
    assert_eq!(shape(Dialect::V1_0, &[with]), (false, 0));
}

#[test]
fn the_peer_is_any_workload_of_the_service() {
    use prost::Message;
    let two = service("go", "10.96.0.1", "[{name: http, port: 80}, {name: grpc, port: 81}]");
    let resources = sidecar(Dialect::V1, &[two, endpoint("go", "10.0.0.2", 80, true)]);
    for port in ["80", "81"] {
        let cluster = cluster(&resources, &cluster_name(&format!("{port}||go")));
        let socket = cluster.transport_socket_matches[0].transport_socket.as_ref().expect("a socket");
        let Some(envoy_types::pb::envoy::config::core::v3::transport_socket::ConfigType::TypedConfig(config)) =
            &socket.config_type
        else {
            panic!("no config")
        };
        let context = UpstreamTlsContext::decode(config.value.as_slice()).expect("a TLS context");
        assert_eq!(context.sni, format!("outbound_.{port}_._.go.default.svc.cluster.local"));
        let text = format!("{context:?}");
        assert!(text.contains("spiffe://cluster.local/ns/default/sa/go"), "{text}");
    }
}

#[test]
fn every_address_of_an_endpoint_takes_traffic() {
    let slice = endpoint("go", "10.0.0.2", 80, true).replace("[10.0.0.2]", "[10.0.0.2, 10.0.0.3]");
    let resources = sidecar(Dialect::V1, &[go(), slice]);
    let assignment = resources.endpoints.iter().find(|of| of.cluster_name == cluster_name("80||go")).expect("one");
    assert_eq!(assignment.endpoints[0].lb_endpoints.len(), 2);
}

#[test]
fn of_two_services_on_a_workloads_port_the_older_names_it() {
    let texts = [
        service("z-older", "10.96.0.1", "[{name: http, port: 80}]"),
        service("a-younger", "10.96.0.2", "[{name: http, port: 90}]"),
        endpoint("z-older", "10.0.0.1", 80, true),
        endpoint("a-younger", "10.0.0.1", 80, true),
    ];
    let resources = sidecar(Dialect::V1_0, &texts);
    let inbound: Vec<_> = resources.clusters.iter().filter(|of| of.name.starts_with("inbound|")).collect();
    assert_eq!(
        inbound.iter().map(|of| of.name.as_str()).collect::<Vec<_>>(),
        ["inbound|80||z-older.default.svc.cluster.local"]
    );
}

/// Whether a text stands in a filter's configuration.
fn says(filter: &Filter, text: &str) -> bool {
    let Some(ConfigType::TypedConfig(config)) = &filter.config_type else { return false };
    config.value.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn limits_of_a_port_hold_on_the_way_in_today() {
    let spec = "{host: go, trafficPolicy: {connectionPool: {tcp: {maxConnections: 5}}, \
        portLevelSettings: [{port: {number: 80}, connectionPool: {tcp: {maxConnections: 6}}}]}}";
    for (dialect, expected) in [(Dialect::V1_0, 5), (Dialect::V1, 6)] {
        let resources = sidecar(dialect, &[go(), endpoint("go", "10.0.0.1", 80, true), rule("go", spec)]);
        let inbound = resources.clusters.iter().find(|of| of.name.starts_with("inbound|")).expect("one");
        assert_eq!(max_connections(inbound), Some(expected), "{dialect}");
    }
}

/// `reset-before-request` would break streams.
#[test]
fn calls_of_grpc_are_not_tried_again_on_the_way_in() {
    for (name, retried) in [("http", true), ("grpc", false), ("grpc-web", false)] {
        let ports = format!("[{{name: {name}, port: 80}}]");
        let slice = endpoint("go", "10.0.0.1", 80, true).replace("name: http, port", &format!("name: {name}, port"));
        let resources = sidecar(Dialect::V1, &[service("go", "10.96.0.1", &ports), slice]);
        let listener = resources.listeners.iter().find(|of| of.name == "virtualInbound").expect("one");
        let mut filters = listener.filter_chains.iter().flat_map(|chain| &chain.filters);
        let text = filters.any(|filter| says(filter, "reset-before-request"));
        assert_eq!(text, retried, "{name}");
    }
}

#[test]
fn passed_through_requests_keep_their_protocol() {
    let resources = sidecar(Dialect::V1, &[go()]);
    for name in ["PassthroughCluster", "InboundPassthroughCluster"] {
        assert!(!cluster(&resources, name).typed_extension_protocol_options.is_empty(), "{name}");
    }
}

/// Today an HTTP port is looked into before it is taken for HTTP, because another service's bytes may come by.
#[test]
fn bytes_that_are_not_http_pass_through_an_http_port_today() {
    let chains = |dialect| {
        let resources = sidecar(dialect, &[go()]);
        let listener = resources.listeners.into_iter().find(|of| of.name == "0.0.0.0_80").expect("one");
        let matched = listener.filter_chains[0].filter_chain_match.clone().unwrap_or_default();
        let mut filters = listener.default_filter_chain.iter().flat_map(|chain| &chain.filters);
        let bytes = filters.any(|filter| says(filter, "PassthroughCluster"));
        (matched.application_protocols, listener.listener_filters.len(), bytes)
    };
    assert_eq!(chains(Dialect::V1_0), (vec![], 0, false));
    assert_eq!(chains(Dialect::V1), (vec!["http/1.1".to_owned(), "h2c".to_owned()], 1, true));
}
