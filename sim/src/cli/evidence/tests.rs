//! Evidence is counted from the log and nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use wavetank_control::config::SourceFile;
use wavetank_platform::Instant;
use wavetank_proxy::record::{Attempt, Direction, Leg, Protocol, Provenance, Record, TlsState};
use wavetank_proxy::snapshot::Snapshot;
use wavetank_proxy::snapshot::route::{Action, ClusterChoice, Forward, Route, RouteConfig, RouteMatch, VirtualHost};
use wavetank_reports::html::TlsCounts;
use wavetank_reports::{FaultResult, Place as Shown};

use super::*;
use crate::explain::Book;
use crate::fault::{Fault, FaultKind, FaultOutcome};
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
        target: crate::target::TargetKind::Tank,
        cast: Default::default(),
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

/// What the scenario's page shows of `outcome`.
fn of(outcome: &RunOutcome) -> Evidence {
    let scenario = parse(&SourceFile::new("lab/canary.yaml", SCENARIO), &Nothing).unwrap();
    of_run(&scenario, outcome, 1e-6, 200)
}

#[test]
fn lines_that_a_proxy_was_given_and_that_decided_nothing_are_named() {
    let from = |line| Some(Provenance { file: "canary.yaml".into(), line, column: 1 });
    let action = || Action::Forward(Box::new(Forward::to(ClusterChoice::Single("go".into()))));
    let route = |line| Route { provenance: from(line), ..Route::new(RouteMatch::prefix("/"), action()) };
    let mut host = VirtualHost::new("go", &["service-go"], vec![route(10), route(11)]);
    host.provenance = from(8);
    let config = RouteConfig::new("80", vec![host.into()]).unwrap();
    let snapshot = Snapshot { routes: BTreeMap::from([("80".into(), config.into())]), ..Snapshot::default() };
    let mut outcome = outcome();
    outcome.book.histories.insert("node".to_owned(), vec![(at(0), snapshot.into())]);
    let manifests = of(&outcome).manifests;
    assert_eq!((&manifests[0].decided[..], &manifests[0].never[..]), (&[(10, 40)][..], &[8, 11][..]));
}

#[test]
fn a_split_is_followed_to_the_counts_that_are_judged() {
    let line = evidence(200).timeline.splits;
    let [line] = line.as_slice() else { panic!("{line:?}") };
    let last = line.points.last().unwrap();
    let split = &evidence(200).splits[0];
    assert_eq!((last.n, last.count, last.accepted), (split.n, split.count, split.accepted));
    assert_eq!((line.points.len(), line.points[0].n, line.points[0].at_ms), (40, 1, 12));
    assert!(line.points.windows(2).all(|pair| pair[0].at_ms <= pair[1].at_ms && pair[0].count <= pair[1].count));
}

#[test]
fn latencies_over_time_are_those_of_the_requests_sent_then() {
    let line = evidence(200).timeline;
    // Forty requests in 400 ms: bins of 10 ms, so quantiles of four requests.
    assert_eq!((line.bin_ms, line.latencies.len()), (10.0, 11));
    assert_eq!(line.latencies[1].quantiles, [5.0, 7.0, 7.0]);
}

#[test]
fn what_came_long_before_the_traffic_is_counted_and_left_out() {
    let mut entries = outcome().log.entries().to_vec();
    entries.push(Observation::Push(Push {
        at: at(100),
        proxy: party("service-node"),
        kind: "lds".into(),
        version: "1".into(),
    }));
    let line = of(&RunOutcome { log: ObservationLog::new(at(1000), entries), ..outcome() }).timeline;
    assert_eq!((line.from_ms, line.earlier, line.proxies[0].pushes.len()), (-110.0, 1, 1));
}

fn fault(kind: FaultKind) -> FaultOutcome {
    let (name, on) = (kind.name().to_owned(), kind.on());
    let (at, asked_at) = (Duration::ZERO, Shown::new("canary.yaml", 1, 1));
    FaultOutcome {
        result: FaultResult { kind: name, on, from_ms: 0, to_ms: 100, touched: 1 },
        fault: Fault { asked_at, width: 1, at, duration: None, may_miss: false, kind },
    }
}

#[test]
fn faults_are_marked_where_requests_met_them() {
    let partition = |link: &str| fault(FaultKind::Partition(link.parse().unwrap()));
    let faults = vec![
        partition("service-go@v2 <-> service-node"),
        partition("service-node <-> control-plane"),
        fault(FaultKind::Kill("service-go@v1".parse().unwrap())),
        fault(FaultKind::Kill("elsewhere".parse().unwrap())),
    ];
    let found = of(&RunOutcome { faults, ..outcome() });
    let marked: Vec<_> = found.graph.iter().filter(|edge| !edge.faults.is_empty()).collect();
    let [edge] = marked.as_slice() else { panic!("{marked:?}") };
    assert_eq!(
        (edge.to.as_str(), &edge.faults[..]),
        ("service-go", &["partition service-go@v2 <-> service-node".to_owned()][..])
    );
    let nodes = [("service-go", "kill service-go@v1"), ("service-node", "partition service-node <-> control-plane")];
    let nodes = nodes.map(|(node, fault)| (node.to_owned(), vec![fault.to_owned()]));
    assert_eq!(found.faulted, nodes);
}

#[test]
fn a_hop_that_was_tried_again_shows_its_tries() {
    let outcome = outcome();
    let mut entries = outcome.log.entries().to_vec();
    for entry in &mut entries {
        if let Observation::Hop(hop) = entry {
            hop.attempts = if &*hop.request == "q7" && &*hop.destination.name == "service-go" { 2 } else { 1 };
        }
    }
    let try_of = |number: u32, start, status| Attempt {
        number,
        cluster: "go".into(),
        endpoint: Some(([10, 0, 0, 9], 80).into()),
        start: at(start),
        duration: Duration::from_millis(2),
        status,
        upstream: None,
        failure: status.is_none().then(|| "remote_connection_failure".into()),
        transport_failure: None,
        workload: None,
    };
    let leg = Leg { local: ([10, 0, 0, 8], 80).into(), remote: ([10, 0, 0, 8], 1).into(), tls: TlsState::Plaintext };
    let record = Record {
        node: "sidecar~10.0.0.8".into(),
        direction: Direction::Outbound,
        start: at(1072),
        duration: Duration::from_millis(7),
        protocol: Protocol::Http1,
        downstream: leg,
        original_dst: None,
        sni: None,
        method: "GET".into(),
        authority: "service-go".into(),
        path: "/env".into(),
        request_id: Some("q7".into()),
        user_agent: None,
        status: 503,
        grpc: None,
        flags: Vec::new(),
        details: "via_upstream".into(),
        bytes_received: 0,
        bytes_sent: 0,
        decision: wavetank_proxy::record::Decision::default(),
        attempts: vec![try_of(1, 1073, None), try_of(2, 1076, Some(503))],
    };
    let mut book = Book { records: vec![record], ..Book::default() };
    book.parties.insert([10, 0, 0, 9].into(), party("service-go"));
    let found = of(&RunOutcome { log: ObservationLog::new(at(1000), entries), book, ..outcome });
    let seventh = found.requests.iter().find(|request| request.number == 7).unwrap();
    let tries: Vec<_> = seventh.bars[2].tries.iter().map(|own| (own.label.as_str(), own.from_ms, own.failed)).collect();
    let wanted = [("try 1: service-go remote_connection_failure", 3.0, true), ("try 2: service-go 503", 6.0, true)];
    assert_eq!(tries, wanted);
    assert!(found.requests.iter().flat_map(|own| &own.bars).filter(|bar| !bar.tries.is_empty()).count() == 1);
}
