//! Where a connection goes: traffic capture, Service addresses, listening ports.
//!
//! Capture follows istio-init's iptables rules (`ISTIO_INBOUND`, `ISTIO_OUTPUT`), Services follow
//! kube-proxy: a Service address is exchanged for an endpoint's when the connection is opened.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use wavetank_platform::{Entropy, OriginalDst, RandomStream};

use super::pod::{Container, PodId};
use super::slab::Key;

/// Traffic capture of a pod, as istio-init sets it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// Where connections from other pods go (`REDIRECT`).
    pub inbound_port: u16,
    /// Where connections of the app go.
    pub outbound_port: u16,
    /// Ports of this pod that other pods reach directly.
    pub exclude_inbound_ports: Vec<u16>,
    /// Ports anywhere that the app reaches directly.
    pub exclude_outbound_ports: Vec<u16>,
}

impl Default for Capture {
    /// 15006 and 15001; the sidecar's own ports 15021 and 15090 stay direct.
    fn default() -> Self {
        Self {
            inbound_port: 15006,
            outbound_port: 15001,
            exclude_inbound_ports: vec![15021, 15090],
            exclude_outbound_ports: Vec::new(),
        }
    }
}

impl Capture {
    /// The port a connection from another pod to `port` reaches.
    pub(super) fn inbound(&self, port: u16) -> Option<u16> {
        let direct = port == self.inbound_port || self.exclude_inbound_ports.contains(&port);
        (!direct).then_some(self.inbound_port)
    }
}

/// Address and port of a Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceAddr {
    /// The cluster IP.
    pub ip: IpAddr,
    /// The Service port.
    pub port: u16,
}

/// kube-proxy's table.
#[derive(Debug)]
pub(super) struct Services {
    entropy: Entropy,
    endpoints: BTreeMap<ServiceAddr, Vec<SocketAddr>>,
    picks: BTreeMap<PodId, RandomStream>,
}

/// What a Service address leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ServicePick {
    /// The address is no Service's.
    NotAService,
    /// The Service has no endpoints: kube-proxy rejects.
    NoEndpoints,
    Endpoint(SocketAddr),
}

impl Services {
    pub(super) fn new(entropy: Entropy) -> Self {
        Self { entropy, endpoints: BTreeMap::new(), picks: BTreeMap::new() }
    }

    pub(super) fn set(&mut self, service: ServiceAddr, endpoints: Vec<SocketAddr>) {
        self.endpoints.insert(service, endpoints);
    }

    pub(super) fn remove(&mut self, service: ServiceAddr) {
        self.endpoints.remove(&service);
    }

    /// Picks an endpoint uniformly, from a stream of the client's own.
    pub(super) fn pick(&mut self, client: PodId, addr: SocketAddr) -> ServicePick {
        match self.endpoints.get(&ServiceAddr { ip: addr.ip(), port: addr.port() }) {
            None => ServicePick::NotAService,
            Some(endpoints) if endpoints.is_empty() => ServicePick::NoEndpoints,
            Some(endpoints) => {
                let entropy = &self.entropy;
                let stream = self.picks.entry(client).or_insert_with(|| entropy.stream_named(&client.0.to_string()));
                ServicePick::Endpoint(endpoints[stream.below(endpoints.len() as u64) as usize])
            }
        }
    }
}

/// A listening port of a pod.
#[derive(Debug)]
pub(super) struct ListeningPort {
    pub(super) ip: Ipv4Addr,
    pub(super) port: u16,
    /// The port in the kernel. It differs from `port` where the kernel would not bind `port` again, while
    /// connections accepted on it linger; Linux would (`SO_REUSEADDR`).
    pub(super) real_port: u16,
    pub(super) backlog: usize,
    pub(super) reuse_port: bool,
    pub(super) socket: Key,
    /// Clients whose handshake was let in and whose connection is not accepted yet.
    pub(super) waiting: BTreeSet<SocketAddr>,
}

/// Listening ports by pod.
#[derive(Debug, Default)]
pub(super) struct Ports {
    by_pod: BTreeMap<PodId, Vec<ListeningPort>>,
    shared_turn: u64,
}

impl Ports {
    /// Whether `ip:port` may be listened on: no other listener covers it, or all share it.
    pub(super) fn is_free(&self, pod: PodId, ip: Ipv4Addr, port: u16, reuse_port: bool) -> bool {
        !self.of(pod).iter().any(|other| {
            let overlaps = other.ip == ip || other.ip.is_unspecified() || ip.is_unspecified();
            other.port == port && overlaps && !(other.ip == ip && other.reuse_port && reuse_port)
        })
    }

    pub(super) fn add(&mut self, pod: PodId, port: ListeningPort) {
        self.by_pod.entry(pod).or_default().push(port);
    }

    pub(super) fn remove(&mut self, pod: PodId, socket: Key) {
        if let Some(ports) = self.by_pod.get_mut(&pod) {
            ports.retain(|port| port.socket != socket);
        }
    }

    /// The listener that `ip:port` reaches. Listeners that share a port take turns.
    pub(super) fn find(&mut self, pod: PodId, ip: Ipv4Addr, port: u16) -> Option<&mut ListeningPort> {
        let ports = self.by_pod.get_mut(&pod)?;
        let best = if ports.iter().any(|p| p.port == port && p.ip == ip) { ip } else { Ipv4Addr::UNSPECIFIED };
        let fits = |p: &ListeningPort| p.port == port && p.ip == best;
        let count = ports.iter().filter(|p| fits(p)).count() as u64;
        if count == 0 {
            return None;
        }
        let turn = if count > 1 { self.shared_turn % count } else { 0 };
        self.shared_turn += u64::from(count > 1);
        ports.iter_mut().filter(|p| fits(p)).nth(turn as usize)
    }

    /// The listener behind this socket.
    pub(super) fn of_socket(&mut self, pod: PodId, socket: Key) -> Option<&mut ListeningPort> {
        self.by_pod.get_mut(&pod)?.iter_mut().find(|port| port.socket == socket)
    }

    /// A client's handshake no longer counts against the backlog of `real_port`.
    pub(super) fn forget_waiting(&mut self, pod: PodId, real_port: u16, client: SocketAddr) {
        let ports = self.by_pod.get_mut(&pod).into_iter().flatten();
        ports.filter(|port| port.real_port == real_port).for_each(|port| {
            port.waiting.remove(&client);
        });
    }

    fn of(&self, pod: PodId) -> &[ListeningPort] {
        self.by_pod.get(&pod).map_or(&[], Vec::as_slice)
    }
}

/// A connection within a pod, as its accepting end is to see it. The network cannot tell: traffic inside
/// a pod never leaves the kernel.
#[derive(Debug, Clone, Copy)]
pub(super) struct LocalDial {
    pub(super) original_dst: Option<OriginalDst>,
    pub(super) shown_peer_ip: IpAddr,
}

/// What becomes of a connection that a container opens.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// Where to connect to in truth.
    pub(super) target: SocketAddr,
    /// It stays within the pod.
    pub(super) stays_inside: bool,
    /// What the accepting end learns of it, for a connection within the pod.
    pub(super) original_dst: Option<OriginalDst>,
    /// The address the accepting end sees, within the pod.
    pub(super) source: IpAddr,
}

/// Where a container's connection to `addr` is captured to, if it is (`ISTIO_OUTPUT`).
///
/// The app's connections go to the outbound port, but for those to its own pod and to excluded ports. The
/// sidecar's go out untouched, but for those to its own pod's address, which come back in through the
/// inbound port unless they are opened from 127.0.0.6, the sidecar's mark for traffic it has already let in.
pub(super) fn capture_outbound(
    capture: &Capture,
    container: Container,
    own_ip: Ipv4Addr,
    addr: SocketAddr,
    source: Option<IpAddr>,
) -> Option<u16> {
    let own = addr.ip() == IpAddr::V4(own_ip);
    match container {
        Container::App if own || addr.ip().is_loopback() => None,
        Container::App if capture.exclude_outbound_ports.contains(&addr.port()) => None,
        Container::App => Some(capture.outbound_port),
        Container::Sidecar if own && source.is_none_or(|source| !source.is_loopback()) => capture.inbound(addr.port()),
        Container::Sidecar => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capture_takes_the_apps_connections_and_leaves_the_sidecars() {
        let capture = Capture { exclude_outbound_ports: vec![3306], ..Capture::default() };
        let own = Ipv4Addr::new(10, 0, 0, 1);
        let mark = Some(IpAddr::from([127, 0, 0, 6]));
        for (container, to, source, want) in [
            (Container::App, "10.0.0.2:80", None, Some(15001)),
            (Container::App, "10.96.0.1:80", None, Some(15001)),
            (Container::App, "10.0.0.2:3306", None, None),
            (Container::App, "127.0.0.1:80", None, None),
            (Container::App, "10.0.0.1:80", None, None),
            (Container::Sidecar, "10.0.0.2:80", None, None),
            (Container::Sidecar, "127.0.0.1:80", None, None),
            (Container::Sidecar, "10.0.0.1:80", None, Some(15006)),
            (Container::Sidecar, "10.0.0.1:15090", None, None),
            (Container::Sidecar, "10.0.0.1:80", mark, None),
        ] {
            let got = capture_outbound(&capture, container, own, to.parse().unwrap(), source);
            assert_eq!(got, want, "{container:?} to {to}");
        }
    }

    #[test]
    fn a_service_spreads_over_its_endpoints_and_each_client_has_its_own_stream() {
        let mut services = Services::new(Entropy::from_seed(1));
        let service = ServiceAddr { ip: IpAddr::from([10, 96, 0, 1]), port: 80 };
        let addr = SocketAddr::new(service.ip, 80);
        assert_eq!(services.pick(PodId(0), addr), ServicePick::NotAService);
        services.set(service, vec![]);
        assert_eq!(services.pick(PodId(0), addr), ServicePick::NoEndpoints);
        let ends: Vec<SocketAddr> = ["10.0.0.1:80", "10.0.0.2:80"].map(|end| end.parse().unwrap()).to_vec();
        services.set(service, ends.clone());
        let picks: Vec<_> = (0..100).map(|_| services.pick(PodId(1), addr)).collect();
        let first = picks.iter().filter(|pick| **pick == ServicePick::Endpoint(ends[0])).count();
        assert!((30..70).contains(&first), "{first} of 100");
    }
}
