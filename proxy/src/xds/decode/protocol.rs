//! What is spoken to endpoints: `HttpProtocolOptions` of a cluster, and the HTTP/1 and HTTP/2 options that
//! both sides have.

use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::{
    Http1ProtocolOptions, Http2ProtocolOptions, HttpProtocolOptions as CommonOptions, UpstreamHttpProtocolOptions,
};
use envoy_types::pb::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::explicit_http_config::ProtocolConfig;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::{
    ExplicitHttpConfig, UpstreamProtocolOptions, UseDownstreamHttpConfig,
};

use envoy_types::pb::google::protobuf::UInt32Value;

use super::fault::{Fault, Within, fields};
use super::value::{optional_duration, within};
use crate::snapshot::cluster::UpstreamProtocol;
use crate::snapshot::edge::Http2Settings;

/// Key and message type in `typed_extension_protocol_options`.
pub const UPSTREAM_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// How a cluster speaks HTTP.
#[derive(Debug, Default)]
pub struct Upstream {
    /// `None`: the options do not say.
    pub protocol: Option<UpstreamProtocol>,
    /// Of pooled connections.
    pub idle_timeout: Option<Duration>,
    /// A connection serves this many; `None`: no limit.
    pub requests_per_connection_max: Option<u32>,
}

/// `HttpProtocolOptions` of a cluster.
pub fn upstream(message: &HttpProtocolOptions) -> Result<Upstream, Fault> {
    fields!(message => HttpProtocolOptions {
        used: [common_http_protocol_options, upstream_http_protocol_options, upstream_protocol_options, http_filters],
        harmless: [],
        refused: [header_validation_config, outlier_detection, request_mirror_policies, hash_policy, retry_policy],
        refused_on: [],
    });
    if let Some(filter) = message.http_filters.iter().find(|filter| filter.name != "envoy.filters.http.upstream_codec")
    {
        return Err(Fault::new("http_filters", "the upstream codec alone", &filter.name));
    }
    if let Some(options) = &message.upstream_http_protocol_options {
        check_server_name(options).within("upstream_http_protocol_options")?;
    }
    let mut upstream = match &message.common_http_protocol_options {
        Some(options) => common(options).within("common_http_protocol_options")?,
        None => Upstream::default(),
    };
    upstream.protocol = match &message.upstream_protocol_options {
        None => None,
        Some(UpstreamProtocolOptions::ExplicitHttpConfig(of)) => explicit(of).within("explicit_http_config")?,
        Some(UpstreamProtocolOptions::UseDownstreamProtocolConfig(of)) => {
            same_as_downstream(of).within("use_downstream_protocol_config")?;
            Some(UpstreamProtocol::SameAsDownstream)
        }
        Some(UpstreamProtocolOptions::AutoConfig(_)) => {
            let wanted = "explicit_http_config or use_downstream_protocol_config";
            return Err(Fault::new("auto_config", wanted, "a value"));
        }
    };
    Ok(upstream)
}

fn check_server_name(options: &UpstreamHttpProtocolOptions) -> Result<(), Fault> {
    fields!(options => UpstreamHttpProtocolOptions {
        used: [],
        harmless: [],
        refused: [auto_sni, auto_san_validation, override_auto_sni_header],
        refused_on: [],
    });
    Ok(())
}

/// Common options of a cluster.
pub fn common(options: &CommonOptions) -> Result<Upstream, Fault> {
    fields!(options => CommonOptions {
        used: [idle_timeout, max_requests_per_connection],
        harmless: [headers_with_underscores_action],
        refused: [max_connection_duration, max_connection_duration_jitter, max_headers_count, max_response_headers_kb,
                  max_stream_duration],
        refused_on: [],
    });
    Ok(Upstream {
        protocol: None,
        idle_timeout: optional_duration("idle_timeout", options.idle_timeout.as_ref())?,
        requests_per_connection_max: options.max_requests_per_connection.map(|max| max.value).filter(|max| *max > 0),
    })
}

fn explicit(config: &ExplicitHttpConfig) -> Result<Option<UpstreamProtocol>, Fault> {
    match &config.protocol_config {
        Some(ProtocolConfig::HttpProtocolOptions(options)) => {
            http1(options).within("http_protocol_options")?;
            Ok(Some(UpstreamProtocol::Http1))
        }
        Some(ProtocolConfig::Http2ProtocolOptions(options)) => {
            http2(options).within("http2_protocol_options")?;
            Ok(Some(UpstreamProtocol::Http2))
        }
        Some(ProtocolConfig::Http3ProtocolOptions(_)) => {
            Err(Fault::new("http3_protocol_options", "HTTP/1 or HTTP/2", "HTTP/3"))
        }
        None => Ok(None),
    }
}

fn same_as_downstream(config: &UseDownstreamHttpConfig) -> Result<(), Fault> {
    fields!(config => UseDownstreamHttpConfig {
        used: [http_protocol_options, http2_protocol_options],
        harmless: [],
        refused: [http3_protocol_options],
        refused_on: [],
    });
    config.http_protocol_options.iter().try_for_each(|options| http1(options).within("http_protocol_options"))?;
    let mut http2_options = config.http2_protocol_options.iter();
    http2_options.try_for_each(|options| http2(options).map(|_| ()).within("http2_protocol_options"))
}

/// Checks HTTP/1 options, of either side.
pub fn http1(options: &Http1ProtocolOptions) -> Result<(), Fault> {
    fields!(options => Http1ProtocolOptions {
        used: [],
        // Trailers pass in any case; what the parser takes is this proxy's own, stricter choice.
        harmless: [allow_absolute_url, enable_trailers, use_balsa_parser, ignore_http_11_upgrade,
                   override_stream_error_on_invalid_http_message],
        refused: [accept_http_10, default_host_for_http_10, header_key_format, allow_chunked_length,
                  send_fully_qualified_url, allow_custom_methods],
        refused_on: [],
    });
    Ok(())
}

/// HTTP/2 options, of either side. Of an upstream's they are only checked; flood limits are this proxy's own.
pub fn http2(options: &Http2ProtocolOptions) -> Result<Http2Settings, Fault> {
    fields!(options => Http2ProtocolOptions {
        used: [max_concurrent_streams, initial_stream_window_size, initial_connection_window_size],
        // No route can take a CONNECT request, so that allowing them changes nothing.
        harmless: [hpack_table_size, allow_connect, max_outbound_frames, max_outbound_control_frames,
                   max_consecutive_inbound_frames_with_empty_payload, max_inbound_priority_frames_per_stream,
                   max_inbound_window_update_frames_per_data_frame_sent, stream_error_on_invalid_http_messaging,
                   override_stream_error_on_invalid_http_message, use_oghttp2_codec, max_metadata_size,
                   enable_huffman_encoding, max_header_field_size_kb, disallow_obs_text, stream_reset_burst,
                   stream_reset_rate],
        refused: [allow_metadata, custom_settings_parameters, connection_keepalive],
        refused_on: [],
    });
    let set = |field, value: Option<&UInt32Value>, least| {
        value.map(|value| within(field, value.value, least..=0x7fff_ffff)).transpose()
    };
    Ok(Http2Settings {
        streams_max: set("max_concurrent_streams", options.max_concurrent_streams.as_ref(), 1)?,
        stream_window: set("initial_stream_window_size", options.initial_stream_window_size.as_ref(), 65535)?,
        connection_window: set(
            "initial_connection_window_size",
            options.initial_connection_window_size.as_ref(),
            65535,
        )?,
    })
}
