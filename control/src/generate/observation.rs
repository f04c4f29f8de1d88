//! Access logs that say all of a proxy's decisions, for proxies that keep no records of their own.
//!
//! A line is fields between [`SEPARATOR`]s, which no header and no path can have in it. Envoy writes one for each
//! request or connection, and one for each attempt at an endpoint, to its standard output.

use envoy_types::pb::envoy::config::accesslog::v3::{AccessLog, access_log};
use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
use envoy_types::pb::envoy::config::core::v3::substitution_format_string::Format;
use envoy_types::pb::envoy::config::core::v3::{DataSource, SubstitutionFormatString};
use envoy_types::pb::envoy::extensions::access_loggers::stream::v3::{StdoutAccessLog, stdout_access_log};

use super::shape;

/// Between fields.
pub const SEPARATOR: char = '\u{1f}';
/// First field of a line about a request or a connection.
pub const REQUEST: &str = "request";
/// First field of a line about an attempt.
pub const ATTEMPT: &str = "attempt";

/// The fields of a line about a request or a connection, after the first, each with its command operator.
pub const REQUEST_FIELDS: [(&str, &str); 33] = [
    ("start", "%START_TIME(%s.%9f)%"),
    ("duration_ns", "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:ns)%"),
    ("duration_ms", "%DURATION%"),
    ("protocol", "%PROTOCOL%"),
    ("method", "%REQ(:METHOD)%"),
    ("authority", "%REQ(:AUTHORITY)%"),
    ("path", "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"),
    ("request_id", "%REQ(X-REQUEST-ID)%"),
    ("user_agent", "%REQ(USER-AGENT)%"),
    ("status", "%RESPONSE_CODE%"),
    ("flags", "%RESPONSE_FLAGS%"),
    ("details", "%RESPONSE_CODE_DETAILS%"),
    ("bytes_received", "%BYTES_RECEIVED%"),
    ("bytes_sent", "%BYTES_SENT%"),
    ("downstream_local", "%DOWNSTREAM_DIRECT_LOCAL_ADDRESS%"),
    ("downstream_original", "%DOWNSTREAM_LOCAL_ADDRESS%"),
    ("downstream_remote", "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%"),
    ("downstream_tls", "%DOWNSTREAM_TLS_VERSION%"),
    ("downstream_peer", "%DOWNSTREAM_PEER_URI_SAN%"),
    ("sni", "%REQUESTED_SERVER_NAME%"),
    ("filter_chain", "%FILTER_CHAIN_NAME%"),
    ("route", "%ROUTE_NAME%"),
    ("cluster", "%UPSTREAM_CLUSTER_RAW%"),
    ("attempts", "%UPSTREAM_REQUEST_ATTEMPT_COUNT%"),
    ("endpoint", "%UPSTREAM_HOST%"),
    ("upstream_local", "%UPSTREAM_LOCAL_ADDRESS%"),
    ("upstream_tls", "%UPSTREAM_TLS_VERSION%"),
    ("upstream_peer", "%UPSTREAM_PEER_URI_SAN%"),
    ("transport_failure", "%UPSTREAM_TRANSPORT_FAILURE_REASON%"),
    ("route_file", "%METADATA(ROUTE:wavetank:file)%"),
    ("route_line", "%METADATA(ROUTE:wavetank:line)%"),
    ("route_column", "%METADATA(ROUTE:wavetank:column)%"),
    ("cluster_from", "%METADATA(CLUSTER:wavetank)%"),
];

/// The fields of a line about an attempt, after the first, each with its command operator.
///
/// Envoy's upstream log has no stream id: a request's lines share its id and the caller's end of its connection.
pub const ATTEMPT_FIELDS: [(&str, &str); 12] = [
    ("request_id", "%REQ(X-REQUEST-ID)%"),
    ("downstream_remote", "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%"),
    ("start", "%START_TIME(%s.%9f)%"),
    ("duration_ms", "%DURATION%"),
    ("cluster", "%UPSTREAM_CLUSTER_RAW%"),
    ("endpoint", "%UPSTREAM_HOST%"),
    ("upstream_local", "%UPSTREAM_LOCAL_ADDRESS%"),
    ("upstream_tls", "%UPSTREAM_TLS_VERSION%"),
    ("upstream_peer", "%UPSTREAM_PEER_URI_SAN%"),
    ("status", "%RESPONSE_CODE%"),
    ("flags", "%RESPONSE_FLAGS%"),
    ("transport_failure", "%UPSTREAM_TRANSPORT_FAILURE_REASON%"),
];

/// The log of requests or connections.
pub(super) fn of_requests() -> AccessLog {
    stdout(REQUEST, &REQUEST_FIELDS)
}

/// The router's log of attempts.
pub(super) fn of_attempts() -> AccessLog {
    stdout(ATTEMPT, &ATTEMPT_FIELDS)
}

fn stdout(first: &str, fields: &[(&str, &str)]) -> AccessLog {
    let mut line = first.to_owned();
    for (_, operator) in fields {
        line.push(SEPARATOR);
        line.push_str(operator);
    }
    line.push('\n');
    let text = DataSource { specifier: Some(Specifier::InlineString(line)), ..Default::default() };
    let format = SubstitutionFormatString { format: Some(Format::TextFormatSource(text)), ..Default::default() };
    let log = StdoutAccessLog { access_log_format: Some(stdout_access_log::AccessLogFormat::LogFormat(format)) };
    AccessLog {
        name: "envoy.access_loggers.stdout".to_owned(),
        config_type: Some(access_log::ConfigType::TypedConfig(shape::any(&log))),
        ..Default::default()
    }
}
