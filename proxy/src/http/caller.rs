//! The downstream side of one HTTP connection, and the answers it gets.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use hyper::ext::ReasonPhrase;
use wavetank_platform::{BoxFuture, Instant};

use super::gate::Passage;
use super::headers::{HeaderList, ResponseFacts, finish_response};
use super::intake::Form;
use super::names;
use super::open_record::OpenRecord;
use super::progress::Progress;
use super::reply::{LocalReply, ReplyFacts};
use super::response_body::ResponseBody;
use crate::access_log::logging::Logging;
use crate::drain::{Draining, Stage};
use crate::idle::Activity;
use crate::listener::accepted::Facts;
use crate::listener::closing::Told;
use crate::record::{Flag, Protocol, Record};
use crate::shared::Shared;
use crate::snapshot::listener::HttpManager;
use crate::snapshot::route::HeaderMutations;
use crate::upstream::meter::Meter;

/// One downstream HTTP connection.
pub(crate) struct Caller {
    /// The proxy.
    pub(crate) shared: Arc<Shared>,
    /// The chain's connection manager.
    pub(crate) manager: Arc<HttpManager>,
    /// The connection.
    pub(crate) facts: Arc<Facts>,
    /// What it speaks.
    pub(crate) protocol: Protocol,
    /// Its bytes.
    pub(crate) meter: Arc<Meter>,
    /// Its requests.
    pub(crate) activity: Arc<Activity>,
    /// When to leave.
    pub(crate) draining: Draining,
    /// Requests so far.
    pub(crate) requests: AtomicU64,
    /// Who has the bytes after a request for another protocol.
    pub(crate) passage: Passage,
    /// Runs on the connection once it speaks another protocol.
    pub(crate) tunnel: Mutex<Option<BoxFuture<'static, ()>>>,
}

/// One request, as its answer depends on it.
pub(crate) struct Answering<'a> {
    /// Its connection.
    pub(crate) caller: &'a Caller,
    /// Form of the answer.
    pub(crate) form: Form,
    /// Its id, as sent upstream.
    pub(crate) request_id: Option<HeaderValue>,
    /// How much of it has come.
    pub(crate) progress: Arc<Progress>,
}

impl Caller {
    /// The address of this proxy's node.
    pub(crate) fn node_address(&self) -> IpAddr {
        self.facts.leg.local.ip().to_canonical()
    }

    /// The scheme of its requests.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.facts.is_tls() { "https" } else { "http" }
    }

    /// The record of a request that began at `start`, under the configuration of this version.
    pub(crate) fn open_record(&self, start: Instant, version: u64, progress: &Arc<Progress>) -> OpenRecord {
        let shared = &self.shared;
        let mut record = OpenRecord::new(
            self.facts.record(&shared.node, start, self.protocol),
            Logging::of(&self.manager, &self.facts),
            progress.clone(),
            self.meter.clone(),
            shared.recorder.clone(),
            shared.platform.clock.clone(),
            self.activity.clone(),
        );
        record.record.decision.config_version = version;
        record
    }

    /// Counts one request more.
    pub(crate) fn count_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether it has had as many requests as it may have.
    pub(crate) fn is_spent(&self) -> bool {
        let max = self.manager.requests_per_connection_max;
        max.is_some_and(|max| self.requests.load(Ordering::Relaxed) >= max.into())
    }

    /// What follows the request that came last is of the same protocol. HTTP/1's come one after the other.
    pub(crate) fn keep_protocol(&self) {
        self.passage.stay(self.requests.load(Ordering::Relaxed));
    }

    /// Tells the listener's logs that a request was understood, or (`flag`) that it was not.
    pub(crate) fn tell_listener(&self, flag: Option<Flag>) {
        if let Some(Told::Http { spoke, malformed, .. }) = self.facts.told.get() {
            let told = if flag == Some(Flag::DPE) { malformed } else { spoke };
            told.store(true, Ordering::Relaxed);
        }
    }

    /// Leaves `tunnel` to be run when the connection has changed its protocol.
    pub(crate) fn set_tunnel(&self, tunnel: BoxFuture<'static, ()>) {
        *self.tunnel.lock().unwrap_or_else(PoisonError::into_inner) = Some(tunnel);
    }

    /// What was left to be run.
    pub(crate) fn take_tunnel(&self) -> Option<BoxFuture<'static, ()>> {
        self.tunnel.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Answering<'_> {
    fn response_facts(&self, keep_upgrade: bool) -> ResponseFacts<'_> {
        let leaving = self.caller.draining.stage() >= Stage::Draining || self.caller.is_spent();
        let unread = self.progress.completed_at().is_none();
        ResponseFacts {
            manager: &self.caller.manager,
            protocol: self.caller.protocol,
            now: self.caller.shared.platform.clock.unix(),
            dates: &self.caller.shared.dates,
            request_id: self.request_id.as_ref(),
            close: !keep_upgrade && (leaving || unread || self.form.close),
            keep_upgrade,
        }
    }

    /// Our own answer. `levels` are the header changes of direct responses, redirects and the router's
    /// failures.
    pub(crate) fn local(
        &self,
        reply: LocalReply,
        mut record: OpenRecord,
        attempts: Option<u32>,
        levels: &[&HeaderMutations],
    ) -> Response<ResponseBody> {
        let mut response = self.render(reply, &mut record, attempts, levels);
        name_status(response.status(), response.extensions_mut());
        response.map(|text| ResponseBody::local(text, record))
    }

    /// Our own answer, outside hyper: its record is closed.
    pub(crate) fn whole(&self, reply: LocalReply, mut record: OpenRecord) -> Response<Bytes> {
        let response = self.render(reply, &mut record, None, &[]);
        record.record.bytes_sent = response.body().len() as u64;
        record.close();
        response
    }

    fn render(
        &self,
        reply: LocalReply,
        record: &mut OpenRecord,
        attempts: Option<u32>,
        levels: &[&HeaderMutations],
    ) -> Response<Bytes> {
        if let Some(flag) = reply.flag {
            record.flag(flag);
        }
        record.record.details = reply.details.clone();
        let response = reply.render(&ReplyFacts {
            response: self.response_facts(false),
            head: self.form.head,
            grpc: self.form.grpc,
            request_complete: self.progress.completed_at().is_some(),
            attempts,
            levels,
        });
        record.record.status = response.status().as_u16();
        note_grpc_status(&mut record.record, response.headers());
        record.log_response(response.status(), response.headers());
        response
    }

    /// An endpoint's answer with this status and these headers, configured changes made already; `body` makes its body.
    pub(crate) fn upstream(
        &self,
        status: StatusCode,
        mut headers: HeaderList,
        mut record: OpenRecord,
        body: impl FnOnce(OpenRecord) -> ResponseBody,
    ) -> Response<ResponseBody> {
        let switched = status == StatusCode::SWITCHING_PROTOCOLS;
        finish_response(&mut headers, &self.response_facts(switched));
        let headers = HeaderMap::from(headers);
        record.record.status = status.as_u16();
        note_grpc_status(&mut record.record, &headers);
        record.record.details = "via_upstream".into();
        record.log_response(status, &headers);
        let mut response = Response::new(body(record));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        // The reason phrase is ours, not the endpoint's.
        name_status(status, response.extensions_mut());
        response
    }

    /// An answer that nobody will read: the caller is gone.
    pub(crate) fn nobody(&self, record: OpenRecord) -> Response<ResponseBody> {
        drop(record);
        let mut response = Response::new(ResponseBody::Empty);
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response.headers_mut().insert(http::header::CONNECTION, HeaderValue::from_static("close"));
        response
    }
}

/// Envoy's reason phrases, where hyper has other words or none: what Envoy does not know is `Unknown`.
fn name_status(status: StatusCode, extensions: &mut http::Extensions) {
    let reason = match status.as_u16() {
        203 => ReasonPhrase::from_static(b"Non-Authoritative Information"),
        418 | 451 => ReasonPhrase::from_static(b"Unknown"),
        599 => ReasonPhrase::from_static(b"Last Unassigned Server Error Code"),
        _ if status.canonical_reason().is_none() => ReasonPhrase::from_static(b"Unknown"),
        _ => return,
    };
    extensions.insert(reason);
}

/// Notes the status of a gRPC call from the head or the trailers of its response.
pub(super) fn note_grpc_status(record: &mut Record, fields: &HeaderMap) {
    if let Some(grpc) = &mut record.grpc
        && let Some(status) = fields.get(&names::GRPC_STATUS)
    {
        grpc.status = status.to_str().ok().and_then(|status| status.parse().ok());
    }
}
