//! The resolved mesh: what the manifests mean together, ready to be turned into xDS.
//!
//! Names are full here (`service-go.default.svc.cluster.local`), Services know their endpoints and the pods behind
//! them, and DestinationRules are merged and selected as the dialect does. Everything keeps the [`Span`] of the YAML
//! that said so.
//!
//! Data meets the files in this order: [`host`] makes full names, [`protocol`] reads a port's protocol, [`workload`]
//! and [`service`] join Pods, EndpointSlices and Services, [`gateway`], [`virtual_service`] and [`destination_rule`]
//! resolve Istio's kinds, and [`mesh`] holds it all. [`store`] keeps the objects in force between changes.
//!
//! [`Span`]: crate::diagnostic::Span

pub mod destination_rule;
pub mod gateway;
pub mod host;
mod join;
pub mod mesh;
pub mod protocol;
mod resolve;
pub mod service;
pub mod store;
pub mod virtual_service;
pub mod workload;

pub use destination_rule::{DestinationRule, Subset};
pub use gateway::{Gateway, Server, ServerHost};
pub use host::Host;
pub use mesh::{InboundPort, Mesh};
pub use protocol::Protocol;
pub use service::{ClusterIp, Endpoint, Service, ServicePort};
pub use store::{Applied, ConfigStore};
pub use virtual_service::{Destination, HttpMatch, HttpRoute, VirtualService};
pub use workload::{Workload, WorkloadRef};

pub use crate::config::gateway_ref::GatewayRef;
pub use crate::config::host_name;
pub use crate::config::mesh_config::MeshConfig;
pub use crate::config::retries::Retries;
pub use crate::config::string_match::StringMatch;
pub use crate::config::traffic_policy::{
    ConnectionPool, LoadBalancer, OutlierDetection, PolicyComponents, PortPolicy, TlsMode, TrafficPolicy,
};

/// Kubernetes labels: name to value.
pub type Labels = std::collections::BTreeMap<String, String>;

/// Whether `labels` has every entry of `selector`. An empty selector matches everything.
pub fn labels_match(selector: &Labels, labels: &Labels) -> bool {
    selector.iter().all(|(name, value)| labels.get(name) == Some(value))
}
