//! Clusters, their endpoints, balancers and breakers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::outlier::OutlierDetection;
use super::tls::TransportSocket;
use crate::record::Provenance;

/// `envoy.config.cluster.v3.Cluster`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cluster {
    /// Name, unique in a proxy.
    pub name: Arc<str>,
    /// Where endpoints come from.
    pub discovery: Discovery,
    /// How one is picked.
    pub balancer: Balancer,
    /// TCP and TLS set-up together; Envoy's default is 5 s.
    pub connect_timeout: Duration,
    /// Limits of the default priority.
    pub breakers: Breakers,
    /// A connection serves this many requests; `None`: no limit.
    pub requests_per_connection_max: Option<u32>,
    /// Idle pooled connections are closed after this; `None`: 1 h; zero: never.
    pub idle_timeout: Option<Duration>,
    /// What is spoken to endpoints.
    pub protocol: UpstreamProtocol,
    /// Chosen by endpoint metadata; first match wins.
    pub transport_socket_matches: Vec<TransportSocketMatch>,
    /// When none matches.
    pub transport_socket: TransportSocket,
    /// Below this share of healthy endpoints, in percent, all are used.
    pub panic_threshold_percent: f64,
    /// When endpoints that fail are taken out; `None`: never.
    pub outlier_detection: Option<Arc<OutlierDetection>>,
    /// Changes of health within this time of each other reach the balancer together; Envoy: 1 s; zero: each
    /// at once.
    pub update_merge_window: Duration,
    /// Local address of connections to endpoints (`upstream_bind_config`).
    pub source: Option<std::net::IpAddr>,
    /// The Service that it leads to, as its metadata says.
    pub service: Option<Arc<ServiceName>>,
    /// Name in `%UPSTREAM_CLUSTER%`; `None`: its own. Statistics go by its own name, where Envoy's go by this one.
    pub alt_stat_name: Option<Arc<str>>,
    /// Line that brought the cluster.
    pub provenance: Option<Provenance>,
}

impl Cluster {
    /// A cluster of endpoints from `discovery`, plaintext and HTTP/1.1, with Envoy's defaults for the rest.
    pub fn new(name: impl Into<Arc<str>>, discovery: Discovery) -> Self {
        let balancer = match discovery {
            Discovery::OriginalDst => Balancer::Provided,
            _ => Balancer::RoundRobin,
        };
        Self {
            name: name.into(),
            discovery,
            balancer,
            connect_timeout: Duration::from_secs(5),
            breakers: Breakers::default(),
            requests_per_connection_max: None,
            idle_timeout: None,
            protocol: UpstreamProtocol::Http1,
            transport_socket_matches: Vec::new(),
            transport_socket: TransportSocket::Raw,
            panic_threshold_percent: 50.0,
            outlier_detection: None,
            update_merge_window: Duration::from_secs(1),
            source: None,
            service: None,
            alt_stat_name: None,
            provenance: None,
        }
    }

    /// How to speak to `endpoint`: the first match of its metadata, else the cluster's own way.
    pub fn socket_for(&self, endpoint: &Endpoint) -> &TransportSocket {
        let holds = |wanted: &&TransportSocketMatch| {
            wanted.metadata.iter().all(|(key, value)| endpoint.transport_socket_match.get(key) == Some(value))
        };
        self.transport_socket_matches.iter().find(holds).map_or(&self.transport_socket, |found| &found.socket)
    }
}

/// Metadata `istio`, the first of `services`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServiceName {
    /// Its host: `web.shop.svc.cluster.local`.
    pub host: Arc<str>,
    /// Its name; where it says none, its host's first label.
    pub name: Arc<str>,
    /// Its namespace; empty where it says none.
    pub namespace: Arc<str>,
}

/// Cluster type.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Discovery {
    /// Endpoints written in the cluster.
    Static(Arc<Assignment>),
    /// By this EDS service name, from EDS.
    Eds(Arc<str>),
    /// The connection's original destination.
    OriginalDst,
    /// Host names, looked up.
    StrictDns(Vec<(Arc<str>, u16)>),
}

/// `ClusterLoadAssignment`, flattened: localities in order, their endpoints in order.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Assignment {
    endpoints: Vec<Endpoint>,
    #[serde(skip)]
    healthy: Vec<u32>,
    #[serde(skip)]
    weighted: bool,
}

impl Assignment {
    /// An assignment of these endpoints.
    pub fn new(endpoints: Vec<Endpoint>) -> Self {
        let healthy = (0u32..).zip(&endpoints).filter(|(_, endpoint)| endpoint.healthy).map(|(at, _)| at).collect();
        let weighted = endpoints.windows(2).any(|pair| pair[0].weight != pair[1].weight);
        Self { endpoints, healthy, weighted }
    }

    /// All endpoints.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The same without the health of those that `is_ejected`.
    pub fn without(&self, is_ejected: impl Fn(SocketAddr) -> bool) -> Self {
        let endpoint = |endpoint: &Endpoint| {
            let healthy = endpoint.healthy && !is_ejected(endpoint.address);
            Endpoint { healthy, ..endpoint.clone() }
        };
        Self::new(self.endpoints.iter().map(endpoint).collect())
    }

    /// Positions of the healthy ones in [`Self::endpoints`], ascending.
    pub fn healthy(&self) -> &[u32] {
        &self.healthy
    }

    /// Whether weights differ.
    pub fn is_weighted(&self) -> bool {
        self.weighted
    }
}

/// `LbEndpoint`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Endpoint {
    /// Address.
    pub address: SocketAddr,
    /// False: `UNHEALTHY`, `DRAINING` or `TIMEOUT`.
    pub healthy: bool,
    /// Relative weight; at least 1.
    pub weight: u32,
    /// `envoy.transport_socket_match` metadata.
    pub transport_socket_match: BTreeMap<Arc<str>, Arc<str>>,
    /// Metadata `istio`, key `workload`: name, namespace, canonical service, canonical revision and cluster of the
    /// workload that it is of, with `;` between them.
    pub workload: Option<Arc<str>>,
}

impl Endpoint {
    /// A healthy endpoint of weight 1 without metadata.
    pub fn at(address: SocketAddr) -> Self {
        Self { address, healthy: true, weight: 1, transport_socket_match: BTreeMap::new(), workload: None }
    }
}

/// `transport_socket_matches[]`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TransportSocketMatch {
    /// Name.
    pub name: Arc<str>,
    /// All must be equal in the endpoint's metadata; empty matches every endpoint.
    pub metadata: BTreeMap<Arc<str>, Arc<str>>,
    /// Used then.
    pub socket: TransportSocket,
}

/// `lb_policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Balancer {
    /// In turn, by weight.
    RoundRobin,
    /// The less busy of `choices` drawn at random; Envoy: 2.
    LeastRequest {
        /// At least 2.
        choices: u32,
    },
    /// At random.
    Random,
    /// `CLUSTER_PROVIDED`: the cluster type picks.
    Provided,
}

/// `CircuitBreakers.Thresholds`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Breakers {
    /// Envoy: 1024.
    pub connections_max: u32,
    /// Envoy: 1024.
    pub pending_requests_max: u32,
    /// Envoy: 1024.
    pub requests_max: u32,
    /// Envoy: 3.
    pub retries_max: u32,
}

impl Default for Breakers {
    /// Envoy's limits.
    fn default() -> Self {
        Self { connections_max: 1024, pending_requests_max: 1024, requests_max: 1024, retries_max: 3 }
    }
}

/// Protocol to endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 with prior knowledge, or by ALPN.
    Http2,
    /// What the caller spoke.
    SameAsDownstream,
}
