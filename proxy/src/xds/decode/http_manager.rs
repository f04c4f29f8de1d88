//! `HttpConnectionManager`.

use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::HttpProtocolOptions;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::{
    HcmAccessLogOptions, InternalAddressConfig, RouteSpecifier, SetCurrentClientCertDetails, StripPortMode,
    UpgradeConfig,
};
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::{HttpConnectionManager, Rds};

use super::fault::{Fault, Within, each, fields};
use super::value::{cidr, optional_duration, require_ads, switch, within};
use super::{access_log, http_filter, protocol, route_config};
use crate::snapshot::listener::{
    Cidr, ClientCertDetails, Codec, EscapedSlashes, ForwardClientCert, HttpManager, RouteSource, ServerHeader,
};

/// An HTTP connection manager.
pub fn decode(message: &HttpConnectionManager) -> Result<HttpManager, Fault> {
    check(message)?;
    let mut manager = HttpManager::new(message.stat_prefix.as_str(), routes(message.route_specifier.as_ref())?);
    manager.codec = match message.codec_type {
        0 => Codec::Auto,
        1 => Codec::Http1,
        2 => Codec::Http2,
        other => return Err(Fault::new("codec_type", "AUTO, HTTP1 or HTTP2", format_args!("number {other}"))),
    };
    if !message.server_name.is_empty() {
        manager.server_name = Arc::from(message.server_name.as_str());
    }
    manager.server_header = match message.server_header_transformation {
        0 => ServerHeader::Overwrite,
        1 => ServerHeader::AppendIfAbsent,
        2 => ServerHeader::PassThrough,
        other => return Err(Fault::new("server_header_transformation", "0 to 2", other)),
    };
    let filters = http_filter::decode(&message.http_filters)?;
    manager.suppress_envoy_headers = filters.suppress_envoy_headers;
    manager.upstream_logs = filters.upstream_logs;
    manager.access_logs = access_log::decode("access_log", &message.access_log)?;
    if let Some(options) = &message.access_log_options {
        fields!(options => HcmAccessLogOptions {
            used: [],
            harmless: [],
            refused: [access_log_flush_interval, flush_access_log_on_new_request,
                      flush_log_on_tunnel_successfully_established],
            refused_on: [],
        });
    }
    manager.proxy_100_continue = message.proxy_100_continue;
    manager.upgrades = upgrades(&message.upgrade_configs)?;
    origin(message, &mut manager)?;
    paths(message, &mut manager)?;
    timeouts(message, &mut manager)?;
    limits(message, &mut manager)?;
    Ok(manager)
}

fn check(message: &HttpConnectionManager) -> Result<(), Fault> {
    fields!(message => HttpConnectionManager {
        used: [codec_type, stat_prefix, http_filters, common_http_protocol_options, http_protocol_options,
               http2_protocol_options, server_name, server_header_transformation, stream_idle_timeout,
               request_timeout, use_remote_address, xff_num_trusted_hops, internal_address_config, skip_xff_append,
               generate_request_id, preserve_external_request_id, always_set_request_id_in_response,
               forward_client_cert_details, set_current_client_cert_details, upgrade_configs, normalize_path,
               merge_slashes, path_with_escaped_slashes_action, route_specifier, strip_port_mode,
               max_request_headers_kb, request_headers_timeout, proxy_100_continue, access_log,
               access_log_options],
        // Traces and draining are this proxy's own.
        harmless: [tracing, http1_safe_max_connection_duration, drain_timeout, drain_timeout_jitter,
                   delayed_close_timeout, stream_flush_timeout, request_id_extension,
                   stream_error_on_invalid_http_message, typed_header_validation_config, append_local_overload,
                   add_proxy_protocol_connection_state],
        refused: [access_log_flush_interval, flush_access_log_on_new_request, http3_protocol_options, scheme_header_transformation, original_ip_detection_extensions,
                  early_header_mutation_extensions, via,
                  forward_client_cert_matcher, represent_ipv4_remote_address_as_ipv4_mapped_ipv6,
                  local_reply_config, strip_matching_host_port, path_normalization_options,
                  strip_trailing_host_dot, proxy_status_config, append_x_forwarded_port, forward_proto_config],
        refused_on: [add_user_agent],
    });
    message.http_protocol_options.iter().try_for_each(|of| protocol::http1(of).within("http_protocol_options"))
}

fn routes(specifier: Option<&RouteSpecifier>) -> Result<RouteSource, Fault> {
    match specifier {
        Some(RouteSpecifier::Rds(rds)) => rds_name(rds).within("rds").map(RouteSource::Rds),
        Some(RouteSpecifier::RouteConfig(config)) => {
            Ok(RouteSource::Inline(Arc::new(route_config::decode(config).within("route_config")?)))
        }
        Some(RouteSpecifier::ScopedRoutes(_)) => Err(Fault::new("scoped_routes", "rds or route_config", "a value")),
        None => Err(Fault::new("route_specifier", "rds or route_config", "nothing")),
    }
}

fn rds_name(rds: &Rds) -> Result<Arc<str>, Fault> {
    require_ads(rds.config_source.as_ref()).within("config_source")?;
    if rds.route_config_name.is_empty() {
        return Err(Fault::new("route_config_name", "a name", "nothing"));
    }
    Ok(Arc::from(rds.route_config_name.as_str()))
}

fn upgrades(configs: &[UpgradeConfig]) -> Result<Vec<Arc<str>>, Fault> {
    let tokens = each("upgrade_configs", configs, |config| {
        fields!(config => UpgradeConfig {
            used: [upgrade_type, enabled],
            harmless: [],
            refused: [filters],
            refused_on: [],
        });
        let on = switch(config.enabled.as_ref(), true);
        let token = config.upgrade_type.to_ascii_lowercase();
        if on && token == "connect" {
            return Err(Fault::new("upgrade_type", "an upgrade other than CONNECT", &config.upgrade_type));
        }
        Ok(on.then(|| Arc::from(token)))
    })?;
    Ok(tokens.into_iter().flatten().collect())
}

/// Who the client is, and what of its word counts.
fn origin(message: &HttpConnectionManager, manager: &mut HttpManager) -> Result<(), Fault> {
    manager.use_remote_address = switch(message.use_remote_address.as_ref(), false);
    manager.xff_trusted_hops = message.xff_num_trusted_hops;
    manager.skip_xff_append = message.skip_xff_append;
    let internal = message.internal_address_config.as_ref().map(internal_addresses).transpose();
    manager.internal_addresses = internal.within("internal_address_config")?.unwrap_or_default();
    manager.generate_request_id = switch(message.generate_request_id.as_ref(), true);
    manager.preserve_external_request_id = message.preserve_external_request_id;
    manager.always_set_request_id_in_response = message.always_set_request_id_in_response;
    manager.forward_client_cert = match message.forward_client_cert_details {
        0 => ForwardClientCert::Sanitize,
        1 => ForwardClientCert::ForwardOnly,
        2 => ForwardClientCert::AppendForward,
        3 => ForwardClientCert::SanitizeSet,
        4 => ForwardClientCert::AlwaysForwardOnly,
        other => return Err(Fault::new("forward_client_cert_details", "0 to 4", other)),
    };
    let details = message.set_current_client_cert_details.as_ref().map(client_cert_details).transpose();
    manager.client_cert_details = details.within("set_current_client_cert_details")?.unwrap_or_default();
    Ok(())
}

fn internal_addresses(config: &InternalAddressConfig) -> Result<Vec<Cidr>, Fault> {
    fields!(config => InternalAddressConfig {
        used: [cidr_ranges],
        harmless: [unix_sockets],
        refused: [],
        refused_on: [],
    });
    each("cidr_ranges", &config.cidr_ranges, cidr)
}

fn client_cert_details(details: &SetCurrentClientCertDetails) -> Result<ClientCertDetails, Fault> {
    fields!(details => SetCurrentClientCertDetails {
        used: [subject, dns, uri],
        harmless: [],
        refused: [cert, chain, issuer, format],
        refused_on: [],
    });
    Ok(ClientCertDetails { subject: switch(details.subject.as_ref(), false), uri: details.uri, dns: details.dns })
}

fn paths(message: &HttpConnectionManager, manager: &mut HttpManager) -> Result<(), Fault> {
    manager.normalize_path = switch(message.normalize_path.as_ref(), false);
    manager.merge_slashes = message.merge_slashes;
    manager.escaped_slashes = match message.path_with_escaped_slashes_action {
        // Whoever says that paths stay as they are means their escapes too.
        0 if message.normalize_path.as_ref().is_some_and(|normalize| !normalize.value) => EscapedSlashes::Keep,
        0 => EscapedSlashes::Strict,
        1 => EscapedSlashes::Keep,
        2 => EscapedSlashes::Reject,
        3 => EscapedSlashes::UnescapeAndRedirect,
        4 => EscapedSlashes::UnescapeAndForward,
        other => return Err(Fault::new("path_with_escaped_slashes_action", "0 to 4", other)),
    };
    manager.strip_any_host_port = matches!(message.strip_port_mode, Some(StripPortMode::StripAnyHostPort(true)));
    Ok(())
}

fn timeouts(message: &HttpConnectionManager, manager: &mut HttpManager) -> Result<(), Fault> {
    manager.stream_idle_timeout = optional_duration("stream_idle_timeout", message.stream_idle_timeout.as_ref())?;
    let whole = optional_duration("request_timeout", message.request_timeout.as_ref())?;
    manager.request_timeout = whole.filter(|bound| !bound.is_zero());
    manager.request_headers_timeout =
        optional_duration("request_headers_timeout", message.request_headers_timeout.as_ref())?;
    if let Some(options) = &message.common_http_protocol_options {
        common(options, manager).within("common_http_protocol_options")?;
    }
    Ok(())
}

/// What a caller may send.
fn limits(message: &HttpConnectionManager, manager: &mut HttpManager) -> Result<(), Fault> {
    if let Some(kib) = &message.max_request_headers_kb {
        let kib = usize::try_from(within("max_request_headers_kb", kib.value, 1..=8192)?).unwrap_or(usize::MAX);
        manager.head_bytes_max = kib.saturating_mul(1024);
    }
    if let Some(options) = &message.http2_protocol_options {
        manager.http2 = protocol::http2(options).within("http2_protocol_options")?;
    }
    Ok(())
}

fn common(options: &HttpProtocolOptions, manager: &mut HttpManager) -> Result<(), Fault> {
    fields!(options => HttpProtocolOptions {
        used: [idle_timeout, max_headers_count, max_requests_per_connection],
        harmless: [max_response_headers_kb],
        refused: [max_connection_duration, max_connection_duration_jitter, max_stream_duration,
                  headers_with_underscores_action],
        refused_on: [],
    });
    manager.idle_timeout = optional_duration("idle_timeout", options.idle_timeout.as_ref())?;
    let requests = options.max_requests_per_connection.map(|max| max.value);
    manager.requests_per_connection_max = requests.filter(|max| *max > 0);
    if let Some(count) = &options.max_headers_count {
        let count = within("max_headers_count", count.value, 1..=u32::MAX)?;
        manager.headers_max = usize::try_from(count).unwrap_or(usize::MAX);
    }
    Ok(())
}
