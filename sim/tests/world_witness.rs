//! From records and calls to hops: which record decides an edge, and what the log says of it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use wavetank::observe::{Failure, Hop, Observation, ObservationLog};
use wavetank::target::witness::{Driven, in_order, witness};
use wavetank::traffic::{Load, Plan, Sent, Spacing};
use wavetank::world::cast::{Cast, Pod};
use wavetank::world::client::{Call, CallFailure, Reply, Target};
use wavetank_platform::Instant;
use wavetank_proxy::record::{Attempt, Decision, Direction, Leg, Protocol, Record, TlsState};

fn ms(ms: u64) -> Instant {
    Instant::from_start(Duration::from_millis(ms))
}

fn cast() -> Cast {
    Cast::mesh().with_istio_lab()
}

fn pod<'a>(cast: &'a Cast, name: &str) -> &'a Pod {
    cast.pods.iter().find(|pod| pod.name == name).expect("a pod of that name")
}

fn at(pod: &Pod, port: u16) -> SocketAddr {
    SocketAddr::new(pod.ip.into(), port)
}

fn peer(name: &str) -> TlsState {
    TlsState::Mutual { peer: name.into() }
}

/// A record of the proxy in `pod` for a request that came from `caller`.
fn record(pod: &Pod, direction: Direction, start: u64, caller: SocketAddr, tls: TlsState) -> Record {
    Record {
        node: format!("sidecar~{}~{}.{}~default.svc.cluster.local", pod.ip, pod.name, pod.namespace).into(),
        direction,
        start: ms(start),
        duration: Duration::from_millis(5),
        protocol: Protocol::Http1,
        downstream: Leg { local: at(pod, 15006), remote: caller, tls },
        original_dst: None,
        sni: None,
        method: "GET".into(),
        authority: "service-go".into(),
        path: "/env".into(),
        request_id: Some("r1".into()),
        user_agent: None,
        status: 200,
        grpc: None,
        flags: Vec::new(),
        details: "via_upstream".into(),
        bytes_received: 0,
        bytes_sent: 0,
        decision: Decision::default(),
        attempts: Vec::new(),
    }
}

fn attempt(local: SocketAddr, remote: SocketAddr, tls: TlsState) -> Attempt {
    Attempt {
        number: 1,
        cluster: "outbound|80|v1|service-go.default.svc.cluster.local".into(),
        endpoint: Some(remote),
        start: ms(0),
        duration: Duration::ZERO,
        status: Some(200),
        upstream: Some(Leg { local, remote, tls }),
        failure: None,
        transport_failure: None,
        workload: None,
    }
}

fn driven(host: &str, caller: IpAddr, sent: Vec<Sent>) -> Driven {
    let plan = Plan {
        name: "browser".to_owned(),
        call: Call::get(Target::new(host, "/env")),
        at: Duration::ZERO,
        load: Load::Open { rate: 1.0, spacing: Spacing::Even },
        count: Some(1),
        duration: None,
        timeout: Duration::from_secs(30),
    };
    Driven { plan: Arc::new(plan), callers: vec![(caller, "default".to_owned())], sent }
}

fn sent(local: Option<SocketAddr>, result: Result<u16, CallFailure>) -> Sent {
    let reply = |status| Reply {
        status: StatusCode::from_u16(status).expect("a status"),
        headers: HeaderMap::new(),
        body: Bytes::from("{}"),
    };
    let took = Duration::from_millis(9);
    Sent { number: 1, caller: 0, at: ms(1), took, local, result: result.map(reply) }
}

fn hops(log: Vec<Observation>) -> Vec<Hop> {
    ObservationLog::new(ms(0), log).hops().cloned().collect()
}

fn summary(hop: &Hop) -> String {
    let arm = hop.arm().unwrap_or("-");
    let traffic = hop.traffic.as_deref().unwrap_or("-");
    format!("{} -> {}@{arm} {} {:?} {traffic} {}", hop.source, hop.destination, hop.status, hop.tls, hop.request)
}

#[test]
fn two_proxies_records_of_one_request_make_one_hop_with_both_identities() {
    let cast = cast();
    let (node, go) = (pod(&cast, "service-node-v1-0"), pod(&cast, "service-go-v2-0"));
    let loopback = SocketAddr::new([127, 0, 0, 1].into(), 40000);
    let mut out = record(node, Direction::Outbound, 2, loopback, TlsState::Plaintext);
    out.attempts = vec![attempt(at(node, 50000), at(go, 80), peer("spiffe://go"))];
    let inbound = record(go, Direction::Inbound, 3, at(node, 50000), peer("spiffe://node"));
    let hops = hops(witness(&cast, &in_order(vec![inbound, out]), &[]));
    let expected = "service-node@v1#0 -> service-go@v2 200 \
        Some(Mutual { caller: Some(\"spiffe://node\"), callee: Some(\"spiffe://go\") }) - r1";
    assert_eq!(hops.iter().map(summary).collect::<Vec<_>>(), [expected]);
}

#[test]
fn a_caller_without_a_proxy_is_told_by_the_destinations_record() {
    let cast = cast();
    let go = pod(&cast, "service-go-v1-0");
    let (_, client) = cast.outside().next().expect("a client");
    let caller = SocketAddr::new(client.into(), 45000);
    let inbound = record(go, Direction::Inbound, 3, caller, TlsState::Plaintext);
    let driven = driven("service-go", client.into(), vec![sent(Some(caller), Ok(200))]);
    let hops = hops(witness(&cast, &in_order(vec![inbound]), &[driven]));
    let expected = ["client -> service-go@v1 200 Some(Plaintext) browser r1"];
    assert_eq!(hops.iter().map(summary).collect::<Vec<_>>(), expected);
    assert_eq!(hops[0].latency, Duration::from_millis(9), "as the caller saw it");
}

#[test]
fn a_gateways_record_makes_the_edge_into_it_and_the_edge_out_of_it() {
    let cast = cast();
    let (gateway, python) = (pod(&cast, "istio-ingressgateway-0"), pod(&cast, "service-python-v1-0"));
    let (_, client) = cast.outside().next().expect("a client");
    let caller = SocketAddr::new(client.into(), 45000);
    let mut through = record(gateway, Direction::Gateway, 2, caller, TlsState::Plaintext);
    through.authority = "ingress".into();
    through.decision.cluster = Some("outbound|80||service-python.default.svc.cluster.local".into());
    through.attempts = vec![attempt(at(gateway, 50000), at(python, 80), TlsState::Plaintext)];
    let calls = driven("ingress", client.into(), vec![sent(Some(caller), Ok(200))]);
    let all = hops(witness(&cast, &in_order(vec![through.clone()]), &[calls]));
    let expected = [
        "client -> ingress@- 200 Some(Plaintext) browser r1",
        "ingress -> service-python@v1 200 Some(Plaintext) browser r1",
    ];
    assert_eq!(all.iter().map(summary).collect::<Vec<_>>(), expected);

    through.decision.cluster = None;
    through.attempts.clear();
    through.status = 404;
    let calls = driven("ingress", client.into(), vec![sent(Some(caller), Ok(404))]);
    let all = hops(witness(&cast, &in_order(vec![through]), &[calls]));
    let expected = ["client -> ingress@- 404 Some(Plaintext) browser r1"];
    assert_eq!(all.iter().map(summary).collect::<Vec<_>>(), expected);
}

#[test]
fn a_refused_call_is_a_hop_of_the_callers_own_log() {
    let cast = cast();
    let (_, client) = cast.outside().next().expect("a client");
    let driven = driven("ingress", client.into(), vec![sent(None, Err(CallFailure::Refused))]);
    let hops = hops(witness(&cast, &in_order(Vec::new()), &[driven]));
    assert_eq!(hops.iter().map(summary).collect::<Vec<_>>(), ["client -> ingress@- 0 None browser browser#1"]);
    assert_eq!(hops[0].failure, Some(Failure::Refused));
}

#[test]
fn requests_on_one_kept_connection_are_matched_in_order() {
    let cast = cast();
    let go = pod(&cast, "service-go-v1-0");
    let (_, client) = cast.outside().next().expect("a client");
    let caller = SocketAddr::new(client.into(), 45000);
    let inbound = |start, request: &str| Record {
        request_id: Some(request.into()),
        ..record(go, Direction::Inbound, start, caller, TlsState::Plaintext)
    };
    let call = |number, start| Sent { number, at: ms(start), ..sent(Some(caller), Ok(200)) };
    let driven = driven("service-go", client.into(), vec![call(1, 10), call(2, 30)]);
    let log = witness(&cast, &in_order(vec![inbound(32, "second"), inbound(11, "first")]), &[driven]);
    let log = ObservationLog::new(ms(0), log);
    let requests: Vec<_> = log.calls().map(|call| call.request.to_string()).collect();
    assert_eq!(requests, ["first", "second"]);
}
