//! A first scenario for a folder of manifests: one split check for each weighted route, one TLS check for each
//! edge that a VirtualService decides, and the traffic that they need.

use std::fmt::Write;

use wavetank_control::config::SourceFile;
use wavetank_control::config::yaml::{Limits, Node, parse};

/// Services of the built-in app.
const LAB: [&str; 5] = ["service-js", "service-python", "service-lua", "service-node", "service-go"];

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
    for file in files {
        for document in parse(file, Limits::default()).documents {
            if document.get("kind").and_then(Node::as_str) == Some("VirtualService") {
                virtual_service(&document, &mut found);
            }
        }
    }
    let has_pods = files.iter().any(|file| file.text.lines().any(|line| line.trim() == "kind: Deployment"));
    let is_lab = found.iter().flat_map(|own| &own.arms).any(|(service, ..)| LAB.contains(&service.as_str()));
    let mut out = String::from(
        "# yaml-language-server: $schema=./.wavetank/scenario.v1.json\nscenario: what these manifests do\n",
    );
    if is_lab && !has_pods {
        out.push_str("app: istio-lab\n");
    }
    let names: Vec<&str> = files.iter().map(|file| &*file.name).collect();
    let _ = writeln!(out, "config: [{}]", names.join(", "));
    checks(&mut out, &found);
    out
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
            "ingress" => ("client", "ingress", format!(", headers: {{host: {}}}", own.host)),
            other => (other, own.host.as_str(), String::new()),
        };
        let host = if own.host == "ingress" { String::new() } else { host };
        let _ = writeln!(
            out,
            "  - {{name: route-{}, from: {from}, request: GET {target}{}, count: {count}{host}}}",
            at + 1,
            own.path
        );
    }
    out.push_str("expect:\n");
    for (at, own) in found.iter().enumerate() {
        let service = &own.arms[0].0;
        let _ = writeln!(out, "  - edge: {} -> {service}\n    traffic: route-{}\n    tls: mtls", own.from, at + 1);
        if own.arms.len() > 1 && own.arms.iter().all(|(name, subset, _)| name == service && !subset.is_empty()) {
            let arms: Vec<String> = own.arms.iter().map(|(_, subset, weight)| format!("{subset}: {weight}")).collect();
            let _ = writeln!(out, "    split: {{{}}}", arms.join(", "));
        }
    }
}

fn virtual_service(document: &Node, found: &mut Vec<Found>) {
    let Some(spec) = document.get("spec") else { return };
    let items = |node: &Node, key: &str| node.get(key).and_then(Node::as_sequence).unwrap_or_default().to_vec();
    let gateways = items(spec, "gateways");
    let is_mesh = gateways.is_empty() || gateways.iter().any(|own| own.as_str() == Some("mesh"));
    let from = if is_mesh { "sleep" } else { "ingress" };
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
}
