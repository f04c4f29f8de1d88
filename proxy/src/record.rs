//! The record of a decision: what a proxy did with one request or connection, and which line of whose
//! YAML file decided.
//!
//! Access logs, metrics, `explain`, coverage, checks and reports all read this one type. A [`Record`] is
//! complete when it is handed to the [`Recorder`]: once for each HTTP request or TCP connection, when its
//! last byte is done with. TLS peers and endpoints come from the TLS session and the socket, never from
//! configuration.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wavetank_platform::Instant;

use crate::ejection::Ejection;

/// Receives records, on the way of requests: implementations wait for nothing but files.
pub trait Recorder: Send + Sync {
    /// Takes one complete record.
    fn record(&self, record: &Record);

    /// Takes what outlier detection did.
    fn ejection(&self, ejection: Ejection);

    /// Lets `write` append a line to the access log at `path`. A host that keeps no access logs has no lines made.
    fn access_log(&self, path: &Arc<str>, write: &mut dyn FnMut(&mut Vec<u8>)) {
        let _ = (path, write);
    }
}

/// Nobody who receives takes nothing.
impl<R: Recorder> Recorder for Option<R> {
    fn record(&self, record: &Record) {
        if let Some(recorder) = self {
            recorder.record(record);
        }
    }

    fn ejection(&self, ejection: Ejection) {
        if let Some(recorder) = self {
            recorder.ejection(ejection);
        }
    }

    fn access_log(&self, path: &Arc<str>, write: &mut dyn FnMut(&mut Vec<u8>)) {
        if let Some(recorder) = self {
            recorder.access_log(path, write);
        }
    }
}

impl<R: Recorder + ?Sized> Recorder for Arc<R> {
    fn record(&self, record: &Record) {
        (**self).record(record);
    }

    fn ejection(&self, ejection: Ejection) {
        (**self).ejection(ejection);
    }

    fn access_log(&self, path: &Arc<str>, write: &mut dyn FnMut(&mut Vec<u8>)) {
        (**self).access_log(path, write);
    }
}

/// Where a rule was written; from xDS metadata `filter_metadata["wavetank"]` (`file`, `line`, `column`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Provenance {
    /// Path as the user gave it.
    pub file: Arc<str>,
    /// Line, counted from 1.
    pub line: u32,
    /// Column in characters, counted from 1.
    pub column: u32,
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Which side of a workload a connection was captured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The workload's own call, captured on its way out.
    Outbound,
    /// A call to the workload, captured on its way in.
    Inbound,
    /// A call from outside, at a gateway.
    Gateway,
}

/// What the bytes of a record were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Protocol {
    /// HTTP/1.0 or HTTP/1.1.
    #[serde(rename = "HTTP/1.1")]
    Http1,
    /// HTTP/2.
    #[serde(rename = "HTTP/2")]
    Http2,
    /// Anything else over TCP.
    #[serde(rename = "TCP")]
    Tcp,
}

/// How a connection was secured, read from its TLS session.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "lowercase")]
pub enum TlsState {
    /// No TLS.
    Plaintext,
    /// TLS, and the peer showed a verified certificate.
    Mutual {
        /// The URI SAN of the peer's certificate, e.g. `spiffe://cluster.local/ns/default/sa/default`.
        peer: Arc<str>,
    },
    /// TLS, without a certificate from the peer (as seen by a server).
    Simple,
}

/// One connection a record is about: the caller's, or one to an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    /// Our end.
    pub local: SocketAddr,
    /// Their end.
    pub remote: SocketAddr,
    /// How it was secured.
    pub tls: TlsState,
}

/// Envoy's response flags; the short form is what access logs print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Flag {
    /// No healthy upstream host.
    UH,
    /// Upstream connection failure.
    UF,
    /// Upstream overflow: a circuit breaker refused.
    UO,
    /// No route (or no filter chain) matched.
    NR,
    /// Upstream retry limit exceeded.
    URX,
    /// No cluster of that name.
    NC,
    /// Upstream request timeout.
    UT,
    /// Upstream connection termination.
    UC,
    /// Upstream protocol error.
    UPE,
    /// Upstream remote reset (HTTP/2).
    UR,
    /// Local reset.
    LR,
    /// Downstream connection termination.
    DC,
    /// Downstream protocol error.
    DPE,
    /// Downstream remote reset (HTTP/2).
    DR,
    /// Stream idle timeout.
    SI,
    /// Delay injected.
    DI,
    /// Fault injected.
    FI,
    /// Rate limited.
    RL,
    /// Unauthorized by an external service.
    UAEX,
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One try at an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Counted from 1.
    pub number: u32,
    /// Cluster tried.
    pub cluster: Arc<str>,
    /// Endpoint picked; `None` when there was none to pick, or a breaker refused first.
    pub endpoint: Option<SocketAddr>,
    /// When the attempt began.
    #[serde(with = "nanos")]
    pub start: Instant,
    /// From its start to its response head or its failure.
    pub duration: Duration,
    /// Status of the upstream's response head; `None` when none came.
    pub status: Option<u16>,
    /// The connection used; `None` when none was opened.
    pub upstream: Option<Leg>,
    /// Whose endpoint it is, as its metadata says ([`crate::snapshot::Endpoint::workload`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<Arc<str>>,
    /// Why no response came, as Envoy's reset reason (`remote_connection_failure`, …); `None` on a response.
    pub failure: Option<Arc<str>>,
    /// Transport detail of the failure (`delayed_connect_error:_Connection_refused`), if any.
    pub transport_failure: Option<Arc<str>>,
}

/// How a gRPC call ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grpc {
    /// `grpc-status` of the response's head or trailers; `None` when it had none, or no number.
    pub status: Option<u16>,
}

/// The rules a request met, in the order it met them. A `None` was not reached or not matched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Listener name.
    pub listener: Option<Arc<str>>,
    /// Filter chain name.
    pub filter_chain: Option<Arc<str>>,
    /// Route configuration name.
    pub route_config: Option<Arc<str>>,
    /// Virtual host name.
    pub virtual_host: Option<Arc<str>>,
    /// Line that brought the virtual host.
    pub virtual_host_from: Option<Provenance>,
    /// Route name (`%ROUTE_NAME%`).
    pub route: Option<Arc<str>>,
    /// Position of the route in its virtual host, counted from 0.
    pub route_index: Option<u32>,
    /// Line that brought the route.
    pub route_from: Option<Provenance>,
    /// Line of the weight that chose the cluster; `None` where the route gives none.
    pub arm_from: Option<Provenance>,
    /// Cluster chosen by the route, even if it does not exist.
    pub cluster: Option<Arc<str>>,
    /// Line that brought the cluster (a DestinationRule or its subset, or a Service).
    pub cluster_from: Option<Provenance>,
    /// Version of the configuration snapshot that was used, counted up by this proxy at every change.
    pub config_version: u64,
}

/// One HTTP request or one TCP connection through a proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Node id of the proxy.
    pub node: Arc<str>,
    /// Side of the workload.
    pub direction: Direction,
    /// When the first byte of the request (or the connection) came.
    #[serde(with = "nanos")]
    pub start: Instant,
    /// Until the last byte was done with.
    pub duration: Duration,
    /// Downstream protocol.
    pub protocol: Protocol,
    /// The caller's connection.
    pub downstream: Leg,
    /// Destination asked for before capture.
    pub original_dst: Option<SocketAddr>,
    /// SNI the caller sent.
    pub sni: Option<Arc<str>>,
    /// Method; empty for TCP.
    pub method: Arc<str>,
    /// `:authority` or Host; empty for TCP.
    pub authority: Arc<str>,
    /// Path with query as received; empty for TCP.
    pub path: Arc<str>,
    /// `x-request-id` as sent upstream.
    pub request_id: Option<Arc<str>>,
    /// User agent.
    pub user_agent: Option<Arc<str>>,
    /// Status sent downstream; 0 when none was.
    pub status: u16,
    /// Of a gRPC request: how it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc: Option<Grpc>,
    /// Response flags, in the order they were set.
    pub flags: Vec<Flag>,
    /// Envoy's response code details (`via_upstream`, `route_not_found`, …).
    pub details: Arc<str>,
    /// Body bytes received from the caller.
    pub bytes_received: u64,
    /// Body bytes sent to the caller.
    pub bytes_sent: u64,
    /// What decided.
    pub decision: Decision,
    /// Tries, in order; empty when none was made.
    pub attempts: Vec<Attempt>,
}

impl Attempt {
    /// Whether it has neither a response nor a failure yet.
    pub fn is_under_way(&self) -> bool {
        self.status.is_none() && self.failure.is_none()
    }
}

impl Record {
    /// The endpoint that answered, or the last one tried.
    pub fn endpoint(&self) -> Option<SocketAddr> {
        self.attempts.iter().rev().find_map(|attempt| attempt.endpoint)
    }

    /// Whose endpoint the last try with a connection was at.
    pub fn workload(&self) -> Option<&str> {
        self.attempts.iter().rev().find(|attempt| attempt.upstream.is_some())?.workload.as_deref()
    }

    /// The upstream connection of the last try that had one.
    pub fn upstream(&self) -> Option<&Leg> {
        self.attempts.iter().rev().find_map(|attempt| attempt.upstream.as_ref())
    }
}

/// A moment as whole nanoseconds since the host's start.
pub(crate) mod nanos {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};
    use wavetank_platform::Instant;

    pub(crate) fn serialize<S: Serializer>(moment: &Instant, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(moment.since_start().as_nanos()).unwrap_or(u64::MAX))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Instant, D::Error> {
        Ok(Instant::from_start(Duration::from_nanos(u64::deserialize(deserializer)?)))
    }
}
