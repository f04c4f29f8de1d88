//! Access logs of a proxy: Istio's own, and those for what watches an Envoy.
//!
//! Istio: `buildAccessLog`. Its log stands on every HTTP connection manager and TCP proxy, and on a listener for
//! connections that no filter chain takes.

use envoy_types::pb::envoy::config::accesslog::v3::{
    AccessLog as Log, AccessLogFilter, ResponseFlagFilter, access_log, access_log_filter,
};
use envoy_types::pb::envoy::config::core::v3::substitution_format_string::Format;
use envoy_types::pb::envoy::config::core::v3::{DataSource, SubstitutionFormatString, data_source};
use envoy_types::pb::envoy::extensions::access_loggers::file::v3::{FileAccessLog, file_access_log};
use envoy_types::pb::google::protobuf::{Any, Struct, Value, value::Kind};
use prost::{Message, Name};

use super::http_manager::Side;
use super::proxy::ProxyIdentity;
use crate::config::access_log::{AccessLog, LogFormat};
use crate::dialect::Dialect;
use crate::model::Mesh;

/// Istio's default as JSON.
pub const ISTIO_JSON: &[(&str, &str)] = &[
    ("authority", "%REQ(:AUTHORITY)%"),
    ("bytes_received", "%BYTES_RECEIVED%"),
    ("bytes_sent", "%BYTES_SENT%"),
    ("connection_termination_details", "%CONNECTION_TERMINATION_DETAILS%"),
    ("downstream_local_address", "%DOWNSTREAM_LOCAL_ADDRESS%"),
    ("downstream_remote_address", "%DOWNSTREAM_REMOTE_ADDRESS%"),
    ("duration", "%DURATION%"),
    ("method", "%REQ(:METHOD)%"),
    ("path", "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"),
    ("protocol", "%PROTOCOL%"),
    ("request_id", "%REQ(X-REQUEST-ID)%"),
    ("requested_server_name", "%REQUESTED_SERVER_NAME%"),
    ("response_code", "%RESPONSE_CODE%"),
    ("response_code_details", "%RESPONSE_CODE_DETAILS%"),
    ("response_flags", "%RESPONSE_FLAGS%"),
    ("route_name", "%ROUTE_NAME%"),
    ("start_time", "%START_TIME%"),
    ("upstream_cluster", "%UPSTREAM_CLUSTER_RAW%"),
    ("upstream_host", "%UPSTREAM_HOST%"),
    ("upstream_local_address", "%UPSTREAM_LOCAL_ADDRESS%"),
    ("upstream_service_time", "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%"),
    ("upstream_transport_failure_reason", "%UPSTREAM_TRANSPORT_FAILURE_REASON%"),
    ("user_agent", "%REQ(USER-AGENT)%"),
    ("x_forwarded_for", "%REQ(X-FORWARDED-FOR)%"),
];

/// What is known of a connection.
const CONNECTION: &[(&str, &str)] = &[
    ("bytes_received", "%BYTES_RECEIVED%"),
    ("bytes_sent", "%BYTES_SENT%"),
    ("connection_id", "%CONNECTION_ID%"),
    ("connection_termination", "%CONNECTION_TERMINATION_DETAILS%"),
    ("downstream_direct_local", "%DOWNSTREAM_DIRECT_LOCAL_ADDRESS%"),
    ("downstream_direct_remote", "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%"),
    ("downstream_local", "%DOWNSTREAM_LOCAL_ADDRESS%"),
    ("downstream_peer_subject", "%DOWNSTREAM_PEER_SUBJECT%"),
    ("downstream_peer_uri_san", "%DOWNSTREAM_PEER_URI_SAN%"),
    ("downstream_remote", "%DOWNSTREAM_REMOTE_ADDRESS%"),
    ("downstream_tls_version", "%DOWNSTREAM_TLS_VERSION%"),
    ("downstream_transport_failure", "%DOWNSTREAM_TRANSPORT_FAILURE_REASON%"),
    ("duration_ms", "%DURATION%"),
    ("filter_chain", "%FILTER_CHAIN_NAME%"),
    ("flags", "%RESPONSE_FLAGS%"),
    ("listener", "%LISTENER_NAME%"),
    ("listener_from", "%METADATA(LISTENER:wavetank)%"),
    ("sni", "%REQUESTED_SERVER_NAME%"),
    ("start", "%START_TIME(%s.%9f)%"),
];

/// What is known where an endpoint was chosen.
const UPSTREAM: &[(&str, &str)] = &[
    ("cluster", "%UPSTREAM_CLUSTER_RAW%"),
    ("cluster_from", "%METADATA(CLUSTER:wavetank)%"),
    ("upstream_connection_id", "%UPSTREAM_CONNECTION_ID%"),
    ("upstream_host", "%UPSTREAM_HOST%"),
    ("upstream_local", "%UPSTREAM_LOCAL_ADDRESS%"),
    ("upstream_peer_subject", "%UPSTREAM_PEER_SUBJECT%"),
    ("upstream_peer_uri_san", "%UPSTREAM_PEER_URI_SAN%"),
    ("upstream_remote", "%UPSTREAM_REMOTE_ADDRESS%"),
    ("upstream_tls_version", "%UPSTREAM_TLS_VERSION%"),
    ("upstream_transport_failure", "%UPSTREAM_TRANSPORT_FAILURE_REASON%"),
];

/// What is known of an exchange as a whole, and of none of its attempts.
const WHOLE: &[(&str, &str)] = &[
    ("attempts", "%UPSTREAM_REQUEST_ATTEMPT_COUNT%"),
    ("details", "%RESPONSE_CODE_DETAILS%"),
    ("duration_ns", "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:ns)%"),
    ("protocol", "%PROTOCOL%"),
    ("stream_id", "%STREAM_ID%"),
    ("virtual_host_from", "%METADATA(VIRTUAL_HOST:wavetank)%"),
];

/// What is known of an attempt alone.
const ATTEMPT: &[(&str, &str)] = &[("response_head_ns", "%COMMON_DURATION(US_TX_BEG:US_RX_BEG:ns)%")];

/// What is known of a request.
const REQUEST: &[(&str, &str)] = &[
    ("authority", "%REQ(:AUTHORITY)%"),
    ("method", "%REQ(:METHOD)%"),
    ("path", "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"),
    ("request_id", "%REQ(X-REQUEST-ID)%"),
    ("route", "%ROUTE_NAME%"),
    ("route_from", "%METADATA(ROUTE:wavetank)%"),
    ("status", "%RESPONSE_CODE%"),
    ("user_agent", "%REQ(USER-AGENT)%"),
];

/// The access logs of what one proxy has on one side of the mesh.
#[derive(Debug)]
pub struct Logs<'m> {
    mesh: &'m Mesh,
    proxy: &'m ProxyIdentity,
    side: Side,
}

impl<'m> Logs<'m> {
    /// The logs that `proxy` writes on this side.
    pub fn new(mesh: &'m Mesh, proxy: &'m ProxyIdentity, side: Side) -> Self {
        Self { mesh, proxy, side }
    }

    /// Of an HTTP connection manager.
    pub fn http(&self, route_config: &str) -> Vec<Log> {
        self.requests("http", &[("route_config", route_config)], &[CONNECTION, UPSTREAM, WHOLE, REQUEST])
    }

    /// Of a TCP proxy.
    pub fn tcp(&self) -> Vec<Log> {
        self.requests("tcp", &[], &[CONNECTION, UPSTREAM, WHOLE])
    }

    /// Of a listener: Istio's tells of connections that no filter chain takes, the other of all connections, because a
    /// failed TLS handshake has no response flag to choose it by.
    pub fn listener(&self) -> Vec<Log> {
        let no_route = ResponseFlagFilter { flags: vec!["NR".to_owned()] };
        let filter = AccessLogFilter {
            filter_specifier: Some(access_log_filter::FilterSpecifier::ResponseFlagFilter(no_route)),
        };
        let mut logs = self.requests("connection", &[], &[CONNECTION]);
        if let Some(istio) = logs.first_mut().filter(|_| self.mesh.config.access_logs.requests.is_some()) {
            istio.filter = Some(filter);
        }
        logs
    }

    /// Of the router: one line for each attempt, with the id of its request and of its connection. Envoy knows no
    /// stream id, details or number there; attempts of one request are in the order of their `start`.
    pub fn attempts(&self) -> Vec<Log> {
        let Some(observation) = &self.mesh.config.access_logs.observation else { return Vec::new() };
        vec![self.observed(&observation.attempts, "attempt", &[], &[CONNECTION, UPSTREAM, ATTEMPT, REQUEST])]
    }

    fn requests(&self, kind: &str, fixed: &[(&str, &str)], known: &[&[(&str, &str)]]) -> Vec<Log> {
        let logs = &self.mesh.config.access_logs;
        let istio = logs.requests.as_ref().map(|log| istio(self.mesh.dialect, log, kind == "http"));
        let observed = logs.observation.as_ref().map(|logs| self.observed(&logs.requests, kind, fixed, known));
        istio.into_iter().chain(observed).collect()
    }

    fn observed(&self, path: &str, kind: &str, fixed: &[(&str, &str)], known: &[&[(&str, &str)]]) -> Log {
        let direction = match self.side {
            Side::Outbound => "outbound",
            Side::Inbound => "inbound",
            Side::Gateway => "gateway",
        };
        let own = [("kind", kind), ("node", &self.proxy.node_id), ("direction", direction)];
        let mut entries: Vec<(&str, String)> =
            own.iter().chain(fixed).map(|(key, value)| (*key, value.replace('%', "%%"))).collect();
        entries.extend(known.iter().copied().flatten().map(|(key, value)| (*key, (*value).to_owned())));
        entries.sort();
        let path = path.replace("{node}", &self.proxy.node_id);
        json(&path, entries.iter().map(|(key, value)| (*key, value.as_str())))
    }
}

fn istio(dialect: Dialect, log: &AccessLog, is_http: bool) -> Log {
    match &log.format {
        LogFormat::Text(Some(format)) => text(&log.file, format),
        LogFormat::Text(None) => text(&log.file, dialect.access_log_text(is_http)),
        LogFormat::Json(Some(entries)) => {
            let mut entries: Vec<_> = entries.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            entries.sort_unstable();
            json(&log.file, entries)
        }
        LogFormat::Json(None) => json(&log.file, ISTIO_JSON.iter().copied()),
    }
}

fn text(path: &str, format: &str) -> Log {
    let source =
        DataSource { specifier: Some(data_source::Specifier::InlineString(format.to_owned())), ..Default::default() };
    file(file_log(path, Format::TextFormatSource(source)).encode_to_vec())
}

/// A log of JSON objects with `entries`, which are in key order.
///
/// Protobuf maps have no order here, so each entry is encoded alone: messages that stand one behind the other are
/// one message with the entries of all, in this order.
fn json<'e>(path: &str, entries: impl IntoIterator<Item = (&'e str, &'e str)>) -> Log {
    let entry = |(key, value): (&str, &str)| {
        let value = Value { kind: Some(Kind::StringValue(value.to_owned())) };
        let format = Format::JsonFormat(Struct { fields: std::iter::once((key.to_owned(), value)).collect() });
        file_log("", format).encode_to_vec()
    };
    let mut bytes = FileAccessLog { path: path.to_owned(), ..Default::default() }.encode_to_vec();
    bytes.extend(entries.into_iter().flat_map(entry));
    file(bytes)
}

fn file_log(path: &str, format: Format) -> FileAccessLog {
    let format = SubstitutionFormatString { format: Some(format), ..Default::default() };
    FileAccessLog {
        path: path.to_owned(),
        access_log_format: Some(file_access_log::AccessLogFormat::LogFormat(format)),
    }
}

fn file(encoded: Vec<u8>) -> Log {
    Log {
        name: "envoy.access_loggers.file".to_owned(),
        config_type: Some(access_log::ConfigType::TypedConfig(Any {
            type_url: FileAccessLog::type_url(),
            value: encoded,
        })),
        ..Default::default()
    }
}
