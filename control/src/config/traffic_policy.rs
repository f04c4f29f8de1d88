//! What a client does with a destination once it is chosen. Istio: `DestinationRule.trafficPolicy`.

use std::time::Duration;

use crate::diagnostic::{Span, Spanned};

/// The components of a traffic policy that a port can replace. `None` means the dialect's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyComponents {
    /// How an endpoint is chosen.
    pub load_balancer: Option<LoadBalancer>,
    /// Limits on connections and requests.
    pub connection_pool: Option<ConnectionPool>,
    /// How the connection to the endpoint is secured.
    pub tls: Option<TlsMode>,
    /// When endpoints that fail are taken out; `None`: never, in either dialect.
    pub outlier_detection: Option<OutlierDetection>,
}

/// A traffic policy as written in a DestinationRule or in one of its subsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrafficPolicy {
    /// What holds for ports without an entry of their own.
    pub components: PolicyComponents,
    /// Entries by port number. An entry replaces all components, also those it leaves out.
    pub port_level: Vec<PortPolicy>,
    /// Where `trafficPolicy` is written.
    pub span: Span,
}

/// One entry of `portLevelSettings`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortPolicy {
    /// The service port it holds for.
    pub port: Spanned<u16>,
    /// Its components.
    pub components: PolicyComponents,
    /// Where the entry is written.
    pub span: Span,
}

/// How an endpoint is chosen. Istio: `loadBalancer.simple`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LoadBalancer {
    /// One after the other.
    RoundRobin,
    /// The less busy of two random ones. Also written `LEAST_CONN`.
    LeastRequest,
    /// Any, evenly.
    Random,
    /// None is chosen: the connection goes to the address the client asked for.
    Passthrough,
}

/// Limits on connections and requests. `None` means the dialect's default; a written 0 counts as unset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionPool {
    /// Connections at a time. Istio: `tcp.maxConnections`.
    pub connections_max: Option<u32>,
    /// Time a connect may take. Istio: `tcp.connectTimeout`.
    pub connect_timeout: Option<Spanned<Duration>>,
    /// Requests that may wait for a connection. Istio: `http.http1MaxPendingRequests`.
    pub pending_requests_max: Option<u32>,
    /// Requests at a time. Istio: `http.http2MaxRequests`.
    pub requests_max: Option<u32>,
    /// Requests after which a connection is closed. Istio: `http.maxRequestsPerConnection`.
    pub requests_per_connection_max: Option<u32>,
    /// Retries at a time. Istio: `http.maxRetries`.
    pub retries_max: Option<u32>,
}

/// When endpoints that fail are taken out. Istio: `outlierDetection`. `None` means Envoy's default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlierDetection {
    /// The one count of 1.0; today's Istio takes it and does nothing with it. A written 0 counts as unset.
    pub consecutive_errors: Option<Spanned<u32>>,
    /// Answers with 5xx in a row; 0: off.
    pub consecutive_5xx_errors: Option<u32>,
    /// Answers with 502, 503 or 504 in a row; 0: off.
    pub consecutive_gateway_errors: Option<u32>,
    /// Whether failures of the connection are counted apart from answers.
    pub split_external_local_origin_errors: bool,
    /// Failures of the connection in a row, where they are; a written 0 counts as unset.
    pub consecutive_local_origin_failures: Option<Spanned<u32>>,
    /// Time between looks at who may come back.
    pub interval: Option<Spanned<Duration>>,
    /// How long the first ejection in a row lasts.
    pub base_ejection_time: Option<Spanned<Duration>>,
    /// Share of the endpoints that may be out; a written 0 counts as unset.
    pub max_ejection_percent: Option<u32>,
    /// Share of healthy endpoints below which health is ignored.
    pub min_health_percent: Option<u32>,
}

/// How the connection to an endpoint is secured. Istio: `tls.mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsMode {
    /// Plaintext.
    Disable,
    /// Mutual TLS with the mesh's own certificates.
    IstioMutual,
}

impl TrafficPolicy {
    /// The components that hold for a port: the port's own entry whole, else the general ones.
    pub fn for_port(&self, port: u16) -> &PolicyComponents {
        self.port_entry(port).map_or(&self.components, |entry| &entry.components)
    }

    /// The port's own entry; the first one where there are several.
    pub fn port_entry(&self, port: u16) -> Option<&PortPolicy> {
        self.port_level.iter().find(|entry| entry.port.value == port)
    }
}

impl PolicyComponents {
    /// These components, each replaced by that of `over` where `over` has it.
    #[must_use]
    pub fn overridden_by(&self, over: &PolicyComponents) -> PolicyComponents {
        PolicyComponents {
            load_balancer: over.load_balancer.or(self.load_balancer),
            connection_pool: over.connection_pool.clone().or_else(|| self.connection_pool.clone()),
            tls: over.tls.or(self.tls),
            outlier_detection: over.outlier_detection.clone().or_else(|| self.outlier_detection.clone()),
        }
    }
}
