//! Evidence is counted from the log and nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use wavetank_control::config::SourceFile;
use wavetank_platform::Instant;
use wavetank_reports::html::TlsCounts;

use super::*;
use crate::explain::Book;
use crate::observe::{Ack, Call, Decision, Endpoint, Mark, Observation, ObservationLog, Place, Push, Tls};
use crate::scenario::{Manifests, parse};

const SCENARIO: &str = "scenario: a canary
config:
  - |
    apiVersion: networking.istio.io/v1
    kind: VirtualService
    metadata: {name: go}
    spec:
      hosts: [service-go]
      http:
        - route: [{destination: {host: service-go}}]
traffic: 40 GET ingress/env
expect:
  - {edge: service-node -> service-go, split: {v1: 70, v2: 30}}
";

struct Nothing;

impl Manifests for Nothing {
    fn read(&self, path: &str) -> Result<Vec<SourceFile>, String> {
        Err(format!("no {path}"))
    }
}

fn at(ms: u64) -> Instant {
    Instant::from_start(Duration::from_millis(ms))
}

fn party(name: &str) -> Party {
    Party { namespace: "default".into(), ..Party::named(name) }
}

fn hop(number: u64, start: u64, from: Party, to: Service, version: Option<&str>) -> Hop {
    let is_go = &*to.name == "service-go";
    let place = Place { file: "canary.yaml".into(), line: 10, column: 7 };
    let endpoint = Endpoint {
        workload: to.name.clone(),
        version: version.map(Into::into),
        pod: Some(0),
        address: ([10, 0, 0, 9], 80).into(),
    };
    Hop {
        at: at(start),
        traffic: Some("traffic/1".into()),
        request: format!("q{number}").into(),
        source: from,
        destination: to,
        target: "GET /env".into(),
        first_endpoint: Some(endpoint.clone()),
        tried: vec![Some(endpoint.clone())],
        endpoint: Some(endpoint),
        status: if number == 7 { 503 } else { 200 },
        failure: None,
        flags: Vec::new(),
        details: "via_upstream".into(),
        tls: Some(if is_go { Tls::Mutual { caller: None, callee: None } } else { Tls::Plaintext }),
        attempts: 1,
        latency: Duration::from_millis(number),
        decision: Decision { route_from: is_go.then_some(place), ..Decision::default() },
    }
}

/// Forty requests from the client over ingress and service-node to service-go, the seventh failing.
fn outcome() -> RunOutcome {
    let mut entries = vec![
        Observation::Mark(at(1000), Mark::Step("one".into())),
        Observation::Push(Push { at: at(900), proxy: party("service-node"), kind: "cds".into(), version: "1".into() }),
        Observation::Ack(Ack {
            at: at(950),
            proxy: party("service-node"),
            kind: "cds".into(),
            version: "1".into(),
            refused: None,
        }),
    ];
    for number in 1..=40 {
        let start = 1000 + number * 10;
        let version = if number % 10 < 7 { "v1" } else { "v2" };
        let service = |name: &str| Service::new(name, "default");
        entries.push(Observation::Hop(hop(number, start, Party::client(), Service::host("ingress"), None)));
        entries.push(Observation::Hop(hop(number, start + 1, Party::ingress(), service("service-node"), None)));
        entries.push(Observation::Hop(hop(
            number,
            start + 2,
            party("service-node"),
            service("service-go"),
            Some(version),
        )));
        entries.push(Observation::Call(Call {
            at: at(start),
            traffic: "traffic/1".into(),
            request: format!("q{number}").into(),
            source: Party::client(),
            destination: Service::host("ingress"),
            target: "GET /env".into(),
            status: if number == 7 { 503 } else { 200 },
            failure: None,
            body: "".into(),
            latency: Duration::from_millis(number),
        }));
    }
    RunOutcome {
        log: ObservationLog::new(at(1000), entries),
        packets_hash: "ab".repeat(32),
        simulated: Duration::from_secs(3),
        diagnostics: Vec::new(),
        faults: Vec::new(),
        world_files: BTreeMap::new(),
        book: Book::default(),
    }
}

fn evidence(requests_max: usize) -> Evidence {
    let scenario = parse(&SourceFile::new("lab/canary.yaml", SCENARIO), &Nothing).unwrap();
    of_run(&scenario, &outcome(), 1e-6, requests_max)
}

#[test]
fn edges_count_requests_failures_versions_and_tls() {
    let found = evidence(200);
    let go = found.graph.iter().find(|edge| edge.to == "service-go").unwrap();
    assert_eq!((go.from.as_str(), go.requests, go.errors), ("service-node", 40, 1));
    assert_eq!(go.tls, TlsCounts { mutual: 40, ..TlsCounts::default() });
    assert_eq!(go.arms, [("v1".to_owned(), 28), ("v2".to_owned(), 12)]);
    let client = found.latencies.iter().find(|own| own.edge == "client → ingress").unwrap();
    assert_eq!(client.quantiles, [20.0, 36.0, 40.0, 40.0, 40.0]);
    assert_eq!(client.curve.last(), Some(&(40.0, 1.0)));
}

#[test]
fn the_timeline_begins_before_the_traffic_and_counts_every_request() {
    let line = evidence(200).timeline;
    assert_eq!((line.from_ms, line.to_ms), (-100.0, 440.0));
    assert_eq!(line.rates.iter().map(|bin| bin.fine).sum::<u64>(), 39);
    assert_eq!(line.rates.iter().map(|bin| bin.failed).sum::<u64>(), 1);
    assert_eq!((line.bands[0].label.as_str(), line.bands[0].to_ms), ("step one", 440.0));
    assert_eq!((&line.proxies[0].pushes[..], &line.proxies[0].acks[..]), (&[-100.0][..], &[-50.0][..]));
}

#[test]
fn a_split_shows_what_it_is_judged_by() {
    let splits = evidence(200).splits;
    let [split] = splits.as_slice() else { panic!("{splits:?}") };
    assert_eq!((split.arm.as_str(), split.n, split.count), ("v1", 40, 28));
    assert!(split.accepted.0 < 28 && split.accepted.1 > 28);
    let sum: f64 = split.curve.iter().map(|point| point.1).sum();
    assert!((sum - 1.0).abs() < 1e-6, "{sum}");
}

#[test]
fn requests_are_the_failed_the_slowest_and_one_of_each_way() {
    let found = evidence(200);
    assert_eq!(found.requests_total, 40);
    let failed = found.requests.iter().find(|request| request.failed).unwrap();
    assert_eq!((failed.number, failed.answer.as_str(), failed.why.as_str()), (7, "503", "failed, 1 of this way"));
    let ways = found.requests.iter().filter(|request| request.why.contains("of this way")).count();
    assert_eq!(ways, 3, "v1, v2, and the one that failed");
    assert_eq!(found.requests.iter().filter(|request| request.why.contains("slow")).count(), 20);
    let depths: Vec<usize> = failed.bars.iter().map(|bar| bar.depth).collect();
    assert_eq!(depths, [0, 1, 2]);
    assert_eq!(failed.bars[2].decided.as_deref(), Some("lab/canary.yaml:10"));
    for most in [1, 4, 12] {
        assert!(evidence(most).requests.len() <= most, "{most}");
    }
}

#[test]
fn lines_that_decided_are_counted_where_they_stand() {
    let manifests = evidence(200).manifests;
    assert_eq!((manifests[0].file.as_str(), &manifests[0].decided[..]), ("lab/canary.yaml", &[(10, 40)][..]));
    assert_eq!(manifests[0].text, SCENARIO);
}
