//! A first scenario for a folder of manifests: one split check for each weighted route, one TLS check for each
//! edge that a VirtualService decides, and the traffic that they need.

use std::fmt::Write;

use wavetank_control::config::SourceFile;
use wavetank_control::config::yaml::{Limits, Node, parse};

use crate::scenario::Request;

/// Services of the built-in app.
const LAB: [&str; 5] = ["service-js", "service-python", "service-lua", "service-node", "service-go"];

/// Who calls in the mesh.
const CALLER: &str = "sleep";

/// A route of a VirtualService, as far as a first scenario needs it.
struct Found {
    from: &'static str,
    host: String,
    path: String,
    /// Where it goes: service, subset and weight.
    arms: Vec<(String, String, i64)>,
}

/// The scenario's text; `files` are named as it will name them.
pub fn first(files: &[SourceFile]) -> String {
    let mut found: Vec<Found> = Vec::new();
    let mut brought: Vec<(String, String)> = Vec::new();
    for document in files.iter().flat_map(|file| parse(file, Limits::default()).documents) {
        let Some(kind) = document.get("kind").and_then(Node::as_str) else { continue };
        if kind == "VirtualService" {
            virtual_service(&document, &mut found);
        }
        let name = document.get("metadata").and_then(|metadata| metadata.get("name")).and_then(Node::as_str);
        brought.extend(name.map(|name| (kind.to_owned(), name.to_owned())));
    }
    let mut out = String::from(
        "# yaml-language-server: $schema=./.wavetank/scenario.v1.json\nscenario: what these manifests do\n",
    );
    app(&mut out, &found, &brought);
    let names: Vec<String> = files.iter().map(|file| quoted(&file.name)).collect();
    let _ = writeln!(out, "config: [{}]", names.join(", "));
    checks(&mut out, &found);
    out
}

/// The built-in app, where routes lead to its services and the manifests do not bring them; and echo services for
/// all else that is missing, the caller too. `brought` are kinds and names of all objects.
fn app(out: &mut String, found: &[Found], brought: &[(String, String)]) {
    let has = |kind: &str, name: &str| brought.iter().any(|(own, named)| own == kind && named == name);
    let mut missing: Vec<(String, String)> = Vec::new();
    for (host, subset, _) in found.iter().flat_map(|own| &own.arms) {
        let service = own_name(host).filter(|service| !has("Service", service) && !has("ServiceEntry", service));
        let arm = service.map(|service| (service.to_owned(), subset.clone()));
        missing.extend(arm.filter(|arm| !missing.contains(arm)));
    }
    let is_lab = missing.iter().any(|(service, _)| LAB.contains(&service.as_str()));
    missing.retain(|(service, _)| !is_lab || !LAB.contains(&service.as_str()));
    if !is_lab && found.iter().any(|own| own.from == CALLER) && !has("Deployment", CALLER) {
        missing.push((CALLER.to_owned(), String::new()));
    }
    let add = missing.iter().map(|(service, subset)| {
        let version = if subset.is_empty() { String::new() } else { format!(", version: {subset}") };
        format!("{{service: {service}{version}}}")
    });
    let add = add.collect::<Vec<_>>().join(", ");
    let _ = match (is_lab, add.is_empty()) {
        (true, true) => writeln!(out, "app: istio-lab"),
        (true, false) => writeln!(out, "app: {{use: istio-lab, add: [{add}]}}"),
        (false, false) => writeln!(out, "app: {{add: [{add}]}}"),
        (false, true) => Ok(()),
    };
}

/// The name of a service of namespace `default`, where it is one that could be added.
fn own_name(host: &str) -> Option<&str> {
    let short = host.strip_suffix(".default.svc.cluster.local").unwrap_or(host);
    let is_label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (!short.is_empty() && short.chars().all(is_label)).then_some(short)
}

/// A text as it stands in a list or mapping of YAML.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || " /._-?=&%".contains(c);
    let plain = text.chars().all(is_plain) && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '.');
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

fn checks(out: &mut String, found: &[Found]) {
    if found.is_empty() {
        out.push_str("traffic: 100 GET ingress/\nexpect:\n  - {edge: client -> ingress, status: {200: all}}\n");
        return;
    }
    out.push_str("traffic:\n");
    for (at, own) in found.iter().enumerate() {
        let count = if own.arms.len() > 1 { 2000 } else { 100 };
        let (from, target, host) = match own.from {
            "ingress" => ("client", "ingress", format!(", headers: {{host: {}}}", quoted(&own.host))),
            other => (other, own.host.as_str(), String::new()),
        };
        let host = if own.host == "ingress" { String::new() } else { host };
        let _ = writeln!(
            out,
            "  - {{name: route-{}, from: {from}, request: {}, count: {count}{host}}}",
            at + 1,
            quoted(&format!("GET {target}{}", own.path))
        );
    }
    out.push_str("expect:\n");
    for (at, own) in found.iter().enumerate() {
        let service = &own.arms[0].0;
        // In the mesh an edge leads to whom was asked for, wherever the route leads; a gateway asks for nobody.
        let asked = if own.from == CALLER { &own.host } else { service };
        let _ = writeln!(out, "  - edge: {} -> {asked}\n    traffic: route-{}\n    tls: mtls", own.from, at + 1);
        let sum: i64 = own.arms.iter().map(|(.., weight)| *weight).sum();
        let is_split = own.arms.len() > 1 && own.arms.iter().all(|(_, _, weight)| *weight >= 0) && sum > 0;
        if is_split && own.arms.iter().all(|(name, subset, _)| name == service && !subset.is_empty()) {
            let share = |weight: i64| weight as f64 * 100.0 / sum as f64;
            let arm = |(_, subset, weight): &(String, String, i64)| format!("{}: {}", quoted(subset), share(*weight));
            let arms: Vec<String> = own.arms.iter().map(arm).collect();
            let _ = writeln!(out, "    split: {{{}}}", arms.join(", "));
        }
    }
}

fn virtual_service(document: &Node, found: &mut Vec<Found>) {
    let Some(spec) = document.get("spec") else { return };
    let items = |node: &Node, key: &str| node.get(key).and_then(Node::as_sequence).unwrap_or_default().to_vec();
    let gateways = items(spec, "gateways");
    let is_mesh = gateways.is_empty() || gateways.iter().any(|own| own.as_str() == Some("mesh"));
    let from = if is_mesh { CALLER } else { "ingress" };
    let hosts = items(spec, "hosts");
    let Some(host) = hosts.first().and_then(Node::as_str) else { return };
    let host = if host.starts_with('*') { "ingress" } else { host };
    if is_mesh && host == "ingress" {
        return;
    }
    for rule in items(spec, "http") {
        let arms: Vec<(String, String, i64)> = items(&rule, "route").iter().filter_map(arm).collect();
        let matches = items(&rule, "match");
        // A rule that asks for more than a path needs a request that only its author knows.
        let is_plain =
            matches.iter().all(|own| own.as_mapping().is_some_and(|keys| keys.iter().all(|(key, _)| key == "uri")));
        if arms.is_empty() || !is_plain {
            continue;
        }
        let uri = matches.first().and_then(|own| own.get("uri"));
        let path = uri.and_then(|uri| uri.get("prefix").or(uri.get("exact"))).and_then(Node::as_str).unwrap_or("/");
        let host_asked = if from == CALLER { host } else { "ingress" };
        if format!("GET {host_asked}{path}").parse::<Request>().is_err() {
            continue;
        }
        found.push(Found { from, host: host.to_owned(), path: path.to_owned(), arms });
    }
}

fn arm(node: &Node) -> Option<(String, String, i64)> {
    let destination = node.get("destination")?;
    let subset = destination.get("subset").and_then(Node::as_str).unwrap_or_default();
    let weight = node.get("weight").and_then(Node::as_i64).unwrap_or(100);
    Some((destination.get("host")?.as_str()?.to_owned(), subset.to_owned(), weight))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Manifests, parse as parse_scenario};

    struct Given(Vec<SourceFile>);

    impl Manifests for Given {
        fn read(&self, path: &str) -> Result<Vec<SourceFile>, String> {
            Ok(self.0.iter().filter(|file| *file.name == *path).cloned().collect())
        }
    }

    #[test]
    fn a_first_scenario_is_valid_and_has_a_check_for_each_weighted_route() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/manifests");
        let read = |name: &str| SourceFile::new(name, std::fs::read_to_string(folder.join(name)).unwrap());
        let files = vec![read("go-70-30.yaml"), read("ingress.yaml")];
        let text = first(&files);
        insta::assert_snapshot!(text);
        let scenario = parse_scenario(&SourceFile::new("scenario.yaml", text), &Given(files)).unwrap();
        assert_eq!(scenario.checks.iter().filter(|check| check.demand.kind() == "split").count(), 1);
    }

    #[test]
    fn what_the_manifests_lack_is_added() {
        let route = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: r}\nspec:\n  hosts: [reviews]\n  http:\n  \
            - match: [{uri: {prefix: '/a,b]'}}]\n    route:\n    - {destination: {host: reviews, subset: v1}, weight: 1}\n    \
            - {destination: {host: reviews, subset: v2}, weight: 2}\n";
        let files = vec![SourceFile::new("routes [1].yaml", route)];
        let text = first(&files);
        insta::assert_snapshot!(text);
        let scenario = parse_scenario(&SourceFile::new("scenario.yaml", text), &Given(files.clone())).unwrap();
        assert_eq!((scenario.add.len(), scenario.config.len()), (3, 1));
        let service = |name: &str| {
            format!("kind: Service\nmetadata: {{name: {name}}}\n---\nkind: Deployment\nmetadata: {{name: {name}}}\n")
        };
        let own = [service("reviews"), service("sleep")].map(|text| SourceFile::new("own.yaml", text));
        assert!(!first(&[files, own.to_vec()].concat()).contains("app:"), "all of it is there");
    }
}
