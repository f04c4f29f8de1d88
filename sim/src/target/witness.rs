//! From what proxies and callers recorded to the observation log, by the rules that [`crate::observe`]
//! states: the source proxy's record decides a hop, else the destination's, else the caller's own log.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use wavetank_proxy::ejection::{self, EjectionAction};
use wavetank_proxy::record::{self, Direction, Leg, Protocol, Record, TlsState};

use super::who::Who;
use crate::observe::{Call, Decision, Ejection, EjectionChange, Failure, Hop, Observation, Party, Place, Service, Tls};
use crate::traffic::{Plan, Sent};
use crate::world::cast::{Cast, Pod, Role};
use crate::world::client::CallFailure;

/// Bytes of a reply's body that the log keeps.
const BODY_MAX: usize = 4096;

/// The requests of one plan.
#[derive(Debug)]
pub struct Driven {
    /// What was to be sent.
    pub plan: Arc<Plan>,
    /// Who sent it, by the number that [`Sent::caller`] gives: address and namespace.
    pub callers: Vec<(IpAddr, String)>,
    /// What became of it.
    pub sent: Vec<Sent>,
}

/// The hops and calls of a run, from `records` in the order that [`in_order`] gives.
pub fn witness(cast: &Cast, records: &[Record], driven: &[Driven]) -> Vec<Observation> {
    let mut witness = Witness {
        who: Who::new(cast),
        by_caller: BTreeMap::new(),
        dialled: dialled(records),
        proved: proved(records),
        calls: BTreeMap::new(),
        log: Vec::new(),
    };
    for (index, record) in records.iter().enumerate() {
        witness.by_caller.entry(witness.caller_end(record)).or_default().push_back(index);
    }
    for plan in driven {
        for sent in &plan.sent {
            witness.call(plan, sent, records);
        }
    }
    let calls = std::mem::take(&mut witness.calls);
    let traffic: BTreeMap<_, _> = calls.values().map(|call| (call.request.clone(), call.traffic.clone())).collect();
    for (index, record) in records.iter().enumerate() {
        witness.hop(record, calls.get(&index), &traffic);
    }
    witness.log
}

/// What outlier detection did, with who is who.
pub fn ejections(cast: &Cast, noted: &[ejection::Ejection]) -> Vec<Observation> {
    let who = Who::new(cast);
    let observation = |own: &ejection::Ejection| {
        let change = match own.action {
            EjectionAction::Eject { kind, enforced: true, .. } => EjectionChange::Ejected(kind.to_string().into()),
            EjectionAction::Eject { kind, .. } => EjectionChange::Reported(kind.to_string().into()),
            EjectionAction::Uneject => EjectionChange::Returned,
        };
        Some(Observation::Ejection(Ejection {
            at: own.at,
            proxy: who.party(who.pod_of_node(&own.node)?),
            destination: who.of_cluster(&own.cluster).unwrap_or_else(|| Service::host(own.cluster.clone())),
            cluster: own.cluster.clone(),
            endpoint: who.endpoint(own.endpoint),
            pod: who.pod_at(own.endpoint.ip()).map(|pod| who.party(pod)),
            change,
            ejections: own.ejections,
        }))
    };
    noted.iter().filter_map(observation).collect()
}

/// Records in the order of their starts; ties by node and connection.
pub fn in_order(mut records: Vec<Record>) -> Vec<Record> {
    records.sort_by(|a, b| (a.start, &a.node, a.downstream.remote).cmp(&(b.start, &b.node, b.downstream.remote)));
    records
}

/// A connection: the caller's end, and the address that accepted.
type Connection = (SocketAddr, IpAddr);

/// Connections that a proxy of ours opened.
fn dialled(records: &[Record]) -> BTreeSet<Connection> {
    let attempts = records.iter().flat_map(|record| &record.attempts);
    attempts.filter_map(|attempt| attempt.upstream.as_ref()).map(|leg| (leg.local, leg.remote.ip())).collect()
}

/// The names that callers proved, as their acceptors saw them.
fn proved(records: &[Record]) -> BTreeMap<Connection, Arc<str>> {
    let accepted = records.iter().map(|record| &record.downstream);
    accepted.filter_map(|leg| Some(((leg.remote, leg.local.ip()), peer(leg)?.clone()))).collect()
}

fn peer(leg: &Leg) -> Option<&Arc<str>> {
    match &leg.tls {
        TlsState::Mutual { peer } => Some(peer),
        TlsState::Plaintext | TlsState::Simple => None,
    }
}

struct Witness<'a> {
    who: Who<'a>,
    /// Records not yet told to be a call's, by the caller's end of the connection, in order of time.
    by_caller: BTreeMap<SocketAddr, VecDeque<usize>>,
    dialled: BTreeSet<Connection>,
    proved: BTreeMap<Connection, Arc<str>>,
    /// Calls by the record that the first proxy on their way made.
    calls: BTreeMap<usize, Call>,
    log: Vec<Observation>,
}

impl Witness<'_> {
    /// The caller's end of a record's connection. Within a pod it is the pod's address, whichever of its
    /// addresses the sidecar saw.
    fn caller_end(&self, record: &Record) -> SocketAddr {
        match self.who.pod_of_node(&record.node) {
            Some(pod) if side(record, pod) == Direction::Outbound => {
                SocketAddr::new(pod.ip.into(), record.downstream.remote.port())
            }
            _ => record.downstream.remote,
        }
    }

    /// Logs a call, and its hop where no proxy saw it.
    fn call(&mut self, driven: &Driven, sent: &Sent, records: &[Record]) {
        let Some((ip, namespace)) = driven.callers.get(sent.caller) else { return };
        let plan = &driven.plan;
        let index = sent.local.and_then(|local| self.take_record(SocketAddr::new(*ip, local.port()), sent, records));
        let request = index.and_then(|index| records[index].request_id.clone());
        let (status, body) = match &sent.result {
            Ok(reply) => (reply.status.as_u16(), text(&reply.body)),
            Err(_) => (0, "".into()),
        };
        let call = Call {
            at: sent.at,
            traffic: plan.name.as_str().into(),
            request: request.unwrap_or_else(|| format!("{}#{}", plan.name, sent.number).into()),
            source: self.who.party_at(*ip),
            destination: self.who.asked(&plan.call.target.host, None, namespace),
            target: format!("{} {}", plan.call.method, plan.call.target.path).into(),
            status,
            failure: sent.result.as_ref().err().map(failure),
            body,
            latency: sent.took,
        };
        match index {
            Some(index) => {
                self.calls.insert(index, call.clone());
            }
            None => self.log.push(Observation::Hop(hop_of_call(&call))),
        }
        self.log.push(Observation::Call(call));
    }

    /// The record of the request that was sent on this connection: the first that began while the call ran.
    fn take_record(&mut self, caller: SocketAddr, sent: &Sent, records: &[Record]) -> Option<usize> {
        let waiting = self.by_caller.get_mut(&caller)?;
        let end = sent.at + sent.took;
        let at = waiting.iter().position(|index| (sent.at..=end).contains(&records[*index].start))?;
        waiting.remove(at)
    }

    /// Logs the hops that this record decides.
    fn hop(&mut self, record: &Record, call: Option<&Call>, traffic: &BTreeMap<Arc<str>, Arc<str>>) {
        let Some(pod) = self.who.pod_of_node(&record.node) else { return };
        let request = record.request_id.clone().or_else(|| call.map(|call| call.request.clone()));
        let traffic = request.as_ref().and_then(|request| traffic.get(request)).cloned();
        let request = request.unwrap_or_else(|| "-".into());
        let mut hops = Vec::new();
        let from_proxy = self.dialled.contains(&(record.downstream.remote, pod.ip.into()));
        let direction = side(record, pod);
        let enters = direction != Direction::Outbound;
        if enters && !from_proxy {
            hops.push(self.entering(record, pod, call));
        }
        if direction != Direction::Inbound {
            hops.extend(self.leaving(record, pod, call));
        }
        for hop in hops {
            self.log.push(Observation::Hop(Hop { request: request.clone(), traffic: traffic.clone(), ..hop }));
        }
    }

    /// The hop that ends at `pod`, of a caller without a proxy: told by the destination's record, timed by
    /// the caller where it kept a log.
    fn entering(&self, record: &Record, pod: &Pod, call: Option<&Call>) -> Hop {
        let caller = record.downstream.remote.ip();
        let namespace = self.who.pod_at(caller).map_or("", |pod| &pod.namespace);
        let destination = match pod.role {
            Role::Gateway => Service::host("ingress"),
            _ => self.who.asked_of(&record.authority, pod, namespace),
        };
        let port = record.original_dst.map_or(record.downstream.local.port(), |dst| dst.port());
        let endpoint = self.who.endpoint(SocketAddr::new(pod.ip.into(), port));
        let tls = match &record.downstream.tls {
            TlsState::Mutual { peer } => Tls::Mutual { caller: Some(peer.clone()), callee: None },
            TlsState::Plaintext => Tls::Plaintext,
            TlsState::Simple => Tls::Simple,
        };
        Hop {
            at: call.map_or(record.start, |call| call.at),
            source: self.who.party_at(caller),
            destination,
            first_endpoint: Some(endpoint.clone()),
            tried: vec![Some(endpoint.clone())],
            endpoint: Some(endpoint),
            status: call.map_or(record.status, |call| call.status),
            failure: call.map_or(reset_without_status(record), |call| call.failure),
            tls: Some(tls),
            attempts: 1,
            latency: call.map_or(record.duration, |call| call.latency),
            ..common(record)
        }
    }

    /// The hop that begins at `pod`, told by its own proxy. A gateway that found no route called nobody. What
    /// status came back through a TCP proxy, only the caller knows.
    fn leaving(&self, record: &Record, pod: &Pod, call: Option<&Call>) -> Option<Hop> {
        let of_cluster = || self.who.of_cluster(record.decision.cluster.as_deref()?);
        let destination = match side(record, pod) {
            Direction::Gateway => of_cluster()?,
            _ => self.who.asked(&record.authority, record.original_dst, &pod.namespace),
        };
        let endpoint_of = |address: SocketAddr| self.who.endpoint(address);
        let answer = call.filter(|_| record.protocol == Protocol::Tcp);
        Some(Hop {
            source: self.who.party(pod),
            destination,
            first_endpoint: record.attempts.iter().find_map(|attempt| attempt.endpoint).map(endpoint_of),
            tried: record.attempts.iter().map(|attempt| attempt.endpoint.map(endpoint_of)).collect(),
            endpoint: record.endpoint().map(endpoint_of),
            status: answer.map_or(record.status, |call| call.status),
            failure: answer.map_or_else(|| no_answer(record, call), |call| call.failure),
            tls: record.upstream().map(|leg| self.tls_towards(leg)),
            attempts: u32::try_from(record.attempts.len()).unwrap_or(u32::MAX),
            latency: record.duration,
            ..common(record)
        })
    }

    fn tls_towards(&self, leg: &Leg) -> Tls {
        match &leg.tls {
            TlsState::Mutual { peer } => {
                let caller = self.proved.get(&(leg.local, leg.remote.ip())).cloned();
                Tls::Mutual { caller, callee: Some(peer.clone()) }
            }
            TlsState::Plaintext => Tls::Plaintext,
            TlsState::Simple => Tls::Simple,
        }
    }
}

/// Which side of its pod a record is of. Istio calls a gateway's listeners outbound; nothing behind a
/// gateway was captured, though.
fn side(record: &Record, pod: &Pod) -> Direction {
    if pod.role == Role::Gateway { Direction::Gateway } else { record.direction }
}

/// What every hop takes from its record as it stands; the rest is filled in by the caller.
fn common(record: &Record) -> Hop {
    let target = match record.protocol {
        Protocol::Tcp => "TCP".into(),
        Protocol::Http1 | Protocol::Http2 => format!("{} {}", record.method, record.path).into(),
    };
    Hop {
        at: record.start,
        traffic: None,
        request: "".into(),
        source: Party::named(""),
        destination: Service::host(""),
        target,
        first_endpoint: None,
        tried: Vec::new(),
        endpoint: None,
        status: record.status,
        failure: None,
        flags: record.flags.iter().map(|flag| flag.to_string().into()).collect(),
        details: record.details.clone(),
        tls: None,
        attempts: 0,
        latency: Duration::ZERO,
        decision: decision(&record.decision),
    }
}

/// An HTTP caller that was sent no status saw its connection end.
fn reset_without_status(record: &Record) -> Option<Failure> {
    (record.status == 0 && record.protocol != Protocol::Tcp).then_some(Failure::Reset)
}

/// Why a caller got no status from its proxy; one that gave up itself says so.
fn no_answer(record: &Record, call: Option<&Call>) -> Option<Failure> {
    let reset = reset_without_status(record)?;
    Some(call.and_then(|call| call.failure).unwrap_or(reset))
}

/// The hop of a call that no proxy saw.
fn hop_of_call(call: &Call) -> Hop {
    Hop {
        at: call.at,
        traffic: Some(call.traffic.clone()),
        request: call.request.clone(),
        source: call.source.clone(),
        destination: call.destination.clone(),
        target: call.target.clone(),
        first_endpoint: None,
        tried: vec![None],
        endpoint: None,
        status: call.status,
        failure: call.failure,
        flags: Vec::new(),
        details: "".into(),
        tls: (call.status != 0).then_some(Tls::Plaintext),
        attempts: 1,
        latency: call.latency,
        decision: Decision::default(),
    }
}

fn decision(decision: &record::Decision) -> Decision {
    let place = |from: &Option<record::Provenance>| {
        from.as_ref().map(|from| Place { file: from.file.clone(), line: from.line, column: from.column })
    };
    Decision {
        listener: decision.listener.clone(),
        virtual_host: decision.virtual_host.clone(),
        virtual_host_from: place(&decision.virtual_host_from),
        route: decision.route.clone(),
        route_from: place(&decision.route_from),
        arm_from: place(&decision.arm_from),
        cluster: decision.cluster.clone(),
        cluster_from: place(&decision.cluster_from),
    }
}

fn failure(failure: &CallFailure) -> Failure {
    match failure {
        CallFailure::Dns => Failure::Unresolved,
        CallFailure::Refused => Failure::Refused,
        CallFailure::Reset => Failure::Reset,
        CallFailure::Timeout => Failure::Timeout,
        CallFailure::Unreachable | CallFailure::Protocol => Failure::Other,
    }
}

/// A body as text, cut at a character.
fn text(body: &[u8]) -> Arc<str> {
    let text = String::from_utf8_lossy(body);
    let mut end = text.len().min(BODY_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].into()
}
