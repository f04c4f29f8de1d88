//! What a user's manifests bring into the world: a Deployment starts pods, a Service gets an address.
//!
//! This is the deployment controller and the API server of the world. No images are pulled: a program of the
//! world is chosen by the image's name, and for an image that it does not know an echo program stands in. A
//! Deployment or Service that an app already has takes its place.

use std::net::IpAddr;

use wavetank_control::config::pod::{Container, DeploymentSpec};
use wavetank_control::config::service::{ServicePortSpec, ServiceSpec, TargetPort};
use wavetank_control::config::{Document, SourceFile, Spec, decode};
use wavetank_control::diagnostic::{Code, Diagnostic, Span};
use wavetank_control::dialect::Dialect;

use super::app::lab::LabService;
use super::app::{Echo, Program};
use super::cast::{Cast, Role, ServicePort};

/// A Kubernetes object that the world cannot act on yet.
pub const NOT_YET: Code = Code(302);
/// A manifest that holds no object.
pub const EMPTY: Code = Code(303);

/// Pods of one Deployment at most.
const REPLICAS_MAX: u32 = 100;
/// Name of a sidecar's container.
const SIDECAR: &str = "istio-proxy";
/// Images of pods to call from.
const CALLERS: [&str; 6] = ["sleep", "curl", "alpine", "busybox", "netshoot", "dns-test"];

/// Changes `cast` as the Deployments and Services of `files` say, and returns what is wrong with them.
/// Objects that do not decode are passed over: the control plane tells why.
pub fn admit(cast: &mut Cast, files: &[SourceFile], dialect: Dialect) -> Vec<Diagnostic> {
    let (mut documents, mut found) = (Vec::new(), Vec::new());
    for file in files {
        let decoded = decode(file, dialect);
        if decoded.documents.is_empty() && decoded.refused.is_empty() && decoded.diagnostics.is_empty() {
            let span = Span::at(file.name.clone(), 1, 1);
            found.push(Diagnostic::note(EMPTY, &span, "this manifest holds no object"));
        }
        documents.extend(decoded.documents);
    }
    for document in &documents {
        let refused = match &document.spec {
            Spec::Deployment(spec) => deployment(cast, document, spec, &documents).err(),
            Spec::Service(spec) => service(cast, document, spec, &documents).err(),
            Spec::Pod(_) => {
                let message = "the world starts the pods of Deployments; a Pod alone is not supported yet";
                Some(Diagnostic::error(NOT_YET, &document.span, message))
            }
            _ => None,
        };
        found.extend(refused);
    }
    found
}

fn deployment(cast: &mut Cast, document: &Document, spec: &DeploymentSpec, all: &[Document]) -> Result<(), Diagnostic> {
    let name = &document.metadata.name.value;
    if spec.replicas > REPLICAS_MAX {
        let message = format!("{} replicas are more than the {REPLICAS_MAX} that the world starts", spec.replicas);
        return Err(Diagnostic::error(NOT_YET, &spec.span, message));
    }
    let role = role(spec).unwrap_or_else(|| {
        let port = echo_port(&document.metadata.namespace, spec, all);
        Role::App { program: Program::Echo(Echo::new(name, port)), sidecar: wants_sidecar(spec) }
    });
    let labels = spec.template.labels.clone();
    let account = &spec.pod.service_account;
    cast.set_workload(&document.metadata.namespace, name, labels, account, role, spec.replicas);
    Ok(())
}

/// What the pods of a Deployment run; `None` when no container's image is known.
fn role(spec: &DeploymentSpec) -> Option<Role> {
    let containers = || spec.pod.containers.iter();
    let program = containers().filter(|container| container.name != SIDECAR).find_map(|own| program(own, spec));
    let is_gateway = || containers().any(|container| image(container).0 == "proxyv2");
    match program {
        Some(program) => Some(Role::App { program, sidecar: wants_sidecar(spec) }),
        None => is_gateway().then_some(Role::Gateway),
    }
}

/// The port of a program that the world does not have: its container's, else the one that a Service in front
/// of it leads to, else 80.
fn echo_port(namespace: &str, spec: &DeploymentSpec, all: &[Document]) -> u16 {
    let own = spec.pod.containers.iter().filter(|container| container.name != SIDECAR);
    if let Some(port) = own.flat_map(|container| &container.ports).next() {
        return port.number;
    }
    let in_front = all.iter().filter(|document| document.metadata.namespace == namespace).find_map(|document| {
        let Spec::Service(service) = &document.spec else { return None };
        let fits = service.selector.iter().all(|(key, value)| spec.template.labels.get(key) == Some(value));
        let port = service.ports.first().filter(|_| fits && !service.selector.is_empty())?;
        Some(target(port, namespace, service, all))
    });
    in_front.unwrap_or(80)
}

fn wants_sidecar(spec: &DeploymentSpec) -> bool {
    let inject = "sidecar.istio.io/inject";
    let asked = spec.template.labels.get(inject).or_else(|| spec.template.annotations.get(inject));
    asked.is_none_or(|asked| asked != "false")
}

fn program(container: &Container, spec: &DeploymentSpec) -> Option<Program> {
    let (name, tag) = image(container);
    if let Some(service) = LabService::ALL.into_iter().find(|service| service.service_name() == name) {
        let labelled = || spec.template.labels.get("version").map_or("v1", String::as_str);
        let version = if tag.is_empty() || tag == "latest" { labelled() } else { tag };
        return Some(Program::Lab { service, version: version.to_owned() });
    }
    if name == "httpbin" {
        let port = container.ports.first().map_or(super::app::HTTPBIN_PORT, |port| port.number);
        return Some(Program::Httpbin { port });
    }
    CALLERS.contains(&name).then_some(Program::Sleep)
}

/// Name and tag of an image without its registry.
fn image(container: &Container) -> (&str, &str) {
    let last = container.image.rsplit('/').next().unwrap_or_default();
    let last = last.split_once('@').map_or(last, |(name, _digest)| name);
    last.split_once(':').unwrap_or((last, ""))
}

fn service(cast: &mut Cast, document: &Document, spec: &ServiceSpec, all: &[Document]) -> Result<(), Diagnostic> {
    let (namespace, name) = (&document.metadata.namespace, &document.metadata.name.value);
    if spec.headless {
        let message = format!("Service {name} is headless, which the world does not resolve yet");
        return Err(Diagnostic::error(NOT_YET, &spec.span, message));
    }
    let address = match spec.cluster_ip {
        Some(IpAddr::V4(ip)) => Some(ip),
        Some(IpAddr::V6(ip)) => {
            return Err(Diagnostic::error(NOT_YET, &spec.span, format!("{ip} is IPv6, which the world does not have")));
        }
        None => None,
    };
    let tcp = spec.ports.iter().filter(|port| port.transport == "TCP");
    let ports = tcp.map(|port| ServicePort {
        name: port.name.value.clone(),
        port: port.number.value,
        target_port: target(port, namespace, spec, all),
    });
    let ports = ports.collect();
    cast.set_service(namespace, name, spec.selector.clone(), ports, address);
    Ok(())
}

/// The port of the pods, by number or by the name that a Deployment behind the Service gives it.
fn target(port: &ServicePortSpec, namespace: &str, service: &ServiceSpec, all: &[Document]) -> u16 {
    let name = match &port.target {
        None => return port.number.value,
        Some(TargetPort::Number(number)) => return *number,
        Some(TargetPort::Name(name)) => name,
    };
    let behind = all.iter().filter(|document| document.metadata.namespace == namespace).filter_map(|document| {
        let Spec::Deployment(spec) = &document.spec else { return None };
        let fits = service.selector.iter().all(|(key, value)| spec.template.labels.get(key) == Some(value));
        fits.then_some(spec)
    });
    let mut ports = behind.flat_map(|spec| &spec.pod.containers).flat_map(|container| &container.ports);
    ports.find(|own| own.name == *name).map_or(port.number.value, |own| own.number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(cast: &mut Cast, text: &str) -> Vec<String> {
        let found = admit(cast, &[SourceFile::new("test.yaml", text)], Dialect::V1);
        found.into_iter().map(|found| found.message).collect()
    }

    fn deployment(name: &str, image: &str, rest: &str) -> String {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec:\n  {rest}\n  template:\n    \
             metadata: {{labels: {{app: {name}, version: v3}}}}\n    spec:\n      serviceAccountName: own\n      \
             containers:\n      - {{name: app, image: '{image}', ports: [{{name: web, containerPort: 8080}}]}}\n"
        )
    }

    #[test]
    fn a_deployment_starts_its_pods_with_the_program_of_its_image() {
        let mut cast = Cast::mesh();
        let text = deployment("go", "registry.example:5000/istio-lab/service-go:v2", "replicas: 2");
        assert_eq!(admitted(&mut cast, &text), Vec::<String>::new());
        let pods: Vec<_> = cast.pods.iter().filter(|pod| pod.workload == "go").collect();
        assert_eq!(pods.iter().map(|pod| pod.name.as_str()).collect::<Vec<_>>(), ["go-0", "go-1"]);
        let program = Program::Lab { service: LabService::Go, version: "v2".to_owned() };
        assert!(pods.iter().all(|pod| pod.role == Role::App { program: program.clone(), sidecar: true }));
        assert!(pods.iter().all(|pod| pod.service_account == "own" && pod.version() == Some("v3")));
    }

    #[test]
    fn a_deployment_of_the_app_is_replaced_in_its_place() {
        let mut cast = Cast::mesh().with_istio_lab();
        let find = |cast: &Cast| cast.pods.iter().find(|pod| pod.workload == "service-go-v1").cloned();
        let before = find(&cast).expect("a pod");
        admitted(&mut cast, &deployment("service-go-v1", "service-go:v1", "replicas: 1"));
        let after = find(&cast).expect("a pod");
        assert_eq!((after.ip, after.service_account.as_str()), (before.ip, "own"));
    }

    #[test]
    fn a_service_gets_an_address_and_finds_named_ports() {
        let mut cast = Cast::mesh();
        let service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: bin}\nspec:\n  selector: {app: bin}\n  \
                       ports: [{name: http, port: 80, targetPort: web}]\n";
        let text = deployment("bin", "kong/httpbin", "replicas: 1") + service;
        assert_eq!(admitted(&mut cast, &text), Vec::<String>::new());
        let service = cast.service_named("bin", "default").expect("a Service");
        assert_eq!(service.ports, [ServicePort { name: "http".to_owned(), port: 80, target_port: 8080 }]);
        assert_eq!(cast.pods_behind(service).count(), 1);
        assert!(cast.services.iter().filter(|other| other.cluster_ip == service.cluster_ip).count() == 1);
    }

    #[test]
    fn an_echo_stands_in_for_a_program_that_the_world_does_not_have() {
        let mut cast = Cast::mesh();
        assert_eq!(admitted(&mut cast, &deployment("db", "mysql:8", "replicas: 1")), Vec::<String>::new());
        let role = Role::App { program: Program::Echo(Echo::new("db", 8080)), sidecar: true };
        assert!(cast.pods.iter().any(|pod| pod.workload == "db" && pod.role == role));
    }

    #[test]
    fn what_the_world_cannot_do_is_told() {
        let mut cast = Cast::mesh();
        let many = admitted(&mut cast, &deployment("go", "service-go:v1", "replicas: 101"));
        assert_eq!(many, ["101 replicas are more than the 100 that the world starts"]);
        let headless =
            "apiVersion: v1\nkind: Service\nmetadata: {name: bin}\nspec: {clusterIP: None, ports: [{port: 80}]}\n";
        assert_eq!(admitted(&mut cast, headless), ["Service bin is headless, which the world does not resolve yet"]);
        let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, image: b}]}\n";
        assert_eq!(admitted(&mut cast, pod).len(), 1);
    }
}
