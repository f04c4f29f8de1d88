//! The resolved mesh as one immutable value, and the look-ups that generation asks of it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::dialect::Dialect;

use super::{
    DestinationRule, Endpoint, Gateway, GatewayRef, Labels, MeshConfig, Service, ServicePort, VirtualService, Workload,
};

/// What all manifests mean together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mesh {
    /// Which Istio the manifests are read as.
    pub dialect: Dialect,
    /// Mesh-wide names.
    pub config: MeshConfig,
    /// Services by full name.
    pub services: BTreeMap<String, Service>,
    /// Pods with an address, by it.
    pub workloads: BTreeMap<IpAddr, Workload>,
    /// Gateways, oldest first.
    pub gateways: Vec<Gateway>,
    /// VirtualServices, oldest first.
    pub virtual_services: Vec<VirtualService>,
    /// Merged DestinationRules: the most specific host first, among equals the oldest.
    pub destination_rules: Vec<DestinationRule>,
    pub(crate) inbound: BTreeMap<IpAddr, Vec<InboundKey>>,
}

/// A service port that an address serves, as keys: (hostname, index of the port, index of the endpoint).
pub(crate) type InboundKey = (String, usize, usize);

/// A service port that a workload serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboundPort<'m> {
    /// The Service.
    pub service: &'m Service,
    /// Its port.
    pub port: &'m ServicePort,
    /// The workload's endpoint behind it; `endpoint.port` is what the app listens on.
    pub endpoint: &'m Endpoint,
}

impl Mesh {
    /// The Service of a full name.
    pub fn service(&self, hostname: &str) -> Option<&Service> {
        self.services.get(hostname)
    }

    /// The pod of an address.
    pub fn workload(&self, address: IpAddr) -> Option<&Workload> {
        self.workloads.get(&address)
    }

    /// The service ports that an address serves, ordered by Service and port.
    pub fn inbound_ports(&self, address: IpAddr) -> Vec<InboundPort<'_>> {
        let keys = self.inbound.get(&address).map_or(&[][..], Vec::as_slice);
        keys.iter()
            .filter_map(|(hostname, port, endpoint)| {
                let service = self.services.get(hostname)?;
                let port = service.ports.get(*port)?;
                Some(InboundPort { service, port, endpoint: port.endpoints.get(*endpoint)? })
            })
            .collect()
    }

    /// The DestinationRule that a client in `client_namespace` uses for a host.
    ///
    /// Dialect 1.0: the most specific host wins wherever the rule lives. Today rules are looked for in the client's
    /// namespace, then in the service's, then in the root namespace; in each the most specific host wins. A client
    /// in the root namespace, such as a gateway, has of its own only rules exported to nobody else, because the
    /// others are meant as defaults for all.
    pub fn destination_rule(&self, host: &str, client_namespace: &str) -> Option<&DestinationRule> {
        let mut fitting = self.destination_rules.iter().filter(|rule| rule.host.covers(host));
        if self.dialect.rules_are_global() {
            return fitting.next();
        }
        let root = self.config.root_namespace.as_str();
        let own = |rule: &&DestinationRule| {
            let applies = rule.namespace == client_namespace && rule.is_visible_in(client_namespace);
            applies && (client_namespace != root || rule.is_private())
        };
        if let Some(own) = fitting.clone().find(own) {
            return Some(own);
        }
        // The most specific host counts, and then whether the client sees it.
        let exported = |namespace: &str| {
            let of = |rule: &&DestinationRule| rule.namespace == namespace && !rule.is_private();
            let first = fitting.clone().find(of)?;
            fitting
                .clone()
                .filter(of)
                .find(|rule| rule.host.name == first.host.name && rule.is_visible_in(client_namespace))
        };
        let service = self.services.get(host).map_or("", |service| service.namespace.as_str());
        exported(service).or_else(|| exported(root))
    }

    /// The VirtualServices bound to one of `gateways` that proxies in `namespace` see: those that only they see, then
    /// those exported to them by name, then those exported to all; in each, the oldest first.
    pub fn virtual_services_of(&self, gateways: &[GatewayRef], namespace: &str) -> Vec<&VirtualService> {
        let bound = |service: &&VirtualService| {
            service.gateways.iter().any(|gateway| gateways.contains(gateway)) && service.is_visible_in(namespace)
        };
        let mut services: Vec<_> = self.virtual_services.iter().filter(bound).collect();
        services.sort_by_key(|service| {
            let to_all = service.export_to.is_empty() || service.export_to.iter().any(|to| to == "*");
            (to_all, service.namespace != namespace)
        });
        services
    }

    /// The Gateways that a proxy with these labels serves, oldest first.
    pub fn gateways_of<'m>(&'m self, labels: &'m Labels) -> impl Iterator<Item = &'m Gateway> {
        self.gateways.iter().filter(move |gateway| super::labels_match(&gateway.selector, labels))
    }
}

/// Whether something exported to `export_to` is seen in `namespace`.
pub(super) fn exported(export_to: &[String], namespace: &str) -> bool {
    export_to.is_empty() || export_to.iter().any(|to| to == "*" || to == namespace)
}
