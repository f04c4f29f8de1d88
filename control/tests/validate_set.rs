//! What is found about objects together: each rule with what brings it, and with what looks like it and is fine.

use wavetank_control::config::SourceFile;
use wavetank_control::dialect::Dialect;
use wavetank_control::model::{ConfigStore, MeshConfig};
use wavetank_control::validate::{Extent, together};

const WORLD: &str = "\
apiVersion: v1
kind: Service
metadata: {name: service-go}
spec: {selector: {app: service-go}, ports: [{name: http, port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: service-go-v1}
spec:
  template:
    metadata: {labels: {app: service-go, version: v1}}
    spec: {containers: [{name: app, image: 'service-go:v1'}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: service-go}
spec: {host: service-go, subsets: [{name: v1, labels: {version: v1}}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: front}
spec:
  selector: {istio: ingressgateway}
  servers:
    - {port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example.com, 'other/*.example.org']}
";

/// The findings in `text`, beside a world that has none.
fn found_in(dialect: Dialect, extent: Extent, text: &str) -> Vec<String> {
    let mut store = ConfigStore::new(dialect);
    // Istio 1.0 knows no namespace before a host.
    let world = if dialect == Dialect::V1 { WORLD.to_owned() } else { WORLD.replace(", 'other/*.example.org'", "") };
    let applied = store.apply(&SourceFile::new("world.yaml", world));
    assert!(!applied.has_errors(), "{:?}", applied.diagnostics);
    let mut found = store.apply(&SourceFile::new("own.yaml", text)).diagnostics;
    found.extend(together(&store.snapshot(), dialect, &MeshConfig::default(), extent));
    found.iter().map(ToString::to_string).filter(|found| !found.contains("MS0210")).collect()
}

fn virtual_service(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1alpha3\nkind: VirtualService\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"
    )
}

fn rule(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1alpha3\nkind: DestinationRule\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"
    )
}

const TO_GO: &str = "http: [{route: [{destination: {host: service-go}}]}]";

/// Asserts what is found; each wanted text is a part of one finding, in order.
fn assert_found(dialect: Dialect, extent: Extent, text: &str, wanted: &[&str]) {
    let found = found_in(dialect, extent, text);
    let fits = found.len() == wanted.len() && found.iter().zip(wanted).all(|(found, wanted)| found.contains(wanted));
    assert!(fits, "{text}\n{found:#?}\nis not\n{wanted:#?}");
}

fn whole(text: &str, wanted: &[&str]) {
    assert_found(Dialect::V1, Extent::Whole, text, wanted);
}

#[test]
fn the_world_is_fine() {
    whole("", &[]);
    whole(&virtual_service("go", &format!("hosts: [service-go], {TO_GO}")), &[]);
}

#[test]
fn names_that_nothing_has() {
    let to = |destination: &str| {
        virtual_service("go", &format!("hosts: [service-go], http: [{{route: [{{destination: {{{destination}}}}}]}}]"))
    };
    whole(&to("host: service-goo"), &["own.yaml:5:66: warning[MS0214]"]);
    whole(&to("host: service-go, subset: v2"), &["own.yaml:5:86: warning[MS0212]"]);
    whole(&to("host: service-go, port: {number: 8080}"), &["own.yaml:5:93: warning[MS0227]"]);
    whole(&to("host: service-go.default"), &["MS0215"]);
    whole(&virtual_service("a", &format!("hosts: [service-g], {TO_GO}")), &["MS0213"]);
    whole(&virtual_service("a", &format!("hosts: [shop.example.com, '*.shop'], {TO_GO}")), &[]);
    whole(&virtual_service("a", &format!("hosts: [x.example.com], gateways: [fromt], {TO_GO}")), &["MS0211"]);
    whole(&rule("a", "host: service-goo"), &["MS0213"]);
    whole(&rule("a", "host: '*.local'"), &[]);
    let entries = "[{port: {number: 81}, tls: {mode: DISABLE}}]";
    whole(&rule("a", &format!("host: '*.local', trafficPolicy: {{portLevelSettings: {entries}}}")), &[]);
    whole(&rule("a", &format!("host: service-go, trafficPolicy: {{portLevelSettings: {entries}}}")), &["MS0227"]);
    whole(&rule("a", "host: service-go, subsets: [{name: v2, labels: {version: v2}}]"), &["MS0226"]);
    whole(&rule("a", "host: service-go, subsets: [{name: all}]"), &[]);
}

#[test]
fn of_a_part_of_a_mesh_only_what_is_sure_is_a_warning() {
    let part = |text: &str, wanted: &[&str]| assert_found(Dialect::V1, Extent::Part, text, wanted);
    let to = |host: &str| {
        virtual_service("a", &format!("hosts: [a.com], http: [{{route: [{{destination: {{host: {host}}}}}]}}]"))
    };
    part(&to("service-goo"), &["warning[MS0214]"]);
    part(&to("reviews"), &["note[MS0214]"]);
    part(&to("service-go, subset: v2"), &["warning[MS0212]"]);
    part(&to("reviews, subset: v2"), &["note[MS0214]"]);
    part(&virtual_service("a", &format!("hosts: [x.example.com], gateways: [public], {TO_GO}")), &["note[MS0211]"]);
}

#[test]
fn a_host_that_two_virtual_services_route() {
    let two = |first: &str, second: &str| {
        virtual_service("a", &format!("{first}, {TO_GO}")) + &virtual_service("b", &format!("{second}, {TO_GO}"))
    };
    whole(&two("hosts: [service-go]", "hosts: [service-go]"), &["own.yaml:10:16: warning[MS0218]"]);
    whole(&two("hosts: [service-go], exportTo: [other]", "hosts: [service-go]"), &[]);
    whole(&two("hosts: [service-go], exportTo: [other]", "hosts: [service-go], exportTo: [other]"), &["MS0218"]);
    whole(&two("hosts: [service-go], exportTo: ['*']", "hosts: [service-go], exportTo: [.]"), &["MS0218"]);
    let front = "hosts: [shop.example.com], gateways: [front]";
    whole(&two(front, "hosts: [shop.example.com]"), &[]);
    whole(&two(front, front), &["own.yaml:10:61: warning[MS0218]"]);
    let narrow = "http: [{match: [{uri: {prefix: /a}}], route: [{destination: {host: service-go}}]}]";
    whole(
        &(virtual_service("a", &format!("{front}, {narrow}")) + &virtual_service("b", &format!("{front}, {TO_GO}"))),
        &[],
    );
}

#[test]
fn a_gateway_that_does_not_serve_the_host() {
    let bound = |spec: &str| virtual_service("a", &format!("{spec}, {TO_GO}"));
    whole(&bound("hosts: [shop.example.com], gateways: [front]"), &[]);
    whole(&bound("hosts: ['*.example.com'], gateways: [front]"), &[]);
    whole(&bound("hosts: [shop.example.net], gateways: [front]"), &["own.yaml:5:46: warning[MS0224]"]);
    whole(&bound("hosts: [a.example.org], gateways: [front]"), &["MS0224"]);
    whole(&bound("hosts: [shop.example.com, x.example.com], gateways: [front]"), &["own.yaml:5:34: warning[MS0224]"]);
    whole(&bound("hosts: [shop.example.com, service-go], gateways: [front, mesh]"), &[]);
    let other =
        bound("hosts: [a.example.org], gateways: [default/front]").replace("name: a}", "name: a, namespace: other}");
    whole(&other.replace("host: service-go", "host: service-go.default.svc.cluster.local"), &[]);
}

#[test]
fn gateways_of_one_port() {
    let second = |selector: &str, protocol: &str| {
        format!(
            "apiVersion: networking.istio.io/v1alpha3\nkind: Gateway\nmetadata: {{name: second}}\nspec:\n  selector: {{{selector}}}\n  servers: [{{port: {{number: 80, name: x, protocol: {protocol}}}, hosts: ['*']}}]\n"
        )
    };
    let old = |text: &str, wanted: &[&str]| {
        let found = found_in(Dialect::V1_0, Extent::Whole, text);
        // The world's own server is written in today's way.
        let own: Vec<_> = found.into_iter().filter(|found| found.starts_with("own.yaml")).collect();
        assert_eq!(own.len(), wanted.len(), "{own:?}");
        assert!(own.iter().zip(wanted).all(|(found, wanted)| found.contains(wanted)), "{own:?}");
    };
    let same = "a: b";
    let both = |protocol: &str| second(same, "HTTP") + "---\n" + &second(same, protocol).replace("second", "third");
    old(&both("HTTP"), &[]);
    old(&both("GRPC"), &["MS0225"]);
    whole(&both("GRPC"), &[]);
    let apart = second(same, "HTTP") + "---\n" + &second("a: c", "GRPC").replace("second", "third");
    old(&apart, &[]);
}

#[test]
fn rules_that_older_ones_hide() {
    let policy = "trafficPolicy: {loadBalancer: {simple: RANDOM}}";
    let a = rule("a", &format!("host: service-go, {policy}"));
    whole(&a, &[]);
    whole(&(a.clone() + &rule("b", &format!("host: service-go, {policy}"))), &["own.yaml:10:41: warning[MS0228]"]);
    let elsewhere = rule("b", &format!("host: service-go.default.svc.cluster.local, {policy}"));
    whole(&(a + &elsewhere.replace("name: b}", "name: b, namespace: other}")), &[]);
    whole(&rule("b", "host: service-go, subsets: [{name: v1, labels: {version: v1}}]"), &["MS0228"]);
}

#[test]
fn routes_behind_what_takes_their_requests() {
    let route = "route: [{destination: {host: service-go}}]";
    let routes = |matches: &[&str]| {
        let one = |spec: &&str| match *spec {
            "" => format!("{{{route}}}"),
            spec => format!("{{match: [{spec}], {route}}}"),
        };
        let http: Vec<String> = matches.iter().map(one).collect();
        virtual_service("a", &format!("hosts: [service-go], gateways: [mesh], http: [{}]", http.join(", ")))
    };
    for (matches, wanted) in [
        (&["", ""][..], 1),
        (&["{uri: {prefix: /}}", "{uri: {exact: /a}}"], 1),
        (&["{uri: {prefix: /a}}", "{uri: {prefix: /ab}}"], 1),
        (&["{uri: {prefix: /ab}}", "{uri: {prefix: /a}}", ""], 0),
        (&["{uri: {prefix: /A}, ignoreUriCase: true}", "{uri: {prefix: /ab}}"], 1),
        (&["{uri: {prefix: /a}}", "{uri: {prefix: /ab}, ignoreUriCase: true}"], 0),
        (&["{uri: {regex: '/a.*'}}", "{uri: {exact: /abc}}"], 1),
        (&["{uri: {regex: '/a.'}}", "{uri: {exact: /abc}}"], 0),
        (&["{headers: {x: {exact: a}}}", "{headers: {x: {exact: a}, y: {exact: b}}}"], 1),
        (&["{headers: {x: {exact: a}, y: {exact: b}}}", "{headers: {x: {exact: a}}}"], 0),
        (&["{headers: {x: {}}}", "{headers: {x: {exact: a}}}"], 1),
        (&["{withoutHeaders: {x: {exact: a}}}", "{withoutHeaders: {x: {prefix: a}}}"], 1),
        (&["{withoutHeaders: {x: {prefix: a}}}", "{withoutHeaders: {x: {exact: a}}}"], 0),
        (&["{sourceLabels: {app: a}}", "{sourceLabels: {app: a, version: v1}}"], 1),
        (&["{sourceLabels: {app: a}}", "{sourceLabels: {app: b}}", ""], 0),
        (&["{port: 80}", "{uri: {prefix: /a}}"], 0),
        (&["{port: 80}", "{port: 80, uri: {prefix: /a}}"], 1),
        (&["{gateways: [front]}", "{uri: {prefix: /a}}"], 0),
        (&["{uri: {prefix: /}}", "{gateways: [front], uri: {prefix: /a}}"], 0),
        (&["{method: {exact: GET}}", "{method: {exact: POST}}", ""], 0),
        (&["{uri: {prefix: /a}}", "{uri: {prefix: /a/b}}, {uri: {prefix: /c}}"], 1),
        (&["{uri: {prefix: /a}}, {uri: {exact: /a/b}}"], 1),
    ] {
        let found = found_in(Dialect::V1, Extent::Whole, &routes(matches));
        let found: Vec<_> = found.iter().filter(|found| found.contains("MS0216")).collect();
        assert_eq!(found.len(), wanted, "{matches:?} {found:?}");
    }
}

#[test]
fn settings_that_istio_refuses() {
    let with = |route: &str| {
        let http = format!("http: [{{route: [{{destination: {{host: service-go}}}}], {route}}}]");
        virtual_service("a", &format!("hosts: [service-go], {http}"))
    };
    for (route, wanted) in [
        ("timeout: 0s", "MS0217"),
        ("retries: {perTryTimeout: 2s}", "MS0217"),
        ("retries: {attempts: 2, retryOn: '5xx, reset'}", "MS0217"),
        ("retries: {attempts: 2, retryOn: gateway-eror}", "MS0217"),
        ("timeout: 1s, retries: {attempts: 2, perTryTimeout: 2s}", "MS0229"),
        ("match: [{headers: {'a b': {exact: x}}}]", "MS0222"),
        ("match: [{headers: {x: {prefix: ''}}}]", "MS0202"),
        ("match: [{uri: {regex: '/(?!a).*'}}]", "MS0207"),
        ("match: [{uri: {regex: '/a**'}}]", "MS0207"),
        ("match: [{uri: {regex: 'env.*'}}]", "MS0220"),
    ] {
        whole(&with(route), &[wanted]);
    }
    for fine in [
        "timeout: 1s",
        "retries: {attempts: 0}",
        "retries: {attempts: 2, retryOn: 'gateway-error,503,reset'}",
        "match: [{uri: {prefix: ''}}]",
        "match: [{headers: {':authority': {exact: x}}}]",
    ] {
        whole(&with(fine), &[]);
    }
    let exported = |to: &str| virtual_service("a", &format!("hosts: [service-go], exportTo: {to}, {TO_GO}"));
    whole(&exported("[., '*']"), &["MS0221"]);
    whole(&exported("[., default]"), &["MS0221"]);
    whole(&exported("[., other]"), &[]);
}

/// Istio's webhook: times of at least 1 ms, and failures of connections only where they are told from answers.
#[test]
fn outlier_detection_that_is_refused_or_does_nothing() {
    let detection =
        |text: &str| rule("a", &format!("host: service-go, trafficPolicy: {{outlierDetection: {{{text}}}}}"));
    whole(&detection("consecutive5xxErrors: 3, interval: 1ms, baseEjectionTime: 3m"), &[]);
    whole(&detection("splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 3"), &[]);
    whole(&detection("consecutiveLocalOriginFailures: 0"), &[]);
    whole(&detection("consecutiveErrors: 0"), &[]);
    whole(&detection("consecutiveLocalOriginFailures: 3"), &["error[MS0230]"]);
    whole(&detection("interval: 0s, baseEjectionTime: 0s"), &["error[MS0230]", "error[MS0230]"]);
    whole(&detection("maxEjectionPercent: 101"), &["error[MS0101]"]);
    whole(&detection("consecutiveErrors: 3"), &["warning[MS0231]"]);
    assert_found(Dialect::V1_0, Extent::Whole, &detection("consecutiveErrors: 3"), &[]);
}
