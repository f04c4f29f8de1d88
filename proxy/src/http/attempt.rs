//! One attempt at an endpoint: pick it, borrow a connection, send, wait for the head of its response.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use http::header::EXPECT;
use http::uri::{PathAndQuery, Scheme};
use http::{Method, Uri, Version};
use wavetank_platform::Instant;

use super::caller::Caller;
use super::consent::Consent;
use super::headers::HeaderList;
use super::headers::upstream::Target;
use super::open_record::OpenRecord;
use super::outcome;
use super::reply::is_grpc;
use super::request_body::RequestBody;
use super::watchdog::{Expired, Watchdog};
use crate::access_log::logging::Try;
use crate::cluster::Avoid;
use crate::cluster::outlier::Outcome;
use crate::record::{Attempt, Protocol};
use crate::route::{RequestHead, ResetReason};
use crate::snapshot::cluster::UpstreamProtocol;
use crate::snapshot::{Cluster, Snapshot};
use crate::upstream::clusters::{Active, ClusterState, Picked};
use crate::upstream::http1;
use crate::upstream::lease::{Lease, Request, ResponseHead, SendError};
use crate::upstream::pool::{Pool, Settings, Wire};
use crate::upstream::reset::Reset;

/// Connections found closed before a request went out on them, at most, in one attempt.
const STALE_MAX: u32 = 32;

/// What an attempt needs to know.
pub(crate) struct Attempting<'a> {
    /// The caller's connection.
    pub(crate) caller: &'a Caller,
    /// The configuration of the request.
    pub(crate) snapshot: &'a Snapshot,
    /// The cluster.
    pub(crate) cluster: &'a Arc<Cluster>,
    /// The cluster's state.
    pub(crate) state: &'a ClusterState,
    /// Counted from 1.
    pub(crate) number: u32,
    /// Endpoints to avoid.
    pub(crate) avoid: Avoid<'a>,
}

/// A request's head as it goes upstream.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// Method.
    pub(crate) method: Method,
    /// Host and path.
    pub(crate) target: Target,
    /// All headers but Host.
    pub(crate) headers: HeaderList,
    /// Asks for another protocol.
    pub(crate) upgrade: bool,
    /// The body waits for this.
    pub(crate) consent: Option<Arc<Consent>>,
}

impl Outgoing {
    /// The head as rules see it.
    pub(crate) fn head<'a>(&'a self, scheme: &'a str) -> RequestHead<'a> {
        RequestHead {
            method: self.method.as_str(),
            path_and_query: &self.target.path_and_query,
            authority: &self.target.authority,
            scheme,
            headers: &self.headers,
        }
    }
}

/// Where an attempt is noted while it is under way.
struct Noting<'r> {
    noted: &'r mut Attempt,
    logged: Option<&'r mut Try>,
}

/// A response head, and what its body still needs.
#[derive(Debug)]
pub(crate) struct Success {
    /// The response.
    pub(crate) response: ResponseHead,
    /// Its connection, and its count at the endpoint.
    pub(crate) lent: (Lease, Active),
}

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// With a response.
    Response(Box<Success>),
    /// There was no endpoint.
    NoEndpoint,
    /// Without a response.
    Reset(Reset),
    /// A bound of the request was passed.
    Expired(Expired),
}

impl Attempting<'_> {
    /// Runs the attempt and notes it in the record. With `again`, `outgoing` is left as it was.
    pub(crate) async fn run(
        &self,
        outgoing: &mut Outgoing,
        body: RequestBody,
        again: bool,
        watchdog: &mut Watchdog,
        record: &mut OpenRecord,
    ) -> Ended {
        let clock = &self.caller.shared.platform.clock;
        let grpc = is_grpc(&outgoing.headers);
        // Noted before anything is waited for: the caller may leave at any time.
        record.record.attempts.push(self.begin(clock.now()));
        let OpenRecord { record, logging, .. } = record;
        let Some(noted) = record.attempts.last_mut() else { unreachable!("one was just pushed") };
        let logged = logging.as_mut().map(|logging| logging.attempt(&outgoing.head(self.caller.scheme())));
        let ended = match self.go(outgoing, body, again, watchdog, Noting { noted, logged }).await {
            Ok(success) => Ended::Response(Box::new(success)),
            // Envoy: an attempt that takes too long is reset, and judged as such.
            Err(Ended::Expired(Expired::Try)) => {
                Ended::Reset(Reset { request_begun: true, ..ResetReason::PerTryTimeout.into() })
            }
            Err(ended) => ended,
        };
        watchdog.end_try();
        noted.duration = clock.now().saturating_since(noted.start);
        match &ended {
            Ended::Response(success) => {
                let ResponseHead { status, headers } = &success.response;
                noted.status = Some(status.as_u16());
                if let Some(logging) = logging {
                    logging.answered(*status, headers);
                }
            }
            Ended::NoEndpoint => noted.failure = Some("no_healthy_upstream".into()),
            Ended::Reset(reset) => {
                noted.failure = Some(match reset.reason {
                    ResetReason::PerTryTimeout => "per_try_timeout".into(),
                    reason => reason.token().into(),
                });
                noted.transport_failure = reset.transport.clone();
            }
            Ended::Expired(expired) => noted.failure = Some(expired_token(*expired).into()),
        }
        if let Some((endpoint, outcome)) = noted.endpoint.zip(outcome::of(&ended, noted, grpc)) {
            self.state.note(endpoint, outcome);
        }
        ended
    }

    fn begin(&self, start: Instant) -> Attempt {
        Attempt {
            number: self.number,
            cluster: self.cluster.name.clone(),
            endpoint: None,
            start,
            duration: std::time::Duration::ZERO,
            status: None,
            upstream: None,
            workload: None,
            failure: None,
            transport_failure: None,
        }
    }

    async fn go(
        &self,
        outgoing: &mut Outgoing,
        body: RequestBody,
        again: bool,
        watchdog: &mut Watchdog,
        mut noting: Noting<'_>,
    ) -> Result<Success, Ended> {
        let original = Some(self.caller.facts.destination());
        let picking = self.state.pick(self.snapshot, self.cluster, original, self.avoid);
        let picked = watchdog.guard(pin!(picking)).await.map_err(Ended::Expired)?.map_err(|_| Ended::NoEndpoint)?;
        let active = self.state.begin(picked.address);
        let wire = self.wire(outgoing.upgrade);
        let pool = self.state.pool(&picked, wire);
        let mut lease = self.borrow(&pool, &picked, watchdog, &mut noting).await?;
        active.note(Outcome::Connected);
        let mut request = match wire {
            Wire::Http1 => Request::Http1(Box::new(http1_request(outgoing, body))),
            Wire::Http2 => Request::Http2(Box::new(http2_request(outgoing, &picked, again).map(|()| body))),
        };
        for _ in 0..STALE_MAX {
            watchdog.begin_try();
            let sent = watchdog.guard(pin!(lease.send(request))).await.map_err(Ended::Expired)?;
            match sent {
                Ok(response) => return Ok(Success { response, lent: (lease, active) }),
                Err(SendError::Reset(reset)) => return Err(Ended::Reset(reset)),
                Err(SendError::Unsent(back)) => {
                    request = back;
                    drop(lease);
                    lease = self.borrow(&pool, &picked, watchdog, &mut noting).await?;
                }
            }
        }
        Err(Ended::Reset(ResetReason::ConnectionTermination.into()))
    }

    async fn borrow(
        &self,
        pool: &Arc<Pool>,
        picked: &Picked,
        watchdog: &mut Watchdog,
        noting: &mut Noting<'_>,
    ) -> Result<Lease, Ended> {
        let Noting { noted, logged } = noting;
        let leasing = pool.lease(Settings::from(&**self.cluster));
        let lease = match watchdog.guard(pin!(leasing)).await {
            Ok(lease) => lease,
            Err(expired) => {
                noted.endpoint = Some(picked.address);
                return Err(Ended::Expired(expired));
            }
        };
        // Envoy names no host for a request that the breakers kept from waiting.
        noted.endpoint = match &lease {
            Err(reset) if reset.reason == ResetReason::Overflow => None,
            _ => Some(picked.address),
        };
        let lease = lease.map_err(Ended::Reset)?;
        noted.upstream = Some(lease.leg().clone());
        noted.workload = picked.workload.clone();
        if let Some(logged) = logged {
            logged.note_link(lease.link(), lease.is_http2());
        }
        Ok(lease)
    }

    fn wire(&self, upgrade: bool) -> Wire {
        match self.cluster.protocol {
            // An upgrade is HTTP/1 on both sides.
            _ if upgrade => Wire::Http1,
            UpstreamProtocol::Http1 => Wire::Http1,
            UpstreamProtocol::Http2 => Wire::Http2,
            UpstreamProtocol::SameAsDownstream if self.caller.protocol == Protocol::Http2 => Wire::Http2,
            UpstreamProtocol::SameAsDownstream => Wire::Http1,
        }
    }
}

fn expired_token(expired: Expired) -> &'static str {
    match expired {
        Expired::Route => "response_timeout",
        Expired::Try => "per_try_timeout",
        Expired::Idle => "stream_idle_timeout",
        Expired::Request => "request_timeout",
    }
}

fn http1_request(outgoing: &Outgoing, body: RequestBody) -> http1::request::Request {
    let Outgoing { method, target, headers, upgrade, consent } = outgoing;
    http1::request::Request::new(method, target, headers, body, *upgrade, consent.clone())
}

/// The request for hyper. With `again`, `outgoing` is left as it was.
fn http2_request(outgoing: &mut Outgoing, picked: &Picked, again: bool) -> http::Request<()> {
    let mut request = http::Request::new(());
    *request.method_mut() = outgoing.method.clone();
    let mut headers = if again { outgoing.headers.clone() } else { std::mem::take(&mut outgoing.headers) };
    // The body goes out when the endpoint says 100; over HTTP/2, where hyper does not tell, at once.
    if let Some(consent) = &outgoing.consent {
        headers.remove(&EXPECT);
        consent.give();
    }
    let scheme = match picked.socket {
        crate::snapshot::tls::TransportSocket::Raw => Scheme::HTTP,
        crate::snapshot::tls::TransportSocket::Tls(_) => Scheme::HTTPS,
    };
    *request.uri_mut() = uri(scheme, &outgoing.target, picked.address);
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = headers.into();
    request
}

fn uri(scheme: Scheme, target: &Target, endpoint: SocketAddr) -> Uri {
    let path = PathAndQuery::try_from(target.path_and_query.as_str()).unwrap_or(PathAndQuery::from_static("/"));
    let build = |authority: &str| {
        Uri::builder().scheme(scheme.clone()).authority(authority).path_and_query(path.clone()).build()
    };
    build(&target.authority).or_else(|_| build(&endpoint.to_string())).unwrap_or_default()
}
