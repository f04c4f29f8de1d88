//! Virtual hosts: domains, and the routes of those who ask for them.

use std::sync::Arc;

use serde::Serialize;

use super::mutation::HeaderMutations;
use super::paths::PathIndex;
use super::retry::RetryPolicy;
use super::route::Route;
use crate::record::Provenance;

/// SHA-256 of a message.
pub type Digest = [u8; 32];

/// `VirtualHost`.
#[derive(Debug, Clone, Serialize)]
pub struct VirtualHost {
    /// Name.
    pub name: Arc<str>,
    /// Lower case. Exact names, `*suffix`, `prefix*`, or `*`.
    pub domains: Vec<Arc<str>>,
    routes: Vec<Route>,
    #[serde(skip)]
    paths: PathIndex,
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
    /// Of the message it was read from: the same message is not read again. `None`: it was not read from one.
    #[serde(skip)]
    pub source: Option<Digest>,
}

impl VirtualHost {
    /// A host of these domains (made lower case) and routes, with nothing else set.
    pub fn new(name: impl Into<Arc<str>>, domains: &[&str], routes: Vec<Route>) -> Self {
        Self {
            name: name.into(),
            domains: domains.iter().map(|domain| domain.to_ascii_lowercase().into()).collect(),
            paths: PathIndex::new(&routes),
            routes,
            headers: HeaderMutations::default(),
            retry_policy: None,
            include_request_attempt_count: false,
            include_attempt_count_in_response: false,
            provenance: None,
            source: None,
        }
    }

    /// First match wins.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Which routes a path may match.
    pub fn paths(&self) -> &PathIndex {
        &self.paths
    }
}

/// By what it says: the index follows from it, and two messages may say the same.
impl PartialEq for VirtualHost {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            name,
            domains,
            routes,
            paths: _,
            headers,
            retry_policy,
            include_request_attempt_count,
            include_attempt_count_in_response,
            provenance,
            source: _,
        } = self;
        *name == other.name
            && *domains == other.domains
            && *routes == other.routes
            && *headers == other.headers
            && *retry_policy == other.retry_policy
            && *include_request_attempt_count == other.include_request_attempt_count
            && *include_attempt_count_in_response == other.include_attempt_count_in_response
            && *provenance == other.provenance
    }
}
