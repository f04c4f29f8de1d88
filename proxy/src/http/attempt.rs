//! One attempt at an endpoint: pick it, borrow a connection, send, wait for the head of its response.

use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{CONTENT_LENGTH, EXPECT, HOST};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use hyper::body::{Body, Incoming};
use wavetank_platform::Instant;

use super::caller::Caller;
use super::consent::Consent;
use super::headers::HeaderList;
use super::headers::list::text;
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
use crate::upstream::lease::{Lease, SendError};
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
    pub(crate) response: Response<Incoming>,
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
                let status = success.response.status();
                noted.status = Some(status.as_u16());
                if let Some(logging) = logging {
                    logging.answered(status, success.response.headers());
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
        let picked = watchdog.guard(picking).await.map_err(Ended::Expired)?.map_err(|_| Ended::NoEndpoint)?;
        let active = self.state.begin(picked.address);
        let wire = self.wire(outgoing.upgrade);
        let pool = self.state.pool(&picked, wire);
        let mut lease = self.borrow(&pool, &picked, watchdog, &mut noting).await?;
        active.note(Outcome::Connected);
        let mut request = Box::new(request(outgoing, wire, &picked, again).map(|()| body));
        if wire == Wire::Http1 && request.body().is_end_stream() && !outgoing.upgrade {
            tell_no_body(&mut request);
        }
        if let Some(consent) = &outgoing.consent {
            await_consent(&mut request, wire, consent);
        }
        for _ in 0..STALE_MAX {
            watchdog.begin_try();
            match watchdog.guard(lease.send(*request)).await.map_err(Ended::Expired)? {
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
        let lease = match watchdog.guard(leasing).await {
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

/// Envoy: a request that may have a body and has none says so.
fn tell_no_body(request: &mut Request<RequestBody>) {
    let without = [Method::GET, Method::HEAD, Method::DELETE, Method::TRACE, Method::CONNECT];
    if !without.contains(request.method()) && !request.headers().contains_key(CONTENT_LENGTH) {
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
}

/// The body goes out when the endpoint says 100; over HTTP/2, where hyper does not tell, at once.
fn await_consent(request: &mut Request<RequestBody>, wire: Wire, consent: &Arc<Consent>) {
    match wire {
        Wire::Http1 => {
            let consent = consent.clone();
            hyper::ext::on_informational(request, move |interim| {
                if interim.status() == StatusCode::CONTINUE {
                    consent.give();
                }
            });
        }
        Wire::Http2 => consent.give(),
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

/// The request for hyper: on HTTP/1 with the path as target and Host before all other headers.
fn request(outgoing: &mut Outgoing, wire: Wire, picked: &Picked, again: bool) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = outgoing.method.clone();
    let mut headers = if again { outgoing.headers.clone() } else { std::mem::take(&mut outgoing.headers) };
    match wire {
        Wire::Http1 => {
            *request.uri_mut() = uri(None, &outgoing.target, picked.address);
            let mut all = HeaderMap::with_capacity(headers.len() + 1);
            all.append(HOST, text(&outgoing.target.authority));
            headers.append_to(&mut all);
            *request.headers_mut() = all;
        }
        Wire::Http2 => {
            // The expectation is met here: hyper does not tell of an endpoint's word.
            if outgoing.consent.is_some() {
                headers.remove(&EXPECT);
            }
            let scheme = match picked.socket {
                crate::snapshot::tls::TransportSocket::Raw => Scheme::HTTP,
                crate::snapshot::tls::TransportSocket::Tls(_) => Scheme::HTTPS,
            };
            *request.uri_mut() = uri(Some(scheme), &outgoing.target, picked.address);
            *request.version_mut() = Version::HTTP_2;
            *request.headers_mut() = headers.into();
        }
    }
    request
}

fn uri(scheme: Option<Scheme>, target: &Target, endpoint: SocketAddr) -> Uri {
    let path = PathAndQuery::try_from(target.path_and_query.as_str()).unwrap_or(PathAndQuery::from_static("/"));
    let Some(scheme) = scheme else { return Uri::from(path) };
    let build = |authority: &str| {
        Uri::builder().scheme(scheme.clone()).authority(authority).path_and_query(path.clone()).build()
    };
    build(&target.authority).or_else(|_| build(&endpoint.to_string())).unwrap_or_default()
}
