//! What a scenario file comes to, and what is said about a wrong one.

use std::time::Duration;

use wavetank_control::config::SourceFile;

use super::*;
use crate::check::{Demand, Pattern};
use crate::traffic::{Load, Spacing};

/// Manifests that exist by name alone.
struct Shelf;

impl Manifests for Shelf {
    fn read(&self, path: &str) -> Result<Vec<SourceFile>, String> {
        match path {
            "missing.yaml" => Err("cannot read missing.yaml: no such file".to_owned()),
            "folder" => {
                Ok(vec![SourceFile::new("folder/a.yaml", "a: 1\n"), SourceFile::new("folder/b.yaml", "b: 1\n")])
            }
            path => Ok(vec![SourceFile::new(path, "kind: Service\n")]),
        }
    }
}

fn read(text: &str) -> Result<Scenario, Vec<wavetank_control::diagnostic::Diagnostic>> {
    parse(&SourceFile::new("test.yaml", text), &Shelf)
}

/// Everything that is said about a wrong scenario.
fn said(text: &str) -> String {
    let found = read(text).map(|_| ()).expect_err("the scenario is wrong");
    found.iter().map(|found| found.render(|_| Some(text))).collect::<Vec<_>>().join("\n")
}

const FULL: &str = r#"# yaml-language-server: $schema=./.wavetank/scenario.v1.json
scenario: 70/30 canary of service-go
version: 1
tags: [book, canary]
app: istio-lab
compat: "1.0"
config:
  - gateway.yaml
  - folder
network: {latency: {base: 2ms, jitter: 100us}, loss: 1%}
traffic:
  - name: browser
    request: GET ingress/env
    headers: {user-agent: Mozilla/5.0 Firefox/120}
    open: 50/s
    arrivals: even
    count: 2000
  - {name: inner, request: "GET httpbin:8000/status/200", from: service-node, closed: {clients: 3, think: 10ms}, for: 20s, at: 1s}
expect:
  - edge: service-node -> service-go
    split: {v1: 70, v2: 30}
    status: {200: all, 5xx: none}
    tls: mtls
    peer: spiffe://cluster.local/ns/default/sa/service-node
    attempts: {max: 1}
    reaches: [service-go@v1, service-go@v2]
  - edge: client -> ingress
    traffic: browser
    between: [0s, 3m36s]
    status: {200: all}
    latency: {p50: <10ms, p99.9: <40ms}
  - never: {edge: service-python -> service-go}
  - never: {when: {body_has: '"upstream":[]'}}
  - {flags: {NR: none, UH: '<1%'}}
never: [{edge: service-node -> service-go, tls: plaintext}]
false_failure: 1e-9
seed: 7
"#;

#[test]
fn every_key_of_the_full_form_is_read() {
    let scenario = read(FULL).unwrap();
    assert_eq!(scenario.name, "70/30 canary of service-go");
    assert_eq!((scenario.compat, scenario.app, scenario.seed), (Compat::V1_0, Some(App::IstioLab), Some(7)));
    assert_eq!((scenario.tags.len(), scenario.false_failure), (2, 1e-9));
    let files: Vec<&str> = scenario.config.iter().map(|file| &*file.name).collect();
    assert_eq!(files, ["gateway.yaml", "folder/a.yaml", "folder/b.yaml"]);
    let network = Network {
        latency: Duration::from_millis(2),
        jitter: Duration::from_micros(100),
        loss_percent: 1.0,
        bandwidth: None,
    };
    assert_eq!(scenario.network, network);
    let [browser, inner] = scenario.traffic.as_slice() else { panic!("two streams") };
    assert_eq!(browser.load, Load::Open { rate: 50.0, spacing: Spacing::Even });
    assert_eq!((browser.count, browser.duration, browser.headers.len()), (Some(2000), None, 1));
    assert_eq!(inner.load, Load::Closed { clients: 3, think: Duration::from_millis(10) });
    assert_eq!((inner.request.port, inner.at), (8000, Duration::from_secs(1)));
    let kinds: Vec<&str> = scenario.checks.iter().map(|check| check.demand.kind()).collect();
    let wanted = [
        "split", "status", "status", "tls", "peer", "attempts", "reaches", "status", "latency", "latency", "never",
        "never", "flags", "flags", "never",
    ];
    assert_eq!(kinds, wanted);
    assert_eq!(scenario.checks[7].scope.between, Some((Duration::ZERO, Duration::from_secs(216))));
    let place = &scenario.checks[0].asked_at;
    assert_eq!((place.line, place.column, scenario.checks[0].width), (21, 5, 23));
}

#[test]
fn the_terse_form_stands_for_the_full_one_with_its_defaults() {
    let terse = "scenario: s\nconfig: [a.yaml]\ntraffic: 2000 GET ingress/env\nexpect:\n  - {edge: a -> b, split: {v1: 70, v2: 30}}\n";
    let scenario = read(terse).unwrap();
    assert_eq!((scenario.compat, scenario.app, scenario.seed), (Compat::V1, None, None));
    assert_eq!((scenario.network, scenario.false_failure), (Network::default(), 1e-6));
    let [stream] = scenario.traffic.as_slice() else { panic!("one stream") };
    assert_eq!((stream.name.as_str(), stream.count), ("traffic/1", Some(2000)));
    assert_eq!(stream.load, Load::Open { rate: 100.0, spacing: Spacing::Poisson });
    assert_eq!((stream.from.to_string(), stream.timeout), ("client".to_owned(), Duration::from_secs(30)));
}

#[test]
fn a_never_inside_an_expectation_takes_its_edge() {
    let text = "scenario: s\nexpect:\n  - {edge: client -> ingress, between: [0s, 5s], never: {status: 5xx}}\n";
    let check = read(text).unwrap().checks.remove(0);
    assert!(check.scope.edge.is_some() && check.scope.between.is_some());
    let pattern = Pattern { status: Some("5xx".parse().unwrap()), ..Pattern::default() };
    assert_eq!(check.demand, Demand::Never(pattern));
}

const INLINE: &str = "scenario: s
config:
  - |
    apiVersion: v1
    kind: Service

    metadata: {name: a}
  - other.yaml
  - |
    ---
    kind: Gateway
    ---
    kind: VirtualService
expect: [{edge: a -> b, status: {200: all}}]
";

#[test]
fn an_inline_manifest_keeps_its_lines_and_columns() {
    let scenario = read(INLINE).unwrap();
    let [other, inline] = scenario.config.as_slice() else { panic!("{:?}", scenario.config) };
    assert_eq!((&*other.name, &*inline.name), ("other.yaml", "test.yaml"));
    let lines: Vec<(usize, &str)> = inline.text.lines().enumerate().filter(|(_, line)| !line.is_empty()).collect();
    let wanted = [
        (2, "---"),
        (3, "    apiVersion: v1"),
        (4, "    kind: Service"),
        (6, "    metadata: {name: a}"),
        (8, "---"),
        (9, "---"),
        (10, "    kind: Gateway"),
        (11, "---"),
        (12, "    kind: VirtualService"),
    ];
    assert_eq!(lines, wanted);
    assert_eq!(scenario.sources.text("test.yaml"), Some(INLINE));
}

#[test]
fn every_problem_is_told_with_its_place() {
    let text = r#"scenario: s
compat: v2
app: {use: istio-lab, add: [{service: legacy}]}
confg: [a.yaml]
config: [missing.yaml]
faults: [{at: 5s, kill: service-go}]
network: {latency: {base: 5, jiter: 1ms}}
traffic:
  - {name: a, request: get ingress/env, count: 10}
  - {name: a, request: GET ingress/env, open: 10}
  - 2000 ingress/env
expect:
  - {edge: service-node => service-go, split: {v1: 70, v2: 30}}
  - {edge: a -> b, split: {v1: 70, v2: 20}}
  - {edge: a -> b, status: {20: all, 200: most}}
  - {edge: a -> b, tls: mutual, attempts: all}
  - {edge: a -> b, ejected: {within: 1s}}
  - {edge: a -> b, ejected: {endpoint: b, for: soon, withn: 1s}}
  - {edge: a -> b, never: {ejected: b, status: 503}}
  - {edge: a -> b, detect: {}}
  - {edge: a -> b}
  - {tls: mtls}
  - {edge: a -> b, traffic: c, status: {200: all}}
never: {}
"#;
    insta::assert_snapshot!(said(text));
}

#[test]
fn every_problem_of_a_timeline_is_told_with_its_place() {
    let text = r#"scenario: s
traffic: [{from: a, request: GET b/, open: 10/s}]
faults:
  - {at: 5, kill: a}
  - {at: step/last, kill: a}
  - {at: 1s}
  - {kill: a, delete: b}
  - {partition: a - b}
  - {delay: {link: a -> b}}
  - {bandwidth: {link: a <-> b, rate: 10MB}}
  - {fail: {at: a, status: 99, rate: 101}}
  - {delete: a, for: 3s}
  - {restart: a, for: 3s}
  - {slow: {at: a, by: 1s}, may_mis: true}
steps:
  - {name: one, for: 1s, weights: {b: {v1: 90, v2: 20}}}
  - {name: one, for: 1s, weights: {b: {v1: 90, v2: 10}}}
  - {name: three, patch: [{kind: Gateway, name: g}]}
each_step: {after: conveged, expect: [{edge: a -> b, split: as-configured}]}
abort: {when: {edge: a -> b}}
expect:
  - {edge: a -> b, after: converged, status: {200: all}}
  - {edge: a -> b, between: [fault/9, 5s], status: {200: all}}
  - {config: a}
  - {in_sync: {within: 3s}}
  - {edge: a -> b, recovers: {by: 3s}}
"#;
    insta::assert_snapshot!(said(text));
}

#[test]
fn every_problem_of_links_bodies_and_decisions_is_told_with_its_place() {
    let text = r#"scenario: s
detect: none
until: soon
network:
  bandwidth: 10
  zones: []
  links:
    - {latency: 5ms}
    - {link: a - b, loss: 101%}
    - {link: a -> b}
    - {link: a -> b, latency: {base: 5, jiter: 1ms}, bandwidth: 10MB/s}
traffic:
  - {name: a, request: POST a/, count: 1, body: {size: 64KB}, timeout: 0s}
  - {name: b, request: POST a/, count: 1, body: [x], headers: {Content-Length: 5}, timeout: 5}
  - {name: c, request: POST a/, count: 1, body: {length: 5}, stages: []}
  - {name: d, request: POST a/, count: 1, body: {size: 1GiB}, jwt: x}
expect:
  - {edge: a -> b, split: {v1: 100}, count: retries, detect: 51}
  - {edge: a -> b, status: {200: all}, count: attempts}
  - {edge: a -> b, split: {v1: 100}, window: 5s}
never:
  - {edge: a -> b, retry: POST}
  - {edge: a -> b, retry: {methods: POST}}
  - {edge: a -> b, retry: {method: [GET, post]}}
"#;
    insta::assert_snapshot!(said(text));
}

#[test]
fn a_file_without_a_scenario_says_so() {
    insta::assert_snapshot!(said("# nothing\n"), @r"
    error[MS0104]: there is no scenario in this file
      --> test.yaml:1:1
      |
    1 | # nothing
      | ^
    ");
    assert!(said("app: istio-lab\n").contains("needs the key `scenario`"));
    assert!(said("a: [1\n").contains("error[MS0001]"));
    assert!(said("[1, 2]\n").contains("a scenario is a mapping"));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in r"[ -~\n]{0,200}") {
        let _ = read(&text);
    }

    #[test]
    fn no_damage_to_a_scenario_makes_the_reader_panic(at in 0..FULL.len(), length in 0usize..40, put in r"[ -~\n]{0,8}") {
        let end = (at + length).min(FULL.len());
        let _ = read(&[&FULL[..at], &put, &FULL[end..]].concat());
        let end = (at + length).min(INLINE.len());
        let _ = read(&[&INLINE[..at.min(end)], &put, &INLINE[end..]].concat());
    }
}

#[test]
fn a_run_does_not_know_where_the_tool_was_started() {
    let at = |name: &str| parse(&SourceFile::new(name, INLINE), &Shelf).unwrap();
    let (here, there) = (at("test.yaml"), at("some/where/test.yaml"));
    assert_eq!(here.config, there.config);
    assert_eq!(
        (here.shown("test.yaml"), there.shown("test.yaml")),
        ("test.yaml".into(), "some/where/test.yaml".into())
    );
    assert_eq!(
        (here.shown("other.yaml"), there.shown("other.yaml")),
        ("other.yaml".into(), "some/where/other.yaml".into())
    );
    assert_eq!(there.shown("app:default/service-go.yaml"), "app:default/service-go.yaml");
}
