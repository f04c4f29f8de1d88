//! What the objects of a set can refer to: Services, Gateways, DestinationRules, and the pods behind a Service.

use std::cell::Cell;
use std::collections::BTreeMap;

use crate::config::document::{Document, Spec};
use crate::config::gateway::GatewaySpec;
use crate::config::host_name::full_name;
use crate::config::service::{ServicePortSpec, ServiceSpec};
use crate::config::{ConfigSet, Kind, MeshConfig, suggest};
use crate::diagnostic::{Diagnostic, Span};

use super::in_force::{self, Client, KnownRule};
use super::set::Scope;

/// Names that a misspelt one is compared with.
const CANDIDATES_MAX: usize = 1000;
/// Names of one set that are guessed at.
const GUESSES_MAX: usize = 200;

/// Labels of a pod, or of the pods of a Deployment.
pub(super) type Labels = BTreeMap<String, String>;

/// What can be referred to.
pub(super) struct Known<'s> {
    /// Services by full name.
    pub(super) services: BTreeMap<String, KnownService<'s>>,
    /// Gateways by namespace and name.
    pub(super) gateways: BTreeMap<(&'s str, &'s str), (&'s Document, &'s GatewaySpec)>,
    /// DestinationRules from the oldest.
    rules: Vec<KnownRule<'s>>,
    /// Pods and templates of pods: namespace and labels.
    pods: Vec<(&'s str, &'s Labels)>,
    /// Names that may still be guessed at.
    guesses: Cell<usize>,
}

/// A Service.
pub(super) struct KnownService<'s> {
    /// Its name.
    pub(super) name: &'s str,
    /// Its namespace.
    pub(super) namespace: &'s str,
    /// What it says.
    pub(super) spec: &'s ServiceSpec,
    /// Where its name is written.
    pub(super) span: &'s Span,
}

impl<'s> Known<'s> {
    pub(super) fn of(set: &'s ConfigSet, mesh: &MeshConfig) -> Self {
        let mut known = Known {
            services: BTreeMap::new(),
            gateways: BTreeMap::new(),
            rules: Vec::new(),
            pods: Vec::new(),
            guesses: Cell::new(GUESSES_MAX),
        };
        for kind in [Kind::Service, Kind::Gateway, Kind::DestinationRule, Kind::Pod, Kind::Deployment] {
            for stored in set.of_kind(kind) {
                known.add(&stored.document, mesh);
            }
        }
        known
    }

    fn add(&mut self, document: &'s Document, mesh: &MeshConfig) {
        let (name, namespace) = (&document.metadata.name, document.metadata.namespace.as_str());
        let span = &name.span;
        match &document.spec {
            Spec::Service(spec) => {
                let service = KnownService { name: &name.value, namespace, spec, span };
                self.services.insert(full_name(&name.value, namespace, &mesh.domain), service);
            }
            Spec::Gateway(spec) => {
                self.gateways.insert((namespace, &name.value), (document, spec));
            }
            Spec::DestinationRule(spec) => {
                let host = full_name(&spec.host.value, namespace, &mesh.domain);
                self.rules.push(KnownRule::of(document, spec, host));
            }
            Spec::Pod(_) => self.pods.push((namespace, &document.metadata.labels)),
            Spec::Deployment(spec) => self.pods.push((namespace, &spec.template.labels)),
            Spec::Namespace | Spec::ServiceAccount | Spec::EndpointSlice(_) | Spec::VirtualService(_) => {}
        }
    }

    /// The DestinationRules that cover a full host, by their own host from the most specific.
    pub(super) fn rules_covering(&self, host: &str) -> Vec<&KnownRule<'s>> {
        in_force::covering(&self.rules, host)
    }

    /// Of them those that one of the clients uses.
    pub(super) fn rules_used<'r>(
        &'r self,
        covering: &[&'r KnownRule<'s>],
        host: &str,
        clients: &[&str],
        scope: &Scope<'_>,
    ) -> Vec<&'r KnownRule<'s>> {
        let service_namespace = self.services.get(host).map_or("", |service| service.namespace);
        let used = clients.iter().map(|namespace| {
            in_force::used(covering, Client { namespace, service_namespace }, scope.dialect, scope.mesh)
        });
        used.flatten().collect()
    }

    /// Whether any pod is known.
    pub(super) fn has_pods(&self) -> bool {
        !self.pods.is_empty()
    }

    /// The values that pods have of a label, at most as many as are compared.
    pub(super) fn values_of(&self, key: &str) -> Vec<&'s str> {
        self.pods.iter().filter_map(|(_, labels)| labels.get(key)).map(String::as_str).take(CANDIDATES_MAX).collect()
    }

    /// The Services that some of the pods with all of these labels are behind.
    pub(super) fn services_before(&self, selector: &Labels) -> Vec<&KnownService<'s>> {
        let pods: Vec<_> = self.pods.iter().filter(|(_, labels)| has_all(labels, selector)).collect();
        let is_before = |service: &&KnownService<'_>| {
            let wanted = &service.spec.selector;
            let behind = |pod: &&&(&str, &Labels)| pod.0 == service.namespace && has_all(pod.1, wanted);
            !wanted.is_empty() && pods.iter().any(|pod| behind(&pod))
        };
        self.services.values().filter(is_before).collect()
    }

    /// Namespaces of the pods that have all of some labels.
    pub(super) fn namespaces_of_pods(&self, selector: &Labels) -> Vec<&'s str> {
        let mut found: Vec<_> =
            self.pods.iter().filter(|(_, labels)| has_all(labels, selector)).map(|(namespace, _)| *namespace).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Labels of the pods behind a Service; empty where its endpoints come from elsewhere or no pod is known.
    pub(super) fn pods_behind(&self, service: &KnownService<'_>) -> Vec<&'s Labels> {
        let selector = &service.spec.selector;
        let behind = |(namespace, labels): &&(&str, &Labels)| {
            !selector.is_empty() && *namespace == service.namespace && has_all(labels, selector)
        };
        self.pods.iter().filter(behind).map(|(_, labels)| *labels).collect()
    }

    /// The Service that a host was probably meant to be, as `written` would spell it in `namespace`.
    pub(super) fn nearest_service(&self, written: &str, namespace: &str) -> Option<&str> {
        self.guesses.set(self.guesses.get().checked_sub(1)?);
        let own = self.services.values().filter(|service| service.namespace == namespace).map(|service| service.name);
        let Some((name, rest)) = written.split_once('.') else {
            return suggest::nearest_name(written, own.take(CANDIDATES_MAX));
        };
        let names = self.services.keys().filter_map(|full| full.split_once('.'));
        let names = names.filter(|(_, of)| of.eq_ignore_ascii_case(rest)).map(|(name, _)| name);
        let near = suggest::nearest_name(name, names.take(CANDIDATES_MAX))?.to_owned();
        self.services.get_key_value(&format!("{near}.{}", rest.to_ascii_lowercase())).map(|(full, _)| full.as_str())
    }
}

impl KnownService<'_> {
    /// Whether it has a TCP port of this number.
    pub(super) fn has_port(&self, number: u16) -> bool {
        self.tcp_ports().any(|port| port.number.value == number)
    }

    /// Its ports that the mesh knows.
    pub(super) fn tcp_ports(&self) -> impl Iterator<Item = &ServicePortSpec> {
        self.spec.ports.iter().filter(|port| port.transport == "TCP")
    }

    /// Its ports as a person reads them: `80 (http), 9090`.
    pub(super) fn ports(&self) -> String {
        let port = |port: &ServicePortSpec| {
            let transport = if port.transport == "TCP" { "" } else { &port.transport };
            let said = [port.name.value.as_str(), transport].into_iter().filter(|text| !text.is_empty());
            match said.collect::<Vec<_>>().join(", ") {
                said if said.is_empty() => port.number.value.to_string(),
                said => format!("{} ({said})", port.number.value),
            }
        };
        self.spec.ports.iter().map(port).collect::<Vec<_>>().join(", ")
    }
}

/// Whether `labels` has every one of `wanted`.
pub(super) fn has_all(labels: &Labels, wanted: &Labels) -> bool {
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// Labels as a person writes them: `app=go, version=v1`.
pub(super) fn shown(labels: &Labels) -> String {
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ")
}

/// The finding with what was probably meant, where that is known.
pub(super) fn meant(finding: Diagnostic, meant: Option<&str>) -> Diagnostic {
    match meant {
        Some(meant) => finding.with_help(format!("did you mean `{meant}`?")),
        None => finding,
    }
}
