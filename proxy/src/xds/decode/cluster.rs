//! `Cluster`.

use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3::circuit_breakers::Thresholds;
use envoy_types::pb::envoy::config::cluster::v3::cluster::common_lb_config::LocalityConfigSpecifier;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, CommonLbConfig, EdsClusterConfig, LbConfig, LeastRequestLbConfig, OriginalDstLbConfig,
    RoundRobinLbConfig, TransportSocketMatch as ProtoTransportSocketMatch,
};
use envoy_types::pb::envoy::config::cluster::v3::{CircuitBreakers, Cluster as ProtoCluster, Filter};
use envoy_types::pb::envoy::config::core::v3::BindConfig;
use envoy_types::pb::google::protobuf::Any;

use super::fault::{Fault, Within, each, fields};
use super::protocol::Upstream;
use super::value::{duration, number, optional_duration, parse, require_ads, required, source_ip, type_name};
use super::{assignment, metadata, outlier, protocol, tls};
use crate::snapshot::cluster::{Balancer, Breakers, Cluster, Discovery, TransportSocketMatch, UpstreamProtocol};

/// A cluster.
pub fn decode(message: &ProtoCluster) -> Result<Cluster, Fault> {
    fields!(message => ProtoCluster {
        used: [alt_stat_name, name, transport_socket_matches, eds_cluster_config, connect_timeout, lb_policy, load_assignment,
               max_requests_per_connection, circuit_breakers, typed_extension_protocol_options,
               common_http_protocol_options, http2_protocol_options, protocol_selection, upstream_bind_config,
               common_lb_config, transport_socket, metadata, filters, cluster_discovery_type, lb_config,
               outlier_detection],
        // Names are looked up as the host looks names up. Without active health checks nothing waits for
        // them. Load reports and time-out budgets are statistics; TCP keep-alive is the host's.
        harmless: [stats_matcher, per_connection_buffer_limit_bytes,
                   per_connection_buffer_high_watermark_timeout, dns_refresh_rate, dns_jitter,
                   dns_failure_refresh_rate, respect_dns_ttl, dns_lookup_family, use_tcp_for_dns_lookups,
                   wait_for_warm_on_init, cleanup_interval, upstream_connection_options,
                   close_connections_on_host_health_failure, ignore_health_on_host_removal, lrs_server,
                   lrs_report_endpoint_metrics, track_timeout_budgets, track_cluster_stats],
        refused: [transport_socket_matcher, health_checks, upstream_http_protocol_options, http_protocol_options,
                  dns_resolvers, dns_resolution_config, typed_dns_resolver_config, lb_subset_config,
                  load_balancing_policy, upstream_config, preconnect_policy,
                  connection_pool_per_downstream_connection, queuing_policies],
        refused_on: [],
    });
    if message.name.is_empty() {
        return Err(Fault::new("name", "a name", "nothing"));
    }
    each("filters", &message.filters, harmless_filter)?;
    let mut cluster = Cluster::new(message.name.as_str(), discovery(message)?);
    cluster.balancer = balancer(message, &cluster.discovery)?;
    if let Some(bound) = &message.connect_timeout {
        cluster.connect_timeout = connect_timeout(duration(bound).within("connect_timeout")?)?;
    }
    if let Some(of) = &message.circuit_breakers {
        cluster.breakers = breakers(of).within("circuit_breakers")?;
    }
    let upstream = upstream(message)?;
    cluster.protocol = upstream.protocol.unwrap_or(UpstreamProtocol::Http1);
    cluster.idle_timeout = upstream.idle_timeout;
    cluster.requests_per_connection_max = upstream.requests_per_connection_max;
    if let Some(common) = &message.common_lb_config {
        cluster.panic_threshold_percent = panic_threshold(common).within("common_lb_config")?;
        if let Some(window) =
            optional_duration("update_merge_window", common.update_merge_window.as_ref()).within("common_lb_config")?
        {
            cluster.update_merge_window = window;
        }
    }
    if let Some(of) = &message.outlier_detection {
        cluster.outlier_detection = Some(Arc::new(outlier::decode(of).within("outlier_detection")?));
    }
    cluster.transport_socket_matches =
        each("transport_socket_matches", &message.transport_socket_matches, transport_socket_match)?;
    cluster.transport_socket = tls::upstream_socket(message.transport_socket.as_ref()).within("transport_socket")?;
    if let Some(bind) = &message.upstream_bind_config {
        cluster.source = source(bind).within("upstream_bind_config")?;
    }
    cluster.alt_stat_name = Some(message.alt_stat_name.as_str()).filter(|name| !name.is_empty()).map(Arc::from);
    cluster.provenance = metadata::provenance(message.metadata.as_ref());
    cluster.service = metadata::service(message.metadata.as_ref()).map(Arc::new);
    Ok(cluster)
}

/// Filters that only exchange or count metadata.
fn harmless_filter(filter: &Filter) -> Result<(), Fault> {
    match filter.name.as_str() {
        "istio.metadata_exchange" | "envoy.filters.network.upstream.metadata_exchange" => Ok(()),
        other => Err(Fault::new("name", "a filter that does nothing to the bytes", other)),
    }
}

fn connect_timeout(bound: Duration) -> Result<Duration, Fault> {
    if bound.is_zero() { Err(Fault::new("connect_timeout", "more than 0", "0")) } else { Ok(bound) }
}

fn discovery(message: &ProtoCluster) -> Result<Discovery, Fault> {
    let kind = match &message.cluster_discovery_type {
        Some(ClusterDiscoveryType::Type(kind)) => *kind,
        Some(ClusterDiscoveryType::ClusterType(of)) => {
            return Err(Fault::new("cluster_type", "a built-in type", &of.name));
        }
        None => 0,
    };
    let written = message.load_assignment.as_ref();
    match kind {
        0 => {
            let written = written.map(assignment::decode).transpose().within("load_assignment")?;
            Ok(Discovery::Static(Arc::new(written.unwrap_or_default())))
        }
        1 => {
            let names = written.map(assignment::names).transpose().within("load_assignment")?;
            Ok(Discovery::StrictDns(names.unwrap_or_default()))
        }
        3 => {
            let config = required("eds_cluster_config", message.eds_cluster_config.as_ref())?;
            eds_name(config, &message.name).within("eds_cluster_config").map(Discovery::Eds)
        }
        4 => Ok(Discovery::OriginalDst),
        other => Err(Fault::new("type", "STATIC, STRICT_DNS, EDS or ORIGINAL_DST", format_args!("number {other}"))),
    }
}

fn eds_name(config: &EdsClusterConfig, cluster: &str) -> Result<Arc<str>, Fault> {
    require_ads(config.eds_config.as_ref()).within("eds_config")?;
    Ok(Arc::from(if config.service_name.is_empty() { cluster } else { config.service_name.as_str() }))
}

fn balancer(message: &ProtoCluster, discovery: &Discovery) -> Result<Balancer, Fault> {
    let choices = match &message.lb_config {
        None => 2,
        Some(LbConfig::LeastRequestLbConfig(config)) => least_request(config).within("least_request_lb_config")?,
        Some(LbConfig::RoundRobinLbConfig(config)) => {
            fields!(config => RoundRobinLbConfig {
                used: [], harmless: [], refused: [slow_start_config], refused_on: [],
            });
            2
        }
        Some(LbConfig::OriginalDstLbConfig(config)) => {
            original_dst(config).within("original_dst_lb_config").map(|()| 2)?
        }
        Some(_) => return Err(Fault::new("lb_config", "that of a supported lb_policy", "another one")),
    };
    let provided = matches!(discovery, Discovery::OriginalDst);
    match message.lb_policy {
        6 if provided => Ok(Balancer::Provided),
        _ if provided => Err(Fault::new("lb_policy", "CLUSTER_PROVIDED", format_args!("number {}", message.lb_policy))),
        0 => Ok(Balancer::RoundRobin),
        1 => Ok(Balancer::LeastRequest { choices }),
        3 => Ok(Balancer::Random),
        other => Err(Fault::new("lb_policy", "ROUND_ROBIN, LEAST_REQUEST or RANDOM", format_args!("number {other}"))),
    }
}

fn least_request(config: &LeastRequestLbConfig) -> Result<u32, Fault> {
    fields!(config => LeastRequestLbConfig {
        used: [choice_count],
        harmless: [],
        refused: [active_request_bias, slow_start_config],
        refused_on: [],
    });
    match number(config.choice_count.as_ref(), 2) {
        choices @ 2..=1000 => Ok(choices),
        other => Err(Fault::new("choice_count", "2 to 1000", other)),
    }
}

fn original_dst(config: &OriginalDstLbConfig) -> Result<(), Fault> {
    fields!(config => OriginalDstLbConfig {
        used: [],
        harmless: [],
        refused: [use_http_header, http_header_name, upstream_port_override, metadata_key],
        refused_on: [],
    });
    Ok(())
}

/// The first thresholds of the default priority; no route here uses the high one.
fn breakers(message: &CircuitBreakers) -> Result<Breakers, Fault> {
    fields!(message => CircuitBreakers {
        used: [thresholds],
        harmless: [],
        refused: [per_host_thresholds],
        refused_on: [],
    });
    let default = Breakers::default();
    let Some(of) = message.thresholds.iter().find(|thresholds| thresholds.priority == 0) else {
        return Ok(default);
    };
    fields!(of => Thresholds {
        used: [priority, max_connections, max_pending_requests, max_requests, max_retries],
        harmless: [track_remaining],
        refused: [retry_budget, max_connection_pools],
        refused_on: [],
    });
    Ok(Breakers {
        connections_max: number(of.max_connections.as_ref(), default.connections_max),
        pending_requests_max: number(of.max_pending_requests.as_ref(), default.pending_requests_max),
        requests_max: number(of.max_requests.as_ref(), default.requests_max),
        retries_max: number(of.max_retries.as_ref(), default.retries_max),
    })
}

/// What the cluster's options say of HTTP: its extension options, else the deprecated fields.
fn upstream(message: &ProtoCluster) -> Result<Upstream, Fault> {
    let field = "typed_extension_protocol_options";
    if let Some(options) = extension_options(message).within(field)? {
        let options = parse(options, protocol::UPSTREAM_OPTIONS).within(field)?;
        return protocol::upstream(&options).within(field);
    }
    let common = message.common_http_protocol_options.as_ref();
    let mut upstream =
        common.map(protocol::common).transpose().within("common_http_protocol_options")?.unwrap_or_default();
    if let Some(max) = message.max_requests_per_connection {
        upstream.requests_per_connection_max = Some(max.value).filter(|max| *max > 0);
    }
    if let Some(options) = &message.http2_protocol_options {
        protocol::http2(options).within("http2_protocol_options")?;
        upstream.protocol = Some(UpstreamProtocol::Http2);
    }
    if message.protocol_selection == 1 {
        upstream.protocol = Some(UpstreamProtocol::SameAsDownstream);
    }
    Ok(upstream)
}

fn extension_options(message: &ProtoCluster) -> Result<Option<&Any>, Fault> {
    let options = &message.typed_extension_protocol_options;
    // The smallest unknown key, so that the message is the same every time.
    if let Some(key) = options.keys().filter(|key| *key != protocol::UPSTREAM_OPTIONS).min() {
        let kind = options.get(key).map(type_name).unwrap_or_default();
        return Err(Fault::new("", protocol::UPSTREAM_OPTIONS, format_args!("`{key}` ({kind})")));
    }
    Ok(options.get(protocol::UPSTREAM_OPTIONS))
}

fn panic_threshold(config: &CommonLbConfig) -> Result<f64, Fault> {
    fields!(config => CommonLbConfig {
        // What a push says of health holds at once; only ejections wait for the window.
        used: [healthy_panic_threshold, locality_config_specifier, update_merge_window],
        harmless: [ignore_new_hosts_until_first_hc, override_host_status,
                   consistent_hashing_lb_config],
        refused: [close_connections_on_host_set_change],
        refused_on: [],
    });
    if let Some(LocalityConfigSpecifier::LocalityWeightedLbConfig(_)) = config.locality_config_specifier {
        let wanted = "zone_aware_lb_config or nothing";
        return Err(Fault::new("locality_weighted_lb_config", wanted, "a value"));
    }
    match config.healthy_panic_threshold.as_ref().map_or(50.0, |percent| percent.value) {
        percent if (0.0..=100.0).contains(&percent) => Ok(percent),
        other => Err(Fault::new("healthy_panic_threshold", "0 to 100", other)),
    }
}

fn transport_socket_match(message: &ProtoTransportSocketMatch) -> Result<TransportSocketMatch, Fault> {
    let wanted = message.r#match.as_ref().map(metadata::strings).transpose().within("match")?;
    Ok(TransportSocketMatch {
        name: Arc::from(message.name.as_str()),
        metadata: wanted.unwrap_or_default(),
        socket: tls::upstream_socket(message.transport_socket.as_ref()).within("transport_socket")?,
    })
}

fn source(bind: &BindConfig) -> Result<Option<std::net::IpAddr>, Fault> {
    fields!(bind => BindConfig {
        used: [source_address],
        harmless: [freebind, validate_network_namespaces],
        refused: [socket_options, extra_source_addresses, additional_source_addresses, local_address_selector],
        refused_on: [],
    });
    bind.source_address.as_ref().map(source_ip).transpose().within("source_address")
}
