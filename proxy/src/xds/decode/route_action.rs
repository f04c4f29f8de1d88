//! `RouteAction`, `RedirectAction`, `DirectResponseAction`.

use std::sync::Arc;

use bytes::Bytes;
use envoy_types::pb::envoy::config::route::v3::redirect_action::{PathRewriteSpecifier, SchemeRewriteSpecifier};
use envoy_types::pb::envoy::config::route::v3::route_action::{
    ClusterSpecifier, HostRewriteSpecifier, MaxStreamDuration,
};
use envoy_types::pb::envoy::config::route::v3::weighted_cluster::ClusterWeight;
use envoy_types::pb::envoy::config::route::v3::{
    DirectResponseAction, RedirectAction, RouteAction, WeightedCluster as ProtoWeightedCluster,
};

use super::fault::{Fault, Within, each, fields};
use super::matcher::header_name;
use super::value::{inline_bytes, number, optional_duration};
use super::{metadata, mutation, retry};
use crate::snapshot::route::{Action, ClusterChoice, Forward, Redirect, WeightedCluster};

/// Longest body of a direct response. Envoy's is 4 KiB unless the route configuration says otherwise.
const DIRECT_BODY_BYTES_MAX: usize = 1 << 20;

/// `route`: a request goes to a cluster.
pub fn forward(message: &RouteAction) -> Result<Action, Fault> {
    fields!(message => RouteAction {
        used: [cluster_specifier, cluster_not_found_response_code, prefix_rewrite, host_rewrite_specifier,
               append_x_forwarded_host, timeout, idle_timeout, retry_policy, max_stream_duration, max_grpc_timeout,
               metadata_match],
        // Hash policies are read by hash balancers, rate limits by rate limit filters: both are refused
        // where they are configured.
        harmless: [flush_timeout, early_data_policy, hash_policy, rate_limits, include_vh_rate_limits,
                   grpc_timeout_offset, max_internal_redirects],
        refused: [regex_rewrite, path_rewrite_policy, path_rewrite, retry_policy_typed_config,
                  request_mirror_policies, priority, cors, upgrade_configs, internal_redirect_policy,
                  internal_redirect_action, hedge_policy],
        refused_on: [],
    });
    metadata::refuse_subset(message.metadata_match.as_ref())?;
    if let Some(bounds) = &message.max_stream_duration {
        stream_duration(bounds).within("max_stream_duration")?;
    }
    if optional_duration("max_grpc_timeout", message.max_grpc_timeout.as_ref())?.is_some_and(|max| !max.is_zero()) {
        return Err(Fault::new("max_grpc_timeout", "0", "a bound"));
    }
    let mut forward = Forward::to(cluster(message.cluster_specifier.as_ref())?);
    forward.cluster_not_found_status = match message.cluster_not_found_response_code {
        0 => 503,
        1 => 404,
        2 => 500,
        other => return Err(Fault::new("cluster_not_found_response_code", "0 to 2", other)),
    };
    forward.timeout = optional_duration("timeout", message.timeout.as_ref())?;
    forward.idle_timeout = optional_duration("idle_timeout", message.idle_timeout.as_ref())?;
    forward.retry_policy =
        message.retry_policy.as_ref().map(retry::policy).transpose().within("retry_policy")?.map(Arc::new);
    forward.host_rewrite = host_rewrite(message.host_rewrite_specifier.as_ref())?;
    forward.prefix_rewrite = some_text(&message.prefix_rewrite);
    forward.append_x_forwarded_host = message.append_x_forwarded_host;
    Ok(Action::Forward(Box::new(forward)))
}

/// A bound of 0 is none; `grpc-timeout` headers do not shorten the route's timeout here.
fn stream_duration(bounds: &MaxStreamDuration) -> Result<(), Fault> {
    fields!(bounds => MaxStreamDuration {
        used: [max_stream_duration, grpc_timeout_header_max],
        harmless: [grpc_timeout_header_offset],
        refused: [],
        refused_on: [],
    });
    for (field, bound) in [
        ("max_stream_duration", &bounds.max_stream_duration),
        ("grpc_timeout_header_max", &bounds.grpc_timeout_header_max),
    ] {
        if optional_duration(field, bound.as_ref())?.is_some_and(|bound| !bound.is_zero()) {
            return Err(Fault::new(field, "0 (other bounds are not supported)", "a bound"));
        }
    }
    Ok(())
}

fn cluster(specifier: Option<&ClusterSpecifier>) -> Result<ClusterChoice, Fault> {
    match specifier {
        Some(ClusterSpecifier::Cluster(name)) if !name.is_empty() => {
            Ok(ClusterChoice::Single(Arc::from(name.as_str())))
        }
        Some(ClusterSpecifier::ClusterHeader(name)) => {
            Ok(ClusterChoice::Header(header_name(&name.to_ascii_lowercase()).within("cluster_header")?))
        }
        Some(ClusterSpecifier::WeightedClusters(split)) => weighted(split).within("weighted_clusters"),
        Some(ClusterSpecifier::Cluster(_)) => Err(Fault::new("cluster", "a name", "nothing")),
        Some(_) => Err(Fault::new("cluster_specifier", "cluster, cluster_header or weighted_clusters", "a plugin")),
        None => Err(Fault::new("cluster_specifier", "a cluster", "nothing")),
    }
}

fn weighted(split: &ProtoWeightedCluster) -> Result<ClusterChoice, Fault> {
    fields!(split => ProtoWeightedCluster {
        used: [clusters, total_weight],
        harmless: [runtime_key_prefix],
        refused: [random_value_specifier],
        refused_on: [],
    });
    let arms = each("clusters", &split.clusters, arm)?;
    let sum: u64 = arms.iter().map(|arm| u64::from(arm.weight)).sum();
    if sum == 0 || sum > u64::from(u32::MAX) {
        return Err(Fault::new("clusters", "weights with a sum from 1 to 4294967295", sum));
    }
    match &split.total_weight {
        Some(total) if u64::from(total.value) != sum => Err(Fault::new("total_weight", sum, total.value)),
        _ => Ok(ClusterChoice::Weighted(arms)),
    }
}

fn arm(message: &ClusterWeight) -> Result<WeightedCluster, Fault> {
    fields!(message => ClusterWeight {
        used: [name, weight, request_headers_to_add, request_headers_to_remove, response_headers_to_add,
               response_headers_to_remove, metadata_match],
        harmless: [],
        refused: [cluster_header, typed_per_filter_config, host_rewrite_specifier],
        refused_on: [],
    });
    metadata::refuse_subset(message.metadata_match.as_ref())?;
    if message.name.is_empty() {
        return Err(Fault::new("name", "a name", "nothing"));
    }
    Ok(WeightedCluster {
        name: Arc::from(message.name.as_str()),
        weight: number(message.weight.as_ref(), 0),
        headers: mutation::level(
            &message.request_headers_to_add,
            &message.request_headers_to_remove,
            &message.response_headers_to_add,
            &message.response_headers_to_remove,
        )?,
        provenance: metadata::provenance(message.metadata_match.as_ref()),
    })
}

fn host_rewrite(specifier: Option<&HostRewriteSpecifier>) -> Result<Option<Arc<str>>, Fault> {
    match specifier {
        None => Ok(None),
        Some(HostRewriteSpecifier::HostRewriteLiteral(host)) => Ok(some_text(host)),
        Some(HostRewriteSpecifier::AutoHostRewrite(on)) if !on.value => Ok(None),
        Some(_) => Err(Fault::new("host_rewrite_specifier", "host_rewrite_literal", "another rewrite")),
    }
}

/// `redirect`: the client is sent elsewhere.
pub fn redirect(message: &RedirectAction) -> Result<Action, Fault> {
    fields!(message => RedirectAction {
        used: [host_redirect, port_redirect, response_code, strip_query, scheme_rewrite_specifier,
               path_rewrite_specifier],
        harmless: [],
        refused: [],
        refused_on: [],
    });
    let status = match message.response_code {
        0 => 301,
        1 => 302,
        2 => 303,
        3 => 307,
        4 => 308,
        other => return Err(Fault::new("response_code", "0 to 4", other)),
    };
    let scheme = match &message.scheme_rewrite_specifier {
        Some(SchemeRewriteSpecifier::HttpsRedirect(true)) => Some(Arc::from("https")),
        Some(SchemeRewriteSpecifier::SchemeRedirect(scheme)) => some_text(scheme),
        Some(SchemeRewriteSpecifier::HttpsRedirect(false)) | None => None,
    };
    let (path, prefix_rewrite) = match &message.path_rewrite_specifier {
        None => (None, None),
        Some(PathRewriteSpecifier::PathRedirect(path)) => (some_text(path), None),
        Some(PathRewriteSpecifier::PrefixRewrite(prefix)) => (None, Some(Arc::from(prefix.as_str()))),
        Some(PathRewriteSpecifier::RegexRewrite(_) | PathRewriteSpecifier::PathRewrite(_)) => {
            return Err(Fault::new("path_rewrite_specifier", "path_redirect or prefix_rewrite", "another rewrite"));
        }
    };
    let port = match u16::try_from(message.port_redirect) {
        Ok(port) => (port != 0).then_some(port),
        Err(_) => return Err(Fault::new("port_redirect", "0 to 65535", message.port_redirect)),
    };
    Ok(Action::Redirect(Box::new(Redirect {
        status,
        scheme,
        host: some_text(&message.host_redirect),
        port,
        path,
        prefix_rewrite,
        strip_query: message.strip_query,
    })))
}

/// `direct_response`: the proxy answers by itself.
pub fn direct(message: &DirectResponseAction) -> Result<Action, Fault> {
    fields!(message => DirectResponseAction {
        used: [status, body],
        harmless: [],
        refused: [body_format],
        refused_on: [],
    });
    let status = match u16::try_from(message.status) {
        Ok(status @ 200..=599) => status,
        _ => return Err(Fault::new("status", "200 to 599", message.status)),
    };
    let body = message.body.as_ref().map(inline_bytes).transpose().within("body")?.unwrap_or_default();
    if body.len() > DIRECT_BODY_BYTES_MAX {
        return Err(Fault::new("body", format_args!("at most {DIRECT_BODY_BYTES_MAX} bytes"), body.len()));
    }
    Ok(Action::Direct { status, body: Bytes::from(body) })
}

fn some_text(text: &str) -> Option<Arc<str>> {
    (!text.is_empty()).then(|| Arc::from(text))
}
