//! Which VirtualServices a gateway serves, on which hosts, in which order.

use wavetank_control::Dialect;
use wavetank_control::generate::{ProxyKind, generate};

use crate::mesh::{edge, endpoint, gateway, host, hosts, mesh, proxy, service, virtual_service, ways};

fn go() -> String {
    service("go", "10.96.0.1", "[{name: http, port: 80}]")
}

fn server(port: u16, hosts: &str) -> String {
    format!("{{port: {{number: {port}, name: http-{port}, protocol: HTTP}}, hosts: {hosts}}}")
}

fn bound(name: &str, hosts: &str, gateways: &str, http: &str) -> String {
    virtual_service(name, &format!("{{hosts: {hosts}, gateways: {gateways}, http: {http}}}"))
}

fn to(subset: &str) -> String {
    format!("{{route: [{{destination: {{host: go, subset: {subset}}}}}]}}")
}

fn at(path: &str, subset: &str) -> String {
    format!("{{match: [{{uri: {{prefix: {path}}}}}], route: [{{destination: {{host: go, subset: {subset}}}}}]}}")
}

#[test]
fn routes_that_take_everything_stand_last_the_older_first() {
    for dialect in Dialect::ALL {
        let texts = [
            go(),
            gateway("edge", &format!("[{}]", server(80, "['*']"))),
            bound("older", "[a.test]", "[edge]", &format!("[{}, {}]", at("/a", "a"), to("older"))),
            bound("younger", "[a.test]", "[edge]", &format!("[{}, {}]", at("/b", "b"), to("younger"))),
        ];
        let ways = ways(host(&edge(dialect, &texts), "http.80", "a.test:80"));
        assert_eq!(ways, ["80|a|go", "80|b|go", "80|older|go", "80|younger|go"], "{dialect}");
    }
}

/// Today a server has the VirtualServices of its own Gateway; in 1.0.3 those of all Gateways of the proxy.
#[test]
fn a_virtual_service_is_on_the_servers_of_its_gateway_today() {
    let texts = [
        go(),
        gateway("one", &format!("[{}]", server(80, "['*']"))),
        gateway("two", &format!("[{}]", server(8080, "['*']"))),
        bound("go", "[a.test]", "[one]", &format!("[{}]", to("a"))),
    ];
    for (dialect, on_8080) in [(Dialect::V1_0, "a.test:8080"), (Dialect::V1, "blackhole:8080")] {
        let resources = edge(dialect, &texts);
        assert_eq!(hosts(&resources, "http.80"), ["a.test:80"]);
        assert_eq!(hosts(&resources, "http.8080"), [on_8080]);
    }
}

/// Routes follow the servers, so the older Gateway's VirtualService is first even if it is younger.
#[test]
fn routes_of_the_older_gateway_stand_first_today() {
    let texts = [
        go(),
        gateway("one", &format!("[{}]", server(80, "['*']"))),
        gateway("two", &format!("[{}]", server(80, "['*']"))),
        bound("second", "[a.test]", "[two]", &format!("[{}]", at("/", "second"))),
        bound("first", "[a.test]", "[one]", &format!("[{}]", at("/a", "first"))),
        bound("third", "[a.test]", "[two]", &format!("[{}]", at("/b", "third"))),
    ];
    let ways = ways(host(&edge(Dialect::V1, &texts), "http.80", "a.test:80"));
    assert_eq!(ways, ["80|first|go", "80|third|go", "80|second|go"]);
}

#[test]
fn a_match_block_names_one_of_several_gateways() {
    let http = "[{match: [{gateways: [two]}], route: [{destination: {host: go, subset: two}}]}, \
        {route: [{destination: {host: go, subset: any}}]}]";
    let texts = [
        go(),
        gateway("one", &format!("[{}]", server(80, "['*']"))),
        gateway("two", &format!("[{}]", server(8080, "['*']"))),
        bound("go", "[a.test]", "[one, two]", http),
    ];
    let resources = edge(Dialect::V1, &texts);
    assert_eq!(ways(host(&resources, "http.80", "a.test:80")), ["80|any|go"]);
    assert_eq!(ways(host(&resources, "http.8080", "a.test:8080")), ["80|two|go"]);
    // The Gateways of the proxy are as one in 1.0.3.
    assert_eq!(ways(host(&edge(Dialect::V1_0, &texts), "http.80", "a.test:80")), ["80|two|go"]);
}

#[test]
fn gateways_of_a_match_bind_nothing_to_a_gateway() {
    for dialect in Dialect::ALL {
        let http = "[{match: [{gateways: [edge]}], route: [{destination: {host: go}}]}]";
        let texts =
            [go(), gateway("edge", &format!("[{}]", server(80, "['*']"))), bound("go", "[a.test]", "[mesh]", http)];
        assert_eq!(hosts(&edge(dialect, &texts), "http.80"), ["blackhole:80"], "{dialect}");
    }
}

#[test]
fn the_narrower_host_is_served_today_and_the_virtual_services_in_1_0() {
    for (dialect, served) in [(Dialect::V1_0, vec!["*:80"]), (Dialect::V1, vec!["a.test:80", "b.test:80"])] {
        let texts = [
            go(),
            gateway("edge", &format!("[{}]", server(80, "[a.test, b.test]"))),
            bound("go", "['*']", "[edge]", &format!("[{}]", to("a"))),
        ];
        assert_eq!(hosts(&edge(dialect, &texts), "http.80"), served);
        let texts = [
            go(),
            gateway("edge", &format!("[{}]", server(80, "['*.test']"))),
            bound("go", "[a.test, c.other]", "[edge]", &format!("[{}]", to("a"))),
        ];
        assert_eq!(hosts(&edge(dialect, &texts), "http.80"), ["a.test:80"]);
    }
}

#[test]
fn a_servers_host_may_be_for_one_namespace() {
    let texts = [
        go(),
        gateway("edge", &format!("[{}]", server(80, "[other/a.test, ./b.test, '*/c.test']"))),
        bound("go", "[a.test, b.test, c.test]", "[edge]", &format!("[{}]", to("a"))),
    ];
    assert_eq!(hosts(&edge(Dialect::V1, &texts), "http.80"), ["b.test:80", "c.test:80"]);
}

#[test]
fn what_is_not_exported_to_the_gateways_namespace_is_not_served() {
    let hidden =
        virtual_service("go", &format!("{{hosts: [a.test], gateways: [edge], exportTo: ['.'], http: [{}]}}", to("a")));
    let texts = [go(), gateway("edge", &format!("[{}]", server(80, "['*']"))), hidden];
    let resources = generate(&mesh(Dialect::V1, &texts), &proxy(ProxyKind::Gateway, "istio-system", "10.0.0.1"));
    assert_eq!(hosts(&resources, "http.80"), ["blackhole:80"]);
}

/// Two ports of a Service may lead to one port of its pods.
#[test]
fn servers_whose_ports_lead_to_one_share_its_listener_today() {
    let texts = [
        go(),
        service("edge", "10.96.0.9", "[{name: http, port: 80}, {name: other, port: 81}]"),
        endpoint("edge", "10.0.0.1", 8080, false),
        endpoint("edge", "10.0.0.1", 8080, false)
            .replace("name: edge-10-0-0-1", "name: edge-other")
            .replace("name: http, port", "name: other, port"),
        gateway("edge", &format!("[{}, {}]", server(80, "[a.test]"), server(81, "[b.test]"))),
        bound("go", "[a.test, b.test]", "[edge]", &format!("[{}]", to("a"))),
    ];
    let names = |dialect| edge(dialect, &texts).listeners.iter().map(|of| of.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(Dialect::V1), ["0.0.0.0_8080"]);
    assert_eq!(names(Dialect::V1_0), ["0.0.0.0_80", "0.0.0.0_81"]);
    assert_eq!(hosts(&edge(Dialect::V1, &texts), "http.8080"), ["a.test:80", "b.test:81"]);
}
