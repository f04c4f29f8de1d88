//! What the access logs of one request, or of one connection, gather while it is under way, and the lines they write
//! when it has ended.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use wavetank_platform::{Clock, Instant, UnixTime};

use super::capture::Captured;
use super::entry::{Entry, Kind, Wire};
use super::log::AccessLogs;
use crate::http::headers::HeaderList;
use crate::listener::accepted::Facts;
use crate::record::{Attempt, Flag, Record, Recorder};
use crate::route::RequestHead;
use crate::snapshot::Cluster;
use crate::snapshot::listener::HttpManager;
use crate::upstream::connect::Link;

/// What one request's logs gather.
pub(crate) struct Logging {
    manager: Arc<HttpManager>,
    facts: Arc<Facts>,
    heads: Captured,
    client: Option<SocketAddr>,
    cluster: Option<Arc<Cluster>>,
    tries: Vec<Try>,
    /// The request was not read to its end.
    pub(crate) unread: bool,
    /// The response did not go out to its end.
    pub(crate) broken: bool,
}

/// What is gathered of one attempt.
#[derive(Debug, Default)]
pub(crate) struct Try {
    heads: Captured,
    link: Option<Arc<Link>>,
    http2: bool,
}

impl Try {
    /// The connection that the attempt goes out on.
    pub(crate) fn note_link(&mut self, link: &Arc<Link>, http2: bool) {
        (self.link, self.http2) = (Some(link.clone()), http2);
    }

    fn wire(&self) -> Wire<'_> {
        self.link.as_ref().map_or(Wire::NONE, |link| Wire { id: link.id, session: link.session.as_ref() })
    }

    fn protocol(&self) -> Option<&'static str> {
        self.link.as_ref().map(|_| if self.http2 { "HTTP/2" } else { "HTTP/1.1" })
    }
}

impl Logging {
    /// For a request of this connection; `None`: nothing is logged of it.
    pub(crate) fn of(manager: &Arc<HttpManager>, facts: &Arc<Facts>) -> Option<Box<Self>> {
        if manager.access_logs.is_empty() && manager.upstream_logs.is_empty() {
            return None;
        }
        Some(Box::new(Self {
            manager: manager.clone(),
            facts: facts.clone(),
            heads: Captured::default(),
            client: None,
            cluster: None,
            tries: Vec::new(),
            unread: false,
            broken: false,
        }))
    }

    /// Keeps what is wanted of the request's head; `prepared`: it had what routing needs.
    pub(crate) fn request(&mut self, head: &RequestHead<'_>, prepared: bool) {
        self.heads.request(self.manager.access_logs.wanted(), head, prepared);
    }

    /// Keeps what is wanted of the response's head as the caller gets it.
    pub(crate) fn response(&mut self, status: StatusCode, headers: &HeaderMap) {
        self.heads.response(self.manager.access_logs.wanted(), status, |name| headers.get(name));
    }

    /// Keeps what is wanted of the response's trailers.
    pub(crate) fn trailers(&mut self, trailers: &HeaderMap) {
        self.heads.trailers(self.manager.access_logs.wanted(), trailers);
        if let Some(last) = self.tries.last_mut() {
            last.heads.trailers(self.manager.upstream_logs.wanted(), trailers);
        }
    }

    /// A header names this client.
    pub(crate) fn client(&mut self, client: SocketAddr) {
        self.client = Some(client);
    }

    /// The request goes to this cluster.
    pub(crate) fn cluster(&mut self, cluster: &Arc<Cluster>) {
        self.cluster = Some(cluster.clone());
    }

    /// An attempt begins with this head.
    pub(crate) fn attempt(&mut self, head: &RequestHead<'_>) -> &mut Try {
        let mut begun = Try::default();
        if !self.manager.upstream_logs.is_empty() {
            begun.heads.request(self.manager.upstream_logs.wanted(), head, true);
        }
        self.tries.push(begun);
        self.tries.last_mut().unwrap_or_else(|| unreachable!("one was just pushed"))
    }

    /// The attempt that is under way gets this response.
    pub(crate) fn answered(&mut self, status: StatusCode, headers: &HeaderList) {
        if let Some(last) = self.tries.last_mut().filter(|_| !self.manager.upstream_logs.is_empty()) {
            last.heads.response(self.manager.upstream_logs.wanted(), status, |name| headers.get(name));
        }
    }

    /// Writes the lines of a request that has ended.
    pub(crate) fn write(&self, record: &Record, received_at: Option<Instant>, clock: &dyn Clock, to: &dyn Recorder) {
        let began = began(record.duration, clock);
        self.write_attempts(record, began, to);
        let last = last_at_an_endpoint(record);
        let attempt = last.and_then(|at| record.attempts.get(at));
        let tried = last.and_then(|at| self.tries.get(at));
        self.manager.access_logs.write(
            &Entry {
                heads: &self.heads,
                cluster: self.cluster.as_ref(),
                attempt,
                upstream: tried.map_or(Wire::NONE, Try::wire),
                upstream_protocol: tried.and_then(Try::protocol),
                client: self.client,
                received_at: received_at.filter(|_| !self.unread),
                sent_whole: record.status != 0 && !self.broken,
                stream_id: record.request_id.as_deref(),
                ..Entry::of(Kind::Request, record, &self.facts, began)
            },
            to,
        );
    }

    fn write_attempts(&self, record: &Record, began: UnixTime, to: &dyn Recorder) {
        if self.manager.upstream_logs.is_empty() {
            return;
        }
        let last = record.attempts.len().saturating_sub(1);
        for (at, (attempt, tried)) in record.attempts.iter().zip(&self.tries).enumerate() {
            let after = attempt.start.saturating_since(record.start);
            let (until_end, stands) = (record.duration.saturating_sub(after), at == last && attempt.status.is_some());
            if attempt.failure.as_deref() == Some("no_healthy_upstream") {
                // Envoy makes no upstream request then.
                continue;
            }
            let own = attempt_flag(record, attempt, at == last);
            self.manager.upstream_logs.write(
                &Entry {
                    heads: &tried.heads,
                    cluster: self.cluster.as_ref(),
                    attempt: Some(attempt),
                    upstream: tried.wire(),
                    upstream_protocol: tried.protocol(),
                    attempts: 0,
                    start: attempt.start,
                    duration: if stands { until_end } else { attempt.duration },
                    status: attempt.status.unwrap_or(0),
                    flags: own.as_slice(),
                    bytes_received: if stands { record.bytes_sent } else { 0 },
                    bytes_sent: if attempt.upstream.is_some() { record.bytes_received } else { 0 },
                    ..Entry::of(Kind::Attempt, record, &self.facts, began + after)
                },
                to,
            );
        }
    }
}

/// What a connection's logs know beside its record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended<'a> {
    /// The caller's side.
    pub(crate) facts: &'a Facts,
    /// The cluster, where there is one of its name.
    pub(crate) cluster: Option<&'a Arc<Cluster>>,
    /// The connection to an endpoint.
    pub(crate) link: Option<&'a Link>,
    /// Its id in logs.
    pub(crate) stream_id: Option<&'a str>,
}

/// Writes the lines of a connection that has ended.
pub(crate) fn write_connection(
    logs: &AccessLogs,
    kind: Kind,
    record: &Record,
    ended: Ended<'_>,
    clock: &dyn Clock,
    to: &dyn Recorder,
) {
    if logs.is_empty() {
        return;
    }
    let attempt = last_at_an_endpoint(record).and_then(|at| record.attempts.get(at));
    logs.write(
        &Entry {
            cluster: ended.cluster,
            attempt,
            stream_id: ended.stream_id,
            upstream: ended.link.map_or(Wire::NONE, |link| Wire { id: link.id, session: link.session.as_ref() }),
            ..Entry::of(kind, record, ended.facts, began(record.duration, clock))
        },
        to,
    );
}

/// When something that took `duration` and ends now began.
fn began(duration: Duration, clock: &dyn Clock) -> UnixTime {
    UnixTime::from_epoch(clock.unix().since_epoch().saturating_sub(duration))
}

fn last_at_an_endpoint(record: &Record) -> Option<usize> {
    record.attempts.iter().rposition(|attempt| attempt.endpoint.is_some())
}

/// The flag of an attempt that failed. Envoy: the router's flags by reset reason, set on the attempt's own stream; what
/// ends the whole exchange (the caller, the route's timeout) sets none there.
fn attempt_flag(record: &Record, attempt: &Attempt, is_last: bool) -> Option<Flag> {
    const OF_STREAMS: [Flag; 4] = [Flag::UC, Flag::UPE, Flag::UR, Flag::LR];
    let left = record.flags.iter().any(|flag| matches!(flag, Flag::DC | Flag::DR));
    if is_last && (left || attempt.status.is_some()) {
        return record.flags.iter().copied().find(|flag| !left && OF_STREAMS.contains(flag));
    }
    Some(match attempt.failure.as_deref()? {
        "remote_connection_failure" | "local_connection_failure" | "connection_timeout" => Flag::UF,
        "connection_termination" => Flag::UC,
        "overflow" => Flag::UO,
        "protocol_error" => Flag::UPE,
        "local_reset" => Flag::LR,
        "remote_reset" | "remote_refused_stream_reset" => Flag::UR,
        "per_try_timeout" => Flag::UT,
        _ => return None,
    })
}
