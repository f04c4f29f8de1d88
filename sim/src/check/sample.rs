//! Hops for the tests of this room.

use std::time::Duration;

use wavetank_platform::Instant;

use crate::observe::{Call, Decision, Endpoint, Hop, Observation, ObservationLog, Party, Place, Service, Tls};

/// A place in a manifest.
pub(super) fn place(line: u32) -> Place {
    Place { file: "canary.yaml".into(), line, column: if line < 22 { 5 } else { 11 } }
}

/// One good hop from service-node to service-go, over mutual TLS, that `version` answered.
pub(super) fn hop(version: &str) -> Hop {
    let identity = |account: &str| Some(format!("spiffe://cluster.local/ns/default/sa/{account}").into());
    let endpoint = Endpoint {
        workload: format!("service-go-{version}").into(),
        version: Some(version.into()),
        pod: Some(0),
        address: ([10, 0, 4, 2], 80).into(),
    };
    Hop {
        at: Instant::from_start(Duration::from_secs(1)),
        traffic: Some("browser".into()),
        request: "r1".into(),
        source: Party { namespace: "default".into(), ..Party::named("service-node") },
        destination: Service::new("service-go", "default"),
        target: "GET /env".into(),
        first_endpoint: Some(endpoint.clone()),
        tried: vec![Some(endpoint.clone())],
        endpoint: Some(endpoint),
        status: 200,
        failure: None,
        flags: Vec::new(),
        details: "via_upstream".into(),
        tls: Some(Tls::Mutual { caller: identity("service-node"), callee: identity("service-go") }),
        attempts: 1,
        latency: Duration::from_millis(4),
        decision: Decision {
            listener: Some("0.0.0.0_80".into()),
            virtual_host: Some("service-go.default.svc.cluster.local:80".into()),
            virtual_host_from: Some(place(2)),
            route: None,
            route_from: Some(place(21)),
            arm_from: Some(place(if version == "v1" { 24 } else { 27 })),
            cluster: Some(format!("outbound|80|{version}|service-go.default.svc.cluster.local").into()),
            cluster_from: Some(place(40)),
        },
    }
}

/// A hop that found its cluster missing.
pub(super) fn lost(subset: &str) -> Hop {
    Hop {
        first_endpoint: None,
        tried: vec![None],
        endpoint: None,
        status: 503,
        flags: vec!["NC".into()],
        details: "cluster_not_found".into(),
        tls: None,
        attempts: 0,
        decision: Decision { cluster_from: None, ..hop(subset).decision },
        ..hop(subset)
    }
}

/// So many hops to each version; an empty version chose no pod.
pub(super) fn hops_to(counts: &[(&str, u64)]) -> Vec<Hop> {
    let one = |version: &str| if version.is_empty() { lost("v1") } else { hop(version) };
    counts.iter().flat_map(|(version, count)| (0..*count).map(move |_| one(version))).collect()
}

/// A log of these hops.
pub(super) fn log(hops: Vec<Hop>) -> ObservationLog {
    ObservationLog::new(Instant::START, hops.into_iter().map(Observation::Hop).collect())
}

/// A log of these hops and of so many calls that got `body`.
pub(super) fn with_calls(count: u64, body: &str, hops: Vec<Hop>) -> ObservationLog {
    let call = |number: u64| Call {
        at: Instant::from_start(Duration::from_millis(number)),
        traffic: "browser".into(),
        request: format!("r{number}").into(),
        source: Party::client(),
        destination: Service::host("ingress"),
        target: "GET /env".into(),
        status: 200,
        failure: None,
        body: body.into(),
        latency: Duration::from_millis(6),
    };
    let calls = (1..=count).map(call).map(Observation::Call);
    ObservationLog::new(Instant::START, calls.chain(hops.into_iter().map(Observation::Hop)).collect())
}
