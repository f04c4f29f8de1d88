//! Whether everyone whom a scenario names is there: a caller, a destination, someone whose configuration is
//! asked about. A check about nobody would pass or fail for nothing.

use std::collections::BTreeSet;

use wavetank_control::config::suggest;
use wavetank_control::diagnostic::{Code, Diagnostic};

use super::who::Who;
use crate::observe::{Endpoint, Party, Selector, Service};
use crate::scenario::{Mention, Role, Scenario};
use crate::world::cast::{Cast, Pod};

/// Something that the world does not have.
pub(super) const NOBODY: Code = Code(500);

/// An error for each name that is nobody's in `cast`.
pub(super) fn unknown(scenario: &Scenario, cast: &Cast) -> Vec<Diagnostic> {
    let world = Known::of(scenario, cast);
    let of = |mention: &Mention| {
        let (why, help) = match mention.role {
            Role::Party => world.party(&mention.selector),
            Role::Destination => world.destination(&mention.selector),
        }?;
        let found = Diagnostic::error(NOBODY, &mention.span, why);
        Some(match help {
            Some(help) => found.with_help(help),
            None => found,
        })
    };
    let mut found: Vec<Diagnostic> = scenario.mentions.iter().filter_map(of).collect();
    // What every step shares is mentioned once for each.
    found.sort_by(|a, b| (&a.span, &a.message).cmp(&(&b.span, &b.message)));
    found.dedup();
    found
}

/// What is wrong with a name, and what would help.
type Wrong = (String, Option<String>);

/// Everyone who is there.
struct Known {
    parties: Vec<Party>,
    /// Services, each with the pods behind it.
    services: Vec<(Service, Vec<Endpoint>)>,
    /// Hosts that traffic asks for.
    hosts: BTreeSet<String>,
    /// Whether pods are deleted or restarted, and fresh ones come that have other indices.
    changes: bool,
}

impl Known {
    fn of(scenario: &Scenario, cast: &Cast) -> Self {
        let who = Who::new(cast);
        let outside = cast.outside().map(|(name, _)| Party::named(name));
        let endpoint = |pod: &Pod| who.endpoint((pod.ip, 80).into());
        let services = cast.services.iter().map(|service| {
            let behind = cast.pods.iter().filter(|pod| service.selects(pod)).map(endpoint).collect();
            (who.asked(&service.fqdn(), None, ""), behind)
        });
        let asked = scenario.traffic.iter().flat_map(|traffic| {
            let header = traffic.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("host"));
            header.map(|(_, value)| value.clone()).chain([traffic.request.host.clone()])
        });
        Self {
            parties: cast.pods.iter().map(|pod| who.party(pod)).chain(outside).collect(),
            services: services.collect(),
            hosts: asked.collect(),
            changes: scenario.faults.iter().any(|fault| fault.kind.replaces_pods()),
        }
    }

    fn party(&self, name: &Selector) -> Option<Wrong> {
        let (any, loose) = (name.whole(), self.loose(name));
        let whole: Vec<&Party> = self.parties.iter().filter(|party| any.selects_party(party)).collect();
        if whole.iter().any(|party| loose.selects_party(party)) {
            return None;
        }
        if whole.is_empty() {
            let candidates = self.parties.iter().map(in_words);
            return Some((format!("`{name}` is nobody here"), Some(nearest(name, candidates.collect()))));
        }
        Some(no_such_pod(name, whole.iter().map(|party| (party.version.as_deref(), party.pod))))
    }

    fn destination(&self, name: &Selector) -> Option<Wrong> {
        let whole = name.whole();
        let behind: Vec<&(Service, Vec<Endpoint>)> =
            self.services.iter().filter(|(service, _)| whole.selects_service(service, None)).collect();
        let loose = self.loose(name);
        let is_there = |(service, pods): &&(Service, Vec<Endpoint>)| {
            loose.selects_service(service, None) || pods.iter().any(|pod| loose.selects_service(service, Some(pod)))
        };
        if behind.iter().any(is_there) {
            return None;
        }
        if behind.is_empty() {
            // A host outside the mesh has dots in its name, or somebody asks for it.
            let is_host = name.name().is_none_or(|own| own.contains('.') || self.hosts.contains(own));
            let candidates = self.services.iter().map(|(service, _)| service.to_string());
            let why = || format!("no Service here is named `{name}`");
            return (!is_host).then(|| (why(), Some(nearest(name, candidates.collect()))));
        }
        let pods = behind.iter().flat_map(|(_, pods)| pods);
        Some(no_such_pod(name, pods.map(|pod| (pod.version.as_deref(), pod.pod))))
    }

    /// The name with as much of its choice as can be known before the run.
    fn loose(&self, name: &Selector) -> Selector {
        if self.changes { name.without_pod() } else { name.clone() }
    }
}

fn in_words(party: &Party) -> String {
    Service::new(party.name.clone(), party.namespace.clone()).to_string()
}

/// The name that was probably meant, or all there are.
fn nearest(name: &Selector, mut candidates: Vec<String>) -> String {
    candidates.sort_unstable();
    candidates.dedup();
    let near = suggest::nearest(name.name().unwrap_or_default(), candidates.iter().map(String::as_str));
    match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", candidates.join(", ")),
    }
}

/// The name is somebody's, and none of their pods is the one it chooses.
fn no_such_pod<'p>(name: &Selector, pods: impl Iterator<Item = (Option<&'p str>, Option<u32>)>) -> Wrong {
    let of = name.name().unwrap_or("*");
    let pods: Vec<_> = pods.collect();
    let versions: BTreeSet<&str> = pods.iter().filter_map(|(version, _)| *version).collect();
    match name.version().filter(|version| !versions.contains(version)) {
        Some(version) if versions.is_empty() => (format!("no pod of `{of}` has a version, so none is {version}"), None),
        Some(version) => {
            let known: Vec<&str> = versions.into_iter().collect();
            let known = known.join(", ");
            (format!("no pod of `{of}` has version {version}"), Some(format!("its versions are {known}")))
        }
        None => (format!("`{name}` is no pod: indices count from 0"), None),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use wavetank_control::config::SourceFile;

    use super::*;
    use crate::scenario::{Manifests, parse};

    struct NoFiles;

    impl Manifests for NoFiles {
        fn read(&self, path: &str) -> Result<Vec<SourceFile>, String> {
            Err(format!("no {}", Path::new(path).display()))
        }
    }

    /// What is wrong with the names of a scenario of the book's app.
    fn wrong(rest: &str) -> Vec<String> {
        let text = format!("scenario: s\napp: istio-lab\n{rest}");
        let scenario = parse(&SourceFile::new("s.yaml", text), &NoFiles).expect("a sound scenario");
        let found = unknown(&scenario, &Cast::mesh().with_istio_lab());
        let line = |own: &Diagnostic| {
            let help = own.help.as_deref().unwrap_or("-");
            format!("{}:{} {}; {help}", own.span.line, own.span.column, own.message)
        };
        found.iter().map(line).collect()
    }

    #[test]
    fn everyone_who_is_there_may_be_named() {
        let rest = "\
traffic: [{request: GET elsewhere/x, from: service-node@v1#0, count: 1}]
never:
  - {edge: service-node -> service-go@v2, reaches: service-go@v1#0}
  - {edge: client -> ingress}
  - {edge: '* -> *@v1'}
  - {edge: service-go-v1 -> httpbin.org}
  - {edge: sleep.default -> elsewhere}
  - {edge: sleep -> service-go.default.svc.cluster.local}
";
        assert_eq!(wrong(rest), [""; 0]);
    }

    #[test]
    fn a_name_that_is_nobodys_is_told_at_its_place_with_the_nearest() {
        let rest = "\
traffic: [{request: GET service-go/env, from: service-nod, count: 1}]
expect:
  - {edge: service-nod -> service-go, status: {200: all}}
  - {edge: service-node -> service-goo, reaches: [service-go@v9, service-go@v1#7]}
  - {config: service-noe, in_sync: {within: 1s}}
never:
  - {edge: service-node@v3 -> sleep}
  - {edge: sleep -> service-go, reaches: service-og@v1}
";
        insta::assert_snapshot!(wrong(rest).join("\n"));
    }

    #[test]
    fn fresh_pods_have_indices_of_their_own() {
        for how in ["delete", "restart"] {
            let rest = format!(
                "\
traffic: [{{request: GET service-go/env, from: sleep, count: 1}}]
faults: [{{at: 1s, {how}: service-go@v2}}]
never: [{{edge: sleep -> service-go@v2#1}}]
"
            );
            assert_eq!(wrong(&rest), [""; 0]);
        }
    }
}
