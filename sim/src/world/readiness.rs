//! What the endpoint controller knows of the pods: which are there, which are ready, and so what stands behind a Service.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::cast::{Cast, Pod, Service};
use super::kube::{KubeFile, endpoint_slice};

/// The pods by address.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    ready: BTreeSet<Ipv4Addr>,
    /// Pods that were deleted, and fresh ones that were not started.
    absent: BTreeSet<Ipv4Addr>,
}

/// What stands behind a Service.
#[derive(Debug)]
pub struct Behind {
    /// Ready endpoints by the Service's port, in its order.
    pub ports: Vec<(u16, Vec<SocketAddr>)>,
    /// Its EndpointSlice.
    pub slice: KubeFile,
}

impl Readiness {
    /// No pod is ready, and those in reserve are not there.
    pub fn new(cast: &Cast) -> Self {
        Self { ready: BTreeSet::new(), absent: cast.reserve.iter().map(|pod| pod.ip).collect() }
    }

    /// A probe found these pods ready or not.
    pub fn set_ready(&mut self, pods: &[Ipv4Addr], is_ready: bool) {
        for ip in pods {
            if is_ready {
                self.ready.insert(*ip)
            } else {
                self.ready.remove(ip)
            };
        }
    }

    /// The pod is being deleted, or a fresh one is there, which is not ready.
    pub fn set_absent(&mut self, ip: Ipv4Addr, absent: bool) {
        self.ready.remove(&ip);
        if absent {
            self.absent.insert(ip)
        } else {
            self.absent.remove(&ip)
        };
    }

    /// What stands behind `service` now.
    pub fn behind(&self, cast: &Cast, service: &Service) -> Behind {
        let present = |pod: &&Pod| service.selects(pod) && !self.absent.contains(&pod.ip);
        let pods: Vec<&Pod> = cast.all_pods().filter(present).collect();
        let ready = |target: u16| {
            let ready = pods.iter().filter(|pod| self.ready.contains(&pod.ip));
            ready.map(|pod| SocketAddr::new(IpAddr::V4(pod.ip), target)).collect()
        };
        Behind {
            ports: service.ports.iter().map(|port| (port.port, ready(port.target_port))).collect(),
            slice: endpoint_slice(service, &pods, |ip| self.ready.contains(&ip)),
        }
    }
}
