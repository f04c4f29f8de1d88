//! Mutated manifests: whatever is done to a text, it is read without a panic, findings lie in it, and what is taken
//! can be resolved.

use proptest::prelude::*;
use wavetank_control::config::SourceFile;
use wavetank_control::dialect::Dialect;
use wavetank_control::model::{ConfigStore, Mesh, MeshConfig};

const MANIFESTS: &str = "\
apiVersion: v1
kind: Service
metadata:
  name: service-go
spec:
  clusterIP: 10.96.0.7
  selector: {app: service-go}
  ports:
  - name: http
    port: 80
    targetPort: 8080
---
apiVersion: v1
kind: Pod
metadata:
  name: go-1
  labels: {app: service-go, version: v1}
spec:
  containers:
  - name: istio-proxy
status:
  podIP: 10.0.0.1
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: service-go
  labels: {kubernetes.io/service-name: service-go}
endpoints:
- addresses: [10.0.0.1]
  conditions: {ready: true}
ports:
- name: http
  port: 8080
---
apiVersion: networking.istio.io/v1alpha3
kind: Gateway
metadata:
  name: gw
spec:
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: [\"*\"]
---
apiVersion: networking.istio.io/v1alpha3
kind: DestinationRule
metadata:
  name: service-go
spec:
  host: service-go
  trafficPolicy:
    loadBalancer: {simple: RANDOM}
    connectionPool:
      tcp: {maxConnections: 10, connectTimeout: 30ms}
  subsets:
  - name: v1
    labels:
      version: v1
---
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata:
  name: service-go
spec:
  hosts: &hosts
  - service-go
  gateways: [gw, mesh]
  http:
  - match:
    - uri: {prefix: /env}
      headers:
        user-agent: {regex: '.*Firefox.*'}
    route:
    - destination: {host: service-go, subset: v1}
      weight: 70
    - destination: {host: service-go, subset: v2}
      weight: 30
    timeout: 3s
    retries: {attempts: 3, perTryTimeout: 500ms}
";

/// Pieces that mean something to YAML or to a decoder.
const PIECES: [&str; 26] = [
    ": ",
    "- ",
    "{",
    "}",
    "[",
    "]",
    "\n",
    "  ",
    "&a ",
    "*hosts",
    "<<: ",
    "|\n",
    "'",
    "\"",
    "#",
    "---\n",
    "!!int ",
    "null",
    "-1",
    "1e400",
    "99999999999999999999",
    "\t",
    "ä",
    "\u{feff}",
    "?",
    "0s",
];

#[derive(Clone, Debug)]
enum Change {
    Drop { at: usize, len: usize },
    Insert { at: usize, piece: usize },
    Repeat { line: usize },
    DropLine { line: usize },
    Swap { a: usize, b: usize },
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<usize>;
    prop_oneof![
        (at(), 1usize..12).prop_map(|(at, len)| Change::Drop { at, len }),
        (at(), 0..PIECES.len()).prop_map(|(at, piece)| Change::Insert { at, piece }),
        at().prop_map(|line| Change::Repeat { line }),
        at().prop_map(|line| Change::DropLine { line }),
        (at(), at()).prop_map(|(a, b)| Change::Swap { a, b }),
    ]
}

fn apply(text: &str, change: &Change) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut lines: Vec<&str> = text.lines().collect();
    if chars.is_empty() || lines.is_empty() {
        return text.to_owned();
    }
    let (count, length) = (lines.len(), chars.len());
    match change {
        Change::Drop { at, len } => {
            let from = at % length;
            chars.iter().take(from).chain(chars.iter().skip(from + len)).collect()
        }
        Change::Insert { at, piece } => {
            let from = at % length;
            let (before, after) = chars.split_at(from);
            before.iter().copied().chain(PIECES[*piece].chars()).chain(after.iter().copied()).collect()
        }
        Change::Repeat { line } => {
            lines.insert(line % count, lines[line % count]);
            lines.join("\n")
        }
        Change::DropLine { line } => {
            lines.remove(line % count);
            lines.join("\n")
        }
        Change::Swap { a, b } => {
            lines.swap(a % count, b % count);
            lines.join("\n")
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_manifests_are_read_without_panic(changes in prop::collection::vec(change(), 1..6), old in any::<bool>()) {
        let text = changes.iter().fold(MANIFESTS.to_owned(), |text, change| apply(&text, change));
        let dialect = if old { Dialect::V1_0 } else { Dialect::V1 };
        let mut store = ConfigStore::new(dialect);
        store.apply(&SourceFile::new("before.yaml", MANIFESTS));
        let applied = store.apply(&SourceFile::new("f.yaml", text.as_str()));
        let (_, together) = Mesh::resolve(&store.snapshot(), dialect, MeshConfig::default());
        let lines: Vec<usize> = text.split('\n').map(|line| line.chars().count()).collect();
        let ours = applied.diagnostics.iter().chain(&together).filter(|finding| &*finding.span.file == "f.yaml");
        for finding in ours {
            let span = &finding.span;
            let length = lines.get(span.line as usize - 1).copied();
            prop_assert!(length.is_some(), "{} lies behind the last line", finding);
            prop_assert!(span.column >= 1 && span.column as usize <= length.unwrap_or(0) + 1, "{}", finding);
            prop_assert!((span.line, span.column) <= (span.end_line, span.end_column), "{:?}", span);
            finding.render(|_| Some(text.as_str()));
        }
    }
}

#[test]
fn the_manifests_themselves_are_sound() {
    for dialect in Dialect::ALL {
        let mut store = ConfigStore::new(dialect);
        let applied = store.apply(&SourceFile::new("f.yaml", MANIFESTS));
        assert!(!applied.has_errors(), "{:?}", applied.diagnostics);
        assert_eq!(applied.changed.len(), 6);
    }
}
