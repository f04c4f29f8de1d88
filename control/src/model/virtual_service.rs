//! VirtualServices with full names: hosts, where they apply, and their HTTP routes. Istio: `VirtualService`.

use std::time::Duration;

use indexmap::IndexMap;

use crate::diagnostic::Span;

use super::{GatewayRef, Host, Labels, Retries, StringMatch};

/// A VirtualService.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualService {
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// Hosts it routes for, as full names.
    pub hosts: Vec<Host>,
    /// Where it applies; `[Mesh]` when the manifest names none.
    pub gateways: Vec<GatewayRef>,
    /// Namespaces that see it: `.` is resolved to the own one, `*` is all; empty means all.
    pub export_to: Vec<String>,
    /// Routes in order; the first that matches decides.
    pub http: Vec<HttpRoute>,
    /// Place in the order of creation, over all kinds.
    pub created: u64,
    /// Where the manifest's metadata is written.
    pub span: Span,
}

/// One entry of `http`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRoute {
    /// Name for logs; `None` when not written.
    pub name: Option<String>,
    /// Alternatives, any of which takes the route; empty takes every request.
    pub matches: Vec<HttpMatch>,
    /// Where requests go; never empty.
    pub destinations: Vec<Destination>,
    /// Time the whole request may take, retries included; `None` and zero: unlimited.
    pub timeout: Option<Duration>,
    /// Retries; `None`: the dialect's default.
    pub retries: Option<Retries>,
    /// Where the entry is written.
    pub span: Span,
}

/// One entry of `match`: all that it names must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpMatch {
    /// Name for logs; `None` when not written.
    pub name: Option<String>,
    /// Path without the query.
    pub uri: Option<StringMatch>,
    /// Whether `uri` (exact and prefix) ignores case.
    pub ignore_uri_case: bool,
    /// `:scheme`.
    pub scheme: Option<StringMatch>,
    /// `:method`.
    pub method: Option<StringMatch>,
    /// `:authority`.
    pub authority: Option<StringMatch>,
    /// Headers by lower-case name, in the order written.
    pub headers: IndexMap<String, StringMatch>,
    /// Headers that must not match, by lower-case name, in the order written.
    pub without_headers: IndexMap<String, StringMatch>,
    /// Query parameters by name, in the order written.
    pub query_params: IndexMap<String, StringMatch>,
    /// The listener or server port it holds for; `None`: any.
    pub port: Option<u16>,
    /// Labels the client proxy must have; not looked at beside `gateways`.
    pub source_labels: Labels,
    /// Namespace the client proxy must be in; `None`: any. Not looked at beside `gateways`.
    pub source_namespace: Option<String>,
    /// Where this match applies instead of the VirtualService's `gateways`; empty: there.
    pub gateways: Vec<GatewayRef>,
    /// Where the entry is written.
    pub span: Span,
}

/// One entry of `route`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Host as a full name.
    pub host: Host,
    /// Subset of that host; `None`: all its endpoints.
    pub subset: Option<String>,
    /// Where the subset is written, else the destination.
    pub subset_span: Span,
    /// Port of that host; `None`: the listener's, or at gateways its only one.
    pub port: Option<u16>,
    /// Share of the route's requests, relative to the sum over the route. 100 for an only destination.
    pub weight: u32,
    /// Where the weight is written, else the entry.
    pub weight_span: Span,
    /// Where the entry is written.
    pub span: Span,
}

impl VirtualService {
    /// Whether proxies in `namespace` see it.
    pub fn is_visible_in(&self, namespace: &str) -> bool {
        super::mesh::exported(&self.export_to, namespace)
    }
}
