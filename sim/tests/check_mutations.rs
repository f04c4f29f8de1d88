//! Mutated manifests and scenarios through `wavetank check`: whatever is done to a text, it is judged without a
//! panic, with code 0 or 3, and every place that is named lies in the text.
//!
//! 11,500 texts from a fixed seed: 7,500 manifests, 2,500 scenarios and 1,500 parts that a scenario includes, each
//! with one to four changes.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use wavetank::cli::args::{Command, Verb};
use wavetank::cli::check::check;
use wavetank::cli::surroundings::Surroundings;

const MANIFESTS: usize = 7_500;
const SCENARIOS: usize = 2_500;
const PARTS: usize = 1_500;

const MANIFEST: &str = "\
apiVersion: v1
kind: Service
metadata: {name: service-go}
spec:
  selector: {app: service-go}
  ports:
  - name: http
    port: 80
    targetPort: 8080
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata:
  name: front
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: [\"*.example.com\", shop.example.org]
---
apiVersion: networking.istio.io/v1alpha3
kind: DestinationRule
metadata:
  name: service-go
spec:
  host: service-go
  exportTo: [\"*\"]
  trafficPolicy:
    loadBalancer: {simple: RANDOM}
    portLevelSettings:
    - port: {number: 80}
      connectionPool:
        tcp: {maxConnections: 10, connectTimeout: 30ms}
  subsets: &subsets
  - name: v1
    labels: {version: v1}
  - name: v2
    labels: {version: v2}
---
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata:
  name: service-go
spec:
  hosts:
  - service-go
  - shop.example.com
  gateways: [front, mesh]
  http:
  # 注释：金丝雀
  - match:
    - uri: {prefix: /env}
      headers:
        user-agent: {regex: '.*Firefox.*'}
    - uri: {exact: /env/a}
    route:
    - destination: {host: service-go, subset: v1}
      weight: 70
    - destination: {host: service-go, subset: v2, port: {number: 80}}
      weight: 30
    timeout: 3s
    retries: {attempts: 3, perTryTimeout: 500ms, retryOn: 5xx}
  - route:
    - destination: {host: service-go}
";

const SCENARIO: &str = "\
scenario: mutated
compat: \"1.0\"
app: istio-lab
tags: [a, b]
config:
  - |
    apiVersion: networking.istio.io/v1alpha3
    kind: DestinationRule
    metadata: {name: service-go}
    spec:
      host: service-go
      subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
network:
  latency: {base: 1ms, jitter: 200us}
  loss: 1%
  bandwidth: 1Gbit/s
  links: [{link: service-node <-> service-go, latency: 5ms, jitter: 1ms, loss: 2%, bandwidth: 10Mbit/s}]
traffic:
  - name: browser
    request: GET ingress/env
    headers: {user-agent: Mozilla/5.0 Firefox/120}
    open: 100/s
    count: 2000
  - {name: writes, request: POST ingress/env, body: {size: 1KiB}, timeout: 2s, count: auto}
expect:
  - edge: service-node -> service-go
    split: {v1: 70, v2: 30}
    count: attempts
    detect: 9
    status: {200: all}
    tls: mtls
  - {edge: client -> ingress, between: [0s, 10s], latency: {p50: <10ms, p99: <40ms}}
  - never: {when: {body_has: '\"upstream\":[]'}}
  - never: {retry: {method: [POST, PUT]}}
routes:
  - {GET: [/users, /users/1], host: example.com, headers: {x-user-type: qa}, goes_to: nothing, status: 404}
false_failure: 1e-6
detect: 8
until: 1m
seed: 7
";

/// Pieces that mean something to YAML, to a decoder or to a rule.
const PIECES: [&str; 44] = [
    ": ",
    "- ",
    "{",
    "}",
    "[",
    "]",
    "\n",
    "  ",
    "&a ",
    "*subsets",
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
    "金",
    "\u{feff}",
    "?",
    "0s",
    "\r\n",
    "\u{0}",
    "service-goo",
    "service-go.default",
    "v3",
    "(?=a)",
    "a**",
    "*",
    "*.com",
    "fromt",
    "weight: 20\n",
    "port: {number: 81}\n",
    "match: []\n",
    "3",
    "5xx, reset",
    "->",
    "@v1#0",
    "%",
];

/// A stream of numbers that is the same everywhere (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound.max(1) as u64) as usize
    }

    /// An index between two characters.
    fn cut(&mut self, text: &str) -> usize {
        let mut at = self.below(text.len() + 1);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}

fn mutate(text: &str, numbers: &mut Numbers) -> String {
    let mut text = text.to_owned();
    for _ in 0..=numbers.below(4) {
        let (a, b) = (numbers.cut(&text), numbers.cut(&text));
        let (from, to) = (a.min(b), a.max(b));
        let lines: Vec<&str> = text.lines().collect();
        let line = numbers.below(lines.len());
        text = match numbers.below(8) {
            0 => format!("{}{}", &text[..from], &text[to..]),
            1 => format!("{}{}{}", &text[..to], &text[from..to], &text[to..]),
            2 | 3 => format!("{}{}{}", &text[..a], PIECES[numbers.below(PIECES.len())], &text[a..]),
            4 => {
                let word = text[a..].find(|c: char| !c.is_alphanumeric()).map_or(text.len(), |end| a + end);
                format!("{}{}{}", &text[..a], PIECES[numbers.below(PIECES.len())], &text[word..])
            }
            5 => lines.iter().enumerate().filter(|(at, _)| *at != line).map(|(_, line)| format!("{line}\n")).collect(),
            6 => {
                let twice =
                    |(at, own): (usize, &&str)| if at == line { format!("{own}\n{own}\n") } else { format!("{own}\n") };
                lines.iter().enumerate().map(twice).collect()
            }
            _ => {
                let indent =
                    |(at, own): (usize, &&str)| if at == line { format!(" {own}\n") } else { format!("{own}\n") };
                lines.iter().enumerate().map(indent).collect()
            }
        };
    }
    text
}

/// Judges a text and returns the code.
fn judged(file: &Path, text: &str, numbers: &mut Numbers) -> u8 {
    fs::write(file, text).unwrap();
    let json = numbers.below(2) == 0;
    let form = if json { "--json" } else { "--no-color" };
    let words = ["wavetank", "check", form, "--deny", "weak"].map(OsString::from).into_iter();
    let command = Command::try_parse_from(words.chain([file.as_os_str().to_owned()])).unwrap();
    let Verb::Check(args) = command.verb else { panic!("not a check") };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = check(&args, &Surroundings::default(), &mut out, &mut err).unwrap();
    assert!(matches!(code, 0 | 3), "{code}: {text}");
    if json {
        places_lie_in(text, file, &serde_json::from_slice(&out).unwrap());
    }
    code
}

fn places_lie_in(text: &str, file: &Path, report: &serde_json::Value) {
    let lengths: Vec<usize> = text.split('\n').map(|line| line.chars().count()).collect();
    for found in report["diagnostics"].as_array().unwrap() {
        if !file.ends_with(found["file"].as_str().unwrap()) && found["file"].as_str() != file.to_str() {
            continue;
        }
        let number = |key: &str| usize::try_from(found[key].as_u64().unwrap()).unwrap();
        let (line, column) = (number("line"), number("column"));
        let fits = (1..=lengths.len()).contains(&line) && (1..=lengths[line - 1] + 2).contains(&column);
        assert!(fits, "{found} is not in\n{text}");
    }
}

fn run(name: &str, text: &str, count: usize, seed: u64) {
    let folder: PathBuf = std::env::temp_dir().join(format!("wavetank-mutations-{}-{name}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (file, mut numbers) = (folder.join(name), Numbers(seed));
    assert_eq!(judged(&file, text, &mut numbers), 0, "{name} as it is");
    let refused = (0..count).filter(|_| judged(&file, &mutate(text, &mut numbers), &mut numbers) == 3).count();
    // Both outcomes are tried.
    assert!(refused > count / 2 && refused < count, "{refused} of {count}");
    let _ = fs::remove_file(&file);
    let _ = fs::remove_dir(&folder);
}

#[test]
fn mutated_manifests_are_judged() {
    run("manifest.yaml", MANIFEST, MANIFESTS, 1);
}

#[test]
fn mutated_scenarios_are_judged() {
    run("scenario.yaml", SCENARIO, SCENARIOS, 2);
}

#[test]
fn mutated_parts_of_a_scenario_are_judged() {
    let folder = std::env::temp_dir().join(format!("wavetank-mutations-{}-parts", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (scenario, part) = (folder.join("scenario.yaml"), folder.join("part.yaml"));
    fs::write(&scenario, "scenario: mutated\ninclude: [part.yaml, part.yaml]\nnever: {edge: '* -> a.b'}\n").unwrap();
    let whole = SCENARIO.replace("scenario: mutated\n", "");
    let mut numbers = Numbers(3);
    let judge = |text: &str| {
        fs::write(&part, text).unwrap();
        let words = ["wavetank", "check", "--json"].map(OsString::from).into_iter();
        let command = Command::try_parse_from(words.chain([scenario.as_os_str().to_owned()])).unwrap();
        let Verb::Check(args) = command.verb else { panic!("not a check") };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = check(&args, &Surroundings::default(), &mut out, &mut err).unwrap();
        assert!(matches!(code, 0 | 3), "{code}: {text}");
        places_lie_in(text, &part, &serde_json::from_slice(&out).unwrap());
        code
    };
    assert_eq!(judge(&whole), 0);
    let refused = (0..PARTS).filter(|_| judge(&mutate(&whole, &mut numbers)) == 3).count();
    assert!(refused > PARTS / 2 && refused < PARTS, "{refused} of {PARTS}");
    let _ = fs::remove_dir_all(&folder);
}
