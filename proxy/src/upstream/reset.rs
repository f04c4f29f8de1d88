//! Why an endpoint gave no response.

use std::error::Error;
use std::io;
use std::sync::Arc;

use super::meter::Meter;
use crate::route::ResetReason;
use crate::tls::TlsError;

/// A failed attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reset {
    /// Why.
    pub(crate) reason: ResetReason,
    /// What the transport said, spaces as `_`.
    pub(crate) transport: Option<Arc<str>>,
    /// Whether any byte of the request had gone out.
    pub(crate) request_begun: bool,
}

impl From<ResetReason> for Reset {
    fn from(reason: ResetReason) -> Self {
        Self { reason, transport: None, request_begun: false }
    }
}

impl Reset {
    /// A connect that the host's network refused.
    pub(crate) fn connect(error: &io::Error) -> Self {
        let text = format!("delayed_connect_error:_{}", errno_text(error.kind()));
        Self { transport: Some(text.into()), ..ResetReason::RemoteConnectionFailure.into() }
    }

    /// A TLS handshake that failed.
    pub(crate) fn tls(error: &TlsError) -> Self {
        Self { transport: error.transport_failure(), ..ResetReason::RemoteConnectionFailure.into() }
    }

    /// An HTTP/1 request without a response, `malformed` or none: `meter` counted `read_before` and
    /// `written_before` bytes when it began.
    pub(crate) fn exchange(malformed: bool, meter: &Meter, read_before: u64, written_before: u64) -> Self {
        let transport = meter.tls_failure().and_then(TlsError::transport_failure);
        let reason = match malformed || meter.read() > read_before {
            // The peer refused our certificate after its side of a TLS 1.3 handshake was done: to Envoy a
            // connection that ended.
            _ if transport.is_some() => ResetReason::ConnectionTermination,
            true => ResetReason::ProtocolError,
            false => ResetReason::ConnectionTermination,
        };
        Self { reason, transport, request_begun: meter.written() > written_before }
    }

    /// An HTTP/2 request that hyper could not finish.
    pub(crate) fn http2_exchange(error: &hyper::Error, meter: &Meter, read_before: u64, written_before: u64) -> Self {
        let ended = Self::exchange(error.is_parse(), meter, read_before, written_before);
        match http2_reset(error) {
            Some(h2::Reason::REFUSED_STREAM) => Self { reason: ResetReason::RemoteRefusedStreamReset, ..ended },
            Some(_) => Self { reason: ResetReason::RemoteReset, ..ended },
            None => ended,
        }
    }
}

/// Why an HTTP/2 response broke off after its head.
pub(crate) fn mid_body(error: &hyper::Error) -> ResetReason {
    match http2_reset(error) {
        Some(_) => ResetReason::RemoteReset,
        None => ResetReason::ConnectionTermination,
    }
}

/// The reason of an HTTP/2 stream that the peer reset.
fn http2_reset(error: &hyper::Error) -> Option<h2::Reason> {
    let cause = error.source()?.downcast_ref::<h2::Error>()?;
    (cause.is_reset() && cause.is_remote()).then(|| cause.reason()).flatten()
}

/// `strerror`, spaces as `_`, by kind so that every host says the same.
fn errno_text(kind: io::ErrorKind) -> String {
    use io::ErrorKind as Kind;
    match kind {
        Kind::ConnectionRefused => "Connection_refused".into(),
        Kind::ConnectionReset => "Connection_reset_by_peer".into(),
        Kind::ConnectionAborted => "Software_caused_connection_abort".into(),
        Kind::HostUnreachable => "No_route_to_host".into(),
        Kind::NetworkUnreachable => "Network_is_unreachable".into(),
        Kind::TimedOut => "Connection_timed_out".into(),
        Kind::AddrNotAvailable => "Cannot_assign_requested_address".into(),
        Kind::PermissionDenied => "Permission_denied".into(),
        other => other.to_string().replace(' ', "_"),
    }
}
