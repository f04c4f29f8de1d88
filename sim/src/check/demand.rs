//! A check as the scenario asks for it, parsed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use wavetank_reports::Place;

use super::amount::Amount;
use super::split::Unit;
use super::window::{After, StepScope};
use crate::observe::{Call, Edge, Ejection, Failure, Hop, ObservationLog, Selector, Tls};
use crate::routes::is_probe;

/// One thing the scenario expects.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// Where the scenario asks for it.
    pub asked_at: Place,
    /// Characters it takes there.
    pub width: usize,
    /// Which hops it is about.
    pub scope: Scope,
    /// What must hold of them.
    pub demand: Demand,
    /// A shift of shares by this many points is to be seen; a split that cannot is told to be weak.
    pub detect: f64,
}

/// Which part of the run a check is about.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scope {
    /// The edge; `None` is every edge.
    pub edge: Option<Edge>,
    /// Name of the traffic; `None` is all traffic.
    pub traffic: Option<Arc<str>>,
    /// From (included) and to (excluded), since the scenario's start.
    pub between: Option<(Duration, Duration)>,
    /// What must have happened before.
    pub after: Option<After>,
    /// The step it is about.
    pub step: Option<StepScope>,
}

impl Scope {
    /// The hops it is about, in order; none when its time did not come.
    pub fn hops<'a>(&'a self, log: &'a ObservationLog) -> impl Iterator<Item = &'a Hop> {
        let window = self.window(log).ok();
        log.hops().filter(move |hop| {
            self.edge.as_ref().is_none_or(|edge| edge.selects(hop))
                && self.is_traffic(hop.traffic.as_deref())
                && window.is_some_and(|window| window.holds(hop.at - log.start()))
        })
    }

    /// The clients' calls it is about; the edge is not asked.
    pub fn calls<'a>(&'a self, log: &'a ObservationLog) -> impl Iterator<Item = &'a Call> {
        let window = self.window(log).ok();
        log.calls().filter(move |call| {
            self.is_traffic(Some(&call.traffic)) && window.is_some_and(|window| window.holds(call.at - log.start()))
        })
    }

    /// What the proxies of the edge's callers did to endpoints, in order.
    pub fn ejections<'a>(&'a self, log: &'a ObservationLog) -> impl Iterator<Item = &'a Ejection> + Clone {
        let window = self.window(log).ok();
        log.ejections().filter(move |own| {
            self.edge.as_ref().is_none_or(|edge| edge.source.selects_party(&own.proxy))
                && window.is_some_and(|window| window.holds(own.at - log.start()))
        })
    }

    fn is_traffic(&self, name: Option<&str>) -> bool {
        match self.traffic.as_deref() {
            Some(own) => name == Some(own),
            // The requests of decision tables are judged by their own rows.
            None => !name.is_some_and(is_probe),
        }
    }
}

/// The edge, or `*`.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.edge {
            Some(edge) => edge.fmt(f),
            None => f.write_str("*"),
        }
    }
}

/// What must hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Demand {
    /// Decisions fall on versions in these shares; versions not named get none.
    Split(Vec<Arm>),
    /// As a split, and every attempt of a request is a decision.
    AttemptSplit(Vec<Arm>),
    /// So many hops end with such a status.
    Status(StatusClass, Amount),
    /// Every connection is secured like this.
    Tls(TlsMode),
    /// Every connection's caller proved this identity.
    Peer(Arc<str>),
    /// Every hop took so many tries.
    Attempts(Amount),
    /// Every hop reached one of these.
    Reaches(Vec<Selector>),
    /// So many hops carry this response flag.
    Flag(Arc<str>, Amount),
    /// Every hop failed like this, without a response.
    Connect(Failure),
    /// This quantile of the latencies is bounded.
    Latency(Quantile, Bound),
    /// The bodies that clients get are like this.
    Body(BodyMode, Arc<str>),
    /// So many requests at most, or at least, are on their way at the same time.
    InFlight(Amount),
    /// The proxies of these workloads have taken the newest configuration within this time.
    InSync(Selector, Duration),
    /// The steps are aborted in this one, within this time of its start.
    Aborted {
        /// Name of the step; `None` is any.
        step: Option<Arc<str>>,
        /// Time from the step's start; `None` is any.
        within: Option<Duration>,
    },
    /// An endpoint is taken out.
    Ejected(Ejected),
    /// Nothing like this happens.
    Never(Pattern),
}

/// How an endpoint is taken out.
#[derive(Debug, Clone, PartialEq)]
pub struct Ejected {
    /// Which; the first that is counts.
    pub endpoint: Selector,
    /// So soon; `None`: at any time.
    pub within: Option<Duration>,
    /// For so long at least.
    pub lasts: Option<Duration>,
}

/// How a body is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyMode {
    /// It is this text.
    Is,
    /// It has this text in it.
    Has,
    /// It has this text nowhere.
    Lacks,
}

impl fmt::Display for BodyMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Is => "is",
            Self::Has => "has",
            Self::Lacks => "lacks",
        })
    }
}

impl Demand {
    /// Its key in the scenario.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Split(_) | Self::AttemptSplit(_) => "split",
            Self::Status(..) => "status",
            Self::Tls(_) => "tls",
            Self::Peer(_) => "peer",
            Self::Attempts(_) => "attempts",
            Self::Reaches(_) => "reaches",
            Self::Flag(..) => "flags",
            Self::Connect(_) => "connect",
            Self::Latency(..) => "latency",
            Self::Body(..) => "body",
            Self::InFlight(_) => "in_flight",
            Self::InSync(..) => "in_sync",
            Self::Aborted { .. } => "aborted",
            Self::Ejected(_) => "ejected",
            Self::Never(_) => "never",
        }
    }
}

impl Demand {
    /// The shares it asks for, and what a decision is, where it is about shares of decisions.
    pub fn as_split(&self) -> Option<(&[Arm], Unit)> {
        match self {
            Self::Split(arms) => Some((arms, Unit::Request)),
            Self::AttemptSplit(arms) => Some((arms, Unit::Attempt)),
            _ => None,
        }
    }
}

/// The share of one version.
#[derive(Debug, Clone, PartialEq)]
pub struct Arm {
    /// Label `version` of its pods.
    pub version: Arc<str>,
    /// Percent of all decisions.
    pub percent: f64,
}

/// One status or a hundred of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusClass {
    /// This status.
    Code(u16),
    /// `2xx` is 2.
    Hundred(u16),
}

impl StatusClass {
    /// Whether `status` is of this class.
    pub fn has(self, status: u16) -> bool {
        match self {
            Self::Code(code) => status == code,
            Self::Hundred(hundred) => status / 100 == hundred,
        }
    }
}

impl fmt::Display for StatusClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "{code}"),
            Self::Hundred(hundred) => write!(f, "{hundred}xx"),
        }
    }
}

impl std::str::FromStr for StatusClass {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a status like 200 or 5xx");
        if let Some(hundred) = text.strip_suffix("xx") {
            let hundred = hundred.parse().ok().filter(|own| (1..=5).contains(own)).ok_or_else(wrong)?;
            return Ok(Self::Hundred(hundred));
        }
        text.parse().ok().filter(|code| (100..=599).contains(code)).map(Self::Code).ok_or_else(wrong)
    }
}

/// How a connection must be secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// Certificates on both sides.
    Mtls,
    /// No TLS.
    Plaintext,
    /// The server's certificate only.
    Simple,
}

impl TlsMode {
    /// Whether `tls` is of this mode.
    pub fn is(self, tls: &Tls) -> bool {
        self == Self::of(tls)
    }

    /// The mode of `tls`.
    pub fn of(tls: &Tls) -> Self {
        match tls {
            Tls::Mutual { .. } => Self::Mtls,
            Tls::Plaintext => Self::Plaintext,
            Tls::Simple => Self::Simple,
        }
    }
}

impl fmt::Display for TlsMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mtls => "mtls",
            Self::Plaintext => "plaintext",
            Self::Simple => "simple",
        })
    }
}

/// What must not happen; every part that is given must be there for a hop to count.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pattern {
    /// It ends with such a status.
    pub status: Option<StatusClass>,
    /// Its connection is secured like this.
    pub tls: Option<TlsMode>,
    /// It reaches such a pod.
    pub reaches: Option<Selector>,
    /// It carries this response flag.
    pub flag: Option<Arc<str>>,
    /// The body the client got holds this text.
    pub body_has: Option<Arc<str>>,
    /// A proxy takes such an endpoint out; stands alone.
    pub ejected: Option<Selector>,
    /// It was tried more than once.
    pub retry: Option<Retry>,
}

/// Which requests must not be tried more than once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retry {
    /// Every one.
    Any,
    /// Those with one of these methods.
    Methods(Vec<Arc<str>>),
}

impl Retry {
    /// Whether a request is one of them.
    pub fn is_about(&self, hop: &Hop) -> bool {
        let method = hop.target.split(' ').next().unwrap_or_default();
        match self {
            Self::Any => true,
            Self::Methods(methods) => methods.iter().any(|own| **own == *method),
        }
    }
}

/// `retried`, `POST, PUT retried`.
impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("retried"),
            Self::Methods(methods) => write!(f, "{} retried", methods.join(", ")),
        }
    }
}

/// A quantile of latencies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quantile {
    /// `p50`, `p99.9`: the smallest latency that so many percent do not exceed.
    Percentile(f64),
    /// The largest.
    Max,
}

impl fmt::Display for Quantile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percentile(percent) => write!(f, "p{percent}"),
            Self::Max => f.write_str("max"),
        }
    }
}

/// A bound on a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// Less than this.
    Below(Duration),
    /// More than this.
    Above(Duration),
}

impl Bound {
    /// Whether `duration` keeps it.
    pub fn accepts(self, duration: Duration) -> bool {
        match self {
            Self::Below(bound) => duration < bound,
            Self::Above(bound) => duration > bound,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Below(bound) => write!(f, "< {}", millis(*bound)),
            Self::Above(bound) => write!(f, "> {}", millis(*bound)),
        }
    }
}

/// A span of time as scenarios write it: `3s`, `1.25s`, `250ms`.
pub fn span(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        return millis(duration);
    }
    let text = format!("{:.3}", duration.as_secs_f64());
    format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A duration as milliseconds with at most one decimal: `6.1ms`, `40ms`.
pub fn millis(duration: Duration) -> String {
    let text = format!("{:.1}", duration.as_secs_f64() * 1000.0);
    format!("{}ms", text.strip_suffix(".0").unwrap_or(&text))
}
