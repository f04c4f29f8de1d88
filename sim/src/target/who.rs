//! Who is who: addresses and names in records, as the parties of the observation log.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::observe::{Endpoint, Party, Service};
use crate::world::cast::{self, Cast, Pod, Role};

/// Reads records by the cast of the world they were made in.
#[derive(Debug, Clone, Copy)]
pub struct Who<'a> {
    cast: &'a Cast,
}

impl<'a> Who<'a> {
    /// Reads by `cast`.
    pub fn new(cast: &'a Cast) -> Self {
        Self { cast }
    }

    /// The pod whose proxy has this node id (`type~ip~pod.namespace~domain`).
    pub fn pod_of_node(&self, node: &str) -> Option<&'a Pod> {
        self.cast.pod_at(node.split('~').nth(1)?.parse().ok()?)
    }

    /// The pod that has this address.
    pub fn pod_at(&self, ip: IpAddr) -> Option<&'a Pod> {
        self.cast.pod_at(ip)
    }

    /// A pod as a caller.
    pub fn party(&self, pod: &Pod) -> Party {
        match pod.role {
            Role::Gateway => Party::ingress(),
            Role::ControlPlane => Party::named("control-plane"),
            Role::App { .. } => Party {
                name: pod.app().into(),
                namespace: pod.namespace.as_str().into(),
                workload: pod.workload.as_str().into(),
                version: pod.version().map(Into::into),
                pod: Some(pod.index),
            },
        }
    }

    /// Whoever has this address, as a caller: a pod, a caller outside, or the bare address.
    pub fn party_at(&self, ip: IpAddr) -> Party {
        if let Some(pod) = self.pod_at(ip) {
            return self.party(pod);
        }
        let outside = self.cast.outside().find(|(_, own)| IpAddr::V4(*own) == ip);
        outside.map_or_else(|| Party::named(ip.to_string()), |(name, _)| Party::named(name))
    }

    /// Everyone of the start, pods and callers outside, by address.
    pub fn parties(&self) -> BTreeMap<IpAddr, Party> {
        let inside = self.cast.pods.iter().map(|pod| pod.ip);
        let addresses = inside.chain(self.cast.outside().map(|(_, ip)| ip)).map(IpAddr::V4);
        addresses.map(|ip| (ip, self.party_at(ip))).collect()
    }

    /// The pod behind an address that was connected to.
    pub fn endpoint(&self, address: SocketAddr) -> Endpoint {
        match self.pod_at(address.ip()) {
            Some(pod) => Endpoint {
                workload: pod.workload.as_str().into(),
                version: pod.version().map(Into::into),
                pod: Some(pod.index),
                address,
            },
            None => Endpoint { workload: address.ip().to_string().into(), version: None, pod: None, address },
        }
    }

    /// The Service that a caller in `namespace` asked for by `host` (a name, with or without a port; or a
    /// cluster address), else by `address`; the bare host when it is no Service's.
    pub fn asked(&self, host: &str, address: Option<SocketAddr>, namespace: &str) -> Service {
        let bare = host.rsplit_once(':').map_or(host, |(bare, _port)| bare);
        let by_ip = |ip: IpAddr| self.cast.service_at(ip);
        let found = self.cast.service_named(bare, namespace).or_else(|| by_ip(bare.parse().ok()?));
        match (found, address) {
            (Some(service), _) => named(service),
            (None, Some(address)) if host.is_empty() => {
                by_ip(address.ip()).map_or_else(|| Service::host(address.ip().to_string()), named)
            }
            (None, _) => Service::host(bare),
        }
    }

    /// The Service that a caller in `namespace` asked for when it reached `pod` under `authority`: the one
    /// of that name, else the one that `pod` stands behind.
    pub fn asked_of(&self, authority: &str, pod: &Pod, namespace: &str) -> Service {
        let asked = self.asked(authority, None, namespace);
        if asked.namespace.is_empty() { self.service_of(pod).unwrap_or(asked) } else { asked }
    }

    /// The Service that a cluster is of: `outbound|80|v1|service-go.default.svc.cluster.local`. `None` when
    /// the name has another shape.
    pub fn of_cluster(&self, cluster: &str) -> Option<Service> {
        let host = cluster.split('|').nth(3).filter(|host| !host.is_empty())?;
        Some(self.asked(host, None, ""))
    }

    /// The Service that a pod stands behind.
    pub fn service_of(&self, pod: &Pod) -> Option<Service> {
        self.cast.services.iter().find(|service| service.selects(pod)).map(named)
    }
}

fn named(service: &cast::Service) -> Service {
    match service.name.as_str() {
        cast::INGRESS => Service::host("ingress"),
        cast::CONTROL_PLANE => Service::host("control-plane"),
        name => Service::new(name, service.namespace.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_found_by_name_by_address_and_by_cluster() {
        let cast = Cast::mesh().with_istio_lab();
        let who = Who::new(&cast);
        let go = Service::new("service-go", "default");
        let vip =
            SocketAddr::new(cast.service_named("service-go", "default").expect("a Service").cluster_ip.into(), 80);
        assert_eq!(who.asked("service-go", None, "default"), go);
        assert_eq!(who.asked("service-go:80", Some(vip), "default"), go);
        assert_eq!(who.asked(&vip.to_string(), None, "default"), go);
        assert_eq!(who.asked("", Some(vip), "default"), go);
        assert_eq!(who.asked("httpbin.org", Some(vip), "default"), Service::host("httpbin.org"));
        assert_eq!(who.of_cluster("outbound|80|v1|service-go.default.svc.cluster.local"), Some(go));
        assert_eq!(who.of_cluster("BlackHoleCluster"), None);
    }

    #[test]
    fn gateway_and_client_have_names_of_their_own() {
        let cast = Cast::mesh();
        let who = Who::new(&cast);
        let gateway = cast.pods.iter().find(|pod| pod.role == Role::Gateway).expect("a gateway");
        assert_eq!(who.party_at(gateway.ip.into()), Party::ingress());
        assert_eq!(who.service_of(gateway), Some(Service::host("ingress")));
        let (_, client) = cast.outside().next().expect("a client");
        assert_eq!(who.party_at(client.into()), Party::client());
    }
}
