//! Services with their ports and the endpoints behind each port.

use std::net::IpAddr;

use crate::diagnostic::Span;

use super::{Labels, Protocol, WorkloadRef};

/// A Kubernetes Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// Full name, `<name>.<namespace>.svc.<domain>`.
    pub hostname: String,
    /// Address that clients connect to.
    pub cluster_ip: ClusterIp,
    /// Ports in the order written; UDP ports are left out.
    pub ports: Vec<ServicePort>,
    /// Selector; empty means that the endpoints come from elsewhere.
    pub selector: Labels,
    /// Labels of the Service itself.
    pub labels: Labels,
    /// Place in the order of creation, over all kinds.
    pub created: u64,
    /// Where the manifest's metadata is written.
    pub span: Span,
}

/// The address of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterIp {
    /// One virtual address.
    Assigned(IpAddr),
    /// `clusterIP: None`: clients resolve the name to the pods' own addresses.
    Headless,
    /// None given yet.
    Unassigned,
}

impl ClusterIp {
    /// The virtual address, if there is one.
    pub fn address(self) -> Option<IpAddr> {
        match self {
            ClusterIp::Assigned(address) => Some(address),
            ClusterIp::Headless | ClusterIp::Unassigned => None,
        }
    }
}

/// One port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// Name; empty where the only port has none.
    pub name: String,
    /// The Service's own port number.
    pub number: u16,
    /// What it speaks, as the dialect reads it.
    pub protocol: Protocol,
    /// Every endpoint, ready or not, sorted by address and port.
    pub endpoints: Vec<Endpoint>,
    /// Where the port is written.
    pub span: Span,
}

/// One address and port behind a service port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Address.
    pub address: IpAddr,
    /// Port on that address.
    pub port: u16,
    /// Whether it takes new traffic.
    pub ready: bool,
    /// The pod behind the address; `None` for an address outside.
    pub pod: Option<WorkloadRef>,
    /// Labels of that pod, else empty.
    pub labels: Labels,
    /// ServiceAccount of that pod, else empty.
    pub service_account: String,
    /// Whether the pod has a proxy that takes mTLS.
    pub has_sidecar: bool,
    /// Node it is on; empty where not known.
    pub node: String,
    /// Where the EndpointSlice is written.
    pub span: Span,
}

impl Service {
    /// The port with that number.
    pub fn port(&self, number: u16) -> Option<&ServicePort> {
        self.ports.iter().find(|port| port.number == number)
    }

    /// Names a client in `client_namespace` may use for this Service, the full name first: `name.ns.svc.<domain>`,
    /// `name.ns.svc`, `name.ns`, and `name` within its own namespace.
    pub fn names_seen_from(&self, client_namespace: &str) -> Vec<String> {
        let (name, namespace) = (&self.name, &self.namespace);
        let mut names = vec![self.hostname.clone(), format!("{name}.{namespace}.svc"), format!("{name}.{namespace}")];
        if client_namespace == namespace {
            names.push(name.clone());
        }
        names
    }
}
