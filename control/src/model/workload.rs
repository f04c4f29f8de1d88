//! Workloads: the pods of the mesh, each with the address, labels and identity its proxy has.

use std::fmt;
use std::net::IpAddr;

use crate::diagnostic::Span;

use super::Labels;

/// A pod by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkloadRef {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub name: String,
}

impl fmt::Display for WorkloadRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// One pod that has an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Namespace and name of the pod.
    pub pod: WorkloadRef,
    /// Its address (`status.podIP`).
    pub address: IpAddr,
    /// Its labels.
    pub labels: Labels,
    /// Its ServiceAccount, `default` where the pod names none.
    pub service_account: String,
    /// The Deployment or other owner it was made for; the pod's name where it has no owner.
    pub owner: String,
    /// Node it runs on; empty where not known.
    pub node: String,
    /// Whether a proxy runs beside the app and takes mTLS: the label `security.istio.io/tlsMode: istio`, the
    /// annotation `sidecar.istio.io/status`, or a container `istio-proxy`.
    pub has_sidecar: bool,
    /// Where the pod's manifest is written.
    pub span: Span,
}

impl Workload {
    /// The workload's SPIFFE identity, `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`.
    pub fn spiffe_id(&self, trust_domain: &str) -> String {
        spiffe_id(trust_domain, &self.pod.namespace, &self.service_account)
    }
}

/// `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`.
pub fn spiffe_id(trust_domain: &str, namespace: &str, service_account: &str) -> String {
    format!("spiffe://{trust_domain}/ns/{namespace}/sa/{service_account}")
}
