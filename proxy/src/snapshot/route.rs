//! Routes: what they match, and what they do. [`RouteConfig`] and [`VirtualHost`] hold them.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use serde::Serialize;

use super::expression::Expression;
pub use super::mutation::{HeaderChange, HeaderChangeMode, HeaderMutations};
pub use super::retry::{RetryOn, RetryPolicy};
pub use super::route_config::RouteConfig;
use super::shown;
pub use super::virtual_host::VirtualHost;
use crate::record::Provenance;

/// `Route`.
#[derive(Debug, Clone, PartialEq, Serialize)]
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

impl Route {
    /// A route without a name that does `action` where `matches` holds.
    pub fn new(matches: RouteMatch, action: Action) -> Self {
        Self { name: "".into(), matches, action, headers: HeaderMutations::default(), provenance: None }
    }
}

/// `RouteMatch`.
#[derive(Debug, Clone, PartialEq, Serialize)]
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

impl RouteMatch {
    /// Any request whose path matches, with case.
    pub fn path(path: PathMatcher) -> Self {
        Self { path, case_sensitive: true, headers: Vec::new(), query: Vec::new(), runtime_fraction: None }
    }

    /// Any request whose path begins with `prefix`.
    pub fn prefix(prefix: &str) -> Self {
        Self::path(PathMatcher::Prefix(prefix.into()))
    }
}

/// The path rule of a route.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum PathMatcher {
    /// The whole path.
    Exact(Arc<str>),
    /// A plain string prefix.
    Prefix(Arc<str>),
    /// A prefix that ends at a `/` or the end.
    PathSeparatedPrefix(Arc<str>),
    /// The whole path matches (the regex is anchored at both ends when parsed).
    Regex(Expression),
}

/// `HeaderMatcher`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HeaderMatcher {
    /// Which part of the request head.
    pub name: HeaderKey,
    /// What the value must be; several values of one header are joined by `,`.
    pub value: ValueMatcher,
    /// The result is turned round. A missing header still does not match, unless `value` is `Present`
    /// or it counts as empty (Envoy, `invert_match`).
    pub invert: bool,
    /// A missing header counts as an empty value.
    pub missing_as_empty: bool,
}

/// What a header rule looks at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum HeaderKey {
    /// `:method`.
    Method,
    /// `:authority`, also written `host`.
    Authority,
    /// `:scheme`.
    Scheme,
    /// `:path`, query included.
    Path,
    /// A header.
    Header(#[serde(serialize_with = "shown::text")] HeaderName),
}

/// `QueryParameterMatcher`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueryMatcher {
    /// Parameter name, compared with case.
    pub name: Arc<str>,
    /// What the first value of that name must be.
    pub value: ValueMatcher,
}

/// A rule on one string.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
    Regex(Expression),
    /// An integer in `start..end`.
    Range {
        /// First that matches.
        start: i64,
        /// First that no longer matches.
        end: i64,
    },
}

/// What a route does.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
        #[serde(serialize_with = "shown::body")]
        body: bytes::Bytes,
    },
}

/// `RouteAction`.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
    /// Adds `x-forwarded-host` with the caller's host where the host is rewritten.
    pub append_x_forwarded_host: bool,
}

impl Forward {
    /// Sends to `cluster`, with Envoy's defaults for the rest.
    pub fn to(cluster: ClusterChoice) -> Self {
        Self {
            cluster,
            cluster_not_found_status: 503,
            timeout: None,
            idle_timeout: None,
            retry_policy: None,
            host_rewrite: None,
            prefix_rewrite: None,
            append_x_forwarded_host: false,
        }
    }
}

/// The cluster of a route.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum ClusterChoice {
    /// Always this one.
    Single(Arc<str>),
    /// By weight.
    Weighted(Vec<WeightedCluster>),
    /// Named by this request header (lower case).
    Header(#[serde(serialize_with = "shown::text")] HeaderName),
}

/// One arm of a split.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
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
