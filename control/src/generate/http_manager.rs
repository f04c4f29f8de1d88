//! The HTTP connection manager of every HTTP filter chain.

use std::time::Duration;

use envoy_types::pb::envoy::config::listener::v3::{Filter, filter};
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::pb::envoy::extensions::filters::http::router::v3::Router;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, HttpFilter, Rds,
    http_connection_manager::{
        ForwardClientCertDetails, PathWithEscapedSlashesAction, RouteSpecifier, SetCurrentClientCertDetails,
        UpgradeConfig,
    },
    http_filter,
};

use super::access_log::Logs;
use super::shape;
use crate::dialect::{Dialect, ForwardClientCert};

/// Which side of the mesh a connection manager stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// A workload's own calls.
    Outbound,
    /// Calls to a workload.
    Inbound,
    /// Calls from outside.
    Gateway,
}

/// Routes by name, over ADS.
pub fn rds(name: &str) -> RouteSpecifier {
    RouteSpecifier::Rds(Rds { config_source: shape::ads(), route_config_name: name.to_owned() })
}

/// Routes in place.
pub fn inline(routes: RouteConfiguration) -> RouteSpecifier {
    RouteSpecifier::RouteConfig(routes)
}

/// The network filter.
pub fn filter(dialect: Dialect, side: Side, stat_prefix: &str, routes: RouteSpecifier, logs: &Logs<'_>) -> Filter {
    let manager = manager(dialect, side, stat_prefix, routes, logs);
    Filter {
        name: "envoy.filters.network.http_connection_manager".to_owned(),
        config_type: Some(filter::ConfigType::TypedConfig(shape::any(&manager))),
    }
}

fn manager(
    dialect: Dialect,
    side: Side,
    stat_prefix: &str,
    routes: RouteSpecifier,
    logs: &Logs<'_>,
) -> HttpConnectionManager {
    let route_config = match &routes {
        RouteSpecifier::Rds(rds) => rds.route_config_name.as_str(),
        RouteSpecifier::RouteConfig(routes) => routes.name.as_str(),
        RouteSpecifier::ScopedRoutes(_) => "",
    };
    let client_cert = match side {
        Side::Outbound => ForwardClientCert::Sanitize,
        Side::Inbound => dialect.inbound_client_cert(),
        Side::Gateway => dialect.gateway_client_cert(),
    };
    let server_name = if side == Side::Outbound { None } else { dialect.server_name() };
    let normalize = dialect.normalizes_paths();
    HttpConnectionManager {
        stat_prefix: stat_prefix.to_owned(),
        access_log: logs.http(route_config),
        http_filters: vec![router(logs)],
        server_name: server_name.unwrap_or_default().to_owned(),
        stream_idle_timeout: shape::duration(Duration::ZERO),
        use_remote_address: shape::flag(side == Side::Gateway),
        generate_request_id: shape::flag(true),
        forward_client_cert_details: forward(client_cert) as i32,
        set_current_client_cert_details: current(client_cert),
        upgrade_configs: vec![UpgradeConfig { upgrade_type: "websocket".to_owned(), ..Default::default() }],
        normalize_path: shape::flag(normalize),
        path_with_escaped_slashes_action: if normalize {
            PathWithEscapedSlashesAction::KeepUnchanged as i32
        } else {
            PathWithEscapedSlashesAction::ImplementationSpecificDefault as i32
        },
        route_specifier: Some(routes),
        ..Default::default()
    }
}

fn router(logs: &Logs<'_>) -> HttpFilter {
    let router = Router { upstream_log: logs.attempts(), ..Default::default() };
    HttpFilter {
        name: "envoy.filters.http.router".to_owned(),
        config_type: Some(http_filter::ConfigType::TypedConfig(shape::any(&router))),
        ..Default::default()
    }
}

fn forward(mode: ForwardClientCert) -> ForwardClientCertDetails {
    match mode {
        ForwardClientCert::Sanitize => ForwardClientCertDetails::Sanitize,
        ForwardClientCert::AppendForward => ForwardClientCertDetails::AppendForward,
        ForwardClientCert::SanitizeSet => ForwardClientCertDetails::SanitizeSet,
    }
}

fn current(mode: ForwardClientCert) -> Option<SetCurrentClientCertDetails> {
    let details =
        SetCurrentClientCertDetails { subject: shape::flag(true), dns: true, uri: true, ..Default::default() };
    (mode != ForwardClientCert::Sanitize).then_some(details)
}
