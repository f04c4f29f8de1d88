//! Failures, and what each answers. Envoy: `sendLocalReply` and its callers, `StreamInfo` flags and
//! response code details.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};

use crate::http::headers::list::text;
use crate::http::names;
use crate::record::Flag;
use crate::route::ResetReason;

/// Why a request gets no answer from an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// No Host or `:authority`.
    MissingHost,
    /// The request head is no HTTP/1. The details say how, e.g. `http1.codec_error`.
    BadRequest(&'static str),
    /// A transfer coding other than chunked.
    UnknownTransferCoding,
    /// The request head is larger than allowed.
    HeadersTooLarge,
    /// The request head has more headers than allowed. The details say in which protocol.
    TooManyHeaders(&'static str),
    /// The request line alone is larger than a head may be.
    UriTooLong,
    /// TRACE, which shows a caller what it may not see.
    MethodNotAllowed,
    /// Something else than 100-continue is expected.
    ExpectationFailed,
    /// A version of HTTP that is not accepted.
    LowVersion,
    /// `OPTIONS *` and other targets that are no path.
    AbsolutePathRejected,
    /// The path cannot be normalised.
    PathRejected,
    /// The normalised path differs in escaped slashes: the client is sent there.
    PathRedirect(String),
    /// An upgrade that is not configured.
    UpgradeRefused,
    /// The upstream did not agree to an upgrade. Answers 200, as Envoy does.
    UpgradeFailed,
    /// The body is larger than allowed.
    PayloadTooLarge,
    /// No virtual host or route matches.
    NoRoute,
    /// The route's cluster does not exist.
    ClusterNotFound {
        /// `cluster_not_found_response_code`.
        status: StatusCode,
    },
    /// The cluster has no endpoint to pick.
    NoHealthyUpstream,
    /// The last attempt ended without a response head.
    Reset {
        /// Why.
        reason: ResetReason,
        /// Detail of the transport, e.g. `delayed connect error: Connection refused`.
        transport: Option<Arc<str>>,
        /// Whether it had been retried.
        retried: bool,
    },
    /// The route's timeout passed.
    RouteTimeout,
    /// Nothing moved for the stream idle timeout.
    StreamIdle {
        /// Whether the whole request had been received.
        request_complete: bool,
    },
    /// The whole request was not received in time.
    RequestTimeout,
    /// The request head was not received in time.
    RequestHeaderTimeout,
    /// The stream lived for longer than allowed.
    StreamDuration,
}

/// What the proxy answers by itself. `render` makes a response of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalReply {
    /// Status; a gRPC request gets 200 and the status it maps to.
    pub status: StatusCode,
    /// Response flag, if the failure has one. `URX` goes before it when retries ran out.
    pub flag: Option<Flag>,
    /// Response code details.
    pub details: Arc<str>,
    /// Body, `text/plain`; may be empty.
    pub body: Bytes,
    /// Headers before all others.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The HTTP/1 connection closes whether or not the request was received whole.
    pub close: bool,
}

impl LocalReply {
    fn new(status: StatusCode, flag: Option<Flag>, details: impl Into<Arc<str>>, body: impl Into<Bytes>) -> Self {
        Self { status, flag, details: details.into(), body: body.into(), headers: Vec::new(), close: false }
    }

    fn closing(self) -> Self {
        Self { close: true, ..self }
    }

    fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The answer of a route that answers by itself.
    pub fn direct(status: StatusCode, body: Bytes) -> Self {
        Self::new(status, None, "direct_response", body)
    }

    /// The answer of a route that redirects.
    pub fn redirect(status: StatusCode, location: &str) -> Self {
        Self::direct(status, Bytes::new()).with_header(http::header::LOCATION, text(location))
    }
}

impl Failure {
    /// Whether the router answers, once a route is chosen: then the reply has the header changes of route,
    /// virtual host and route configuration, and the number of attempts where that is wanted.
    pub fn is_the_routers(&self) -> bool {
        matches!(self, Self::ClusterNotFound { .. } | Self::NoHealthyUpstream | Self::Reset { .. } | Self::RouteTimeout)
    }

    /// The table.
    pub fn reply(&self) -> LocalReply {
        use Flag::{DPE, NC, NR, SI, UH, UT};
        let reply = |status, flag, details: &'static str, body: &'static str| {
            LocalReply::new(status, flag, details, Bytes::from_static(body.as_bytes()))
        };
        let too_large = "Request Header Fields Too Large";
        match self {
            Self::MissingHost => reply(StatusCode::BAD_REQUEST, None, "missing_host_header", "").closing(),
            Self::BadRequest(details) => reply(StatusCode::BAD_REQUEST, Some(DPE), details, "Bad Request").closing(),
            Self::UnknownTransferCoding => {
                let details = "http1.invalid_transfer_encoding";
                reply(StatusCode::NOT_IMPLEMENTED, Some(DPE), details, "Not Implemented").closing()
            }
            Self::HeadersTooLarge => {
                let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
                reply(status, Some(DPE), "http1.headers_too_large", too_large).closing()
            }
            Self::TooManyHeaders(details) => {
                let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
                reply(status, Some(DPE), details, too_large).closing()
            }
            Self::UriTooLong => {
                reply(StatusCode::URI_TOO_LONG, Some(DPE), "http1.uri_too_long", "URI Too Long").closing()
            }
            Self::MethodNotAllowed => {
                let others = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
                reply(StatusCode::METHOD_NOT_ALLOWED, None, "trace_not_allowed", "Method Not Allowed")
                    .with_header(http::header::ALLOW, others)
            }
            Self::ExpectationFailed => {
                let details = "unknown_expectation";
                reply(StatusCode::EXPECTATION_FAILED, None, details, "Expectation Failed").closing()
            }
            Self::LowVersion => {
                reply(StatusCode::UPGRADE_REQUIRED, Some(DPE), "low_version", "Upgrade Required").closing()
            }
            Self::AbsolutePathRejected => reply(StatusCode::NOT_FOUND, None, "absolute_path_rejected", ""),
            Self::PathRejected => reply(StatusCode::BAD_REQUEST, None, "path_normalization_failed", "").closing(),
            Self::PathRedirect(path) => {
                let status = StatusCode::TEMPORARY_REDIRECT;
                reply(status, None, "path_normalization_failed", "").with_header(http::header::LOCATION, text(path))
            }
            Self::UpgradeRefused => reply(StatusCode::FORBIDDEN, None, "upgrade_failed", "").closing(),
            Self::UpgradeFailed => reply(StatusCode::OK, None, "websocket_handshake_unsuccessful", "").closing(),
            Self::PayloadTooLarge => {
                let status = StatusCode::PAYLOAD_TOO_LARGE;
                reply(status, None, "request_payload_too_large", "Payload Too Large").closing()
            }
            Self::NoRoute => reply(StatusCode::NOT_FOUND, Some(NR), "route_not_found", ""),
            Self::ClusterNotFound { status } => reply(*status, Some(NC), "cluster_not_found", ""),
            Self::NoHealthyUpstream => {
                reply(StatusCode::SERVICE_UNAVAILABLE, Some(UH), "no_healthy_upstream", "no healthy upstream")
            }
            Self::Reset { reason, transport, retried } => reset(*reason, transport.as_deref(), *retried),
            Self::RouteTimeout => {
                reply(StatusCode::GATEWAY_TIMEOUT, Some(UT), "response_timeout", "upstream request timeout")
            }
            Self::StreamIdle { request_complete: true } => {
                reply(StatusCode::GATEWAY_TIMEOUT, Some(SI), "stream_idle_timeout", "stream timeout")
            }
            Self::StreamIdle { request_complete: false } => {
                reply(StatusCode::REQUEST_TIMEOUT, Some(SI), "stream_idle_timeout", "stream timeout").closing()
            }
            Self::RequestTimeout => {
                reply(StatusCode::REQUEST_TIMEOUT, None, "request_overall_timeout", "request timeout").closing()
            }
            Self::RequestHeaderTimeout => {
                reply(StatusCode::REQUEST_TIMEOUT, None, "request_header_timeout", "request header timeout").closing()
            }
            Self::StreamDuration => {
                reply(StatusCode::GATEWAY_TIMEOUT, None, "max_duration_timeout", "downstream duration timeout")
            }
        }
    }
}

/// The transport's detail is in the log only, never in the body.
fn reset(reason: ResetReason, transport: Option<&str>, retried: bool) -> LocalReply {
    if reason == ResetReason::PerTryTimeout {
        let (status, flag) = (StatusCode::GATEWAY_TIMEOUT, Some(Flag::UT));
        return LocalReply::new(status, flag, "upstream_per_try_timeout", "upstream request timeout");
    }
    let status = match reason {
        ResetReason::ProtocolError => StatusCode::BAD_GATEWAY,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    let which = if retried { "retried and the latest reset reason" } else { "reset reason" };
    let body = format!("upstream connect error or disconnect/reset before headers. {which}: {}", reason.words());
    // Envoy names what the transport said of a connection that it could not open, and of no other.
    let transport = transport.filter(|_| reason != ResetReason::ConnectionTermination);
    let details = details("upstream_reset_before_response_started", reason, transport);
    let reply = LocalReply::new(status, Some(reason.flag()), details, body);
    match reason {
        ResetReason::Overflow => reply.with_header(names::OVERLOADED, HeaderValue::from_static("true")),
        _ => reply,
    }
}

/// What the record says of a response that broke off after its head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aborted {
    /// Response flag.
    pub flag: Flag,
    /// Response code details.
    pub details: Arc<str>,
}

impl Aborted {
    /// By the upstream. One that closes in the middle of a body is a protocol error (`UPE`), whether the
    /// body had a length or was chunked, and whether it closed or reset the connection.
    pub fn by_upstream(reason: ResetReason) -> Self {
        Self { flag: reason.flag(), details: details("upstream_reset_after_response_started", reason, None).into() }
    }

    /// By the client, before or after the head. The record's status is 0 when no head was sent.
    pub fn by_client() -> Self {
        Self { flag: Flag::DC, details: "downstream_remote_disconnect".into() }
    }

    /// By a client that goes on with what is no HTTP.
    pub fn by_codec_error() -> Self {
        Self { flag: Flag::DPE, details: "http1.codec_error".into() }
    }

    /// By a timeout of ours that would have been answered with `reply` before the head.
    pub fn by_timeout(reply: &LocalReply) -> Option<Self> {
        Some(Self { flag: reply.flag?, details: reply.details.clone() })
    }
}

fn details(when: &str, reason: ResetReason, transport: Option<&str>) -> String {
    let reason = reason.token();
    match transport {
        Some(transport) => format!("{when}{{{reason}|{}}}", transport.replace(' ', "_")),
        None => format!("{when}{{{reason}}}"),
    }
}

impl ResetReason {
    /// As in the body of a local reply.
    pub fn words(self) -> &'static str {
        match self {
            Self::RemoteConnectionFailure => "remote connection failure",
            Self::LocalConnectionFailure => "local connection failure",
            Self::ConnectionTimeout => "connection timeout",
            Self::ConnectionTermination => "connection termination",
            Self::Overflow => "overflow",
            Self::ProtocolError => "protocol error",
            Self::LocalReset | Self::PerTryTimeout => "local reset",
            Self::RemoteReset => "remote reset",
            Self::RemoteRefusedStreamReset => "remote refused stream reset",
        }
    }

    /// As in response code details: `_` for spaces.
    pub fn token(self) -> Cow<'static, str> {
        self.words().replace(' ', "_").into()
    }

    /// The response flag.
    pub fn flag(self) -> Flag {
        match self {
            Self::RemoteConnectionFailure | Self::LocalConnectionFailure | Self::ConnectionTimeout => Flag::UF,
            Self::ConnectionTermination => Flag::UC,
            Self::Overflow => Flag::UO,
            Self::ProtocolError => Flag::UPE,
            Self::LocalReset => Flag::LR,
            Self::RemoteReset | Self::RemoteRefusedStreamReset => Flag::UR,
            Self::PerTryTimeout => Flag::UT,
        }
    }
}

#[cfg(test)]
mod tests;
