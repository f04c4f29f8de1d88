//! What the control plane takes from a person, the proxy takes from it: regular expressions, by one rewriting that
//! each compiles for itself, and hosts, headers and subsets that are written twice.

use std::collections::BTreeSet;

use envoy_types::pb::envoy::r#type::matcher::v3::RegexMatcher;
use proptest::prelude::*;
use wavetank_control::Dialect;
use wavetank_control::config::SourceFile;
use wavetank_control::generate::shape::any;
use wavetank_control::generate::{ProxyIdentity, ProxyKind, generate};
use wavetank_control::model::{ConfigStore, Mesh, MeshConfig};
use wavetank_proxy::xds::decode;

/// Whether the control plane takes an expression.
fn control_takes(text: &str) -> bool {
    let quoted = text.replace('\'', "''");
    let manifest = format!(
        "apiVersion: networking.istio.io/v1alpha3\nkind: VirtualService\nmetadata: {{name: a}}\nspec:\n  hosts: [a.com]\n  \
         http: [{{match: [{{uri: {{regex: '{quoted}'}}}}], route: [{{destination: {{host: a.com}}}}]}}]\n"
    );
    !ConfigStore::new(Dialect::V1).apply(&SourceFile::new("a.yaml", manifest)).has_errors()
}

fn proxy_takes(text: &str) -> bool {
    decode::matcher::regex(&RegexMatcher { regex: text.to_owned(), ..Default::default() }).is_ok()
}

#[test]
fn both_take_the_same_expressions() {
    for (text, taken) in [
        ("/users/{id}", true),
        (r"\Qa.b\E.*", true),
        ("[^[]*", true),
        ("a{,3}", true),
        ("[a-z&&b]", true),
        (r"\<a", true),
        ("(?<n>a)", true),
        ("a)|(b", false),
        ("(?!a)", false),
        ("[[:foo:]]", false),
        ("(?x)a b", false),
        (r"\u0041", false),
        ("a**", false),
        ("*", false),
        (r"\C", false),
    ] {
        assert_eq!((control_takes(text), proxy_takes(text)), (taken, taken), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_decide_alike_whatever_is_written(text in "[a-z(?!<=){},0-9*+|\\\\\\[\\]^:QEpx&-]{1,16}") {
        prop_assert_eq!(control_takes(&text), proxy_takes(&text), "{}", text);
    }
}

#[test]
fn what_is_written_twice_is_there_once() {
    let text = "\
apiVersion: v1
kind: Service
metadata: {name: go}
spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1alpha3
kind: DestinationRule
metadata: {name: go}
spec: {host: go, subsets: [{name: v1, labels: {version: v1}}, {name: v1, labels: {version: v2}}]}
---
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata: {name: go}
spec:
  hosts: [go, go.default.svc.cluster.local, a.com, A.com, '*foo.com']
  http:
  - match: [{headers: {X-A: {exact: a}, x-a: {prefix: ''}, x-b: {prefix: ''}}}]
    route: [{destination: {host: go, subset: v1}}]
";
    let mut store = ConfigStore::new(Dialect::V1_0);
    let applied = store.apply(&SourceFile::new("mesh.yaml", text));
    assert!(!applied.has_errors(), "{:?}", applied.diagnostics);
    let (mesh, _) = Mesh::resolve(&store.snapshot(), Dialect::V1_0, MeshConfig::default());
    let address = "10.0.0.1".parse().expect("an address");
    let proxy = ProxyIdentity::new(ProxyKind::Sidecar, address, "pod", "default", "cluster.local");
    let resources = generate(&mesh, &proxy);
    let mut clusters = BTreeSet::new();
    assert!(resources.clusters.iter().all(|cluster| clusters.insert(&cluster.name)), "{:?}", resources.clusters);
    assert!(!resources.routes.is_empty());
    for routes in &resources.routes {
        let mut domains = BTreeSet::new();
        let all = routes.virtual_hosts.iter().flat_map(|host| &host.domains);
        all.for_each(|domain| assert!(domains.insert(domain), "{domain} is there twice"));
        assert!(domains.contains(&"*foo.com".to_owned()), "{domains:?}");
        decode::route_config(&any(routes)).unwrap_or_else(|error| panic!("{error}"));
        let route = routes.virtual_hosts.iter().find_map(|host| host.routes.iter().find(|of| of.name.is_empty()));
        let headers = &route.and_then(|route| route.r#match.as_ref()).expect("a route").headers;
        let names: Vec<_> = headers.iter().map(|header| header.name.to_lowercase()).collect();
        assert_eq!(names, ["x-a", "x-a", "x-b"], "both spellings have to fit");
    }
}
