//! `TcpProxy`.

use std::sync::Arc;

use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy as ProtoTcpProxy;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::tcp_proxy::weighted_cluster::ClusterWeight;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::tcp_proxy::{
    ClusterSpecifier, WeightedCluster,
};

use super::fault::{Fault, Within, each, fields};
use super::value::{number, optional_duration};
use super::{access_log, metadata};
use crate::snapshot::listener::TcpProxy;

/// A TCP proxy.
pub fn decode(message: &ProtoTcpProxy) -> Result<TcpProxy, Fault> {
    fields!(message => ProtoTcpProxy {
        used: [stat_prefix, cluster_specifier, idle_timeout, max_connect_attempts, metadata_match, access_log],
        // Hash policies are read by hash balancers, which are refused.
        harmless: [hash_policy, proxy_protocol_tlv_merge_policy, check_drain_close],
        refused: [access_log_flush_interval, flush_access_log_on_connected, access_log_options, on_demand, downstream_idle_timeout, upstream_idle_timeout, backoff_options,
                  tunneling_config, max_downstream_connection_duration,
                  max_downstream_connection_duration_jitter_percentage, proxy_protocol_tlvs, upstream_connect_mode,
                  max_early_data_bytes],
        refused_on: [],
    });
    metadata::refuse_subset(message.metadata_match.as_ref())?;
    let clusters = match &message.cluster_specifier {
        Some(ClusterSpecifier::Cluster(name)) if !name.is_empty() => vec![(Arc::from(name.as_str()), 1)],
        Some(ClusterSpecifier::WeightedClusters(split)) => weighted(split).within("weighted_clusters")?,
        _ => return Err(Fault::new("cluster_specifier", "a cluster", "nothing")),
    };
    Ok(TcpProxy {
        stat_prefix: Arc::from(message.stat_prefix.as_str()),
        clusters,
        idle_timeout: optional_duration("idle_timeout", message.idle_timeout.as_ref())?,
        connect_attempts_max: number(message.max_connect_attempts.as_ref(), 1).max(1),
        access_logs: access_log::decode("access_log", &message.access_log)?,
    })
}

fn weighted(split: &WeightedCluster) -> Result<Vec<(Arc<str>, u32)>, Fault> {
    let arms: Vec<(Arc<str>, u32)> = each("clusters", &split.clusters, |arm| {
        fields!(arm => ClusterWeight {
            used: [name, weight, metadata_match],
            harmless: [],
            refused: [],
            refused_on: [],
        });
        metadata::refuse_subset(arm.metadata_match.as_ref())?;
        Ok((Arc::from(arm.name.as_str()), arm.weight))
    })?;
    match arms.iter().map(|(_, weight)| u64::from(*weight)).sum::<u64>() {
        0 => Err(Fault::new("clusters", "weights with a sum of at least 1", 0)),
        _ => Ok(arms),
    }
}
