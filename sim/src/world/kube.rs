//! The world's Kubernetes objects, as the YAML a cluster's API would show: what the control plane reads
//! beside the user's files.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::Ipv4Addr;

use super::cast::{Cast, INJECTED_LABEL, Pod, Service, ServicePort};

/// One YAML file of the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeFile {
    /// Name as messages show it, `app:default/service-go.yaml`: no path, since no such file exists.
    pub name: String,
    /// Its documents.
    pub text: String,
}

/// Everything but the endpoints: namespaces and accounts in one file, then each Service and each Deployment
/// with its pods.
pub fn objects(cast: &Cast) -> Vec<KubeFile> {
    let mut files = vec![KubeFile { name: "app:accounts.yaml".to_owned(), text: accounts(cast) }];
    files.extend(cast.services.iter().map(|service| KubeFile {
        name: format!("app:{}/{}.yaml", service.namespace, service.name),
        text: self::service(service),
    }));
    for pod in cast.pods.iter().filter(|pod| pod.index == 0) {
        let mut text = deployment(cast, pod);
        for own in replicas(cast, pod) {
            text += "---\n";
            text += &self::pod(own);
        }
        files.push(KubeFile { name: format!("app:{}/{}.yaml", pod.namespace, pod.workload), text });
    }
    files
}

fn accounts(cast: &Cast) -> String {
    let mut text = String::new();
    for name in &cast.namespaces {
        document(&mut text, "v1", "Namespace", name, "", &BTreeMap::new());
    }
    let accounts = cast.pods.iter().map(|pod| (&pod.namespace, &pod.service_account));
    for (namespace, name) in accounts.collect::<BTreeSet<_>>() {
        document(&mut text, "v1", "ServiceAccount", name, namespace, &BTreeMap::new());
    }
    text
}

fn service(service: &Service) -> String {
    let mut text = String::new();
    let app = service.selector.get("app").map(|app| ("app".to_owned(), app.clone()));
    document(&mut text, "v1", "Service", &service.name, &service.namespace, &app.into_iter().collect());
    line(&mut text, format_args!("spec:\n  clusterIP: {}\n  selector:", service.cluster_ip));
    labels(&mut text, "    ", &service.selector);
    line(&mut text, format_args!("  ports:"));
    for port in &service.ports {
        line(&mut text, format_args!("  - name: {}\n    port: {}", named(port), port.port));
        line(&mut text, format_args!("    targetPort: {}", port.target_port));
    }
    text
}

/// The pods of the Deployment that `first` is of.
fn replicas<'a>(cast: &'a Cast, first: &'a Pod) -> impl Iterator<Item = &'a Pod> {
    cast.pods.iter().filter(|pod| pod.namespace == first.namespace && pod.workload == first.workload)
}

fn deployment(cast: &Cast, pod: &Pod) -> String {
    let mut text = String::new();
    document(&mut text, "apps/v1", "Deployment", &pod.workload, &pod.namespace, &BTreeMap::new());
    let own = pod.labels.iter().filter(|(key, _)| *key != INJECTED_LABEL);
    let own: BTreeMap<_, _> = own.map(|(key, value)| (key.clone(), value.clone())).collect();
    let count = replicas(cast, pod).count();
    line(&mut text, format_args!("spec:\n  replicas: {count}\n  selector:\n    matchLabels:"));
    labels(&mut text, "      ", &own);
    line(&mut text, format_args!("  template:\n    metadata:\n      labels:"));
    labels(&mut text, "        ", &own);
    line(&mut text, format_args!("    spec:\n      serviceAccountName: {}", pod.service_account));
    text
}

/// A Pod, as the YAML of its own.
pub fn pod(pod: &Pod) -> String {
    let mut text = String::new();
    document(&mut text, "v1", "Pod", &pod.name, &pod.namespace, &pod.labels);
    line(&mut text, format_args!("  ownerReferences:\n  - kind: ReplicaSet\n    name: {}-0", pod.workload));
    line(&mut text, format_args!("spec:\n  serviceAccountName: {}", pod.service_account));
    line(&mut text, format_args!("status:\n  podIP: {}", pod.ip));
    text
}

/// The EndpointSlice of `service` with `pods` behind it, ready where `is_ready` says so.
pub fn endpoint_slice(service: &Service, pods: &[&Pod], is_ready: impl Fn(Ipv4Addr) -> bool) -> KubeFile {
    let mut text = String::new();
    let own = BTreeMap::from([("kubernetes.io/service-name".to_owned(), service.name.clone())]);
    let name = format!("{}-0", service.name);
    document(&mut text, "discovery.k8s.io/v1", "EndpointSlice", &name, &service.namespace, &own);
    line(&mut text, format_args!("addressType: IPv4\nports:"));
    for port in &service.ports {
        line(&mut text, format_args!("- name: {}\n  port: {}\n  protocol: TCP", named(port), port.target_port));
    }
    line(&mut text, format_args!("endpoints:{}", if pods.is_empty() { " []" } else { "" }));
    for pod in pods {
        line(&mut text, format_args!("- addresses: [{}]", pod.ip));
        line(&mut text, format_args!("  conditions: {{ready: {}}}", is_ready(pod.ip)));
        line(&mut text, format_args!("  targetRef: {{kind: Pod, name: {}, namespace: {}}}", pod.name, pod.namespace));
    }
    KubeFile { name: format!("app:{}/{}.endpoints.yaml", service.namespace, service.name), text }
}

/// A port's name as YAML.
fn named(port: &ServicePort) -> &str {
    if port.name.is_empty() { "\"\"" } else { &port.name }
}

/// Begins a document: kind, name and labels.
fn document(text: &mut String, api: &str, kind: &str, name: &str, namespace: &str, own: &BTreeMap<String, String>) {
    if !text.is_empty() {
        text.push_str("---\n");
    }
    line(text, format_args!("apiVersion: {api}\nkind: {kind}\nmetadata:\n  name: {name}"));
    if !namespace.is_empty() {
        line(text, format_args!("  namespace: {namespace}"));
    }
    if !own.is_empty() {
        line(text, format_args!("  labels:"));
        labels(text, "    ", own);
    }
}

fn labels(text: &mut String, indent: &str, labels: &BTreeMap<String, String>) {
    for (key, value) in labels {
        line(text, format_args!("{indent}{key}: {value}"));
    }
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{content}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_its_pods_and_its_endpoints_read_as_a_cluster_shows_them() {
        let cast = Cast::mesh().with_istio_lab();
        let files = objects(&cast);
        let find = |name: &str| files.iter().find(|file| file.name == name).expect("a file").text.clone();
        let service = cast.service_named("service-go", "default").expect("a Service");
        let pods: Vec<_> = cast.pods_behind(service).collect();
        let slice = endpoint_slice(service, &pods, |ip| ip == pods[0].ip);
        let shown = [find("app:default/service-go.yaml"), find("app:default/service-go-v1.yaml"), slice.text];
        insta::assert_snapshot!(shown.join("---\n"));
    }

    #[test]
    fn every_object_is_valid_yaml() {
        use serde::Deserialize;
        let cast = Cast::mesh().with_istio_lab();
        for file in objects(&cast) {
            for document in serde_yaml::Deserializer::from_str(&file.text) {
                let value = serde_yaml::Value::deserialize(document).expect("YAML");
                assert!(value["kind"].is_string() && value["metadata"]["name"].is_string(), "{}", file.name);
            }
        }
    }
}
