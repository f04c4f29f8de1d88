//! Envoy's xDS v3 messages to snapshot types. Bytes in, values or the first fault out; nothing here waits
//! or touches the world.
//!
//! Each message is taken apart completely: every field is used, known to be harmless to a request's fate,
//! or refused when it is set ([`fault`] has the macro that makes the compiler check this). So nothing that
//! would change what happens to traffic is ever passed over in silence; the resource is rejected and its
//! last good version stays in force.
//!
//! Files, the outermost message first:
//! - [`listener`]: `Listener`; with [`filter_chain`], [`http_manager`], [`http_filter`], [`tcp_proxy`]
//! - [`route_config`]: `RouteConfiguration`, `VirtualHost`, and `host_by_host` only those that changed; with
//!   [`route`], [`route_match`], [`route_action`], [`retry`], [`mutation`], [`matcher`]
//! - [`access_log`]: `AccessLog`, of listeners, connection managers, routers and TCP proxies
//! - [`cluster`]: `Cluster`; with [`protocol`], [`outlier`]
//! - [`assignment`]: endpoints, `ClusterLoadAssignment`
//! - [`tls`]: transport sockets of both sides
//! - [`value`]: durations, addresses, wrappers, `Any`
//! - [`metadata`]: where a rule came from, endpoint metadata
//! - [`fault`]: what is wrong, and where
#![expect(deprecated, reason = "fields that xDS deprecates still come in, and are used or refused like any other")]

pub mod access_log;
pub mod assignment;
pub mod cluster;
pub mod fault;
pub mod filter_chain;
mod host_by_host;
pub mod http_filter;
pub mod http_manager;
pub mod listener;
pub mod matcher;
pub mod metadata;
pub mod mutation;
pub mod outlier;
pub mod protocol;
pub mod retry;
pub mod route;
pub mod route_action;
pub mod route_config;
pub mod route_match;
pub mod tcp_proxy;
pub mod tls;
pub mod value;

use std::sync::Arc;

use envoy_types::pb::envoy::config::{cluster::v3 as cds, endpoint::v3 as eds, listener::v3 as lds, route::v3 as rds};
use envoy_types::pb::google::protobuf::Any;
use prost::Message;

pub use fault::{DecodeError, Fault};

use crate::snapshot::{Assignment, Cluster, Listener, RouteConfig};

const ROUTE_CONFIGURATION: &str = "envoy.config.route.v3.RouteConfiguration";

/// Decodes a `Listener`.
pub fn listener(resource: &Any) -> Result<Listener, DecodeError> {
    let message: lds::Listener = unpack(resource, "listener", "envoy.config.listener.v3.Listener")?;
    listener::decode(&message).map_err(|fault| fault.of("listener", &message.name))
}

/// Decodes a `RouteConfiguration`.
pub fn route_config(resource: &Any) -> Result<RouteConfig, DecodeError> {
    let message: rds::RouteConfiguration = unpack(resource, "route configuration", ROUTE_CONFIGURATION)?;
    route_config::decode(&message).map_err(|fault| fault.of("route configuration", &message.name))
}

/// The same, sharing with `before`, the version in force, the virtual hosts that stayed as they were.
pub fn route_config_after(resource: &Any, before: Option<&RouteConfig>) -> Result<RouteConfig, DecodeError> {
    let shared = if value::type_name(resource) == ROUTE_CONFIGURATION {
        host_by_host::decode(&resource.value, before)
    } else {
        None
    };
    shared.map_or_else(|| route_config(resource), Ok)
}

/// Decodes a `Cluster`.
pub fn cluster(resource: &Any) -> Result<Cluster, DecodeError> {
    let message: cds::Cluster = unpack(resource, "cluster", "envoy.config.cluster.v3.Cluster")?;
    cluster::decode(&message).map_err(|fault| fault.of("cluster", &message.name))
}

/// Decodes a `ClusterLoadAssignment`, with the EDS service name it is for.
pub fn assignment(resource: &Any) -> Result<(Arc<str>, Assignment), DecodeError> {
    let message: eds::ClusterLoadAssignment =
        unpack(resource, "endpoints", "envoy.config.endpoint.v3.ClusterLoadAssignment")?;
    let assignment = assignment::decode(&message).map_err(|fault| fault.of("endpoints", &message.cluster_name))?;
    Ok((message.cluster_name.into(), assignment))
}

fn unpack<M: Message + Default>(resource: &Any, kind: &'static str, type_wanted: &str) -> Result<M, DecodeError> {
    value::parse(resource, type_wanted).map_err(|fault| DecodeError { kind, name: None, fault })
}

#[cfg(test)]
mod tests;
