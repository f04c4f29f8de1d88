//! Who is in the world: Services, the pods behind them, and callers outside. Plain values; starting them is
//! the target's work.
//!
//! Addresses are given out in order from fixed ranges: pods 10.244.0.1…, Services 10.96.0.1…, callers
//! outside the cluster 192.0.2.1….

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use super::app::lab::LabService;
use super::app::{HTTPBIN_PORT, Program};

/// Namespace of the control plane and the gateways.
pub const SYSTEM_NAMESPACE: &str = "istio-system";
/// Namespace of everything that names none.
pub const DEFAULT_NAMESPACE: &str = "default";
/// Service and Deployment of the ingress gateway.
pub const INGRESS: &str = "istio-ingressgateway";
/// Service and Deployment of the control plane.
pub const CONTROL_PLANE: &str = "istiod";
/// Port of the control plane on which proxies speak ADS and the CA's protocol over TLS.
pub const CONTROL_PLANE_PORT: u16 = 15012;

/// Namespace of callers outside the cluster, in which no Service lives.
pub const OUTSIDE: &str = "outside";
/// Label that injection gives a pod whose proxy can speak mTLS.
pub const INJECTED_LABEL: &str = "security.istio.io/tlsMode";

/// What runs in a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// An application, with or without a sidecar beside it.
    App {
        /// The application.
        program: Program,
        /// Whether a sidecar captures the pod's traffic.
        sidecar: bool,
    },
    /// A gateway proxy alone.
    Gateway,
    /// The control plane.
    ControlPlane,
}

/// A pod of a Deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Name: the Deployment's, a dash and the index.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// The Deployment's name.
    pub workload: String,
    /// Position in its Deployment, from 0.
    pub index: u32,
    /// Name of its ServiceAccount.
    pub service_account: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Address; a pod that is deleted gives way to one with another.
    pub ip: Ipv4Addr,
    /// What runs in it.
    pub role: Role,
}

impl Pod {
    /// The name scenarios call it by: label `app`, else the Deployment's name.
    pub fn app(&self) -> &str {
        self.labels.get("app").unwrap_or(&self.workload)
    }

    /// Label `version`.
    pub fn version(&self) -> Option<&str> {
        self.labels.get("version").map(String::as_str)
    }

    /// Whether a proxy of ours runs in it.
    pub fn has_proxy(&self) -> bool {
        match self.role {
            Role::App { sidecar, .. } => sidecar,
            Role::Gateway => true,
            Role::ControlPlane => false,
        }
    }
}

/// A port of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePort {
    /// Name, whose prefix says the protocol; empty when it has none.
    pub name: String,
    /// Port of the Service.
    pub port: u16,
    /// Port of the pods.
    pub target_port: u16,
}

/// A Service with a cluster address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// The labels that a pod behind it has; none selects no pod.
    pub selector: BTreeMap<String, String>,
    /// Ports.
    pub ports: Vec<ServicePort>,
    /// Address.
    pub cluster_ip: Ipv4Addr,
}

impl Service {
    /// Whether `pod` is behind this Service.
    pub fn selects(&self, pod: &Pod) -> bool {
        let has = |(key, value)| pod.labels.get(key) == Some(value);
        self.namespace == pod.namespace && !self.selector.is_empty() && self.selector.iter().all(has)
    }

    /// The name that is good in every namespace.
    pub fn fqdn(&self) -> String {
        format!("{}.{}.svc.cluster.local", self.name, self.namespace)
    }
}

/// Everyone in the world.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cast {
    /// Namespaces, sorted.
    pub namespaces: Vec<String>,
    /// Services, in the order they were added.
    pub services: Vec<Service>,
    /// Pods, in the order they were added.
    pub pods: Vec<Pod>,
    /// Pods that take the places of deleted ones, in the order they were added.
    pub reserve: Vec<Pod>,
    outside: Vec<String>,
    /// Addresses given out so far.
    pod_ips: u32,
    service_ips: u32,
}

impl Cast {
    /// A world with the control plane and the ingress gateway in it, and a caller `client` outside.
    pub fn mesh() -> Self {
        let mut cast = Self::default();
        cast.outside.push("client".to_owned());
        let xds = port("tcp-xds", CONTROL_PLANE_PORT);
        cast.add_service(SYSTEM_NAMESPACE, CONTROL_PLANE, &[("app", CONTROL_PLANE)], vec![xds]);
        cast.add_workload(
            SYSTEM_NAMESPACE,
            CONTROL_PLANE,
            &[("app", CONTROL_PLANE)],
            CONTROL_PLANE,
            Role::ControlPlane,
        );
        let http = port("http2", 80);
        let labels = [("app", INGRESS), ("istio", "ingressgateway")];
        cast.add_service(SYSTEM_NAMESPACE, INGRESS, &labels, vec![http]);
        let account = format!("{INGRESS}-service-account");
        cast.add_workload(SYSTEM_NAMESPACE, INGRESS, &labels, &account, Role::Gateway);
        cast
    }

    /// Adds the book's app to namespace `default`: its five services with a pod each of v1 and v2, `sleep`
    /// and `httpbin`, all with a sidecar.
    pub fn with_istio_lab(mut self) -> Self {
        for service in LabService::ALL {
            let name = service.service_name();
            let http = port("http", 80);
            self.add_service(DEFAULT_NAMESPACE, name, &[("app", name)], vec![http]);
            for version in ["v1", "v2"] {
                let program = Program::Lab { service, version: version.to_owned() };
                let labels = [("app", name), ("version", version)];
                let role = Role::App { program, sidecar: true };
                self.add_workload(DEFAULT_NAMESPACE, &format!("{name}-{version}"), &labels, "default", role);
            }
        }
        self.add_httpbin(DEFAULT_NAMESPACE, true);
        self.add_sleep(DEFAULT_NAMESPACE, "sleep", true);
        self
    }

    /// Adds `httpbin` to `namespace`: a Service on port 8000 and one pod.
    pub fn add_httpbin(&mut self, namespace: &str, sidecar: bool) {
        let http = port("http", HTTPBIN_PORT);
        self.add_service(namespace, "httpbin", &[("app", "httpbin")], vec![http]);
        let role = Role::App { program: Program::Httpbin { port: HTTPBIN_PORT }, sidecar };
        self.add_workload(namespace, "httpbin", &[("app", "httpbin"), ("version", "v1")], "default", role);
    }

    /// Adds a pod named `name` to call from; it has no Service.
    pub fn add_sleep(&mut self, namespace: &str, name: &str, sidecar: bool) {
        let role = Role::App { program: Program::Sleep, sidecar };
        self.add_workload(namespace, name, &[("app", name)], "default", role);
    }

    /// Takes the sidecars away from all applications.
    pub fn without_sidecars(&mut self) {
        for pod in &mut self.pods {
            if let Role::App { sidecar, .. } = &mut pod.role {
                *sidecar = false;
                pod.labels.remove(INJECTED_LABEL);
            }
        }
    }

    /// Adds a Service.
    pub fn add_service(&mut self, namespace: &str, name: &str, selector: &[(&str, &str)], ports: Vec<ServicePort>) {
        self.set_service(namespace, name, owned(selector), ports, None);
    }

    /// Adds a Service, or changes the one that has this name. It has address `ip`, else the one it had, else
    /// the next.
    pub fn set_service(
        &mut self,
        namespace: &str,
        name: &str,
        selector: BTreeMap<String, String>,
        ports: Vec<ServicePort>,
        ip: Option<Ipv4Addr>,
    ) {
        let place = self.services.iter().position(|own| own.namespace == namespace && own.name == name);
        let had = place.map(|place| self.services[place].cluster_ip);
        let cluster_ip = ip.or(had).unwrap_or_else(|| {
            self.service_ips += 1;
            nth(Ipv4Addr::new(10, 96, 0, 0), self.service_ips)
        });
        let namespace = self.namespace(namespace);
        let service = Service { name: name.to_owned(), namespace, selector, ports, cluster_ip };
        match place {
            Some(place) => self.services[place] = service,
            None => self.services.push(service),
        }
    }

    /// Adds a Deployment of one pod.
    pub fn add_workload(
        &mut self,
        namespace: &str,
        name: &str,
        labels: &[(&str, &str)],
        service_account: &str,
        role: Role,
    ) {
        self.set_workload(namespace, name, owned(labels), service_account, role, 1);
    }

    /// Adds a Deployment, or changes the one that has this name: pods that stay keep their addresses. Pods
    /// with a sidecar get the label that injection gives them; gateways and the control plane stay what they
    /// are.
    pub fn set_workload(
        &mut self,
        namespace: &str,
        name: &str,
        mut labels: BTreeMap<String, String>,
        service_account: &str,
        role: Role,
        replicas: u32,
    ) {
        let is_own = |pod: &Pod| pod.namespace == namespace && pod.workload == name;
        let had = self.pods.iter().find(|pod| is_own(pod) && !matches!(pod.role, Role::App { .. }));
        let role = had.map_or(role, |pod| pod.role.clone());
        if matches!(role, Role::App { sidecar: true, .. } | Role::Gateway) {
            labels.insert(INJECTED_LABEL.to_owned(), "istio".to_owned());
        }
        self.pods.retain(|pod| !is_own(pod) || pod.index < replicas);
        for index in 0..replicas {
            let place = self.pods.iter().position(|pod| is_own(pod) && pod.index == index);
            let ip = match place {
                Some(place) => self.pods[place].ip,
                None => self.next_pod_ip(),
            };
            let pod = Pod {
                name: format!("{name}-{index}"),
                namespace: self.namespace(namespace),
                workload: name.to_owned(),
                index,
                service_account: service_account.to_owned(),
                labels: labels.clone(),
                ip,
                role: role.clone(),
            };
            match place {
                Some(place) => self.pods[place] = pod,
                None => self.pods.push(pod),
            }
        }
    }

    /// Callers outside the cluster, with their addresses.
    pub fn outside(&self) -> impl Iterator<Item = (&str, Ipv4Addr)> {
        self.outside.iter().zip(1..).map(|(name, at)| (name.as_str(), nth(Ipv4Addr::new(192, 0, 2, 0), at)))
    }

    /// The pods of the control plane.
    pub fn control_plane(&self) -> impl Iterator<Item = &Pod> {
        self.pods.iter().filter(|pod| pod.role == Role::ControlPlane)
    }

    /// The pod with this address.
    pub fn pod_at(&self, ip: IpAddr) -> Option<&Pod> {
        self.all_pods().find(|pod| IpAddr::V4(pod.ip) == ip)
    }

    /// The Service with this cluster address.
    pub fn service_at(&self, ip: IpAddr) -> Option<&Service> {
        self.services.iter().find(|service| IpAddr::V4(service.cluster_ip) == ip)
    }

    /// The Service that `host` names for a caller in `namespace`: short, `name.namespace`, `….svc` or full.
    pub fn service_named(&self, host: &str, namespace: &str) -> Option<&Service> {
        self.services.iter().find(|service| {
            let rest = host.strip_prefix(service.name.as_str());
            match rest.map(|rest| rest.strip_prefix('.').unwrap_or(rest)) {
                Some("") => service.namespace == namespace,
                Some(rest) => {
                    let rest = rest.strip_suffix(".svc.cluster.local").or(rest.strip_suffix(".svc")).unwrap_or(rest);
                    rest == service.namespace && host.len() > service.name.len() + rest.len()
                }
                None => false,
            }
        })
    }

    /// The pods behind `service` at the start.
    pub fn pods_behind<'a>(&'a self, service: &'a Service) -> impl Iterator<Item = &'a Pod> {
        self.pods.iter().filter(|pod| service.selects(pod))
    }

    /// An address that no pod had before.
    pub(super) fn next_pod_ip(&mut self) -> Ipv4Addr {
        self.pod_ips += 1;
        nth(Ipv4Addr::new(10, 244, 0, 0), self.pod_ips)
    }

    fn namespace(&mut self, name: &str) -> String {
        if let Err(at) = self.namespaces.binary_search_by(|own| own.as_str().cmp(name)) {
            self.namespaces.insert(at, name.to_owned());
        }
        name.to_owned()
    }
}

/// The address `n` after `base`.
fn nth(base: Ipv4Addr, n: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(base) + n)
}

/// A port that is the same on Service and pods.
pub(super) fn port(name: &str, number: u16) -> ServicePort {
    ServicePort { name: name.to_owned(), port: number, target_port: number }
}

fn owned(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_books_app_has_two_pods_behind_each_of_its_services() {
        let cast = Cast::mesh().with_istio_lab();
        for service in LabService::ALL {
            let service = cast.service_named(service.service_name(), "default").expect("a Service");
            let versions: Vec<_> = cast.pods_behind(service).filter_map(Pod::version).collect();
            assert_eq!(versions, ["v1", "v2"], "{}", service.name);
        }
        assert_eq!(cast.namespaces, ["default", "istio-system"]);
    }

    #[test]
    fn a_service_is_named_short_in_its_own_namespace_only() {
        let cast = Cast::mesh().with_istio_lab();
        let ip = |host: &str, from: &str| cast.service_named(host, from).map(|service| service.name.as_str());
        assert_eq!(ip("service-go", "default"), Some("service-go"));
        assert_eq!(ip("service-go", "other"), None);
        assert_eq!(ip("service-go.default", "other"), Some("service-go"));
        assert_eq!(ip("service-go.default.svc", "other"), Some("service-go"));
        assert_eq!(ip("istiod.istio-system.svc.cluster.local", "other"), Some("istiod"));
        assert_eq!(ip("service-go.other", "default"), None);
        assert_eq!(ip("service-godefault", "default"), None);
        assert_eq!(ip("httpbin.org", "default"), None);
    }

    #[test]
    fn addresses_tell_pods_and_services_apart() {
        let cast = Cast::mesh().with_istio_lab();
        for pod in &cast.pods {
            assert_eq!(cast.pod_at(pod.ip.into()), Some(pod));
            assert_eq!(cast.service_at(pod.ip.into()), None);
        }
        for service in &cast.services {
            assert_eq!(cast.service_at(service.cluster_ip.into()), Some(service));
        }
    }
}
