//! From the objects in force to the resolved mesh.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::config::document::Spec;
use crate::config::http_match::{HttpMatchSpec, Pattern};
use crate::config::virtual_service::{HttpRouteSpec, RouteDestinationSpec, VirtualServiceSpec};
use crate::config::{ConfigSet, Kind, MeshConfig, Stored, host_name};
use crate::diagnostic::{Diagnostic, Spanned};
use crate::dialect::Dialect;
use crate::validate;

use super::mesh::InboundKey;
use super::{
    Destination, DestinationRule, Gateway, GatewayRef, Host, HttpMatch, HttpRoute, Mesh, Protocol, Server, ServerHost,
    Service, Subset, VirtualService, join,
};

impl Mesh {
    /// What the objects mean together, and what is found about them as a set.
    pub fn resolve(set: &ConfigSet, dialect: Dialect, config: MeshConfig) -> (Mesh, Vec<Diagnostic>) {
        let findings = validate::set(set, dialect, &config);
        let workloads = join::workloads(set);
        let services = join::services(set, &workloads, dialect, &config);
        let mesh = Mesh {
            dialect,
            inbound: inbound(&services),
            workloads,
            services,
            gateways: gateways(set),
            virtual_services: virtual_services(set, dialect, &config),
            destination_rules: destination_rules(set, dialect, &config),
            config,
        };
        (mesh, findings)
    }
}

fn inbound(services: &BTreeMap<String, Service>) -> BTreeMap<IpAddr, Vec<InboundKey>> {
    let mut inbound: BTreeMap<IpAddr, Vec<InboundKey>> = BTreeMap::new();
    for (hostname, service) in services {
        for (port, of) in service.ports.iter().enumerate() {
            for (index, endpoint) in of.endpoints.iter().enumerate() {
                inbound.entry(endpoint.address).or_default().push((hostname.clone(), port, index));
            }
        }
    }
    inbound
}

fn gateways(set: &ConfigSet) -> Vec<Gateway> {
    let gateway = |stored: &Stored| {
        let metadata = &stored.document.metadata;
        let Spec::Gateway(spec) = &stored.document.spec else { return None };
        let servers = spec.servers.iter().map(|server| Server {
            port: server.port.value,
            port_name: server.port_name.value.clone(),
            protocol: Protocol::of_server(&server.protocol).unwrap_or(Protocol::Http),
            hosts: server.hosts.iter().map(|host| server_host(host, &metadata.namespace)).collect(),
            span: server.span.clone(),
        });
        Some(Gateway {
            name: metadata.name.value.clone(),
            namespace: metadata.namespace.clone(),
            selector: spec.selector.clone(),
            servers: servers.collect(),
            created: stored.created,
            span: metadata.span.clone(),
        })
    };
    set.of_kind(Kind::Gateway).into_iter().filter_map(gateway).collect()
}

/// `host`, `*/host`, `./host` or `namespace/host`.
fn server_host(written: &Spanned<String>, own: &str) -> ServerHost {
    let (namespace, name) = match written.value.split_once('/') {
        None | Some(("*", _)) => (None, written.value.rsplit('/').next().unwrap_or("")),
        Some((".", name)) => (Some(own.to_owned()), name),
        Some((namespace, name)) => (Some(namespace.to_owned()), name),
    };
    ServerHost { namespace, name: name.to_ascii_lowercase(), span: written.span.clone() }
}

fn virtual_services(set: &ConfigSet, dialect: Dialect, mesh: &MeshConfig) -> Vec<VirtualService> {
    let resolve = |stored: &Stored| match &stored.document.spec {
        Spec::VirtualService(spec) => Some(Scope { stored, dialect, mesh }.virtual_service(spec)),
        _ => None,
    };
    set.of_kind(Kind::VirtualService).into_iter().filter_map(resolve).collect()
}

/// The object whose names are being made full.
struct Scope<'s> {
    stored: &'s Stored,
    dialect: Dialect,
    mesh: &'s MeshConfig,
}

impl Scope<'_> {
    fn namespace(&self) -> &str {
        &self.stored.document.metadata.namespace
    }

    fn host(&self, written: &Spanned<String>) -> Host {
        Host::resolve(written, self.namespace(), &self.mesh.domain)
    }

    fn export_to(&self, written: &[Spanned<String>]) -> Vec<String> {
        let full = |to: &Spanned<String>| if to.value == "." { self.namespace().to_owned() } else { to.value.clone() };
        written.iter().map(full).collect()
    }

    fn gateways(&self, written: &[Spanned<String>]) -> Vec<GatewayRef> {
        let resolve = |name: &Spanned<String>| {
            GatewayRef::resolve(&name.value, self.namespace(), &self.mesh.domain, self.dialect)
        };
        written.iter().map(resolve).collect()
    }

    fn virtual_service(&self, spec: &VirtualServiceSpec) -> VirtualService {
        let metadata = &self.stored.document.metadata;
        let mut gateways = self.gateways(&spec.gateways);
        if gateways.is_empty() {
            gateways.push(GatewayRef::Mesh);
        }
        VirtualService {
            name: metadata.name.value.clone(),
            namespace: metadata.namespace.clone(),
            hosts: spec.hosts.iter().map(|host| self.host(host)).collect(),
            gateways,
            export_to: self.export_to(&spec.export_to),
            http: spec.http.iter().map(|route| self.http_route(route)).collect(),
            created: self.stored.created,
            span: metadata.span.clone(),
        }
    }

    fn http_route(&self, spec: &HttpRouteSpec) -> HttpRoute {
        let only = spec.route.len() == 1;
        HttpRoute {
            name: spec.name.clone(),
            matches: spec.matches.iter().map(|spec| self.http_match(spec)).collect(),
            destinations: spec.route.iter().map(|spec| self.destination(spec, only)).collect(),
            timeout: spec.timeout.as_ref().map(|timeout| timeout.value),
            retries: spec.retries.clone(),
            span: spec.span.clone(),
        }
    }

    fn http_match(&self, spec: &HttpMatchSpec) -> HttpMatch {
        let value = |pattern: &Option<Pattern>| pattern.as_ref().map(|pattern| pattern.value.clone());
        let values = |patterns: &indexmap::IndexMap<String, Pattern>| {
            patterns.iter().map(|(name, pattern)| (name.clone(), pattern.value.clone())).collect()
        };
        HttpMatch {
            name: spec.name.clone(),
            uri: value(&spec.uri),
            ignore_uri_case: spec.ignore_uri_case,
            scheme: value(&spec.scheme),
            method: value(&spec.method),
            authority: value(&spec.authority),
            headers: values(&spec.headers),
            without_headers: values(&spec.without_headers),
            query_params: values(&spec.query_params),
            port: spec.port,
            source_labels: spec.source_labels.clone(),
            source_namespace: spec.source_namespace.clone(),
            gateways: self.gateways(&spec.gateways),
            span: spec.span.clone(),
        }
    }

    fn destination(&self, spec: &RouteDestinationSpec, only: bool) -> Destination {
        let weight = spec.weight.as_ref().map_or(0, |weight| weight.value);
        Destination {
            host: self.host(&spec.host),
            subset: spec.subset.as_ref().map(|subset| subset.value.clone()),
            subset_span: spec.subset.as_ref().map_or(&spec.span, |subset| &subset.span).clone(),
            port: spec.port.as_ref().map(|port| port.value),
            weight: if only { 100 } else { weight },
            weight_span: spec.weight.as_ref().map_or(&spec.span, |weight| &weight.span).clone(),
            span: spec.span.clone(),
        }
    }
}

/// Merges rules of one host: the first policy there is, and the subsets of all, the first of a name.
///
/// Istio 1.0 merges over all namespaces, today's within one, and what is exported alike. 1.0 looks at the policy of a
/// later rule only while it goes through that rule's subsets.
fn destination_rules(set: &ConfigSet, dialect: Dialect, mesh: &MeshConfig) -> Vec<DestinationRule> {
    let mut rules: Vec<DestinationRule> = Vec::new();
    for stored in set.of_kind(Kind::DestinationRule) {
        let Spec::DestinationRule(spec) = &stored.document.spec else { continue };
        let metadata = &stored.document.metadata;
        let scope = Scope { stored, dialect, mesh };
        let host = scope.host(&spec.host);
        let subsets = spec.subsets.iter().map(|subset| Subset {
            name: subset.name.value.clone(),
            labels: subset.labels.clone(),
            policy: subset.policy.clone(),
            span: subset.span.clone(),
        });
        let export_to = scope.export_to(&spec.export_to);
        let same = |rule: &&mut DestinationRule| {
            let alike = rule.namespace == metadata.namespace && is_same_set(&rule.export_to, &export_to);
            rule.host.name == host.name && (dialect.rules_are_global() || alike)
        };
        if let Some(rule) = rules.iter_mut().find(same) {
            if !spec.subsets.is_empty() || dialect.merges_policies_without_subsets() {
                rule.policy = rule.policy.take().or_else(|| spec.policy.clone());
            }
            for subset in subsets {
                if rule.subset(&subset.name).is_none() {
                    rule.subsets.push(subset);
                }
            }
            continue;
        }
        // Two of one name: the first counts.
        let mut own: Vec<Subset> = Vec::new();
        for subset in subsets {
            if own.iter().all(|first| first.name != subset.name) {
                own.push(subset);
            }
        }
        rules.push(DestinationRule {
            name: metadata.name.value.clone(),
            namespace: metadata.namespace.clone(),
            host,
            policy: spec.policy.clone(),
            subsets: own,
            export_to,
            created: stored.created,
            span: metadata.span.clone(),
        });
    }
    rules.sort_by(|a, b| host_name::specificity(&a.host.name, &b.host.name).then(a.created.cmp(&b.created)));
    rules
}

fn is_same_set(a: &[String], b: &[String]) -> bool {
    a.iter().all(|item| b.contains(item)) && b.iter().all(|item| a.contains(item))
}
