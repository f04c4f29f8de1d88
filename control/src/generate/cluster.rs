//! Clusters: one for each service port and subset, and those that every proxy has.
//!
//! Names are Istio's: `outbound|<port>|<subset>|<host>`.

use std::collections::BTreeSet;

use envoy_types::pb::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, DiscoveryType, EdsClusterConfig, LbConfig, LbPolicy, LeastRequestLbConfig,
    TransportSocketMatch,
};
use envoy_types::pb::envoy::config::cluster::v3::{CircuitBreakers, Cluster, circuit_breakers::Thresholds};
use envoy_types::pb::envoy::config::core::v3::{BindConfig, SocketAddress, socket_address};
use envoy_types::pb::envoy::config::endpoint::v3::{
    ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints, lb_endpoint,
};
use envoy_types::pb::google::protobuf::Struct;

use super::proxy::ProxyKind;
use super::upstream_protocol;
use super::{metadata, outlier, shape, tls};
use crate::dialect::{DefaultBalancer, Dialect};
use crate::model::workload::spiffe_id;
use crate::model::{
    ClusterIp, ConnectionPool, DestinationRule, InboundPort, LoadBalancer, Mesh, PolicyComponents, Protocol, Service,
    ServicePort, Subset, TlsMode,
};

/// To the address that a connection was opened to.
pub const PASSTHROUGH: &str = "PassthroughCluster";
/// Nowhere.
pub const BLACK_HOLE: &str = "BlackHoleCluster";
/// To the workload itself, on a port that no service has.
pub const INBOUND_PASSTHROUGH: &str = "InboundPassthroughCluster";
/// Source of a sidecar's connections to its own workload, which capture lets pass.
const INBOUND_SOURCE: &str = "127.0.0.6";

/// Name of the cluster of a service port, or of a subset of it.
pub fn outbound_name(port: u16, subset: Option<&str>, host: &str) -> String {
    format!("outbound|{port}|{}|{host}", subset.unwrap_or_default())
}

/// A service port, or a subset of it, as a client sees it.
#[derive(Debug, Clone, Copy)]
pub struct OutboundCluster<'m> {
    /// The service.
    pub service: &'m Service,
    /// Its port.
    pub port: &'m ServicePort,
    /// The rule that names subsets and policy; `None`: the dialect's defaults.
    pub rule: Option<&'m DestinationRule>,
    /// A subset of that rule; `None`: all endpoints.
    pub subset: Option<&'m Subset>,
}

impl OutboundCluster<'_> {
    /// The cluster's name.
    pub fn name(&self) -> String {
        outbound_name(self.port.number, self.subset.map(|subset| subset.name.as_str()), &self.service.hostname)
    }

    fn policy(&self, dialect: Dialect) -> PolicyComponents {
        self.rule.map(|rule| rule.components(self.subset, self.port.number, dialect)).unwrap_or_default()
    }

    fn metadata(&self) -> Option<envoy_types::pb::envoy::config::core::v3::Metadata> {
        match (self.subset, self.rule) {
            (Some(subset), Some(rule)) => {
                let origin = format!("DestinationRule {}/{} subset {}", rule.namespace, rule.name, subset.name);
                metadata::cluster(&subset.span, &origin, self.service)
            }
            _ => metadata::cluster(&self.port.span, &service_origin(self.service, self.port), self.service),
        }
    }

    /// Whether connections go to the address they were opened to, not to an endpoint.
    fn is_passthrough(&self, policy: &PolicyComponents) -> bool {
        self.service.cluster_ip == ClusterIp::Headless || policy.load_balancer == Some(LoadBalancer::Passthrough)
    }
}

/// `Service default/service-go port 80`.
pub fn service_origin(service: &Service, port: &ServicePort) -> String {
    format!("Service {}/{} port {}", service.namespace, service.name, port.number)
}

/// Every service port, each followed by its subsets, as proxies in `namespace` see them.
pub fn outbound_clusters<'m>(mesh: &'m Mesh, namespace: &str) -> Vec<OutboundCluster<'m>> {
    let mut clusters = Vec::new();
    for service in mesh.services.values() {
        let rule = mesh.destination_rule(&service.hostname, namespace);
        for port in &service.ports {
            clusters.push(OutboundCluster { service, port, rule, subset: None });
            let mut names = BTreeSet::new();
            let subsets = rule.map_or(&[][..], |rule| &rule.subsets).iter();
            let unique = subsets.filter(|subset| names.insert(subset.name.as_str()));
            clusters.extend(unique.map(|subset| OutboundCluster { service, port, rule, subset: Some(subset) }));
        }
    }
    clusters
}

/// The clusters of every service port and subset, for proxies in `namespace`.
pub fn outbound(mesh: &Mesh, namespace: &str) -> Vec<Cluster> {
    outbound_clusters(mesh, namespace).into_iter().map(|cluster| outbound_cluster(mesh, &cluster)).collect()
}

fn outbound_cluster(mesh: &Mesh, wanted: &OutboundCluster<'_>) -> Cluster {
    let dialect = mesh.dialect;
    let policy = wanted.policy(dialect);
    let pool = policy.connection_pool.clone().unwrap_or_default();
    let mut cluster = base(dialect, &wanted.name(), &pool);
    cluster.metadata = wanted.metadata();
    if let Some(options) = upstream_protocol::options(wanted.port.protocol, &pool) {
        cluster.typed_extension_protocol_options = metadata::typed(upstream_protocol::NAME, options);
    }
    if let Some(asked) = &policy.outlier_detection {
        outlier::detect(dialect, asked, &mut cluster);
    }
    secure(mesh, wanted, &policy, &mut cluster);
    if wanted.is_passthrough(&policy) {
        set_original_dst(&mut cluster);
    } else {
        cluster.cluster_discovery_type = Some(ClusterDiscoveryType::Type(DiscoveryType::Eds as i32));
        cluster.eds_cluster_config = Some(EdsClusterConfig { eds_config: shape::ads(), service_name: wanted.name() });
        balance(dialect, policy.load_balancer, &mut cluster);
    }
    cluster
}

fn base(dialect: Dialect, name: &str, pool: &ConnectionPool) -> Cluster {
    Cluster {
        name: name.to_owned(),
        connect_timeout: shape::duration(
            pool.connect_timeout.as_ref().map_or(dialect.connect_timeout(), |timeout| timeout.value),
        ),
        circuit_breakers: breakers(dialect, pool),
        ..Default::default()
    }
}

fn breakers(dialect: Dialect, pool: &ConnectionPool) -> Option<CircuitBreakers> {
    let default = dialect.default_breakers();
    let limit = |asked: Option<u32>| {
        let asked = asked.filter(|limit| *limit > 0);
        asked.or(default.map(|default| default.each)).and_then(shape::number)
    };
    let thresholds = Thresholds {
        max_connections: limit(pool.connections_max),
        max_pending_requests: limit(pool.pending_requests_max),
        max_requests: limit(pool.requests_max),
        max_retries: limit(pool.retries_max),
        track_remaining: default.is_some_and(|default| default.track_remaining),
        ..Default::default()
    };
    (thresholds != Thresholds::default())
        .then(|| CircuitBreakers { thresholds: vec![thresholds], ..Default::default() })
}

fn balance(dialect: Dialect, asked: Option<LoadBalancer>, cluster: &mut Cluster) {
    let asked = asked.unwrap_or(match dialect.default_balancer() {
        DefaultBalancer::RoundRobin => LoadBalancer::RoundRobin,
        DefaultBalancer::LeastRequest => LoadBalancer::LeastRequest,
    });
    let policy = match asked {
        LoadBalancer::RoundRobin => LbPolicy::RoundRobin,
        LoadBalancer::LeastRequest => LbPolicy::LeastRequest,
        LoadBalancer::Random => LbPolicy::Random,
        LoadBalancer::Passthrough => LbPolicy::ClusterProvided,
    };
    cluster.lb_policy = policy as i32;
    if policy == LbPolicy::LeastRequest {
        let config = LeastRequestLbConfig { choice_count: shape::number(2), ..Default::default() };
        cluster.lb_config = Some(LbConfig::LeastRequestLbConfig(config));
    }
}

/// Mutual TLS as the rule says, else to every endpoint that takes it where the dialect does so by itself.
///
/// Where endpoints are not known one by one, mutual TLS by itself is for services whose endpoints all take it.
fn secure(mesh: &Mesh, wanted: &OutboundCluster<'_>, policy: &PolicyComponents, cluster: &mut Cluster) {
    let mode = policy.tls;
    if mode == Some(TlsMode::Disable) || (mode.is_none() && !mesh.dialect.auto_mtls()) {
        return;
    }
    let subset = wanted.subset.map_or("", |subset| subset.name.as_str());
    let sni = mesh.dialect.mutual_sni(wanted.port.number, subset, &wanted.service.hostname);
    let socket = tls::outbound(mesh.dialect, sni, identities(mesh, wanted), wanted.port.protocol.is_http2());
    if mode == Some(TlsMode::IstioMutual) {
        cluster.transport_socket = Some(socket);
        return;
    }
    if wanted.is_passthrough(policy) {
        let endpoints = &wanted.port.endpoints;
        if !endpoints.is_empty() && endpoints.iter().all(|endpoint| endpoint.has_sidecar) {
            cluster.transport_socket = Some(socket);
        }
        return;
    }
    let matches = |name: &str, criteria: Struct, socket| TransportSocketMatch {
        name: name.to_owned(),
        r#match: Some(criteria),
        transport_socket: Some(socket),
    };
    cluster.transport_socket_matches = vec![
        matches("tlsMode-istio", metadata::tls_mode_istio(), socket),
        matches("tlsMode-disabled", Struct::default(), tls::plaintext()),
    ];
}

/// The identities of all workloads of the service, ready or not, so that a new endpoint changes EDS alone.
fn identities(mesh: &Mesh, wanted: &OutboundCluster<'_>) -> Vec<String> {
    let endpoints = wanted.service.ports.iter().flat_map(|port| &port.endpoints);
    let pods = endpoints.filter_map(|endpoint| {
        let pod = endpoint.pod.as_ref()?;
        Some(spiffe_id(&mesh.config.trust_domain, &pod.namespace, &endpoint.service_account))
    });
    pods.collect::<BTreeSet<_>>().into_iter().collect()
}

fn set_original_dst(cluster: &mut Cluster) {
    cluster.cluster_discovery_type = Some(ClusterDiscoveryType::Type(DiscoveryType::OriginalDst as i32));
    cluster.lb_policy = LbPolicy::ClusterProvided as i32;
}

/// The clusters that every proxy of a kind has.
pub fn special(dialect: Dialect, kind: ProxyKind) -> Vec<Cluster> {
    let pool = ConnectionPool::default();
    let mut black_hole = base(dialect, BLACK_HOLE, &pool);
    black_hole.cluster_discovery_type = Some(ClusterDiscoveryType::Type(DiscoveryType::Static as i32));
    if kind == ProxyKind::Gateway {
        return vec![black_hole];
    }
    let mut inbound = base(dialect, INBOUND_PASSTHROUGH, &pool);
    set_original_dst(&mut inbound);
    inbound.upstream_bind_config = inbound_bind();
    let mut passthrough = base(dialect, PASSTHROUGH, &pool);
    set_original_dst(&mut passthrough);
    for cluster in [&mut inbound, &mut passthrough] {
        if let Some(options) = upstream_protocol::options(Protocol::Sniffed, &pool) {
            cluster.typed_extension_protocol_options = metadata::typed(upstream_protocol::NAME, options);
        }
    }
    vec![black_hole, passthrough, inbound]
}

fn inbound_bind() -> Option<BindConfig> {
    let source = SocketAddress {
        address: INBOUND_SOURCE.to_owned(),
        port_specifier: Some(socket_address::PortSpecifier::PortValue(0)),
        ..Default::default()
    };
    Some(BindConfig { source_address: Some(source), ..Default::default() })
}

/// Name of the cluster to the workload's own `port`.
pub fn inbound_name(dialect: Dialect, port: &InboundPort<'_>) -> String {
    let number = match dialect {
        Dialect::V1_0 => port.port.number,
        Dialect::V1 => port.endpoint.port,
    };
    dialect.inbound_cluster(number, &port.service.hostname)
}

/// The cluster from a sidecar to its own workload's `port`.
///
/// Today the address that the client asked for; in 1.0 the loopback.
pub fn inbound(mesh: &Mesh, port: &InboundPort<'_>) -> Cluster {
    let dialect = mesh.dialect;
    let rule = mesh.destination_rule(&port.service.hostname, &port.service.namespace);
    let pool = rule.and_then(|rule| rule.inbound_pool(port.port.number, dialect)).unwrap_or_default();
    let mut cluster = base(dialect, &inbound_name(dialect, port), &pool);
    let origin = service_origin(port.service, port.port);
    cluster.metadata = metadata::cluster(&port.port.span, &origin, port.service);
    if let Some(options) = upstream_protocol::options(port.port.protocol, &pool) {
        cluster.typed_extension_protocol_options = metadata::typed(upstream_protocol::NAME, options);
    }
    if dialect.inbound_to_loopback() {
        cluster.cluster_discovery_type = Some(ClusterDiscoveryType::Type(DiscoveryType::Static as i32));
        cluster.load_assignment = Some(loopback(&cluster.name, port.endpoint.port));
    } else {
        set_original_dst(&mut cluster);
        cluster.upstream_bind_config = inbound_bind();
    }
    cluster
}

fn loopback(name: &str, port: u16) -> ClusterLoadAssignment {
    let endpoint = Endpoint { address: shape::address("127.0.0.1", port), ..Default::default() };
    let host =
        LbEndpoint { host_identifier: Some(lb_endpoint::HostIdentifier::Endpoint(endpoint)), ..Default::default() };
    ClusterLoadAssignment {
        cluster_name: name.to_owned(),
        endpoints: vec![LocalityLbEndpoints { lb_endpoints: vec![host], ..Default::default() }],
        ..Default::default()
    }
}
