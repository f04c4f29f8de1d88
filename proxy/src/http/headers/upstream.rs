//! A request's headers on their way out: what the router adds, header changes, host and path rewrites.
//! Envoy: router filter, `finalizeRequestHeaders`.
//!
//! Order of what is added: `x-envoy-expected-rq-timeout-ms`, `x-envoy-attempt-count`, the configured
//! changes, `x-envoy-original-host`, `x-forwarded-host`, `x-envoy-original-path`.

use std::time::Duration;

use http::HeaderValue;

use super::list::{HeaderList, text};
use super::mutate;
use crate::http::names;
use crate::route::rewrite;
use crate::route::timeout::Timeouts;
use crate::snapshot::listener::HttpManager;
use crate::snapshot::route::{Forward, HeaderMutations, PathMatcher, VirtualHost};

/// A request that has its route.
#[derive(Debug, Clone, Copy)]
pub struct UpstreamRequest<'a> {
    /// The connection manager it came through.
    pub manager: &'a HttpManager,
    /// Its virtual host.
    pub host: &'a VirtualHost,
    /// The path rule of its route.
    pub matched: &'a PathMatcher,
    /// Where its route sends it.
    pub forward: &'a Forward,
    /// Its levels of header changes, from [`mutate::levels`].
    pub levels: &'a [&'a HeaderMutations],
    /// Its bounds.
    pub timeouts: Timeouts,
}

/// Host and path of a request as they go upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `:authority` or Host.
    pub authority: String,
    /// Path with query.
    pub path_and_query: String,
}

/// Prepares the headers of a request's first attempt and says where it goes.
pub fn prepare_upstream_request(headers: &mut HeaderList, request: &UpstreamRequest<'_>, mut target: Target) -> Target {
    // The router has read them; the upstream has nothing to do with them.
    headers.retain(|name| !(names::is_envoys(name) && names::ROUTERS_OWN.contains(name)));
    prepare_attempt(headers, request, 1, Duration::ZERO);
    mutate::request(headers, request.levels);
    if let Some(host) = &request.forward.host_rewrite {
        headers.insert(names::ORIGINAL_HOST, text(&target.authority));
        if request.forward.append_x_forwarded_host {
            headers.append(names::X_FORWARDED_HOST, text(&target.authority));
        }
        target.authority = host.to_string();
    }
    if let Some(rewrite) = &request.forward.prefix_rewrite {
        headers.insert(names::ORIGINAL_PATH, text(&target.path_and_query));
        target.path_and_query = rewrite::path(&target.path_and_query, request.matched, rewrite);
    }
    target
}

/// Brings the headers of a request up to date for attempt `number` (from 1), `elapsed` after its start.
/// Values are replaced in their place.
pub fn prepare_attempt(headers: &mut HeaderList, request: &UpstreamRequest<'_>, number: u32, elapsed: Duration) {
    let expected = request.timeouts.expected_ms(elapsed).filter(|_| !request.manager.suppress_envoy_headers);
    if let Some(ms) = expected {
        headers.insert(names::EXPECTED_RQ_TIMEOUT, HeaderValue::from(ms));
    }
    if request.host.include_request_attempt_count {
        headers.insert(names::ATTEMPT_COUNT, HeaderValue::from(number));
    }
}

#[cfg(test)]
mod tests;
