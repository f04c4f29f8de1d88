//! The text of findings, as goldens: what a person reads when a manifest is wrong.

use wavetank_control::config::SourceFile;
use wavetank_control::dialect::Dialect;
use wavetank_control::model::{ConfigStore, Mesh, MeshConfig};

/// Every finding about a text, as shown; and how many objects were taken.
fn shown(dialect: Dialect, text: &str) -> String {
    let mut store = ConfigStore::new(dialect);
    let applied = store.apply(&SourceFile::new("mesh.yaml", text));
    let (_, together) = Mesh::resolve(&store.snapshot(), dialect, MeshConfig::default());
    let mut out = String::new();
    for finding in applied.diagnostics.iter().chain(&together) {
        out.push_str(&finding.render(|name| (name == "mesh.yaml").then_some(text)));
        out.push('\n');
    }
    out + &format!("{} objects in force\n", store.objects().len())
}

#[test]
fn misspelt_unknown_and_unsupported_fields() {
    insta::assert_snapshot!(shown(
        Dialect::V1,
        "\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: service-go
  lables: {app: go}
spec:
  hosts: [service-go]
  gateway: [mesh]
  http:
  - match:
    - uri: {perfix: /env}
      headers: {x-user: {exact: a, prefix: b}}
      method: {}
    rout:
    - destination: {host: service-go}
    fault: {abort: {httpStatus: 500}}
    timeout: 5
  - route:
    - destination: {subset: v1, port: {number: 70000}}
      weight: heavy
    retries: {attempts: many, perTryTimeout: 1.5us, backoff: -1s}
  tcp: []
"
    ));
}

#[test]
fn kinds_and_api_versions() {
    insta::assert_snapshot!(shown(
        Dialect::V1,
        "\
apiVersion: networking.istio.io/v1
kind: VirtualServise
metadata: {name: a}
---
apiVersion: networking.istio.io/v1alpha3
kind: ServiceEntry
metadata: {name: a}
---
apiVersion: networking.istio.io/v2
kind: VirtualService
metadata: {name: a}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: a}
---
apiVersion: apps/v1
kind: Service
metadata: {name: a}
---
kind: Service
metadata: {name: a}
---
- just
- a list
---
apiVersion: v1
kind: Namespace
metadata: {name: fine}
"
    ));
}

#[test]
fn yaml_that_is_broken() {
    insta::assert_snapshot!(shown(
        Dialect::V1,
        "\
apiVersion: v1
kind: Namespace
metadata: {name: a}
kind: Namespace
---
apiVersion: v1
kind: Namespace
metadata: {name: fine}
---
apiVersion: v1
kind: [Namespace
metadata: {name: b}
"
    ));
}

#[test]
fn values_of_the_wrong_type() {
    insta::assert_snapshot!(shown(
        Dialect::V1,
        "\
apiVersion: v1
kind: Service
metadata:
  name: Service_Go
  labels: {version: 1.10, canary: yes, track: on}
spec:
  clusterIP: 10.0.0
  type: ExternalName
  ports:
  - {name: http, port: 80}
  - {name: http, port: 80}
  - {port: 0, protocol: ICMP}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: service-go}
spec:
  host: 'http://service-go'
  trafficPolicy:
    loadBalancer: {simple: FASTEST}
    tls: {mode: SIMPLE, sni: a}
    connectionPool: {tcp: {maxConnections: -1, connectTimeout: 0s}}
    proxyProtocol: {version: V2}
  subsets: {name: v1}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  servers:
  - {port: {number: 443, name: https, protocol: HTTPS}, hosts: ['*'], tls: {mode: SIMPLE}}
  - {port: {number: 80, name: http, protocol: HTPP}}
"
    ));
}

#[test]
fn meaning_of_one_virtual_service() {
    insta::assert_snapshot!(shown(
        Dialect::V1_0,
        "\
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata: {name: a}
spec:
  hosts: ['*', 'bad host', service-go, Service-Go]
  http:
  - match:
    - {uri: {regex: '(unclosed'}}
    - {uri: {prefix: ''}}
    route:
    - {destination: {host: service-go, subset: v1}, weight: 70}
    - {destination: {host: '*.go', subset: v2}, weight: 20}
    retries: {attempts: 0}
  - match: [{uri: {prefix: /}}]
    route: []
  - route: [{destination: {host: service-go}, weight: 50}]
"
    ));
}

#[test]
fn references_to_nothing() {
    insta::assert_snapshot!(shown(
        Dialect::V1,
        "\
apiVersion: v1
kind: Service
metadata: {name: service-go}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: istio-lab-gateway}
spec:
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]
---
apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata: {name: service-go}
spec:
  host: service-go
  subsets: [{name: v1}, {name: v2}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: first}
spec:
  hosts: [service-go]
  gateways: [istio-lab-gatway, mesh]
  http:
  - match: [{headers: {x: {regex: '*'}, '@request.auth.claims.sub': {exact: a}}}]
    route: [{destination: {host: service-go}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: second}
spec:
  hosts: [service-go, service-go.default]
  gateways: [istio-lab-gatway, mesh]
  http:
  - route:
    - {destination: {host: service-go, subset: v3}, weight: 1}
    - {destination: {host: service-og}, weight: 2}
  - route: [{destination: {host: service-go.default}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: third}
spec:
  hosts: [service-go]
  http: [{route: [{destination: {host: service-go}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: third}
spec:
  hosts: [other]
  http: [{route: [{destination: {host: service-go}}]}]
"
    ));
}

#[test]
fn fields_of_the_other_dialect() {
    let text = "\
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata: {name: a}
spec:
  hosts: [a]
  http:
  - match: [{queryParams: {x: {exact: b}}}]
    route: [{destination: {host: a}}]
    retries: {attempts: 2, retryOn: 5xx}
    websocketUpgrade: true
";
    insta::assert_snapshot!(format!("--- 1.0\n{}\n--- v1\n{}", shown(Dialect::V1_0, text), shown(Dialect::V1, text)));
}
