//! A first scenario for a folder of manifests: a stream of requests for each route of each VirtualService, sent the
//! way that the route is for, and checks of what the manifests say must come of it.
//!
//! Only what is sound without knowing more than the manifests is asked for; what is left out is told in a comment.
//! - [`plan`]: what is tried
//! - [`request`]: a request that a route takes
//! - [`arms`]: where a route leads
//! - [`missing`]: services that are led to and not there

mod arms;
mod missing;
mod plan;
mod request;

use std::collections::BTreeMap;
use std::fmt::Write;

use wavetank_control::config::{ConfigKey, ConfigSet, Document, Kind, SourceFile, Spec, decode};
use wavetank_control::dialect::Dialect;

use plan::{CALLER, Stream, World, short};

use crate::world::app::lab::LabService;
use crate::world::cast::{Cast, Service};
use crate::world::manifests::admit;

/// Requests of a stream: as many as a split needs to see much, else as many as show that all are alike.
const REQUESTS_OF_SPLIT: u64 = 2000;
const REQUESTS: u64 = 100;
/// Decisions that the smallest share of a split must be worth.
const SHARE_MIN: f64 = 20.0;
/// Requests of one stream at most.
const REQUESTS_MAX: u64 = 100_000;
/// Services that are asked one by one where no VirtualService says anything.
const SERVICES_MAX: usize = 20;

/// The scenario's text; `files` are named as it will name them.
pub fn first(files: &[SourceFile]) -> String {
    let decoded: Vec<(&SourceFile, Vec<Document>)> =
        files.iter().map(|file| (file, decode(file, Dialect::V1).documents)).collect();
    let replaced = replaced(&decoded);
    let set = ConfigSet::of(decoded.into_iter().flat_map(|(_, documents)| documents));
    let mut documents: Vec<&Document> = set.iter().map(|(_, stored)| &*stored.document).collect();
    documents.sort_by(|a, b| a.span.cmp(&b.span));
    let is_lab = needs_lab(&documents);
    let mut cast = if is_lab { Cast::mesh().with_istio_lab() } else { Cast::mesh() };
    let _ = admit(&mut cast, files, Dialect::V1);
    let has_caller = cast.pods.iter().any(|pod| pod.namespace == "default" && pod.app() == CALLER && pod.has_proxy());

    let missing = missing::services(&World { documents: &documents, cast: &cast });
    for (service, version) in &missing {
        cast.add_echo(service, version.as_deref());
    }

    let world = World { documents: &documents, cast: &cast };
    let planned = plan::streams(&world);
    let (streams, left_out): (Vec<_>, Vec<_>) = planned.into_iter().partition(Result::is_ok);
    let streams: Vec<Stream> = streams.into_iter().flatten().collect();
    let plain = if streams.is_empty() { plain(&cast) } else { Vec::new() };
    let calls_within = streams.iter().any(|own| own.from == CALLER) || !plain.is_empty();

    let mut out = String::from(
        "# yaml-language-server: $schema=./.wavetank/scenario.v1.json\nscenario: what these manifests do\n",
    );
    app(&mut out, is_lab, missing, calls_within && !is_lab && !has_caller);
    for remark in replaced {
        let _ = writeln!(out, "# {remark}");
    }
    let names: Vec<String> = files.iter().map(|file| quoted(&file.name)).collect();
    let _ = writeln!(out, "config: [{}]", names.join(", "));
    if streams.is_empty() {
        without_routes(&mut out, &documents, &plain);
    } else {
        checks(&mut out, &streams);
    }
    for why in left_out.into_iter().filter_map(Result::err) {
        let _ = writeln!(out, "# not tried: {why}");
    }
    out
}

/// The app: the built-in one, echo programs for the services that are `missing`, and one to call from.
fn app(out: &mut String, is_lab: bool, mut missing: Vec<(String, Option<String>)>, wants_caller: bool) {
    if wants_caller && !missing.iter().any(|(service, _)| service == CALLER) {
        missing.push((CALLER.to_owned(), None));
    }
    let add: Vec<String> = missing
        .iter()
        .map(|(service, version)| match version {
            Some(version) => format!("{{service: {service}, version: {}}}", quoted(version)),
            None => format!("{{service: {service}}}"),
        })
        .collect();
    let add = add.join(", ");
    let _ = match (is_lab, add.is_empty()) {
        (true, true) => writeln!(out, "app: istio-lab"),
        (true, false) => writeln!(out, "app: {{use: istio-lab, add: [{add}]}}"),
        (false, false) => writeln!(out, "app: {{add: [{add}]}}"),
        (false, true) => Ok(()),
    };
}

/// What is said of objects that a later file replaces.
fn replaced(decoded: &[(&SourceFile, Vec<Document>)]) -> Vec<String> {
    let mut writers: BTreeMap<ConfigKey, Vec<&str>> = BTreeMap::new();
    for (file, documents) in decoded {
        for document in documents {
            writers.entry(ConfigKey::of(document)).or_default().push(&file.name);
        }
    }
    let mut told: Vec<String> = Vec::new();
    for (key, files) in &writers {
        if let Some((last, before @ [_, ..])) =
            files.split_last().filter(|(last, _)| files.iter().any(|own| own != *last))
        {
            told.push(format!(
                "{:?} {} is that of {last}, which comes after {}",
                key.kind,
                key.name,
                before.join(", ")
            ));
        }
    }
    told
}

/// Whether a route leads to a Service of the built-in app that the manifests do not bring themselves.
fn needs_lab(documents: &[&Document]) -> bool {
    let brings = |name: &str| documents.iter().any(|own| own.kind == Kind::Service && own.metadata.name.value == name);
    let hosts = documents.iter().flat_map(|document| match &document.spec {
        Spec::VirtualService(spec) => {
            spec.http.iter().flat_map(|rule| &rule.route).map(|arm| &arm.host.value).collect()
        }
        Spec::DestinationRule(spec) => vec![&spec.host.value],
        _ => Vec::new(),
    });
    let names: Vec<&str> = hosts.map(|host| host.split('.').next().unwrap_or(host)).collect();
    LabService::ALL.iter().any(|lab| names.contains(&lab.service_name()) && !brings(lab.service_name()))
}

fn checks(out: &mut String, streams: &[Stream]) {
    out.push_str("traffic:\n");
    for (at, own) in streams.iter().enumerate() {
        let mut parts = vec![
            format!("name: route-{}", at + 1),
            format!("from: {}", own.from),
            format!("request: {}", quoted(&format!("{} {}{}", own.ask.method, own.to, own.ask.path))),
            format!("count: {}", count(own)),
        ];
        if !own.ask.headers.is_empty() {
            let headers: Vec<String> =
                own.ask.headers.iter().map(|(name, value)| format!("{}: {}", quoted(name), quoted(value))).collect();
            parts.push(format!("headers: {{{}}}", headers.join(", ")));
        }
        let _ = writeln!(out, "  - {{{}}} # {}", parts.join(", "), own.of);
    }
    out.push_str("expect:\n");
    for (at, own) in streams.iter().enumerate() {
        let expect = &own.expect;
        let _ = writeln!(out, "  - edge: {}\n    traffic: route-{}", expect.edge, at + 1);
        if expect.answered {
            out.push_str("    status: {200: all}\n");
        }
        if expect.mtls {
            out.push_str("    tls: mtls\n");
        }
        if let Some(shares) = &expect.split {
            let shares: Vec<String> =
                shares.iter().map(|(version, share)| format!("{}: {share}", quoted(version))).collect();
            let _ = writeln!(out, "    split: {{{}}}", shares.join(", "));
        } else if !expect.reaches.is_empty() {
            let _ = writeln!(out, "    reaches: [{}]", expect.reaches.join(", "));
        }
        if !expect.answered && !expect.mtls && expect.split.is_none() && expect.reaches.is_empty() {
            // What is always so: the route decided, and not the lack of one.
            out.push_str("    flags: {NR: none}\n");
        }
        if let Some(why) = &expect.without_split {
            let _ = writeln!(out, "    # no split: {why}");
        }
    }
}

/// Enough requests to see the smallest share.
fn count(stream: &Stream) -> u64 {
    let Some(shares) = &stream.expect.split else { return REQUESTS };
    let smallest = shares.iter().map(|(_, share)| *share).filter(|share| *share > 0.0).fold(100.0, f64::min);
    REQUESTS_OF_SPLIT.max((SHARE_MIN * 100.0 / smallest) as u64).min(REQUESTS_MAX)
}

/// Services that can be asked where no VirtualService says anything.
fn plain(cast: &Cast) -> Vec<&Service> {
    let asked = cast.services.iter().filter(|own| !plan::is_of_system(own) && own.name != CALLER);
    asked.filter(|own| cast.pods_behind(own).next().is_some() && !own.ports.is_empty()).take(SERVICES_MAX).collect()
}

fn without_routes(out: &mut String, documents: &[&Document], services: &[&Service]) {
    if services.is_empty() {
        let has_gateway = documents.iter().any(|own| own.kind == Kind::Gateway);
        let comes = if has_gateway { "status: {404: all}" } else { "connect: refused" };
        let _ = writeln!(out, "traffic: {REQUESTS} GET ingress/\nexpect:\n  - {{edge: client -> ingress, {comes}}}");
        return;
    }
    out.push_str("traffic:\n");
    for service in services {
        let port = service.ports[0].port;
        let port = if port == 80 { String::new() } else { format!(":{port}") };
        let name = short(service);
        let _ = writeln!(out, "  - {{name: {name}, from: {CALLER}, request: GET {name}{port}/, count: {REQUESTS}}}");
    }
    out.push_str("expect:\n");
    for service in services {
        let name = short(service);
        let _ = writeln!(out, "  - {{edge: {CALLER} -> {name}, traffic: {name}, reaches: {name}}}");
    }
}

/// A scalar as YAML has it within brackets.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | ' ' | '=' | '?' | ';');
    let colon_is_inside = text.split_once(": ").is_none() && !text.ends_with(':');
    let begins = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '/');
    let is_word = matches!(text.to_ascii_lowercase().as_str(), "true" | "false" | "null" | "yes" | "no" | "on" | "off");
    if begins && !is_word && colon_is_inside && !text.ends_with(' ') && text.chars().all(|c| is_plain(c) || c == ':') {
        text.to_owned()
    } else {
        serde_json::to_string(text).unwrap_or_default()
    }
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
        let rule = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: r}\nspec: \
            {host: reviews, \
            subsets: [{name: a, labels: {version: v1}}, {name: b, labels: {version: v2}}]}\n---\n";
        let route = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: r}\nspec:\n  \
            hosts: [reviews]\n  http:\n  - match: [{uri: {prefix: '/a,b]'}}]\n    route:\n    - {destination: \
            {host: reviews, subset: a}, weight: 1}\n    \
            - {destination: {host: reviews, subset: b}, weight: 2}\n";
        let files = vec![SourceFile::new("routes [1].yaml", format!("{rule}{route}"))];
        let text = first(&files);
        insta::assert_snapshot!(text);
        let scenario = parse_scenario(&SourceFile::new("scenario.yaml", text), &Given(files)).unwrap();
        assert_eq!((scenario.add.len(), scenario.config.len()), (3, 1));
    }
}
