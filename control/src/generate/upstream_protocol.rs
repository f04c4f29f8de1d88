//! Which HTTP a cluster's connections speak.

use envoy_types::pb::envoy::config::core::v3::{Http1ProtocolOptions, Http2ProtocolOptions, HttpProtocolOptions};
use envoy_types::pb::envoy::extensions::upstreams::http::v3 as http;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::{
    ExplicitHttpConfig, UpstreamProtocolOptions, UseDownstreamHttpConfig, explicit_http_config::ProtocolConfig,
};
use envoy_types::pb::google::protobuf::Any;

use super::shape;
use crate::model::{ConnectionPool, Protocol};

/// Key of these options in `typed_extension_protocol_options`.
pub const NAME: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// The options of a cluster; `None` where HTTP/1.1 without limits is meant, Envoy's default.
pub fn options(protocol: Protocol, pool: &ConnectionPool) -> Option<Any> {
    let requests_max = pool.requests_per_connection_max.filter(|requests| *requests > 0);
    let upstream = if protocol.is_http2() {
        explicit(ProtocolConfig::Http2ProtocolOptions(Http2ProtocolOptions::default()))
    } else if protocol == Protocol::Sniffed {
        UpstreamProtocolOptions::UseDownstreamProtocolConfig(UseDownstreamHttpConfig {
            http_protocol_options: Some(Http1ProtocolOptions::default()),
            http2_protocol_options: Some(Http2ProtocolOptions::default()),
            ..Default::default()
        })
    } else if requests_max.is_some() {
        explicit(ProtocolConfig::HttpProtocolOptions(Http1ProtocolOptions::default()))
    } else {
        return None;
    };
    let common = requests_max.map(|requests| HttpProtocolOptions {
        max_requests_per_connection: shape::number(requests),
        ..Default::default()
    });
    Some(shape::any(&http::HttpProtocolOptions {
        common_http_protocol_options: common,
        upstream_protocol_options: Some(upstream),
        ..Default::default()
    }))
}

fn explicit(config: ProtocolConfig) -> UpstreamProtocolOptions {
    UpstreamProtocolOptions::ExplicitHttpConfig(ExplicitHttpConfig { protocol_config: Some(config) })
}
