//! `RouteMatch`.

use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::RuntimeFractionalPercent;
use envoy_types::pb::envoy::config::route::v3::RouteMatch as ProtoRouteMatch;
use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;

use super::fault::{Fault, Within, each, fields};
use super::matcher;
use super::value::switch;
use crate::snapshot::route::{PathMatcher, RouteMatch};

/// The rules of a route.
pub fn decode(message: &ProtoRouteMatch) -> Result<RouteMatch, Fault> {
    fields!(message => ProtoRouteMatch {
        used: [case_sensitive, runtime_fraction, headers, query_parameters, path_specifier],
        harmless: [],
        refused: [cookies, grpc, tls_context, dynamic_metadata, filter_state],
        refused_on: [],
    });
    let case_sensitive = switch(message.case_sensitive.as_ref(), true);
    let share = message.runtime_fraction.as_ref().map(millionths).transpose().within("runtime_fraction")?;
    Ok(RouteMatch {
        path: path(message.path_specifier.as_ref())?,
        case_sensitive,
        headers: each("headers", &message.headers, matcher::header)?,
        query: each("query_parameters", &message.query_parameters, matcher::query)?,
        runtime_fraction: share,
    })
}

fn path(specifier: Option<&PathSpecifier>) -> Result<PathMatcher, Fault> {
    Ok(match specifier {
        Some(PathSpecifier::Prefix(prefix)) => PathMatcher::Prefix(Arc::from(prefix.as_str())),
        Some(PathSpecifier::Path(path)) => PathMatcher::Exact(Arc::from(path.as_str())),
        Some(PathSpecifier::PathSeparatedPrefix(prefix)) => {
            PathMatcher::PathSeparatedPrefix(Arc::from(prefix.trim_end_matches('/')))
        }
        // Envoy: `case_sensitive` does not apply to a regex.
        Some(PathSpecifier::SafeRegex(regex)) => PathMatcher::Regex(matcher::regex(regex).within("safe_regex")?),
        Some(PathSpecifier::ConnectMatcher(_) | PathSpecifier::PathMatchPolicy(_)) => {
            let wanted = "prefix, path, path_separated_prefix or safe_regex";
            return Err(Fault::new("path_specifier", wanted, "another rule"));
        }
        None => return Err(Fault::new("path_specifier", "a rule", "nothing")),
    })
}

/// A share in millionths.
fn millionths(fraction: &RuntimeFractionalPercent) -> Result<u32, Fault> {
    let Some(share) = &fraction.default_value else {
        return Err(Fault::new("default_value", "a share", "nothing"));
    };
    let scale = match share.denominator {
        0 => 10_000,
        1 => 100,
        2 => 1,
        other => return Err(Fault::new("default_value.denominator", "0 to 2", other)),
    };
    Ok(share.numerator.saturating_mul(scale).min(1_000_000))
}
