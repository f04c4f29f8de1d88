//! `RouteConfiguration` and `VirtualHost`.

use std::sync::Arc;

use envoy_types::pb::envoy::config::route::v3::{RouteConfiguration, VirtualHost as ProtoVirtualHost};

use super::fault::{Fault, Within, each, fields};
use super::{metadata, mutation, retry, route};
use crate::snapshot::route::{RouteConfig, VirtualHost};

/// A route configuration, from RDS or written in a listener.
pub fn decode(message: &RouteConfiguration) -> Result<RouteConfig, Fault> {
    let host = |message| virtual_host(message).map(Arc::new);
    of_hosts(message, each("virtual_hosts", &message.virtual_hosts, host)?, None)
}

/// The same with these virtual hosts instead of the message's. Shares with `before` what did not change.
pub fn of_hosts(
    message: &RouteConfiguration,
    hosts: Vec<Arc<VirtualHost>>,
    before: Option<&RouteConfig>,
) -> Result<RouteConfig, Fault> {
    fields!(message => RouteConfiguration {
        used: [name, virtual_hosts, request_headers_to_add, request_headers_to_remove, response_headers_to_add,
               response_headers_to_remove, most_specific_header_mutations_wins, ignore_port_in_host_matching],
        harmless: [metadata, max_direct_response_body_size_bytes],
        refused: [vhds, internal_only_headers, cluster_specifier_plugins, request_mirror_policies, vhost_header,
                  ignore_path_parameters_in_path_matching, typed_per_filter_config, route_specifiers],
        // A route to a cluster that is not there answers 503; the configuration stands all the same.
        refused_on: [validate_clusters],
    });
    let mut config = RouteConfig::after(before, message.name.as_str(), hosts)
        .map_err(|domain| Fault::new("virtual_hosts", "each domain once", format_args!("`{domain}` twice")))?;
    config.ignore_port_in_host_matching = message.ignore_port_in_host_matching;
    config.most_specific_header_mutations_wins = message.most_specific_header_mutations_wins;
    config.headers = mutation::level(
        &message.request_headers_to_add,
        &message.request_headers_to_remove,
        &message.response_headers_to_add,
        &message.response_headers_to_remove,
    )?;
    Ok(config)
}

/// A virtual host.
pub fn virtual_host(message: &ProtoVirtualHost) -> Result<VirtualHost, Fault> {
    fields!(message => ProtoVirtualHost {
        used: [name, domains, routes, request_headers_to_add, request_headers_to_remove, response_headers_to_add,
               response_headers_to_remove, include_request_attempt_count, include_attempt_count_in_response,
               retry_policy, metadata],
        // Rate limits are read by rate limit filters, which are refused; virtual clusters are statistics.
        harmless: [virtual_clusters, rate_limits, per_request_buffer_limit_bytes, request_body_buffer_limit],
        refused: [matcher, require_tls, cors, typed_per_filter_config, retry_policy_typed_config, hedge_policy,
                  include_is_timeout_retry_header, request_mirror_policies, route_specifiers],
        refused_on: [],
    });
    if message.domains.is_empty() {
        return Err(Fault::new("domains", "at least one", "none"));
    }
    let domains = each("domains", &message.domains, |domain| valid_domain(domain))?;
    let routes = each("routes", &message.routes, route::decode)?;
    let mut host = VirtualHost::new(message.name.as_str(), &domains, routes);
    host.headers = mutation::level(
        &message.request_headers_to_add,
        &message.request_headers_to_remove,
        &message.response_headers_to_add,
        &message.response_headers_to_remove,
    )?;
    host.retry_policy =
        message.retry_policy.as_ref().map(retry::policy).transpose().within("retry_policy")?.map(Arc::new);
    host.include_request_attempt_count = message.include_request_attempt_count;
    host.include_attempt_count_in_response = message.include_attempt_count_in_response;
    host.provenance = metadata::provenance(message.metadata.as_ref());
    Ok(host)
}

/// At most one `*`, at the beginning or the end.
fn valid_domain(domain: &str) -> Result<&str, Fault> {
    let inner = domain.strip_prefix('*').or_else(|| domain.strip_suffix('*')).unwrap_or(domain);
    if domain.is_empty() || inner.contains('*') {
        let wanted = "an exact domain, `*suffix`, `prefix*` or `*`";
        return Err(Fault::new("", wanted, format_args!("`{domain}`")));
    }
    Ok(domain)
}
