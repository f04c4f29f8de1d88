//! What becomes of one VirtualService's routes.

use wavetank_control::Dialect;

use crate::mesh::{configuration, edge, endpoint, gateway, host, service, sidecar, virtual_service, ways};

const GO: &str = "go.default.svc.cluster.local:80";

fn go() -> String {
    service("go", "10.96.0.1", "[{name: http, port: 80}]")
}

fn edge_gateway() -> String {
    gateway("edge", "[{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]")
}

/// Ways of the host `go` in a sidecar, for an `http` section.
fn go_ways(dialect: Dialect, http: &str) -> Vec<String> {
    let texts = [go(), virtual_service("go", &format!("{{hosts: [go], http: {http}}}"))];
    ways(host(&sidecar(dialect, &texts), "80", GO))
}

#[test]
fn gateways_of_a_match_make_its_client_count_for_nothing() {
    for dialect in Dialect::ALL {
        let http =
            "[{match: [{gateways: [mesh], sourceLabels: {app: other}}], route: [{destination: {host: go, subset: a}}]},
            {route: [{destination: {host: go}}]}]";
        assert_eq!(go_ways(dialect, http), ["80|a|go"], "{dialect}");
    }
    let http =
        "[{match: [{gateways: [mesh], sourceNamespace: elsewhere}], route: [{destination: {host: go, subset: a}}]}]";
    assert_eq!(go_ways(Dialect::V1, http), ["80|a|go"]);
}

/// 1.0.3 takes the labels from the services that a proxy's pod is behind, and gives a gateway none.
#[test]
fn source_labels_of_1_0_need_a_service() {
    let http = "[{match: [{sourceLabels: {app: client}}], route: [{destination: {host: go, subset: a}}]}, \
        {route: [{destination: {host: go}}]}]";
    let of = |dialect, also: &[String]| {
        let texts = [&[go(), virtual_service("go", &format!("{{hosts: [go], http: {http}}}"))], also].concat();
        ways(host(&sidecar(dialect, &texts), "80", GO))
    };
    let behind = [service("client", "10.96.0.2", "[{name: http, port: 80}]"), endpoint("client", "10.0.0.1", 80, true)];
    assert_eq!(of(Dialect::V1_0, &[]), ["80||go"]);
    assert_eq!(of(Dialect::V1_0, &behind), ["80|a|go"]);
    assert_eq!(of(Dialect::V1, &[]), ["80|a|go"]);
    for (dialect, expected) in [(Dialect::V1_0, ["80||go"]), (Dialect::V1, ["80|a|go"])] {
        let at_edge = virtual_service("go", &format!("{{hosts: [a.test], gateways: [edge], http: {http}}}"));
        let texts = [&[go(), edge_gateway(), at_edge][..], &behind].concat();
        assert_eq!(ways(host(&edge(dialect, &texts), "http.80", "a.test:80")), expected, "{dialect}");
    }
}

#[test]
fn a_virtual_service_without_a_route_for_the_proxy_leaves_the_services_own_route() {
    for dialect in Dialect::ALL {
        let http = "[{match: [{sourceLabels: {app: other}}], route: [{destination: {host: go, subset: a}}]}]";
        assert_eq!(go_ways(dialect, http), ["80||go"], "{dialect}");
        let http = "[{match: [{port: 81}], route: [{destination: {host: go, subset: a}}]}]";
        assert_eq!(go_ways(dialect, http), ["80||go"], "{dialect}");
    }
}

#[test]
fn nothing_stands_behind_a_route_that_takes_everything() {
    let after = |uri: &str| {
        format!(
            "[{{match: [{{uri: {uri}}}], route: [{{destination: {{host: go, subset: a}}}}]}}, \
             {{route: [{{destination: {{host: go}}}}]}}]"
        )
    };
    for dialect in Dialect::ALL {
        assert_eq!(go_ways(dialect, &after("{prefix: /}")), ["80|a|go"], "{dialect}");
        assert_eq!(go_ways(dialect, &after("{prefix: ''}")), ["80|a|go", "80||go"], "{dialect}");
    }
    assert_eq!(go_ways(Dialect::V1, &after("{regex: '.*'}")), ["80|a|go"]);
    assert_eq!(go_ways(Dialect::V1_0, &after("{regex: '.*'}")), ["80|a|go", "80||go"]);
    let ignoring = "[{match: [{uri: {prefix: /}, ignoreUriCase: true}], route: [{destination: {host: go, subset: a}}]}, \
        {route: [{destination: {host: go}}]}]";
    assert_eq!(go_ways(Dialect::V1, ignoring), ["80|a|go"]);
}

/// A sidecar looks destinations up among the services of the listener's port, a gateway among all.
#[test]
fn a_destination_without_a_port_has_the_listeners_in_a_sidecar_and_its_only_one_at_a_gateway() {
    let other = service("other", "10.96.0.2", "[{name: http, port: 8080}]");
    for dialect in Dialect::ALL {
        let routed = virtual_service("go", "{hosts: [go], http: [{route: [{destination: {host: other}}]}]}");
        let resources = sidecar(dialect, &[go(), other.clone(), routed]);
        assert_eq!(ways(host(&resources, "80", GO)), ["80||other"], "{dialect}");
        let routed = virtual_service(
            "go",
            "{hosts: [a.test], gateways: [edge], http: [{route: [{destination: {host: other}}]}]}",
        );
        let resources = edge(dialect, &[go(), other.clone(), edge_gateway(), routed]);
        assert_eq!(ways(host(&resources, "http.80", "a.test:80")), ["8080||other"], "{dialect}");
    }
}

#[test]
fn a_route_is_named_as_its_entry_and_its_match_are() {
    let names = |http: &str| {
        let texts = [go(), virtual_service("go", &format!("{{hosts: [go], http: {http}}}"))];
        let resources = sidecar(Dialect::V1, &texts);
        let routes = &host(&resources, "80", GO).routes;
        routes.iter().map(|route| route.name.clone()).collect::<Vec<_>>()
    };
    let to = "route: [{destination: {host: go}}]";
    let matched = "match: [{name: m, uri: {exact: /}}]";
    assert_eq!(names(&format!("[{{name: r, {matched}, {to}}}, {{name: r, {to}}}]")), ["r.m", "r"]);
    assert_eq!(names(&format!("[{{{matched}, {to}}}, {{{to}}}]")), [".m", ""]);
    let resources = sidecar(Dialect::V1, &[go()]);
    assert_eq!(host(&resources, "80", GO).routes[0].name, "default");
}

#[test]
fn a_trace_names_the_destination_or_the_virtual_service() {
    let operations = |http: &str| {
        let resources =
            sidecar(Dialect::V1, &[go(), virtual_service("split", &format!("{{hosts: [go], http: {http}}}"))]);
        let routes = &host(&resources, "80", GO).routes;
        let of =
            |route: &envoy_types::pb::envoy::config::route::v3::Route| route.decorator.clone().map(|of| of.operation);
        routes.iter().filter_map(of).collect::<Vec<_>>()
    };
    let http = "[{match: [{uri: {exact: /env}}], route: [{destination: {host: go, port: {number: 81}}}]}, \
        {match: [{uri: {prefix: /a}}], route: [{destination: {host: go}}]}, \
        {route: [{destination: {host: go, subset: a}, weight: 50}, {destination: {host: go, subset: b}, weight: 50}]}]";
    let go = "go.default.svc.cluster.local";
    assert_eq!(operations(http), [format!("{go}:81/env"), format!("{go}:80/a*"), "split:80/*".to_owned()]);
}

#[test]
fn an_authoritys_port_counts_in_1_0_alone() {
    for (dialect, ignored) in [(Dialect::V1_0, false), (Dialect::V1, true)] {
        let resources = sidecar(dialect, &[go()]);
        assert_eq!(configuration(&resources, "80").ignore_port_in_host_matching, ignored);
        let with_port = host(&resources, "80", GO).domains.iter().any(|domain| domain.contains(':'));
        assert_eq!(with_port, !ignored);
    }
}

#[test]
fn a_service_has_its_names_and_its_address() {
    let domains = |dialect, namespace: &str, ip: &str| {
        let texts = [service("go", ip, "[{name: http, port: 80}]")];
        let proxy = crate::mesh::proxy(wavetank_control::generate::ProxyKind::Sidecar, namespace, "10.0.0.1");
        let resources = wavetank_control::generate::generate(&crate::mesh::mesh(dialect, &texts), &proxy);
        let mut domains = host(&resources, "80", GO).domains.clone();
        domains.sort();
        domains
    };
    let full = "go.default.svc.cluster.local";
    let today = ["10.96.0.1", "go", "go.default", "go.default.svc", full, "go.default.svc.cluster.local."];
    assert_eq!(domains(Dialect::V1, "default", "10.96.0.1"), today);
    assert_eq!(domains(Dialect::V1, "other", "10.96.0.1"), [&today[..1], &today[2..]].concat());
    let in_1_0 = ["go.default", "go.default.svc", full].map(|name| [name.to_owned(), format!("{name}:80")]).concat();
    let mut in_1_0 = [vec!["10.96.0.1".to_owned(), "10.96.0.1:80".to_owned()], in_1_0].concat();
    in_1_0.sort();
    assert_eq!(domains(Dialect::V1_0, "other", "10.96.0.1"), in_1_0);
    let headless = domains(Dialect::V1, "default", "None");
    for name in [&today[1..], &["*.go", "*.go.default.svc.cluster.local"]].concat() {
        assert!(headless.iter().any(|domain| domain == name), "{name} in {headless:?}");
    }
    assert!(!domains(Dialect::V1_0, "default", "None").iter().any(|domain| domain.starts_with('*')));
}

/// Problems of a VirtualService of `go` with this `http` section.
fn problems(dialect: Dialect, http: &str) -> Vec<String> {
    let mut store = wavetank_control::model::ConfigStore::new(dialect);
    let text = virtual_service("go", &format!("{{hosts: [go], http: {http}}}"));
    let applied = store.apply(&wavetank_control::config::SourceFile::new("go.yaml", text.as_str()));
    applied.diagnostics.into_iter().filter(|of| of.is_error()).map(|of| of.message).collect()
}

#[test]
fn what_istio_takes_is_taken_and_what_it_refuses_refused() {
    let only = |weight: u32| format!("[{{route: [{{destination: {{host: go}}, weight: {weight}}}]}}]");
    let retries = |block: &str| format!("[{{retries: {block}, route: [{{destination: {{host: go}}}}]}}]");
    let matched = |block: &str| format!("[{{match: [{block}], route: [{{destination: {{host: go}}}}]}}]");
    // (http, taken in 1.0, taken today)
    let cases = [
        (only(50), true, true),
        (only(0), true, true),
        (only(101), false, true),
        (matched("{uri: {prefix: ''}}"), true, true),
        (matched("{method: {prefix: ''}}"), true, false),
        (matched("{headers: {a: {prefix: ''}}}"), true, false),
        (retries("{attempts: 3, perTryTimeout: 2s}"), true, true),
        (retries("{attempts: 0}"), false, true),
        (retries("{attempts: 0, perTryTimeout: 2s}"), false, false),
        (retries("{attempts: 3, retryOn: '5xx,503,unavailable'}"), false, true),
        (retries("{attempts: 3, retryOn: '5xx,5xxx'}"), false, false),
        (retries("{attempts: 3, retryOn: '5xx, 503'}"), false, false),
        (retries("{attempts: 3, retryOn: '599'}"), false, false),
    ];
    for (http, in_1_0, today) in cases {
        for (dialect, taken) in [(Dialect::V1_0, in_1_0), (Dialect::V1, today)] {
            let problems = problems(dialect, &http);
            assert_eq!(problems.is_empty(), taken, "{dialect}: {http}: {problems:?}");
        }
    }
}
