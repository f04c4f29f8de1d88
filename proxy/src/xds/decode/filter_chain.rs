//! `FilterChain`, `FilterChainMatch` and network filters.

use std::sync::Arc;

use envoy_types::pb::envoy::config::listener::v3::filter::ConfigType;
use envoy_types::pb::envoy::config::listener::v3::{
    Filter, FilterChain as ProtoFilterChain, FilterChainMatch as ProtoFilterChainMatch,
};
use envoy_types::pb::google::protobuf::Any;

use super::fault::{Fault, Within, each, fields};
use super::value::{cidr, parse, type_name};
use super::{http_manager, tcp_proxy, tls};
use crate::snapshot::listener::{FilterChain, FilterChainMatch, Handler, TransportProtocol};

const HTTP_MANAGER: &str = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const TCP_PROXY: &str = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy";

/// Network filters that only exchange or count metadata.
const HARMLESS: [&str; 3] =
    ["envoy.tcp.metadataexchange.config.MetadataExchange", "stats.PluginConfig", "io.istio.tcp.peer_metadata.Config"];

/// A filter chain.
pub fn decode(message: &ProtoFilterChain) -> Result<FilterChain, Fault> {
    fields!(message => ProtoFilterChain {
        used: [name, filter_chain_match, filters, transport_socket],
        harmless: [metadata],
        refused: [transport_socket_connect_timeout],
        refused_on: [use_proxy_proto],
    });
    let matches = message.filter_chain_match.as_ref().map(decode_match).transpose().within("filter_chain_match")?;
    let tls = tls::downstream_socket(message.transport_socket.as_ref()).within("transport_socket")?;
    Ok(FilterChain {
        name: Arc::from(message.name.as_str()),
        matches: matches.unwrap_or_default(),
        tls: tls.map(Arc::new),
        handler: handler(&message.filters)?,
    })
}

fn decode_match(message: &ProtoFilterChainMatch) -> Result<FilterChainMatch, Fault> {
    fields!(message => ProtoFilterChainMatch {
        used: [destination_port, prefix_ranges, source_prefix_ranges, server_names, transport_protocol,
               application_protocols],
        harmless: [],
        refused: [address_suffix, suffix_len, direct_source_prefix_ranges, source_type, source_ports],
        refused_on: [],
    });
    let port = message.destination_port.as_ref().map(|port| match u16::try_from(port.value) {
        Ok(port @ 1..) => Ok(port),
        _ => Err(Fault::new("destination_port", "1 to 65535", port.value)),
    });
    Ok(FilterChainMatch {
        destination_port: port.transpose()?,
        prefix_ranges: each("prefix_ranges", &message.prefix_ranges, cidr)?,
        server_names: each("server_names", &message.server_names, |name| server_name(name))?,
        transport_protocol: match message.transport_protocol.as_str() {
            "" => None,
            "tls" => Some(TransportProtocol::Tls),
            "raw_buffer" => Some(TransportProtocol::RawBuffer),
            other => return Err(Fault::new("transport_protocol", "tls, raw_buffer or nothing", other)),
        },
        application_protocols: message.application_protocols.iter().map(|name| Arc::from(name.as_str())).collect(),
        source_prefix_ranges: each("source_prefix_ranges", &message.source_prefix_ranges, cidr)?,
    })
}

/// A whole name, or `*.` and a suffix.
fn server_name(name: &str) -> Result<Arc<str>, Fault> {
    let plain = name.strip_prefix("*.").unwrap_or(name);
    if plain.is_empty() || plain.contains('*') {
        return Err(Fault::new("", "a name or `*.suffix`", format_args!("`{name}`")));
    }
    Ok(Arc::from(name.to_ascii_lowercase()))
}

/// The terminal filter; what comes before it must do nothing to the bytes.
fn handler(filters: &[Filter]) -> Result<Handler, Fault> {
    let Some((last, before)) = filters.split_last() else {
        return Err(Fault::new("filters", "a terminal filter", "none"));
    };
    each("filters", before, |filter| match type_name(config(filter)?) {
        kind if HARMLESS.contains(&kind) => Ok(()),
        kind => Err(Fault::new("typed_config", "a filter that does nothing to the bytes", kind)),
    })?;
    terminal(last).within_item("filters", before.len())
}

fn terminal(filter: &Filter) -> Result<Handler, Fault> {
    let config = config(filter)?;
    match type_name(config) {
        HTTP_MANAGER => {
            let message = parse(config, HTTP_MANAGER).within("typed_config")?;
            Ok(Handler::Http(Arc::new(http_manager::decode(&message).within("typed_config")?)))
        }
        TCP_PROXY => {
            let message = parse(config, TCP_PROXY).within("typed_config")?;
            Ok(Handler::Tcp(Arc::new(tcp_proxy::decode(&message).within("typed_config")?)))
        }
        other => Err(Fault::new("typed_config", "http_connection_manager or tcp_proxy", other)),
    }
}

fn config(filter: &Filter) -> Result<&Any, Fault> {
    match &filter.config_type {
        Some(ConfigType::TypedConfig(config)) => Ok(config),
        Some(ConfigType::ConfigDiscovery(_)) => Err(Fault::new("config_discovery", "typed_config", "a value")),
        None => Err(Fault::new("typed_config", "a value", format_args!("nothing in `{}`", filter.name))),
    }
}
