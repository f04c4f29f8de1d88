//! What holds where the configuration does not say: Envoy's defaults, and at the edge the values that
//! Envoy's page on edge proxies asks for, as far as a caller in good faith cannot tell them from the defaults.

use serde::Serialize;
use std::time::Duration;

use super::listener::HttpManager;

/// A connection without a request is closed after this.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(3600);

/// A stream without progress ends after this, a head or body that stops coming included.
pub const STREAM_IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// A stranger's head must come within this. Envoy leaves it unset, and has the stream's idle timeout bound
/// it, which Istio switches off.
pub const HEADERS_TIMEOUT: Duration = Duration::from_secs(60);

/// What HTTP/2 callers may do at once on one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Http2Limits {
    /// Streams.
    pub streams_max: u32,
    /// Bytes of a stream that are under way.
    pub stream_window: u32,
    /// Bytes of all streams that are under way.
    pub connection_window: u32,
}

/// For callers of the mesh: Envoy's defaults.
pub const HTTP2_IN_THE_MESH: Http2Limits =
    Http2Limits { streams_max: 1024, stream_window: 16 * 1024 * 1024, connection_window: 24 * 1024 * 1024 };

/// For strangers: Envoy's page on edge proxies.
pub const HTTP2_AT_THE_EDGE: Http2Limits =
    Http2Limits { streams_max: 100, stream_window: 64 * 1024, connection_window: 1024 * 1024 };

impl HttpManager {
    /// Whether callers are strangers: Envoy's documentation says when to set this.
    pub fn is_edge(&self) -> bool {
        self.use_remote_address
    }

    /// How long a head may take; `None`: no bound.
    pub fn headers_within(&self) -> Option<Duration> {
        let default = self.is_edge().then_some(HEADERS_TIMEOUT);
        self.request_headers_timeout.or(default).filter(|bound| !bound.is_zero())
    }

    /// How long a stream may stand still; `None`: no bound.
    pub fn stream_idle_within(&self) -> Option<Duration> {
        Some(self.stream_idle_timeout.unwrap_or(STREAM_IDLE_TIMEOUT)).filter(|bound| !bound.is_zero())
    }

    /// What HTTP/2 callers may do at once.
    pub fn http2_limits(&self) -> Http2Limits {
        let default = if self.is_edge() { HTTP2_AT_THE_EDGE } else { HTTP2_IN_THE_MESH };
        Http2Limits {
            streams_max: self.http2.streams_max.unwrap_or(default.streams_max),
            stream_window: self.http2.stream_window.unwrap_or(default.stream_window),
            connection_window: self.http2.connection_window.unwrap_or(default.connection_window),
        }
    }
}

/// `http2_protocol_options`, as far as they are set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Http2Settings {
    /// `max_concurrent_streams`.
    pub streams_max: Option<u32>,
    /// `initial_stream_window_size`, in bytes.
    pub stream_window: Option<u32>,
    /// `initial_connection_window_size`, in bytes.
    pub connection_window: Option<u32>,
}
