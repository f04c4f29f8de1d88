//! `Listener` and its listener filters.

use envoy_types::pb::envoy::config::listener::v3::listener_filter::ConfigType;
use envoy_types::pb::envoy::config::listener::v3::listener_filter_chain_match_predicate::Rule;
use envoy_types::pb::envoy::config::listener::v3::{
    Listener as ProtoListener, ListenerFilter, ListenerFilterChainMatchPredicate,
};

use super::fault::{Fault, Within, each, fields};
use super::value::{optional_duration, required, socket_address, switch, type_name};
use super::{access_log, filter_chain, metadata};
use crate::record::Direction;
use crate::snapshot::Listener;
use crate::snapshot::listener::PortRule;

/// A listener.
pub fn decode(message: &ProtoListener) -> Result<Listener, Fault> {
    fields!(message => ProtoListener {
        used: [name, address, filter_chains, use_original_dst, default_filter_chain, metadata, listener_filters,
               listener_filters_timeout, continue_on_listener_filters_timeout, traffic_direction, deprecated_v1,
               bind_to_port, access_log],
        // Sockets are tuned by the host; statistics and draining are this proxy's own.
        harmless: [stat_prefix, stats_matcher, per_connection_buffer_limit_bytes,
                   per_connection_buffer_high_watermark_timeout, drain_type, tcp_fast_open_queue_length,
                   connection_balance_config, reuse_port, enable_reuse_port, tcp_backlog_size,
                   max_connections_to_accept_per_socket_event, enable_mptcp, ignore_global_conn_limit,
                   bypass_overload_manager, tcp_keepalive],
        refused: [additional_addresses, fcds_config, filter_chain_matcher, socket_options, udp_listener_config,
                  api_listener, listener_specifier],
        refused_on: [transparent, freebind],
    });
    if message.name.is_empty() {
        return Err(Fault::new("name", "a name", "nothing"));
    }
    let address = socket_address(required("address", message.address.as_ref())?).within("address")?;
    let mut listener = Listener::new(message.name.as_str(), address);
    let deprecated_bind = message.deprecated_v1.as_ref().and_then(|v1| v1.bind_to_port.as_ref());
    listener.bind_to_port = switch(message.bind_to_port.as_ref().or(deprecated_bind), true);
    listener.use_original_dst = switch(message.use_original_dst.as_ref(), false);
    for (index, filter) in message.listener_filters.iter().enumerate() {
        listener_filter(filter, &mut listener).within_item("listener_filters", index)?;
    }
    listener.inspect_timeout =
        optional_duration("listener_filters_timeout", message.listener_filters_timeout.as_ref())?;
    listener.continue_on_inspect_timeout = message.continue_on_listener_filters_timeout;
    listener.direction = match message.traffic_direction {
        0 => Direction::Gateway,
        1 => Direction::Inbound,
        2 => Direction::Outbound,
        other => return Err(Fault::new("traffic_direction", "0 to 2", other)),
    };
    listener.filter_chains = each("filter_chains", &message.filter_chains, filter_chain::decode)?;
    let default = message.default_filter_chain.as_ref().map(filter_chain::decode).transpose();
    listener.default_filter_chain = default.within("default_filter_chain")?;
    listener.access_logs = access_log::decode("access_log", &message.access_log)?;
    listener.provenance = metadata::provenance(message.metadata.as_ref());
    Ok(listener)
}

/// The original destination needs no filter here: the door always tells it.
fn listener_filter(filter: &ListenerFilter, listener: &mut Listener) -> Result<(), Fault> {
    fields!(filter => ListenerFilter {
        used: [name, config_type, filter_disabled],
        harmless: [],
        refused: [],
        refused_on: [],
    });
    let kind = match &filter.config_type {
        Some(ConfigType::TypedConfig(config)) => type_name(config),
        Some(ConfigType::ConfigDiscovery(_)) => return Err(Fault::new("config_discovery", "typed_config", "a value")),
        None => filter.name.as_str(),
    };
    let except = match &filter.filter_disabled {
        Some(predicate) => port_rule(predicate).within("filter_disabled")?,
        None => PortRule::Any(false),
    };
    match kind {
        "envoy.extensions.filters.listener.original_dst.v3.OriginalDst" | "envoy.filters.listener.original_dst" => {}
        "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector" | "envoy.filters.listener.tls_inspector" => {
            listener.inspect_tls = true;
            listener.inspect_tls_except = except;
        }
        "envoy.extensions.filters.listener.http_inspector.v3.HttpInspector"
        | "envoy.filters.listener.http_inspector" => {
            listener.inspect_http = true;
            listener.inspect_http_except = except;
        }
        other => {
            return Err(Fault::new("typed_config", "original_dst, tls_inspector or http_inspector", other));
        }
    }
    Ok(())
}

fn port_rule(predicate: &ListenerFilterChainMatchPredicate) -> Result<PortRule, Fault> {
    Ok(match &predicate.rule {
        Some(Rule::AnyMatch(all)) => PortRule::Any(*all),
        Some(Rule::DestinationPortRange(range)) => {
            let port = |port: i32| u32::try_from(port).map_err(|_| Fault::new("destination_port_range", "ports", port));
            PortRule::Range(port(range.start)?, port(range.end)?)
        }
        Some(Rule::NotMatch(rule)) => PortRule::Not(Box::new(port_rule(rule).within("not_match")?)),
        Some(Rule::AndMatch(set)) => PortRule::All(each("rules", &set.rules, port_rule).within("and_match")?),
        Some(Rule::OrMatch(set)) => PortRule::OneOf(each("rules", &set.rules, port_rule).within("or_match")?),
        None => return Err(Fault::new("rule", "a rule", "nothing")),
    })
}
