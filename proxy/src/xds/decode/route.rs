//! `Route`.

use std::sync::Arc;

use envoy_types::pb::envoy::config::route::v3::Route as ProtoRoute;
use envoy_types::pb::envoy::config::route::v3::route::Action as ProtoAction;

use super::fault::{Fault, Within, fields};
use super::value::required;
use super::{metadata, mutation, route_action, route_match};
use crate::snapshot::route::Route;

/// One route.
pub fn decode(message: &ProtoRoute) -> Result<Route, Fault> {
    fields!(message => ProtoRoute {
        used: [name, r#match, metadata, action, request_headers_to_add, request_headers_to_remove,
               response_headers_to_add, response_headers_to_remove],
        // How much of a request is kept for a retry is this proxy's own limit.
        harmless: [decorator, tracing, stat_prefix, per_request_buffer_limit_bytes, request_body_buffer_limit],
        refused: [typed_per_filter_config, route_specifiers],
        refused_on: [],
    });
    let matches = route_match::decode(required("match", message.r#match.as_ref())?).within("match")?;
    let action = match &message.action {
        Some(ProtoAction::Route(of)) => route_action::forward(of).within("route")?,
        Some(ProtoAction::Redirect(of)) => route_action::redirect(of).within("redirect")?,
        Some(ProtoAction::DirectResponse(of)) => route_action::direct(of).within("direct_response")?,
        Some(_) => return Err(Fault::new("action", "route, redirect or direct_response", "another action")),
        None => return Err(Fault::new("action", "an action", "nothing")),
    };
    let headers = mutation::level(
        &message.request_headers_to_add,
        &message.request_headers_to_remove,
        &message.response_headers_to_add,
        &message.response_headers_to_remove,
    )?;
    let provenance = metadata::provenance(message.metadata.as_ref());
    Ok(Route { name: Arc::from(message.name.as_str()), matches, action, headers, provenance })
}
