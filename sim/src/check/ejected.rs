//! Checks of outlier detection: an endpoint is taken out in time and stays out, or never is.

use std::time::Duration;

use wavetank_reports::CheckVerdict;

use super::demand::{Ejected, Scope, millis};
use super::finding::Finding;
use crate::observe::ejection::EjectionChange;
use crate::observe::{Hop, Observation, ObservationLog, Selector};

/// The first ejection of `wanted.endpoint` in the window comes in time, and lasts.
pub(super) fn judge<'a>(wanted: &'a Ejected, scope: &'a Scope, log: &'a ObservationLog) -> Finding<'a> {
    let summary = summary(wanted);
    let window = scope.window(log).ok();
    let from = window.map_or(Duration::ZERO, |window| window.from);
    let ejections = scope.ejections(log).filter(|own| own.is_of(&wanted.endpoint));
    let first = ejections.clone().find(|own| matches!(own.change, EjectionChange::Ejected(_)));
    let mut finding = Finding {
        expected: summary.clone(),
        allowed: wanted.within.map_or_else(|| "at any time".to_owned(), |within| format!("0–{}", millis(within))),
        ..Finding::pass(summary.clone())
    };
    let Some(first) = first else {
        let tries: Vec<&Hop> = reached(&wanted.endpoint, scope, log).collect();
        if tries.is_empty() {
            return Finding::inconclusive(summary, format!("no request reached `{}`", wanted.endpoint));
        }
        let failed: Vec<&Hop> = tries.iter().copied().filter(|hop| hop.status >= 500).collect();
        let reported = ejections.clone().any(|own| matches!(own.change, EjectionChange::Reported(_)));
        let why = if reported { "; it was found failing, but that is not enforced" } else { "" };
        finding.message = format!(
            "nobody ejected `{}`: {} of {} requests there failed{why}",
            wanted.endpoint,
            failed.len(),
            tries.len()
        );
        (finding.verdict, finding.observed, finding.label) =
            (CheckVerdict::Fail, "never".to_owned(), "it was never ejected".to_owned());
        finding.evidence = failed;
        return finding;
    };
    let took = (first.at - log.start()).saturating_sub(from);
    finding.observed = format!("after {}", millis(took));
    finding.summary = format!("{summary}: {}", finding.observed);
    if wanted.within.is_some_and(|within| took > within) {
        finding.message = format!("{} ejected `{}` after {}, too late", first.proxy, wanted.endpoint, millis(took));
        finding.label = finding.observed.clone();
        finding.verdict = CheckVerdict::Fail;
        return finding;
    }
    let Some(lasts) = wanted.lasts else { return finding };
    // What happened later counts, in the window or not.
    let back = log.ejections().find(|own| {
        own.at > first.at
            && own.proxy == first.proxy
            && (&own.cluster, own.endpoint.address) == (&first.cluster, first.endpoint.address)
            && own.change == EjectionChange::Returned
    });
    let end = log.entries().last().map_or(first.at, Observation::at);
    let out = back.map_or(end, |back| back.at) - first.at;
    finding.observed = format!("{}, for {}", finding.observed, millis(out));
    finding.summary = format!("{summary}: {}", finding.observed);
    match back {
        _ if out >= lasts => finding,
        None => Finding::inconclusive(finding.summary, "the run ends while it is still ejected"),
        Some(_) => {
            finding.message =
                format!("`{}` was ejected for {}, less than {}", wanted.endpoint, millis(out), millis(lasts));
            finding.label = finding.observed.clone();
            finding.verdict = CheckVerdict::Fail;
            finding
        }
    }
}

/// No endpoint of `of` is taken out.
pub(super) fn never<'a>(of: &'a Selector, scope: &'a Scope, log: &'a ObservationLog) -> Finding<'a> {
    let summary = format!("never ejected {of}");
    let opportunities = reached(of, scope, log).count();
    let mut ejections =
        scope.ejections(log).filter(|own| own.is_of(of) && matches!(own.change, EjectionChange::Ejected(_)));
    let first = ejections.next();
    if first.is_none() && opportunities == 0 {
        return Finding::inconclusive(summary, format!("no request reached `{of}`"));
    }
    let count = usize::from(first.is_some()) + ejections.count();
    let finding = Finding {
        expected: "none".to_owned(),
        observed: count.to_string(),
        allowed: "0".to_owned(),
        ..Finding::pass(summary.clone())
    };
    let Some(first) = first else { return finding };
    let at = (first.at - log.start()).as_secs_f64();
    Finding {
        verdict: CheckVerdict::Fail,
        message: format!("`{of}` was ejected {count} times: {summary}"),
        label: format!("the first is at {at:.3}s, by {}: {}", first.proxy, first.change),
        evidence: reached(of, scope, log).filter(|hop| hop.status >= 500 && hop.at <= first.at).collect(),
        ..finding
    }
}

/// The requests of the scope that reached an endpoint of `of`.
fn reached<'a>(of: &'a Selector, scope: &'a Scope, log: &'a ObservationLog) -> impl Iterator<Item = &'a Hop> {
    scope.hops(log).filter(|hop| hop.endpoint.is_some() && of.selects_service(&hop.destination, hop.endpoint.as_ref()))
}

fn summary(wanted: &Ejected) -> String {
    let within = wanted.within.map(|within| format!(" within {}", millis(within)));
    let lasts = wanted.lasts.map(|lasts| format!(" for {}", millis(lasts)));
    format!("ejected {}{}{}", wanted.endpoint, within.unwrap_or_default(), lasts.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use wavetank_platform::Instant;

    use super::super::sample::hop;
    use super::*;
    use crate::observe::{Ejection, Party, Service};

    fn at(millis: u64) -> Instant {
        Instant::from_start(Duration::from_millis(millis))
    }

    fn change(when: u64, change: EjectionChange) -> Observation {
        let hop = hop("v2");
        Observation::Ejection(Ejection {
            at: at(when),
            proxy: hop.source,
            destination: Service::new("service-go", "default"),
            cluster: "outbound|80||service-go.default.svc.cluster.local".into(),
            pod: Some(Party {
                version: Some("v2".into()),
                pod: Some(0),
                namespace: "default".into(),
                ..Party::named("service-go")
            }),
            endpoint: hop.endpoint.unwrap(),
            change,
            ejections: 1,
        })
    }

    /// A failing request at 1 s, what happens to its endpoint, and something at the end of the run.
    fn log(changes: &[(u64, EjectionChange)], end: u64) -> ObservationLog {
        let mut entries: Vec<Observation> = changes.iter().map(|(when, own)| change(*when, own.clone())).collect();
        entries.push(Observation::Hop(Hop { status: 503, ..hop("v2") }));
        entries.push(Observation::Hop(Hop { at: at(end), ..hop("v1") }));
        ObservationLog::new(Instant::START, entries)
    }

    fn out() -> EjectionChange {
        EjectionChange::Ejected("consecutive_5xx".into())
    }

    fn verdict(within: u64, lasts: u64, log: &ObservationLog) -> CheckVerdict {
        let wanted = Ejected {
            endpoint: "service-go@v2#0".parse().unwrap(),
            within: Some(Duration::from_millis(within)),
            lasts: Some(Duration::from_millis(lasts)),
        };
        let scope = Scope { edge: Some("service-node -> service-go".parse().unwrap()), ..Scope::default() };
        judge(&wanted, &scope, log).verdict
    }

    #[test]
    fn an_ejection_must_come_in_time_and_last() {
        let log = log(&[(1500, out()), (4500, EjectionChange::Returned)], 9000);
        assert_eq!(verdict(1500, 3000, &log), CheckVerdict::Pass);
        assert_eq!(verdict(1499, 3000, &log), CheckVerdict::Fail);
        assert_eq!(verdict(1500, 3001, &log), CheckVerdict::Fail);
    }

    #[test]
    fn one_that_outlives_the_run_is_judged_by_what_was_seen() {
        let log = log(&[(1500, out())], 9000);
        assert_eq!(verdict(1500, 7500, &log), CheckVerdict::Pass);
        assert_eq!(verdict(1500, 7501, &log), CheckVerdict::Inconclusive);
    }

    #[test]
    fn a_report_is_no_ejection() {
        let log = log(&[(1500, EjectionChange::Reported("consecutive_gateway_failure".into()))], 9000);
        assert_eq!(verdict(9000, 0, &log), CheckVerdict::Fail);
        let of = |text: &str| text.parse::<Selector>().unwrap();
        assert_eq!(never(&of("service-go@v2"), &Scope::default(), &log).verdict, CheckVerdict::Pass);
        assert_eq!(never(&of("service-go@v3"), &Scope::default(), &log).verdict, CheckVerdict::Inconclusive);
    }

    #[test]
    fn never_finds_the_ejection_of_any_pod_it_names() {
        let log = log(&[(1500, out())], 9000);
        for (text, wanted) in [
            ("service-go@v2", CheckVerdict::Fail),
            ("service-go", CheckVerdict::Fail),
            ("*", CheckVerdict::Fail),
            ("service-go@v1", CheckVerdict::Pass),
        ] {
            assert_eq!(never(&text.parse().unwrap(), &Scope::default(), &log).verdict, wanted, "{text}");
        }
        let other = Scope { edge: Some("client -> service-go".parse().unwrap()), ..Scope::default() };
        assert_eq!(never(&"*".parse().unwrap(), &other, &log).verdict, CheckVerdict::Inconclusive);
    }
}
