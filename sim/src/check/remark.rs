//! What else explains a check that failed or saw nothing: the endpoints of the default route and the host that was
//! meant for it, versions that no pod has, and requests that came at another time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use wavetank_reports::{CheckVerdict, Diagnostic, Note, Snippet};

use super::blame::Circumstances;
use super::demand::{Check, Demand, span};
use super::finding::Finding;
use super::reason::is_default_route;
use super::sources::Sources;
use crate::observe::{Hop, ObservationLog};

/// Code of a host that is taken as a full name for its dot.
const DOTTED_HOST: &str = "MS0215";

/// Adds to `found` what explains a split or another check on which no VirtualService decided.
pub(super) fn of_default_route(
    check: &Check,
    finding: &Finding<'_>,
    around: &Circumstances<'_>,
    sources: &Sources,
    found: &mut Diagnostic,
) {
    if finding.evidence.is_empty() || !finding.evidence.iter().all(|hop| is_default_route(hop, sources)) {
        return;
    }
    if let Some(dotted) = dotted_host(&finding.evidence, around.findings) {
        let reason = dotted.message.find(" has a dot").map_or(dotted.message.as_str(), |at| &dotted.message[at..]);
        let label = format!("this host{}", reason.replace("; it ", ";\nit "));
        let snippet = dotted.snippet.clone().map(|snippet| Snippet { label, ..snippet });
        if let Some(first) = found.related.first_mut() {
            (first.place, first.snippet) = (Some(dotted.place.clone()), snippet);
        }
        found.help = found.help.take().or_else(|| dotted.help.clone());
    }
    if matches!(check.demand, Demand::Split(_)) && finding.evidence.iter().all(|hop| hop.arm().is_some()) {
        let pods = reached_pods(&finding.evidence);
        let message = format!("the default route balances over all endpoints of the service; it reached {pods}");
        found.related.push(Note { message, place: None, snippet: None });
    }
}

/// The warning about a host with a dot that would be the one of these requests without it.
fn dotted_host<'a>(evidence: &[&Hop], findings: &'a [Diagnostic]) -> Option<&'a Diagnostic> {
    let destination = &evidence.first()?.destination;
    if evidence.iter().any(|hop| hop.destination != *destination) {
        return None;
    }
    let full = format!("`{}.{}.svc.cluster.local`", destination.name, destination.namespace);
    findings.iter().find(|own| own.code == DOTTED_HOST && own.message.contains(&full))
}

/// `1 pod of v1 and 2 pods of v2`.
fn reached_pods(evidence: &[&Hop]) -> String {
    let mut pods: BTreeMap<&str, BTreeSet<_>> = BTreeMap::new();
    for hop in evidence {
        if let (Some(version), Some(endpoint)) = (hop.arm(), &hop.first_endpoint) {
            pods.entry(version).or_default().insert(endpoint.address);
        }
    }
    let parts: Vec<String> = pods
        .iter()
        .map(|(version, own)| format!("{} pod{} of {version}", own.len(), if own.len() == 1 { "" } else { "s" }))
        .collect();
    parts.join(" and ")
}

/// Versions that a split gives a share and that no pod of the service has.
pub(super) fn missing_versions(check: &Check, finding: &Finding<'_>, around: &Circumstances<'_>) -> Option<Note> {
    let Demand::Split(arms) = &check.demand else { return None };
    let (service, namespace) = check.scope.edge.as_ref()?.destination.name_and_namespace()?;
    if finding.verdict == CheckVerdict::Pass {
        return None;
    }
    let own = || around.parties.iter().filter(|own| *own.name == *service && *own.namespace == *namespace);
    // A Service may stand before an app of another name; then nothing is known of its pods here.
    own().next()?;
    let has = |version: &str| own().any(|own| own.version.as_deref() == Some(version));
    let missing: Vec<&str> =
        arms.iter().filter(|arm| arm.percent > 0.0).map(|arm| &*arm.version).filter(|version| !has(version)).collect();
    let versions = match missing.as_slice() {
        [] => return None,
        [one] => format!("version {one}"),
        many => format!("versions {}", many.join(", ")),
    };
    Some(Note { message: format!("no pod of `{service}` has {versions}"), place: None, snippet: None })
}

/// What is said instead of "no request" where requests came, but not at the time that the check is about.
pub(super) fn at_another_time(check: &Check, log: &ObservationLog) -> Option<String> {
    let window = check.scope.window(log).ok()?;
    if window.from == Duration::ZERO && window.to == Duration::MAX {
        return None;
    }
    let mut whole = check.scope.clone();
    (whole.between, whole.after, whole.step) = (None, None, None);
    if check.scope.hops(log).next().is_some() {
        return None;
    }
    let count = whole.hops(log).count();
    let last = whole.hops(log).map(|hop| hop.at - log.start()).max()?;
    let when = match window.to {
        Duration::MAX => format!("began after {}", span(window.from)),
        to => format!("began in {}–{}", span(window.from), span(to)),
    };
    Some(format!("none of {count} requests {when}; the last began at {:.1}s", last.as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use wavetank_reports::Place;

    use super::super::demand::{Arm, Scope};
    use super::super::judge::judge;
    use super::super::sample::{hops_to, log, lost};
    use super::*;
    use crate::observe::{Decision, Party};

    fn check(demand: Demand) -> Check {
        let edge = Some("service-node -> service-go".parse().unwrap());
        let scope = Scope { edge, ..Scope::default() };
        Check { asked_at: Place::new("scenario.yaml", 3, 5), width: 23, scope, demand, detect: 8.0 }
    }

    fn split(versions: [&str; 2]) -> Check {
        let arm = |version: &str, percent| Arm { version: version.into(), percent };
        check(Demand::Split(vec![arm(versions[0], 70.0), arm(versions[1], 30.0)]))
    }

    fn pod(version: &str) -> Party {
        Party { namespace: "default".into(), version: Some(version.into()), ..Party::named("service-go") }
    }

    #[test]
    fn a_version_that_no_pod_has_is_named_where_the_pods_are_known() {
        let told = |check: &Check, parties: &[Party]| {
            let around = Circumstances { parties, ..Circumstances::default() };
            let judged = judge(
                std::slice::from_ref(check),
                &log(hops_to(&[("v1", 215), ("v2", 85)])),
                &around,
                1e-6,
                &Sources::default(),
            );
            let related = judged[0].diagnostic.clone().map(|found| found.related).unwrap_or_default();
            related.iter().any(|note| note.message == "no pod of `service-go` has version v3")
        };
        assert!(told(&split(["v1", "v3"]), &[pod("v1"), pod("v2")]));
        assert!(!told(&split(["v1", "v3"]), &[]) && !told(&split(["v1", "v3"]), &[pod("v3")]));
        assert!(!told(&split(["v1", "v2"]), &[pod("v1"), pod("v2")]));
    }

    #[test]
    fn a_host_with_a_dot_is_shown_instead_of_the_default_route() {
        let mut hops = hops_to(&[("v1", 150), ("v2", 150)]);
        for hop in &mut hops {
            let cluster = Some("outbound|80||service-go.default.svc.cluster.local".into());
            hop.decision = Decision { route_from: None, arm_from: None, cluster, ..hop.decision.clone() };
        }
        let full = "`service-go.default.svc.cluster.local`";
        let message = format!("`service-go.default` has a dot, so it is taken as a full name; it never equals {full}");
        let place = Place::new("go.yaml", 2, 5);
        let snippet = Snippet::of("hosts:\n  - service-go.default\n", &place, None, "");
        let dotted =
            Diagnostic::warning(DOTTED_HOST, place.clone(), message).with_snippet(snippet).with_help("write it short");
        let findings = [dotted];
        let around = Circumstances { findings: &findings, ..Circumstances::default() };
        let judged = judge(&[split(["v1", "v2"])], &log(hops), &around, 1e-6, &Sources::default()).remove(0);
        let found = judged.diagnostic.unwrap();
        assert_eq!((found.related[0].place.as_ref(), found.help.as_deref()), (Some(&place), Some("write it short")));
        let label = &found.related[0].snippet.as_ref().unwrap().label;
        assert_eq!(*label, format!("this host has a dot, so it is taken as a full name;\nit never equals {full}"));
    }

    #[test]
    fn requests_of_another_time_are_told() {
        let seconds = Duration::from_secs;
        let mut late = check(Demand::Status("200".parse().unwrap(), "all".parse().unwrap()));
        late.scope.between = Some((seconds(100), seconds(200)));
        let log = log(hops_to(&[("v1", 3)]));
        let message = |check: &Check| {
            judge(std::slice::from_ref(check), &log, &Circumstances::default(), 1e-6, &Sources::default())
                .remove(0)
                .result
                .message
        };
        assert_eq!(message(&late), "none of 3 requests began in 100s–200s; the last began at 1.0s");
        late.scope.between = None;
        late.scope.edge = Some("service-lua -> service-go".parse().unwrap());
        assert_eq!(message(&late), "no request crossed this edge");
    }

    #[test]
    fn only_a_reason_is_called_one() {
        let status = check(Demand::Status("201".parse().unwrap(), "all".parse().unwrap()));
        let again = |hops: Vec<Hop>| {
            let checks = [split(["v3", "v4"]), status.clone()];
            let judged = judge(&checks, &log(hops), &Circumstances::default(), 1e-6, &Sources::default());
            judged[1].diagnostic.clone().unwrap().related[0].message.clone()
        };
        assert_eq!(again(hops_to(&[("v1", 40)])), "decided at the same lines as the check in line 3");
        assert_eq!(again(vec![lost("v1"); 40]), "for the same reason as the check in line 3");
    }
}
