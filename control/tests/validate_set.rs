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
apiVersion: v1
kind: Pod
metadata: {name: gateway, namespace: istio-system, labels: {istio: ingressgateway}}
spec: {containers: [{name: istio-proxy, image: proxy}]}
---
apiVersion: v1
kind: Service
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec: {selector: {istio: ingressgateway}, ports: [{name: http, port: 80}]}
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
    // Istio 1.0 knows no namespace before a host, and one apiVersion.
    let world = match dialect {
        Dialect::V1 => WORLD.to_owned(),
        Dialect::V1_0 => WORLD.replace(", 'other/*.example.org'", "").replace("istio.io/v1\n", "istio.io/v1alpha3\n"),
    };
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
    assert_fits(text, &found, wanted);
}

/// What Istio 1.0 makes of `text`.
fn old(text: &str, wanted: &[&str]) {
    let found = found_in(Dialect::V1_0, Extent::Whole, text);
    let own: Vec<_> = found.into_iter().filter(|found| found.starts_with("own.yaml")).collect();
    assert_fits(text, &own, wanted);
}

fn assert_fits(text: &str, found: &[String], wanted: &[&str]) {
    let wanted: Vec<String> = wanted.iter().map(|wanted| placed(text, wanted)).collect();
    let fits = found.len() == wanted.len() && found.iter().zip(&wanted).all(|(found, wanted)| found.contains(wanted));
    assert!(fits, "{text}\n{found:#?}\nis not\n{wanted:#?}");
}

/// `@before^at@ told` is `own.yaml:line:column: told`, of the only place where `before` and `at` stand together.
fn placed(text: &str, wanted: &str) -> String {
    let Some((mark, told)) = wanted.strip_prefix('@').and_then(|marked| marked.split_once("@ ")) else {
        return wanted.to_owned();
    };
    let (before, at) = mark.split_once('^').expect("a place");
    let places: Vec<usize> = text.match_indices(&format!("{before}{at}")).map(|(place, _)| place).collect();
    let [place] = places.as_slice() else { panic!("`{mark}` stands at {places:?} in\n{text}") };
    let up_to = &text[..place + before.len()];
    let column = up_to.len() - up_to.rfind('\n').map_or(0, |end| end + 1) + 1;
    format!("own.yaml:{}:{column}: {told}", up_to.matches('\n').count() + 1)
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
    // However near a name is, the other one may be in the cluster.
    part(&to("service-goo"), &["note[MS0214]"]);
    part(&to("service-js"), &["note[MS0214]"]);
    part(&to("ratings.default.svc.cluster.local"), &["note[MS0214]"]);
    part(&to("reviews"), &["note[MS0214]"]);
    part(&to("service-go, subset: v2"), &["warning[MS0212]"]);
    part(&to("reviews, subset: v2"), &["note[MS0214]"]);
    part(&virtual_service("a", &format!("hosts: [x.example.com], gateways: [public], {TO_GO}")), &["note[MS0211]"]);
    part(&virtual_service("a", &format!("hosts: [x.example.com], gateways: [frint], {TO_GO}")), &["note[MS0211]"]);
    // A rule for all says nothing of the subsets of one.
    let default = rule("all", "host: '*.local', trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}");
    part(&(default.clone() + &to("reviews.default.svc.cluster.local, subset: v1")), &["note[MS0214]"]);
    part(&(default + &to("service-go, subset: v1")), &[]);
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
    let same = "istio: ingressgateway";
    let both = |protocol: &str| second(same, "HTTP") + "---\n" + &second(same, protocol).replace("second", "third");
    old(&both("HTTP"), &[]);
    old(&both("GRPC"), &["MS0225"]);
    whole(&both("GRPC"), &[]);
    let apart = second(same, "HTTP") + "---\n" + &second("istio: other", "GRPC").replace("second", "third");
    old(&apart, &["MS0231"]);
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
        virtual_service("a", &format!("hosts: [service-go], gateways: [mesh, front], http: [{}]", http.join(", ")))
    };
    const ROUTE: &str = "warning[MS0216]: no request reaches this route";
    const MATCH: &str = "warning[MS0216]: no request reaches this match";
    const IDLE: &str = "note[MS0216]: this match adds nothing";
    // Each finding by the number of the route, and of the match, whose place it has; matches count from 1.
    for (matches, wanted) in [
        (&["", ""][..], &[(2, 0, ROUTE)][..]),
        (&["{uri: {prefix: /}}", "{uri: {exact: /a}}"], &[(2, 0, ROUTE)]),
        (&["{uri: {prefix: /a}}", "{uri: {prefix: /ab}}"], &[(2, 0, ROUTE)]),
        (&["{uri: {prefix: /ab}}", "{uri: {prefix: /a}}", ""], &[]),
        (&["{uri: {prefix: /A}, ignoreUriCase: true}", "{uri: {prefix: /ab}}"], &[(2, 0, ROUTE)]),
        (&["{uri: {prefix: /a}}", "{uri: {prefix: /ab}, ignoreUriCase: true}"], &[]),
        (&["{uri: {regex: '/a.*'}}", "{uri: {exact: /abc}}"], &[(2, 0, ROUTE)]),
        (&["{uri: {regex: '/a.'}}", "{uri: {exact: /abc}}"], &[]),
        (&["{uri: {regex: '.*'}}", "{uri: {prefix: /a}}", ""], &[(2, 0, ROUTE), (3, 0, ROUTE)]),
        (&["{uri: {regex: '/.*'}}", ""], &[(2, 0, ROUTE)]),
        (&["{headers: {x: {regex: '.*'}}}", "{headers: {x: {exact: a}}}"], &[(2, 0, ROUTE)]),
        (&["{headers: {x: {exact: a}}}", "{headers: {x: {exact: a}, y: {exact: b}}}"], &[(2, 0, ROUTE)]),
        (&["{headers: {x: {exact: a}, y: {exact: b}}}", "{headers: {x: {exact: a}}}"], &[]),
        (&["{headers: {x: {}}}", "{headers: {x: {exact: a}}}"], &[(2, 0, ROUTE)]),
        (&["{withoutHeaders: {x: {exact: a}}}", "{withoutHeaders: {x: {prefix: a}}}"], &[(2, 0, ROUTE)]),
        (&["{withoutHeaders: {x: {prefix: a}}}", "{withoutHeaders: {x: {exact: a}}}"], &[]),
        (&["{sourceLabels: {app: a}}", "{sourceLabels: {app: a, version: v1}}"], &[(2, 0, ROUTE)]),
        (&["{sourceLabels: {app: a}}", "{sourceLabels: {app: b}}", ""], &[]),
        (&["{sourceNamespace: a}", "{sourceNamespace: a, uri: {prefix: /a}}"], &[(2, 0, ROUTE)]),
        // A match's gateways make its conditions on the client count for nothing.
        (&["{sourceNamespace: a}", "{gateways: [mesh], sourceNamespace: a}"], &[]),
        (&["{gateways: [mesh], sourceNamespace: a}", "{gateways: [mesh], uri: {prefix: /a}}"], &[(2, 0, ROUTE)]),
        (&["{port: 80}", "{uri: {prefix: /a}}"], &[]),
        (&["{port: 80}", "{port: 80, uri: {prefix: /a}}"], &[(2, 0, ROUTE)]),
        (&["{port: 0}", "{uri: {prefix: /a}}"], &[(2, 0, ROUTE)]),
        (&["{gateways: [front]}", "{uri: {prefix: /a}}"], &[]),
        (&["{uri: {prefix: /}}", "{gateways: [front], uri: {prefix: /a}}"], &[(2, 0, ROUTE)]),
        (&["{method: {exact: GET}}", "{method: {exact: POST}}", ""], &[]),
        (&["{uri: {prefix: /a}}", "{uri: {prefix: /a/b}}, {uri: {prefix: /c}}"], &[(2, 1, MATCH)]),
        (&["{uri: {prefix: /a}}, {uri: {exact: /a/b}}"], &[(1, 2, IDLE)]),
    ] {
        let text = routes(matches);
        let line = text.lines().nth(4).unwrap();
        let column = |route: usize, block: usize| {
            let begins = line.match_indices(if block == 0 { "{match:" } else { "{uri:" });
            let plain = line.match_indices("{route:").map(|(at, _)| at);
            let mut starts: Vec<usize> = begins.map(|(at, _)| at).collect();
            if block == 0 {
                starts.extend(plain);
                starts.sort_unstable();
                return starts[route - 1] + 1;
            }
            let before = matches[..route - 1].iter().map(|written| written.matches("{uri:").count()).sum::<usize>();
            starts[before + block - 1] + 1
        };
        let wanted: Vec<String> = wanted
            .iter()
            .map(|(route, block, told)| format!("own.yaml:5:{}: {told}", column(*route, *block)))
            .collect();
        let found = found_in(Dialect::V1, Extent::Whole, &text);
        let found: Vec<_> = found.iter().filter(|found| found.contains("MS0216")).collect();
        let fits = found.len() == wanted.len() && found.iter().zip(&wanted).all(|(a, b)| a.starts_with(b.as_str()));
        assert!(fits, "{matches:?}\n{found:#?}\nis not\n{wanted:#?}");
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
        ("match: [{headers: {':authority': {exact: x}}}]", "MS0222"),
        ("match: [{headers: {x: {regex: '*'}}}]", "MS0207"),
        ("match: [{headers: {x: null}}]", "MS0101"),
        ("match: [{headers: {X-A: {exact: a}, x-a: {exact: b}}}]", "warning[MS0003]"),
        ("match: [{sourceNamespace: 'Bad NS'}]", "MS0101"),
        ("match: [{sourceLabels: {'a b': x}}]", "MS0101"),
        ("match: [{sourceLabels: {a: 'x-'}}]", "MS0101"),
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
        "match: [{uri: {regex: '/users/{id}'}}]",
        "match: [{uri: {regex: '/[^[]*'}}]",
        "match: [{withoutHeaders: {x: {regex: '*'}}}]",
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
    whole(&detection("consecutiveLocalOriginFailures: 3"), &["error[MS0234]"]);
    whole(&detection("interval: 0s, baseEjectionTime: 0s"), &["error[MS0234]", "error[MS0234]"]);
    whole(&detection("maxEjectionPercent: 101"), &["error[MS0101]"]);
    whole(&detection("consecutiveErrors: 3"), &["warning[MS0235]"]);
    old(&detection("consecutiveErrors: 3").replace("host: service-go", "host: '*.local'"), &[]);
}

#[test]
fn a_match_for_a_gateway_that_the_virtual_service_is_not_bound_to() {
    let with = |gateways: &str, of_match: &str| {
        let http =
            format!("http: [{{match: [{{gateways: [{of_match}]}}], route: [{{destination: {{host: service-go}}}}]}}]");
        virtual_service("a", &format!("hosts: [service-go, shop.example.com]{gateways}, {http}"))
    };
    whole(&with("", "front"), &["@gateways: [^front@ warning[MS0230]: default/a is not bound to `front`"]);
    whole(&with(", gateways: [front, mesh]", "front, mesh"), &[]);
    whole(&with(", gateways: [default/front, mesh]", "front"), &[]);
    whole(&with(", gateways: [front, mesh]", "fromt"), &["MS0230"]);
    // It does not claim the host there.
    let other = virtual_service("b", &format!("hosts: [shop.example.com], gateways: [front], {TO_GO}"));
    whole(&(with("", "front") + &other), &["MS0230"]);
}

#[test]
fn a_host_in_two_spellings_is_no_conflict() {
    let both = "hosts: [service-go, service-go.default.svc.cluster.local]";
    whole(&virtual_service("a", &format!("{both}, {TO_GO}")), &[]);
    whole(&virtual_service("a", &format!("hosts: [a.com, A.com], {TO_GO}")), &[]);
    whole(&virtual_service("a", &format!("hosts: [a.com, a.com], {TO_GO}")), &["MS0204"]);
    let two = "hosts: [shop.example.com, SHOP.example.com], gateways: [front]";
    whole(&virtual_service("a", &format!("{two}, {TO_GO}")), &[]);
}

#[test]
fn a_subset_of_a_rule_that_is_not_used() {
    let to = |host: &str| {
        virtual_service("a", &format!("hosts: [a.com], http: [{{route: [{{destination: {{host: {host}}}}}]}}]"))
    };
    let v2 = "subsets: [{name: v2, labels: {app: service-go}}]";
    let full = "host: service-go.default.svc.cluster.local";
    let in_c = rule("c", &format!("{full}, {v2}")).replace("name: c}", "name: c, namespace: c}");
    let unused = "MS0212]: no DestinationRule that is used here defines the subset `v2`";
    // Of a third namespace; of a less specific host; not exported.
    whole(&(in_c.clone() + &to("service-go, subset: v2")), &[unused]);
    whole(&(rule("all", &format!("host: '*.local', {v2}")) + &to("service-go, subset: v2")), &[unused]);
    let hidden = rule("b", &format!("host: service-go, exportTo: [other], {v2}"));
    whole(&(hidden + &to("service-go, subset: v2")), &[unused]);
    // Of the client's own namespace, and of the root's.
    let from_c = to("service-go.default.svc.cluster.local, subset: v2").replace("name: a}", "name: a, namespace: c}");
    whole(&(in_c.clone() + &from_c), &[]);
    whole(&(in_c.replace("namespace: c", "namespace: istio-system") + &from_c), &[unused]);
    let old = found_in(Dialect::V1_0, Extent::Whole, &(in_c + &to("service-go, subset: v2")));
    assert!(!old.iter().any(|found| found.contains("MS0212")), "{old:?}");
}

#[test]
fn a_udp_port_is_no_destination() {
    let dns = "apiVersion: v1\nkind: Service\nmetadata: {name: dns}\nspec: {ports: [{name: dns, port: 53, protocol: UDP}, {name: http, port: 80}]}\n";
    let to = |port: u16| {
        let http = format!("http: [{{route: [{{destination: {{host: dns, port: {{number: {port}}}}}}}]}}]");
        dns.to_owned() + &virtual_service("a", &format!("hosts: [dns], {http}"))
    };
    whole(&to(53), &["MS0227"]);
    whole(&to(80), &[]);
}

#[test]
fn what_istio_1_0_takes_and_does_not() {
    let policy = |policy: &str| rule("a", &format!("host: '*.local', trafficPolicy: {policy}"));
    old(&policy("{loadBalancer: {simple: LEAST_REQUEST}}"), &["@simple: ^@ error[MS0105]"]);
    old(&policy("{loadBalancer: {simple: UNSPECIFIED}}"), &["MS0105"]);
    old(&policy("{loadBalancer: {simple: LEAST_CONN}}"), &[]);
    old(&policy("{}"), &["MS0104"]);
    old(&rule("a", "host: '*.local', subsets: [{name: a}, {name: a}]"), &["warning[MS0208]"]);
    old(&rule("a", "host: '*.local', subsets: [{name: v1Canary, labels: {a: 'x-'}}]"), &[]);
    let later = "trafficPolicy: {loadBalancer: {simple: RANDOM}}";
    old(&rule("b", &format!("host: service-go, {later}")), &["@trafficPolicy: ^@ warning[MS0228]"]);
    old(&rule("b", &format!("host: service-go, {later}, subsets: [{{name: all}}]")), &[]);
    let matched = |block: &str| {
        let http = format!("http: [{{match: [{block}], route: [{{destination: {{host: service-go}}}}]}}]");
        virtual_service("a", &format!("hosts: [service-go], {http}"))
    };
    old(&matched("{headers: {x: {prefix: ''}}}"), &["warning[MS0202]"]);
    old(&matched("{headers: {x.y: {exact: a}}}"), &[]);
    old(&matched("{gateways: [front]}"), &["MS0230"]);
    old(&virtual_service("a", &format!("hosts: [foo.com.], {TO_GO}")), &["error[MS0203]"]);
    old(&virtual_service("a", TO_GO), &["@spec: ^@ error[MS0104]: `hosts` is missing"]);
    old(&virtual_service("a", &format!("hosts: [service-go], gateways: [other/front], {TO_GO}")), &["error[MS0209]"]);
    old(&virtual_service("a", &format!("hosts: [service-goo], {TO_GO}")), &["MS0213"]);
    let two = |a: &str, b: &str| {
        virtual_service("a", &format!("{a}, {TO_GO}")) + &virtual_service("b", &format!("{b}, {TO_GO}"))
    };
    old(&two("hosts: [service-go]", "hosts: [service-go]"), &["MS0218"]);
    let gateway = |protocol: &str| {
        format!(
            "apiVersion: networking.istio.io/v1alpha3\nkind: Gateway\nmetadata: {{name: g}}\nspec:\n  servers: [{{port: {{number: 90, name: x, protocol: {protocol}}}, hosts: ['*']}}]\n"
        )
    };
    old(&gateway("GRPC-WEB"), &["@protocol: ^@ error[MS0105]"]);
    old(&gateway("REDIS"), &["MS0108"]);
    old(&gateway("HTTP").replace("v1alpha3", "v1"), &["@apiVersion: ^@ error[MS0105]: Istio 1.0 has no Gateway in"]);
    whole(&gateway("GRPC-WEB"), &[]);
    whole(&gateway("MYSQL"), &["MS0108"]);
    whole(&gateway("FTP"), &["MS0101"]);
}

#[test]
fn a_field_that_cannot_be_read_hides_only_what_comes_of_it() {
    let with = |route: &str| virtual_service("a", &format!("hosts: [service-go], http: [{{{route}}}, {{{TO}}}]"));
    const TO: &str = "route: [{destination: {host: service-go}}]";
    let split = "route: [{destination: {host: service-go, subset: V_1}, weight: 0}, {destination: {host: service-go}}]";
    let all = ["MS0209", "MS0206", "MS0217", "MS0102", "MS0216"];
    whole(&with(&format!("{split}, timeout: 0s, retrys: {{}}")), &all);
    // The field may be the one that says what is missing.
    whole(&with("rout: [{destination: {host: service-go}}], match: [{uri: {prefix: /a}}]"), &["MS0102"]);
    whole(&with(&format!("mach: [{{uri: {{prefix: /a}}}}], {TO}")), &["MS0102"]);
    whole(&with(&format!("match: [{{urii: {{prefix: /a}}}}], {TO}")), &["MS0102"]);
    let unread = "route: [{destination: {host: service-go}, wight: 1}, {destination: {host: service-go}, weight: 0}]";
    whole(&with(&format!("{unread}, match: [{{uri: {{prefix: /a}}}}]")), &["MS0102"]);
}

#[test]
fn a_gateway_that_nobody_serves_or_reaches() {
    let gateway = |selector: &str, port: u16| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{name: g}}\nspec:\n  selector: {{{selector}}}\n  servers: [{{port: {{number: {port}, name: x, protocol: HTTP}}, hosts: ['*']}}]\n"
        )
    };
    whole(&gateway("istio: ingressgateway", 80), &[]);
    whole(&gateway("istio: ingresgateway", 80), &["@selector: ^@ warning[MS0231]"]);
    whole(&gateway("istio: ingressgateway", 8888), &["@number: ^@ warning[MS0227]"]);
    let part = |text: &str, wanted: &[&str]| assert_found(Dialect::V1, Extent::Part, text, wanted);
    part(&gateway("istio: ingresgateway", 80), &[]);
    part(&gateway("istio: ingressgateway", 8888), &["note[MS0227]"]);
    // In 1.0 the Gateway listens where the Service's port leads.
    let target = "apiVersion: v1\nkind: Service\nmetadata: {name: more, namespace: istio-system}\nspec: {selector: {istio: ingressgateway}, ports: [{name: http, port: 90, targetPort: 8888}]}\n---\n";
    let told = |dialect, port| {
        let gateway = gateway("istio: ingressgateway", port).replace("istio.io/v1\n", "istio.io/v1alpha3\n");
        let found = found_in(dialect, Extent::Whole, &(target.to_owned() + &gateway));
        found.iter().any(|found| found.contains("MS0227"))
    };
    assert_eq!([told(Dialect::V1_0, 8888), told(Dialect::V1_0, 90)], [false, true]);
    assert_eq!([told(Dialect::V1, 8888), told(Dialect::V1, 90)], [true, false]);
}

#[test]
fn a_destination_without_a_port_where_several_may_be_meant() {
    let two = "apiVersion: v1\nkind: Service\nmetadata: {name: two}\nspec: {ports: [{name: http, port: 8080}, {name: http-m, port: 9090}]}\n";
    let to = |destination: &str| {
        let http = format!("http: [{{route: [{{destination: {{{destination}}}}}]}}]");
        two.to_owned() + &virtual_service("a", &format!("hosts: [shop.example.com], gateways: [front], {http}"))
    };
    whole(&to("host: two"), &["@destination: {host: ^@ warning[MS0227]"]);
    whole(&to("host: two, port: {number: 8080}"), &[]);
    whole(&to("host: service-go"), &[]);
    whole(&to("host: two").replace("port: 9090", "port: 80"), &[]);
    whole(&to("host: two").replace(", {name: http-m, port: 9090}", ""), &[]);
}

#[test]
fn a_port_whose_name_says_no_protocol() {
    let with = |port: &str| {
        let service =
            format!("apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec: {{ports: [{{{port}}}]}}\n");
        let http = "http: [{route: [{destination: {host: web}}]}]";
        service + &virtual_service("a", &format!("hosts: [web], {http}"))
    };
    let old = |port: &str| {
        let found = found_in(Dialect::V1_0, Extent::Whole, &with(port));
        found.into_iter().find(|found| found.contains("MS0232"))
    };
    whole(&with("name: web, port: 80"), &["@name: ^web, @ note[MS0232]"]);
    assert!(old("name: web, port: 80").is_some_and(|found| found.contains("own.yaml:4:23: warning[MS0232]")));
    whole(&with("port: 80"), &["note[MS0232]"]);
    for said in ["name: http, port: 80", "name: tcp-a, port: 80", "name: GRPC-a, port: 80"] {
        assert_eq!(old(&said.to_lowercase()), None, "{said}");
        whole(&with(&said.to_lowercase()), &[]);
    }
    whole(&with("name: web, port: 80, appProtocol: http"), &[]);
    assert!(old("name: web, port: 80, appProtocol: http").is_some());
    // A port that no route is for is nobody's business.
    whole("apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{name: web, port: 80}]}\n", &[]);
}

#[test]
fn subsets_that_a_gateway_does_not_choose() {
    let canary = virtual_service(
        "canary",
        "hosts: [service-go], http: [{route: [{destination: {host: service-go, subset: v1}}]}]",
    );
    let ingress = |destination: &str| {
        let http = format!("http: [{{route: [{{destination: {{{destination}}}}}]}}]");
        virtual_service("ingress", &format!("hosts: [shop.example.com], gateways: [front], {http}"))
    };
    whole(
        &(canary.clone() + &ingress("host: service-go")),
        &["@host: ^service-go}@ note[MS0233]: default/canary chooses"],
    );
    whole(&(canary + &ingress("host: service-go, subset: v1")), &[]);
    whole(&ingress("host: service-go"), &[]);
}

#[test]
fn names_that_kubernetes_and_istio_do_not_take() {
    let service = |name: &str, port: &str| {
        format!("apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{port}]}}\n")
    };
    let fine = "{name: http, port: 80}";
    whole(&service("Go", fine), &["@^Go@ error[MS0209]: `Go` is no name: "]);
    whole(&service("1.go", fine), &["@^1.go@ error[MS0209]: `1.go` is no name of a Service"]);
    whole(&service("go, namespace: A", fine), &["@namespace: ^A@ error[MS0209]: `A` is no namespace"]);
    whole(&service("go", "{name: http_a, port: 80}"), &["@^http_a@ error[MS0209]: `http_a` is no port name"]);
    whole(&service("go", "{name: http, port: 80}, {port: 81}"), &["@^{port: 81@ error[MS0209]: a port of a Service"]);
    whole(
        &service("go", "{name: http, port: 80}, {name: http, port: 81}"),
        &["@name: ^http, port: 81@ error[MS0208]: two ports are named"],
    );
    whole(
        &service("go", "{name: a, port: 80}, {name: b, port: 80}"),
        &["@name: b, port: ^80@ error[MS0208]: two TCP ports"],
    );
    whole(&service("go", ""), &["@spec: ^@ error[MS0202]: a Service needs a port"]);
    whole(&service("go, labels: {a: b c}", fine), &["@^b c@ error[MS0101]: `b c` is no value of a label"]);
    let selector = service("go", fine).replace("{ports", "{selector: {-a: b}, ports");
    whole(&selector, &["@^-a: b@ error[MS0101]: `-a` is no key of a label"]);
    let gateway = |name: &str, servers: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{name: {name}}}\nspec:\n  servers: [{servers}]\n"
        )
    };
    let port = "port: {number: 80, name: x, protocol: HTTP}";
    let server = format!("{{{port}, hosts: ['*']}}");
    whole(&gateway("a.b", &server), &["@^a.b@ error[MS0209]: `a.b` is no name of a Gateway: it has a dot"]);
    whole(&gateway("g", ""), &["@^servers@ error[MS0202]: a Gateway needs a server"]);
    whole(&gateway("g", &format!("{{{port}, hosts: []}}")), &["@[^{port@ error[MS0202]: a server of a Gateway"]);
    whole(&gateway("g", &server.replace("name: x, ", "")), &["@port: ^@ error[MS0209]: the port of a server"]);
    whole(&gateway("g", &format!("{server}, {server}")), &["own.yaml:5:100: error[MS0208]: two servers name"]);
    for (host, told) in [
        ("shop", "`shop` is a short name"),
        ("A_/a.com", "`A_` before the `/` is no namespace"),
        ("'*a.com'", "`*a.com` is a wildcard of a part"),
        ("a..com", "`a..com` is no host name or wildcard"),
        ("''", "a host is empty"),
    ] {
        let text = gateway("g", &server.replace("'*'", host));
        whole(&text, &[&format!("@hosts: [^@ error[MS0203]: {told}")]);
    }
}

#[test]
fn routes_that_istio_refuses() {
    let route = |route: &str| virtual_service("a", &format!("hosts: [service-go], http: [{{{route}}}]"));
    let arm = |weight: &str| format!("{{destination: {{host: service-go}}{weight}}}");
    let arms = |weights: &[&str]| {
        route(&format!("route: [{}]", weights.iter().map(|w| arm(w)).collect::<Vec<_>>().join(", ")))
    };
    old(
        &arms(&[", weight: 70", ", weight: 20"]),
        &["@weight: ^70@ error[MS0206]: the weights are 70 + 20 = 90, not 100"],
    );
    old(&arms(&["", ""]), &["@, ^{destination@ error[MS0206]: several destinations, and none has a weight"]);
    old(&arms(&[", weight: 100", ""]), &[]);
    whole(&arms(&["", ""]), &["@, ^{destination@ error[MS0206]: several destinations, and none has a weight"]);
    whole(&arms(&[", weight: 0", ", weight: 0"]), &["@weight: ^0}, @ error[MS0206]"]);
    whole(&arms(&[", weight: 3", ", weight: 4"]), &[]);
    whole(&route("route: []"), &["@^{route: []@ error[MS0202]: an HTTP route needs a destination"]);
    whole(
        &virtual_service("a", "hosts: [service-go], http: []"),
        &["@spec: ^@ error[MS0202]: a VirtualService needs a route"],
    );
    let destination = |host: &str| route(&format!("route: [{{destination: {{host: {host}}}}}]"));
    whole(&destination("'*'"), &["@host: ^@ error[MS0203]: `*` is a wildcard; a destination is one host"]);
    whole(&destination("10.0.0.1"), &["@host: ^@ error[MS0203]: `10.0.0.1` is an address"]);
    whole(&destination("'*.go'"), &["@host: ^@ warning[MS0203]: `*.go` is a wildcard"]);
    whole(&destination("service-go, subset: a_b"), &["@subset: ^@ error[MS0209]: `a_b` is no name of a subset"]);
    old(
        &route(&format!("route: [{}], retries: {{attempts: 0}}", arm(""))),
        &["@retries: ^@ error[MS0217]: `attempts`"],
    );
    let retries = |retries: &str| route(&format!("route: [{}], retries: {retries}", arm("")));
    whole(&retries("{attempts: 1, perTryTimeout: 0s}"), &["@perTryTimeout: ^@ error[MS0217]: `perTryTimeout`"]);
    whole(&retries("{attempts: 1, backoff: 0s}"), &["@backoff: ^@ error[MS0217]: `backoff`"]);
    whole(&retries("{attempts: 1, retryOn: 5xx}"), &[]);
    whole(
        &retries("{attempts: 1, retryOn: '5xx,gateway-eror'}"),
        &["@5xx,^gateway-eror@ error[MS0217]: `gateway-eror` in"],
    );
    whole(&retries("{retryOn: 5xx}"), &["@retries: ^@ error[MS0217]: `retries` with settings"]);
    let long = format!("match: [{{uri: {{regex: '/{}'}}}}], route: [{}]", "a".repeat(1024), arm(""));
    whole(&route(&long), &["@regex: ^@ error[MS0207]: a regular expression of 1025 bytes; at most 1024"]);
    let gateways = |names: &str| virtual_service("a", &format!("hosts: [a.com], gateways: [{names}], {TO_GO}"));
    let part = |text: &str, wanted: &[&str]| assert_found(Dialect::V1, Extent::Part, text, wanted);
    part(&gateways("a_b"), &["@gateways: [^@ error[MS0209]: `a_b` is no name of a Gateway"]);
    part(&gateways("x.other"), &["@gateways: [^@ note[MS0223]: `x.other` is the old way", "MS0211"]);
    part(&gateways("./x"), &["@gateways: [^@ warning[MS0209]: Istio's validation refuses `./x`", "MS0211"]);
    let slice = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: a}\naddressType: IPv4\nports: [{name: http, port: 80}]\nendpoints: [{addresses: [10.0.0.1]}]\n";
    whole(slice, &["@metadata: ^@ warning[MS0219]: no label"]);
    let mut policies = String::new();
    for port in 1..=4097 {
        policies.push_str(&format!("{{port: {{number: {port}}}, tls: {{mode: DISABLE}}}},"));
    }
    let many = rule("a", &format!("host: '*.local', trafficPolicy: {{portLevelSettings: [{policies}]}}"));
    whole(&many, &["@trafficPolicy: ^@ error[MS0202]: more than 4096 entries"]);
    for policy in ["{}", "{connectionPool: {}}", "{portLevelSettings: [{port: {number: 80}}]}"] {
        whole(&rule("a", &format!("host: '*.local', trafficPolicy: {policy}")), &["MS0104"]);
    }
    whole(
        &rule("a", "host: '*.local', subsets: [{name: a, trafficPolicy: {}}]"),
        &["@trafficPolicy: ^@ error[MS0104]"],
    );
    whole(&rule("a", "host: '*.local', subsets: [{name: a, labels: {b: 'c d'}}]"), &["@b: ^@ error[MS0101]"]);
}
