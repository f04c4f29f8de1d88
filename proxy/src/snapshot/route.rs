//! Route configurations: virtual hosts, routes, matchers, retry policies.

use std::sync::Arc;
use std::time::Duration;

use regex::Regex;

use crate::record::Provenance;

/// `RouteConfiguration`.
#[derive(Debug, Clone)]
pub struct RouteConfig {
    /// Name as asked for in RDS.
    pub name: Arc<str>,
    /// In the order given.
    pub virtual_hosts: Vec<VirtualHost>,
    /// Ignores the port of the authority when matching domains.
    pub ignore_port_in_host_matching: bool,
    /// Header changes for every route.
    pub headers: HeaderMutations,
    /// A route to a cluster that is not there answers this; 503 unless said otherwise.
    pub validate_clusters: bool,
}

/// `VirtualHost`.
#[derive(Debug, Clone)]
pub struct VirtualHost {
    /// Name.
    pub name: Arc<str>,
    /// Lower case. Exact names, `*.suffix`, `prefix.*`, or `*`.
    pub domains: Vec<Arc<str>>,
    /// First match wins.
    pub routes: Vec<Route>,
    /// Header changes for every route of the host.
    pub headers: HeaderMutations,
    /// For routes without their own.
    pub retry_policy: Option<Arc<RetryPolicy>>,
    /// Sends `x-envoy-attempt-count` upstream.
    pub include_request_attempt_count: bool,
    /// Sends `x-envoy-attempt-count` downstream.
    pub include_attempt_count_in_response: bool,
    /// Line that brought the host.
    pub provenance: Option<Provenance>,
}

/// `Route`.
#[derive(Debug, Clone)]
pub struct Route {
    /// Name; may be empty.
    pub name: Arc<str>,
    /// All must hold.
    pub matches: RouteMatch,
    /// What to do.
    pub action: Action,
    /// Header changes.
    pub headers: HeaderMutations,
    /// Line that brought the route.
    pub provenance: Option<Provenance>,
}

/// `RouteMatch`.
#[derive(Debug, Clone)]
pub struct RouteMatch {
    /// On the path without query.
    pub path: PathMatcher,
    /// False compares exact paths and prefixes without case.
    pub case_sensitive: bool,
    /// All must hold; pseudo-headers `:method`, `:authority`, `:scheme`, `:path` included.
    pub headers: Vec<HeaderMatcher>,
    /// All must hold.
    pub query: Vec<QueryMatcher>,
    /// Share of requests that may match at all, in millionths; `None`: all.
    pub runtime_fraction: Option<u32>,
}

/// The path rule of a route.
#[derive(Debug, Clone)]
pub enum PathMatcher {
    /// The whole path.
    Exact(Arc<str>),
    /// A plain string prefix.
    Prefix(Arc<str>),
    /// A prefix that ends at a `/` or the end.
    PathSeparatedPrefix(Arc<str>),
    /// The whole path matches (the regex is anchored at both ends when parsed).
    Regex(Regex),
}

/// `HeaderMatcher`.
#[derive(Debug, Clone)]
pub struct HeaderMatcher {
    /// Lower case.
    pub name: Arc<str>,
    /// What the value must be.
    pub value: ValueMatcher,
    /// The result is turned round.
    pub invert: bool,
    /// A missing header counts as an empty value.
    pub missing_as_empty: bool,
}

/// `QueryParameterMatcher`.
#[derive(Debug, Clone)]
pub struct QueryMatcher {
    /// Parameter name, compared with case.
    pub name: Arc<str>,
    /// What the first value of that name must be.
    pub value: ValueMatcher,
}

/// A rule on one string.
#[derive(Debug, Clone)]
pub enum ValueMatcher {
    /// Present (true) or absent (false).
    Present(bool),
    /// Equal; `ignore_case` compares ASCII without case.
    Exact {
        /// Wanted.
        value: Arc<str>,
        /// Without case.
        ignore_case: bool,
    },
    /// Begins with.
    Prefix {
        /// Wanted.
        value: Arc<str>,
        /// Without case.
        ignore_case: bool,
    },
    /// Ends with.
    Suffix {
        /// Wanted.
        value: Arc<str>,
        /// Without case.
        ignore_case: bool,
    },
    /// Contains.
    Contains {
        /// Wanted.
        value: Arc<str>,
        /// Without case.
        ignore_case: bool,
    },
    /// The whole value matches.
    Regex(Regex),
    /// An integer in `start..end`.
    Range {
        /// First that matches.
        start: i64,
        /// First that no longer matches.
        end: i64,
    },
}

/// What a route does.
#[derive(Debug, Clone)]
pub enum Action {
    /// Sends the request to a cluster.
    Forward(Box<Forward>),
    /// Answers with a redirect.
    Redirect(Box<Redirect>),
    /// Answers by itself.
    Direct {
        /// Status.
        status: u16,
        /// Body; may be empty.
        body: bytes::Bytes,
    },
}

/// `RouteAction`.
#[derive(Debug, Clone)]
pub struct Forward {
    /// Where to.
    pub cluster: ClusterChoice,
    /// Status when the cluster does not exist: 503 unless said otherwise.
    pub cluster_not_found_status: u16,
    /// Whole request including retries; `None`: Envoy's 15 s; zero: none.
    pub timeout: Option<Duration>,
    /// A stream without progress; `None`: the connection manager's; zero: none.
    pub idle_timeout: Option<Duration>,
    /// `None`: the virtual host's, else no retries.
    pub retry_policy: Option<Arc<RetryPolicy>>,
    /// Host sent upstream instead of the caller's.
    pub host_rewrite: Option<Arc<str>>,
    /// Replaces the matched prefix (or the whole exact path).
    pub prefix_rewrite: Option<Arc<str>>,
}

/// The cluster of a route.
#[derive(Debug, Clone)]
pub enum ClusterChoice {
    /// Always this one.
    Single(Arc<str>),
    /// By weight.
    Weighted(Vec<WeightedCluster>),
    /// Named by this request header (lower case).
    Header(Arc<str>),
}

/// One arm of a split.
#[derive(Debug, Clone)]
pub struct WeightedCluster {
    /// Cluster name.
    pub name: Arc<str>,
    /// Relative to the sum of all arms; 0 is never chosen.
    pub weight: u32,
    /// Header changes of this arm.
    pub headers: HeaderMutations,
    /// Line of the weight.
    pub provenance: Option<Provenance>,
}

/// `RedirectAction`.
#[derive(Debug, Clone, Default)]
pub struct Redirect {
    /// Status 301, 302, 303, 307 or 308.
    pub status: u16,
    /// New scheme.
    pub scheme: Option<Arc<str>>,
    /// New host.
    pub host: Option<Arc<str>>,
    /// New port.
    pub port: Option<u16>,
    /// New path.
    pub path: Option<Arc<str>>,
    /// Replaces the matched prefix.
    pub prefix_rewrite: Option<Arc<str>>,
    /// Drops the query.
    pub strip_query: bool,
}

/// `RetryPolicy`.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    /// Conditions.
    pub on: RetryOn,
    /// Further attempts after the first.
    pub retries_max: u32,
    /// Bound of one attempt; `None` or zero: none.
    pub per_try_timeout: Option<Duration>,
    /// Statuses that `retriable-status-codes` means.
    pub retriable_status_codes: Vec<u16>,
    /// Avoids hosts already tried.
    pub avoid_previous_hosts: bool,
    /// Picks of the balancer until the last one stands; at least 1.
    pub host_selection_attempts_max: u32,
    /// Base of the back-off; Envoy: 25 ms.
    pub backoff_base: Duration,
    /// Cap of the back-off; Envoy: ten times the base.
    pub backoff_max: Duration,
}

/// `retry_on`, as a set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RetryOn {
    /// `5xx`: any 5xx, reset, connect failure, per-try timeout.
    pub server_error: bool,
    /// `gateway-error`: 502, 503, 504 and the failures that give them.
    pub gateway_error: bool,
    /// `reset`.
    pub reset: bool,
    /// `reset-before-request`.
    pub reset_before_request: bool,
    /// `connect-failure`.
    pub connect_failure: bool,
    /// `refused-stream`.
    pub refused_stream: bool,
    /// `retriable-4xx`: 409.
    pub retriable_4xx: bool,
    /// `retriable-status-codes`.
    pub retriable_status_codes: bool,
    /// gRPC `cancelled`.
    pub grpc_cancelled: bool,
    /// gRPC `deadline-exceeded`.
    pub grpc_deadline_exceeded: bool,
    /// gRPC `internal`.
    pub grpc_internal: bool,
    /// gRPC `resource-exhausted`.
    pub grpc_resource_exhausted: bool,
    /// gRPC `unavailable`.
    pub grpc_unavailable: bool,
}

/// Header changes at one level. Removals first, then overwrites, then appends.
#[derive(Debug, Clone, Default)]
pub struct HeaderMutations {
    /// Changes of the request.
    pub request_add: Vec<HeaderChange>,
    /// Names removed from the request, lower case.
    pub request_remove: Vec<Arc<str>>,
    /// Changes of the response.
    pub response_add: Vec<HeaderChange>,
    /// Names removed from the response, lower case.
    pub response_remove: Vec<Arc<str>>,
}

/// `HeaderValueOption`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderChange {
    /// Lower case.
    pub name: Arc<str>,
    /// Literal value.
    pub value: Arc<str>,
    /// What if the header is there.
    pub mode: HeaderChangeMode,
}

/// `append_action`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderChangeMode {
    /// One more value.
    Append,
    /// Only when absent.
    AddIfAbsent,
    /// Replaces, or adds.
    Overwrite,
    /// Replaces, never adds.
    OverwriteIfExists,
}
