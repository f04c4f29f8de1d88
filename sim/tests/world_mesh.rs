//! The whole mesh in the tank: real proxies, real control plane, the book's app.

use std::collections::BTreeSet;

use wavetank::observe::{Hop, ObservationLog, Tls};
use wavetank::scenario::{Manifests, Scenario, parse};
use wavetank::target::{RunError, RunOutcome, tank};
use wavetank_control::config::SourceFile;

const GATEWAY: &str = r#"
apiVersion: networking.istio.io/v1alpha3
kind: Gateway
metadata: {name: entry}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ["*"]
---
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata: {name: entry}
spec:
  hosts: ["*"]
  gateways: [entry]
  http:
  - route:
    - destination: {host: service-python}
"#;

const SUBSETS: &str = r#"
apiVersion: networking.istio.io/v1alpha3
kind: DestinationRule
metadata: {name: service-go}
spec:
  host: service-go
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
"#;

const CANARY: &str = r#"
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata: {name: service-go}
spec:
  hosts: [service-go]
  http:
  - route:
    - destination: {host: service-go, subset: v1}
      weight: 70
    - destination: {host: service-go, subset: v2}
      weight: 30
"#;

const MYSQL: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: db}
spec:
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: "mysql:8"}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: db}
spec: {hosts: [db], nonsense: 1}
"#;

const OWN_ACCOUNT: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: service-go}
spec: {selector: {app: service-go}, ports: [{name: http, port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: service-go-v9}
spec:
  replicas: 2
  selector: {matchLabels: {app: service-go, version: v9}}
  template:
    metadata: {labels: {app: service-go, version: v9}}
    spec:
      serviceAccountName: service-go
      containers: [{name: service-go, image: "registry.example/service-go:v9"}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: sleep}
spec:
  selector: {matchLabels: {app: sleep}}
  template:
    metadata: {labels: {app: sleep}}
    spec: {containers: [{name: sleep, image: curl}]}
"#;

/// Manifests by the names that scenarios here use.
struct Shelf;

impl Manifests for Shelf {
    fn read(&self, path: &str) -> Result<Vec<SourceFile>, String> {
        let text = match path {
            "gateway.yaml" => GATEWAY,
            "subsets.yaml" => SUBSETS,
            "canary.yaml" => CANARY,
            "own-account.yaml" => OWN_ACCOUNT,
            "mysql.yaml" => MYSQL,
            other => return Err(format!("no {other}")),
        };
        Ok(vec![SourceFile::new(path, text)])
    }
}

fn scenario(compat: &str, config: &str, traffic: &str) -> Scenario {
    let text = format!(
        "scenario: test\ncompat: \"{compat}\"\napp: istio-lab\nconfig: [{config}]\ntraffic:\n- {traffic}\nexpect:\n- {{edge: '* -> *', status: {{200: all}}}}\n"
    );
    match parse(&SourceFile::new("test.yaml", text), &Shelf) {
        Ok(scenario) => scenario,
        Err(found) => panic!("{:?}", found.iter().map(|one| one.message.clone()).collect::<Vec<_>>()),
    }
}

fn run(scenario: &Scenario, seed: u64) -> RunOutcome {
    tank::run(scenario, seed).unwrap_or_else(|error| panic!("{error}"))
}

fn edge<'a>(log: &'a ObservationLog, source: &'a str, destination: &'a str) -> impl Iterator<Item = &'a Hop> {
    log.hops().filter(move |hop| &*hop.source.name == source && &*hop.destination.name == destination)
}

const THROUGH_INGRESS: &str = "{request: GET ingress/env, count: 60}";

#[test]
fn a_request_through_the_ingress_crosses_every_edge_of_the_book_once() {
    let ran = run(&scenario("v1", "gateway.yaml, subsets.yaml, canary.yaml", THROUGH_INGRESS), 1);
    for (source, destination) in [
        ("client", "ingress"),
        ("ingress", "service-python"),
        ("service-python", "service-lua"),
        ("service-python", "service-node"),
        ("service-node", "service-go"),
    ] {
        let hops: Vec<_> = edge(&ran.log, source, destination).collect();
        assert_eq!(hops.len(), 60, "{source} -> {destination}");
        assert!(hops.iter().all(|hop| hop.status == 200 && hop.traffic.is_some()), "{source} -> {destination}");
    }
    assert_eq!(ran.log.hops().count(), 5 * 60);
    for call in ran.log.calls() {
        assert!(call.body.contains("go v1") || call.body.contains("go v2"), "{}", call.body);
        assert_eq!(ran.log.hops().filter(|hop| hop.request == call.request).count(), 5);
    }
}

#[test]
fn edges_in_the_mesh_are_mutual_tls_today_and_plaintext_in_the_book() {
    let identity = |account: &str| Some(format!("spiffe://cluster.local/ns/{account}").as_str().into());
    let today = run(&scenario("v1", "gateway.yaml, subsets.yaml, canary.yaml", THROUGH_INGRESS), 2);
    for hop in today.log.hops() {
        let app = identity("default/sa/default");
        let expected = match &*hop.source.name {
            "client" => Tls::Plaintext,
            "ingress" => {
                Tls::Mutual { caller: identity("istio-system/sa/istio-ingressgateway-service-account"), callee: app }
            }
            _ => Tls::Mutual { caller: app.clone(), callee: app },
        };
        assert_eq!(hop.tls, Some(expected), "{} -> {}", hop.source, hop.destination);
    }
    let book = run(&scenario("1.0", "gateway.yaml, subsets.yaml, canary.yaml", THROUGH_INGRESS), 2);
    assert!(book.log.hops().all(|hop| hop.tls == Some(Tls::Plaintext)));
}

#[test]
fn a_pod_calls_through_its_own_sidecar() {
    let calls = "{request: GET service-go/env, from: service-node, count: 40}";
    let ran = run(&scenario("v1", "subsets.yaml, canary.yaml", calls), 1);
    let hops: Vec<_> = edge(&ran.log, "service-node", "service-go").collect();
    assert_eq!(hops.len(), 40);
    assert!(hops.iter().all(|hop| hop.status == 200 && matches!(hop.tls, Some(Tls::Mutual { .. }))));
    let v1 = hops.iter().filter(|hop| hop.arm() == Some("v1")).count();
    assert!((10..=38).contains(&v1), "{v1} of 40 at 70 %");
    let place = hops[0].decision.route_from.as_ref().expect("the route's line");
    assert_eq!(&*place.file, "canary.yaml");
}

#[test]
fn a_missing_subset_is_a_503_that_names_its_cluster() {
    let calls = "{request: GET service-go/env, from: sleep, count: 10}";
    let ran = run(&scenario("v1", "canary.yaml", calls), 1);
    for hop in edge(&ran.log, "sleep", "service-go") {
        assert_eq!((hop.status, hop.has_flag("NC")), (503, true));
        let (subset, _) = hop.decision.subset_and_host().expect("a cluster");
        assert!(subset == "v1" || subset == "v2");
    }
    assert_eq!(ran.log.hops().count(), 10);
}

#[test]
fn manifests_bring_their_own_pods_and_services() {
    let mut own = scenario("v1", "own-account.yaml", "{request: GET service-go/env, from: sleep, count: 40}");
    own.app = None;
    let ran = run(&own, 1);
    let account = Some("spiffe://cluster.local/ns/default/sa/service-go".into());
    for hop in edge(&ran.log, "sleep", "service-go") {
        assert_eq!((hop.status, hop.arm()), (200, Some("v9")));
        assert!(matches!(&hop.tls, Some(Tls::Mutual { callee, .. }) if *callee == account), "{:?}", hop.tls);
    }
    let pods: BTreeSet<_> = ran.log.hops().filter_map(|hop| hop.endpoint.as_ref()?.pod).collect();
    assert_eq!(pods, BTreeSet::from([0, 1]));
}

#[test]
fn without_a_gateway_the_ingress_refuses() {
    let ran = run(&scenario("v1", "", "{request: GET ingress/env, count: 5}"), 1);
    assert_eq!(ran.log.calls().count(), 5);
    assert!(ran.log.calls().all(|call| call.failure == Some(wavetank::observe::Failure::Refused)));
}

#[test]
fn equal_seeds_give_equal_runs_and_other_seeds_do_not() {
    let canary = scenario("v1", "gateway.yaml, subsets.yaml, canary.yaml", THROUGH_INGRESS);
    let (first, second, other) = (run(&canary, 7), run(&canary, 7), run(&canary, 8));
    assert_eq!(first.log.first_difference(&second.log), None);
    assert_eq!(first.packets_hash, second.packets_hash);
    assert_ne!(first.log.decisions_hash(), other.log.decisions_hash());
    assert_ne!(first.packets_hash, other.packets_hash);
}

#[test]
fn a_caller_that_nobody_is_and_a_manifest_in_error_are_told() {
    let nobody = scenario("v1", "", "{request: GET service-go/env, from: service-rust, count: 1}");
    let Err(RunError::Manifests(found)) = tank::run(&nobody, 1) else { panic!("an error") };
    assert!(found[0].message.contains("`service-rust` is nobody here"), "{found:?}");
    let wrong = scenario("v1", "mysql.yaml", "{request: GET service-go/env, count: 1}");
    let Err(RunError::Manifests(found)) = tank::run(&wrong, 1) else { panic!("an error") };
    let told: Vec<_> = found.iter().map(|one| (one.code.to_string(), one.span.line)).collect();
    assert_eq!(told, [("MS0102".to_owned(), 13)]);
}

/// What httpbin is sent by a caller in the mesh, with what differs between requests left out.
fn headers_at_httpbin(compat: &str) -> String {
    let ran = run(&scenario(compat, "", "{request: GET httpbin:8000/headers, from: sleep, count: 1}"), 1);
    let call = ran.log.calls().next().expect("a call");
    let body = call.body.replace(&*call.request, "(the request's id)");
    match body.split_once("Hash=") {
        Some((before, after)) => format!("{before}Hash=(of the certificate){}", &after[64..]),
        None => body,
    }
}

#[test]
fn an_app_sees_what_the_sidecars_add_today() {
    insta::assert_snapshot!(headers_at_httpbin("v1"));
}

#[test]
fn an_app_sees_what_the_sidecars_add_in_the_book() {
    insta::assert_snapshot!(headers_at_httpbin("1.0"));
}
