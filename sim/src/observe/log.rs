//! The ordered log, its canonical text and its hash.
//!
//! Equal runs have equal logs, line by line; the decisions hash is SHA-256 over those lines. A place is
//! written with its file's name alone, so that the hash does not depend on where the tool was started.

use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use wavetank_platform::Instant;

use super::ejection::Ejection;
use super::hop::{Failure, Hop, Place, Tls};
use super::party::{Party, Service, write_choice};
use crate::routes::is_probe;

/// What a client saw of one request it sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// When it was sent.
    pub at: Instant,
    /// Name of its traffic.
    pub traffic: Arc<str>,
    /// Its `x-request-id`: the key of its hops.
    pub request: Arc<str>,
    /// Who sent it.
    pub source: Party,
    /// What it asked for.
    pub destination: Service,
    /// Method and path, for people.
    pub target: Arc<str>,
    /// Status; 0 when no response came.
    pub status: u16,
    /// Why none came.
    pub failure: Option<Failure>,
    /// Body of the response as text, cut to what the target keeps.
    pub body: Arc<str>,
    /// From the request to the last byte of its response.
    pub latency: Duration,
}

/// The control plane sent configuration to a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// When.
    pub at: Instant,
    /// To whom.
    pub proxy: Party,
    /// Kind of resource: `cds`, `eds`, `lds`, `rds`, `sds`.
    pub kind: Arc<str>,
    /// Version or nonce.
    pub version: Arc<str>,
}

/// A proxy answered a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// When.
    pub at: Instant,
    /// Who answered.
    pub proxy: Party,
    /// Kind of resource.
    pub kind: Arc<str>,
    /// Version or nonce it answered.
    pub version: Arc<str>,
    /// Why it refused; `None` when it accepted.
    pub refused: Option<Arc<str>>,
}

/// Something that happened to the run as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// A step began.
    Step(Arc<str>),
    /// Every proxy has taken the configuration of this step.
    Converged(Arc<str>),
    /// The steps were aborted in this one.
    Aborted(Arc<str>),
}

/// A proxy took the newest configuration, or fell behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sync {
    /// When it was seen.
    pub at: Instant,
    /// Whose proxy.
    pub proxy: Party,
    /// Whether it has the newest.
    pub in_sync: bool,
}

/// One entry of the log.
#[expect(clippy::large_enum_variant, reason = "most entries are hops, so boxing them would save nothing")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// Configuration was sent.
    Push(Push),
    /// Configuration was accepted or refused.
    Ack(Ack),
    /// A client's request, from its own side.
    Call(Call),
    /// A request on one edge.
    Hop(Hop),
    /// A step, or its end.
    Mark(Instant, Mark),
    /// A proxy's configuration is the newest, or is not.
    Sync(Sync),
    /// A proxy took an endpoint out, or let it back.
    Ejection(Ejection),
}

impl Observation {
    /// When it happened.
    pub fn at(&self) -> Instant {
        match self {
            Self::Push(push) => push.at,
            Self::Ack(ack) => ack.at,
            Self::Call(call) => call.at,
            Self::Hop(hop) => hop.at,
            Self::Mark(at, _) => *at,
            Self::Sync(sync) => sync.at,
            Self::Ejection(ejection) => ejection.at,
        }
    }
}

/// Everything that happened in a run, in the order of virtual time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObservationLog {
    start: Instant,
    entries: Vec<Observation>,
    /// When it ends; `None` is with the run.
    end: Option<Instant>,
}

impl ObservationLog {
    /// The log of `entries`, ordered by time and, at equal times, by their canonical text. `start` is when
    /// the mesh had converged and traffic began: what scenarios count their times from.
    pub fn new(start: Instant, entries: Vec<Observation>) -> Self {
        let mut entries = entries;
        entries.sort_by(|a, b| a.at().cmp(&b.at()).then_with(|| a.to_string().cmp(&b.to_string())));
        Self { start, entries, end: None }
    }

    /// When the scenario's own time begins.
    pub fn start(&self) -> Instant {
        self.start
    }

    /// Ends it at `end`: what has not ended by then is dropped, but for the requests of decision tables.
    pub fn end_at(&mut self, end: Instant) {
        self.entries.retain(|entry| match entry {
            Observation::Call(call) => call.at + call.latency <= end || is_probe(&call.traffic),
            Observation::Hop(hop) => hop.at + hop.latency <= end || hop.traffic.as_deref().is_some_and(is_probe),
            other => other.at() < end,
        });
        self.end = Some(end);
    }

    /// When it was ended, since the scenario's start; `None` when it was not.
    pub fn end(&self) -> Option<Duration> {
        self.end.map(|end| end - self.start)
    }

    /// All entries in order.
    pub fn entries(&self) -> &[Observation] {
        &self.entries
    }

    /// The hops in order.
    pub fn hops(&self) -> impl Iterator<Item = &Hop> {
        self.entries.iter().filter_map(|entry| match entry {
            Observation::Hop(hop) => Some(hop),
            _ => None,
        })
    }

    /// The clients' calls in order.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.entries.iter().filter_map(|entry| match entry {
            Observation::Call(call) => Some(call),
            _ => None,
        })
    }

    /// What happened to the run as a whole, in order, with the time since the scenario's start.
    pub fn marks(&self) -> impl Iterator<Item = (Duration, &Mark)> {
        self.entries.iter().filter_map(|entry| match entry {
            Observation::Mark(at, mark) => Some((*at - self.start, mark)),
            _ => None,
        })
    }

    /// How the proxies' configurations stood to the newest, in order.
    pub fn syncs(&self) -> impl Iterator<Item = &Sync> {
        self.entries.iter().filter_map(|entry| match entry {
            Observation::Sync(sync) => Some(sync),
            _ => None,
        })
    }

    /// What outlier detection did, in order.
    pub fn ejections(&self) -> impl Iterator<Item = &Ejection> + Clone {
        self.entries.iter().filter_map(|entry| match entry {
            Observation::Ejection(ejection) => Some(ejection),
            _ => None,
        })
    }

    /// SHA-256 over every entry's line, in lower-case hex.
    pub fn decisions_hash(&self) -> String {
        let mut hash = Sha256::new();
        let mut line = format!("start {}\n", Seconds(self.start.since_start()));
        for entry in &self.entries {
            hash.update(line.as_bytes());
            line.clear();
            // Writing to a string cannot fail.
            let _ = writeln!(line, "{entry}");
        }
        hash.update(line.as_bytes());
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The first line in which two logs differ: its number from 1, and each log's line where it has one.
    pub fn first_difference(&self, other: &Self) -> Option<(usize, Option<String>, Option<String>)> {
        let longest = self.entries.len().max(other.entries.len());
        (0..longest).find_map(|at| {
            let (ours, theirs) = (self.entries.get(at), other.entries.get(at));
            let text = |entry: Option<&Observation>| entry.map(Observation::to_string);
            let (ours, theirs) = (text(ours), text(theirs));
            (ours != theirs).then_some((at + 1, ours, theirs))
        })
    }
}

/// The entry's canonical line. The decisions hash is made of it: a change here changes every pinned hash.
impl fmt::Display for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", Seconds(self.at().since_start()))?;
        match self {
            Self::Push(push) => write!(f, "push {} {} {}", push.proxy, push.kind, push.version),
            Self::Ack(ack) => {
                let answer = ack.refused.as_deref().map_or("ack".into(), |why| format!("nack {why:?}"));
                write!(f, "{answer} {} {} {}", ack.proxy, ack.kind, ack.version)
            }
            Self::Call(call) => write_call(f, call),
            Self::Hop(hop) => write_hop(f, hop),
            Self::Mark(_, Mark::Step(step)) => write!(f, "step {step:?}"),
            Self::Mark(_, Mark::Converged(step)) => write!(f, "converged {step:?}"),
            Self::Mark(_, Mark::Aborted(step)) => write!(f, "aborted {step:?}"),
            Self::Sync(sync) => write!(f, "{} {}", if sync.in_sync { "in-sync" } else { "behind" }, sync.proxy),
            Self::Ejection(own) => {
                let Ejection { proxy, change, cluster, endpoint, ejections, .. } = own;
                write!(f, "{change} {proxy} {cluster} {} {} {ejections}", endpoint.workload, endpoint.address)
            }
        }
    }
}

fn write_call(f: &mut fmt::Formatter<'_>, call: &Call) -> fmt::Result {
    write!(f, "call {} {} {} -> {} {:?}", call.request, call.traffic, call.source, call.destination, call.target)?;
    write!(f, " {} {} in {} {:?}", call.status, Dash(call.failure), Seconds(call.latency), call.body)
}

fn write_hop(f: &mut fmt::Formatter<'_>, hop: &Hop) -> fmt::Result {
    let traffic = hop.traffic.as_deref();
    write!(f, "hop {} {} {} -> {}", hop.request, Dash(traffic), hop.source, hop.destination)?;
    if let Some(first) = &hop.first_endpoint {
        write_choice(f, first.version.as_deref(), first.pod)?;
    }
    match &hop.endpoint {
        Some(endpoint) => write!(f, " {} {}", endpoint.workload, endpoint.address)?,
        None => f.write_str(" - -")?,
    }
    write!(f, " {:?} {} {} [{}] {}", hop.target, hop.status, Dash(hop.failure), hop.flags.join(","), hop.details)?;
    match &hop.tls {
        None => f.write_str(" -")?,
        Some(Tls::Plaintext) => f.write_str(" plaintext")?,
        Some(Tls::Simple) => f.write_str(" simple")?,
        Some(Tls::Mutual { caller, callee }) => {
            write!(f, " mtls({},{})", Dash(caller.as_deref()), Dash(callee.as_deref()))?;
        }
    }
    write!(f, " attempts={} in {}", hop.attempts, Seconds(hop.latency))?;
    let decision = &hop.decision;
    for (name, from) in [
        (&decision.listener, &None),
        (&decision.virtual_host, &decision.virtual_host_from),
        (&decision.route, &decision.route_from),
        (&decision.cluster, &decision.cluster_from),
    ] {
        write!(f, " {}", Dash(name.as_deref()))?;
        if let Some(place) = from {
            write!(f, "({})", BareName(place))?;
        }
    }
    if let Some(place) = &decision.arm_from {
        write!(f, " weight({})", BareName(place))?;
    }
    Ok(())
}

/// A duration as seconds with nine decimals.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.0.as_secs(), self.0.subsec_nanos())
    }
}

/// A value, or `-`.
struct Dash<T>(Option<T>);

impl<T: fmt::Display> fmt::Display for Dash<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("-"),
        }
    }
}

/// A place without its folders.
struct BareName<'a>(&'a Place);

impl fmt::Display for BareName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = &*self.0.file;
        let name = file.bytes().rposition(|byte| byte == b'/').map_or(file, |slash| &file[slash + 1..]);
        write!(f, "{name}:{}:{}", self.0.line, self.0.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(at: u64, version: &str) -> Observation {
        let at = Instant::from_start(Duration::from_millis(at));
        Observation::Push(Push { at, proxy: Party::ingress(), kind: "cds".into(), version: version.into() })
    }

    fn call(latency: u64) -> Observation {
        Observation::Call(Call {
            at: Instant::from_start(Duration::from_micros(1_500_250)),
            traffic: "browser".into(),
            request: "r1".into(),
            source: Party::client(),
            destination: Service::host("ingress"),
            target: "GET /env".into(),
            status: 200,
            failure: None,
            body: "{\"message\":\"go v1\"}".into(),
            latency: Duration::from_millis(latency),
        })
    }

    #[test]
    fn a_line_says_everything_in_one_line() {
        insta::assert_snapshot!(
            call(6),
            @r#"1.500250000 call r1 browser client -> ingress "GET /env" 200 - in 0.006000000 "{\"message\":\"go v1\"}""#
        );
    }

    #[test]
    fn the_order_of_arrival_does_not_matter() {
        let one = ObservationLog::new(Instant::START, vec![call(6), push(2, "b"), push(2, "a")]);
        let other = ObservationLog::new(Instant::START, vec![push(2, "a"), call(6), push(2, "b")]);
        assert_eq!(one, other);
        assert_eq!(one.decisions_hash(), other.decisions_hash());
        assert_eq!(one.first_difference(&other), None);
    }

    #[test]
    fn one_nanosecond_makes_another_hash_and_is_found() {
        let one = ObservationLog::new(Instant::START, vec![push(1, "a"), call(6)]);
        let other = ObservationLog::new(Instant::START, vec![push(1, "a"), call(7)]);
        assert_ne!(one.decisions_hash(), other.decisions_hash());
        let (line, ours, theirs) = one.first_difference(&other).unwrap();
        assert_eq!((line, ours.is_some(), theirs.is_some()), (2, true, true));
    }

    #[test]
    fn the_hash_of_the_empty_log_never_changes() {
        let hash = ObservationLog::default().decisions_hash();
        assert_eq!(&hash[..16], "741bd00dbb9cfac6");
    }
}
