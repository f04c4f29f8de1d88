//! HTTP filters: the router, and those that do nothing as they are configured.

use envoy_types::pb::envoy::extensions::filters::http::fault::v3::HttpFault;
use envoy_types::pb::envoy::extensions::filters::http::router::v3::Router;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter as ProtoHttpFilter;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_filter::ConfigType;
use envoy_types::pb::google::protobuf::Any;

use super::access_log;
use super::fault::{Fault, Within, fields, refuse};
use super::value::{parse, type_name};
use crate::access_log::AccessLogs;

const ROUTER: &str = "envoy.extensions.filters.http.router.v3.Router";
const FAULT: &str = "envoy.extensions.filters.http.fault.v3.HTTPFault";

/// Filters that do nothing by themselves: those that wait for configuration on a route (which is refused
/// there), those that count, and those that tell peers about each other.
const HARMLESS: [&str; 6] = [
    "envoy.extensions.filters.http.cors.v3.Cors",
    "envoy.extensions.filters.http.grpc_stats.v3.FilterConfig",
    "istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig",
    "io.istio.http.peer_metadata.Config",
    "io.istio.http.connect_authority.Config",
    "stats.PluginConfig",
];

/// What the filters of a connection manager come down to.
#[derive(Debug)]
pub struct Filters {
    /// The router's `suppress_envoy_headers`.
    pub suppress_envoy_headers: bool,
    /// The router's `upstream_log`.
    pub upstream_logs: AccessLogs,
}

/// The filters of a connection manager; the router comes last.
pub fn decode(filters: &[ProtoHttpFilter]) -> Result<Filters, Fault> {
    let Some((last, before)) = filters.split_last() else {
        return Err(Fault::new("http_filters", "the router, at least", "none"));
    };
    for (index, filter) in before.iter().enumerate() {
        check(filter).within_item("http_filters", index)?;
    }
    router(last).within_item("http_filters", before.len())
}

/// A filter that is off does nothing; one that is optional is passed over when it is unknown (Envoy,
/// `is_optional`).
fn check(filter: &ProtoHttpFilter) -> Result<(), Fault> {
    let config = config(filter)?;
    match type_name(config) {
        _ if filter.disabled => Ok(()),
        FAULT => {
            let message: HttpFault = parse(config, FAULT).within("typed_config")?;
            refuse("delay", &message.delay).and(refuse("abort", &message.abort)).within("typed_config")?;
            refuse("response_rate_limit", &message.response_rate_limit).within("typed_config")
        }
        ROUTER => Err(Fault::new("typed_config", "the router last", "the router")),
        kind if HARMLESS.contains(&kind) || filter.is_optional => Ok(()),
        kind => Err(Fault::new("typed_config", "a filter that does nothing, or the router", kind)),
    }
}

fn router(filter: &ProtoHttpFilter) -> Result<Filters, Fault> {
    let message: Router = parse(config(filter)?, ROUTER).within("typed_config")?;
    check_router(&message).within("typed_config")?;
    let upstream_logs = access_log::decode("upstream_log", &message.upstream_log).within("typed_config")?;
    Ok(Filters { suppress_envoy_headers: message.suppress_envoy_headers, upstream_logs })
}

fn check_router(message: &Router) -> Result<(), Fault> {
    fields!(message => Router {
        used: [suppress_envoy_headers, upstream_log],
        harmless: [dynamic_stats, start_child_span,
                   suppress_grpc_request_failure_code_stats, reject_connect_request_early_data],
        refused: [upstream_log_options, strict_check_headers, respect_expected_rq_timeout, upstream_http_filters],
        refused_on: [],
    });
    Ok(())
}

fn config(filter: &ProtoHttpFilter) -> Result<&Any, Fault> {
    match &filter.config_type {
        Some(ConfigType::TypedConfig(config)) => Ok(config),
        Some(ConfigType::ConfigDiscovery(_)) => Err(Fault::new("config_discovery", "typed_config", "a value")),
        None => Err(Fault::new("typed_config", "a value", format_args!("nothing in `{}`", filter.name))),
    }
}
