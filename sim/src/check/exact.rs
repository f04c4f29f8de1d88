//! Checks that are exact on the recorded run: status, TLS, attempts, endpoints, flags, latency.

use std::collections::BTreeMap;
use std::time::Duration;

use wavetank_reports::CheckVerdict;

use super::amount::Amount;
use super::demand::{Bound, Demand, Quantile, TlsMode, millis};
use super::finding::Finding;
use super::timeline;
use crate::observe::{Hop, Selector, Tls};

/// Kinds of observed values that are listed before the rest is summed up.
const LISTED_MAX: usize = 4;

/// Judges one demand on the hops of its scope.
pub(super) fn judge<'a>(demand: &Demand, hops: Vec<&'a Hop>) -> Finding<'a> {
    match demand {
        Demand::Status(class, amount) => {
            let seen = tally(&hops, status_text);
            counted("status", &class.to_string(), *amount, hops, seen, |hop| class.has(hop.status))
        }
        Demand::Flag(flag, amount) => {
            let seen = tally(&hops, |hop| if hop.flags.is_empty() { "-".to_owned() } else { hop.flags.join(",") });
            counted("flag", flag, *amount, hops, seen, |hop| hop.has_flag(flag))
        }
        Demand::Tls(mode) => tls(*mode, hops),
        Demand::Peer(identity) => peer(identity, hops),
        Demand::Attempts(amount) => {
            let summary = format!("attempts {amount}");
            every(
                summary,
                &amount.to_string(),
                &format!("did not take {amount} attempts"),
                hops,
                |hop| hop.attempts.to_string(),
                |hop| amount.accepts(u64::from(hop.attempts), u64::from(hop.attempts)),
            )
        }
        Demand::Reaches(selectors) => {
            let wanted = selectors.iter().map(Selector::to_string).collect::<Vec<_>>().join(", ");
            let wrong = format!("did not reach {}", wanted.replace(", ", " or "));
            every(format!("reaches {wanted}"), &wanted, &wrong, hops, endpoint_text, |hop| {
                selectors.iter().any(|own| own.selects_service(&hop.destination, hop.endpoint.as_ref()))
            })
        }
        Demand::Connect(failure) => {
            let wanted = failure.to_string();
            let wrong = format!("did not fail as `{wanted}`");
            every(format!("connect {wanted}"), &wanted, &wrong, hops, status_text, |hop| hop.failure == Some(*failure))
        }
        Demand::Latency(quantile, bound) => latency(*quantile, *bound, hops),
        Demand::InFlight(amount) => timeline::in_flight(*amount, hops),
        Demand::Split(_)
        | Demand::AttemptSplit(_)
        | Demand::Never(_)
        | Demand::Body(..)
        | Demand::InSync(..)
        | Demand::Ejected(_)
        | Demand::Aborted { .. } => unreachable!("judged in a room of their own"),
    }
}

/// So many of the hops are `right`.
fn counted<'a>(
    kind: &str,
    what: &str,
    amount: Amount,
    hops: Vec<&'a Hop>,
    seen: String,
    right: impl Fn(&Hop) -> bool,
) -> Finding<'a> {
    let summary = format!("{kind} {what} {amount}");
    let total = hops.len() as u64;
    if total == 0 && amount.needs_samples() {
        return Finding::inconclusive(summary, "no request crossed this edge");
    }
    let count = hops.iter().filter(|hop| right(hop)).count() as u64;
    let accepted = amount.accepts(count, total);
    let observed = format!("{what} {count} of {total}");
    if accepted {
        let allowed = amount.to_string();
        return Finding { expected: format!("{what} {amount}"), observed, allowed, ..Finding::pass(summary) };
    }
    // Too many are explained by those that are there, too few by those that are not.
    let too_many = matches!(amount, Amount::None | Amount::Below(_)) || count == total;
    Finding {
        verdict: CheckVerdict::Fail,
        expected: format!("{what} {amount}"),
        allowed: amount.to_string(),
        message: format!("{kind} {what} on {{edge}} is {count} of {total}, not {amount}"),
        label: format!("got {seen}"),
        observed,
        evidence: hops.into_iter().filter(|hop| right(hop) == too_many).collect(),
        ..Finding::pass(summary)
    }
}

/// Every hop is `right`; `otherwise` says of the others what they did not do, and `show` what they are instead.
fn every<'a>(
    summary: String,
    wanted: &str,
    otherwise: &str,
    hops: Vec<&'a Hop>,
    show: impl Fn(&Hop) -> String,
    right: impl Fn(&Hop) -> bool,
) -> Finding<'a> {
    let total = hops.len();
    if total == 0 {
        return Finding::inconclusive(summary, "no request crossed this edge");
    }
    let seen = tally(&hops, show);
    let wrong: Vec<&Hop> = hops.into_iter().filter(|hop| !right(hop)).collect();
    let finding = Finding {
        expected: wanted.to_owned(),
        observed: seen.clone(),
        allowed: "all".to_owned(),
        ..Finding::pass(summary.clone())
    };
    if wrong.is_empty() {
        return finding;
    }
    Finding {
        verdict: CheckVerdict::Fail,
        message: format!("{} of {total} on {{edge}} {otherwise}", wrong.len()),
        label: format!("got {seen}"),
        evidence: wrong,
        ..finding
    }
}

/// Every connection that was opened has this mode.
fn tls(mode: TlsMode, hops: Vec<&Hop>) -> Finding<'_> {
    let show = |hop: &Hop| hop.tls.as_ref().map(|tls| TlsMode::of(tls).to_string()).unwrap_or_default();
    let right = |hop: &Hop| hop.tls.as_ref().is_some_and(|tls| mode.is(tls));
    every_connection(mode.to_string(), &mode.to_string(), &format!("are not {mode}"), hops, show, right)
}

/// Like [`every`], of the hops that opened a connection; the others are left out.
fn every_connection<'a>(
    summary: String,
    wanted: &str,
    otherwise: &str,
    hops: Vec<&'a Hop>,
    show: impl Fn(&Hop) -> String,
    right: impl Fn(&Hop) -> bool,
) -> Finding<'a> {
    let connected: Vec<&Hop> = hops.iter().copied().filter(|hop| hop.tls.is_some()).collect();
    if connected.is_empty() && !hops.is_empty() {
        let why = format!("none of {} requests opened a connection", hops.len());
        return Finding { evidence: hops, ..Finding::inconclusive(summary, why) };
    }
    every(summary, wanted, otherwise, connected, show, right)
}

/// Every connection's caller proved this identity to its destination.
fn peer<'a>(identity: &str, hops: Vec<&'a Hop>) -> Finding<'a> {
    let caller = |hop: &Hop| match &hop.tls {
        Some(Tls::Mutual { caller, .. }) => caller.as_ref().map(|own| own.to_string()),
        _ => None,
    };
    let show = |hop: &Hop| caller(hop).unwrap_or_else(|| "no identity".to_owned());
    let otherwise = format!("did not prove the identity {identity}");
    every_connection(format!("peer {identity}"), identity, &otherwise, hops, show, |hop| {
        caller(hop).as_deref() == Some(identity)
    })
}

fn latency(quantile: Quantile, bound: Bound, hops: Vec<&Hop>) -> Finding<'_> {
    let mut latencies: Vec<Duration> = hops.iter().map(|hop| hop.latency).collect();
    latencies.sort_unstable();
    let rank = match quantile {
        Quantile::Max => latencies.len(),
        Quantile::Percentile(percent) => (percent / 100.0 * latencies.len() as f64).ceil() as usize,
    };
    let Some(found) = latencies.get(rank.saturating_sub(1)).copied() else {
        return Finding::inconclusive(format!("{quantile} {bound}"), "no request crossed this edge");
    };
    let summary = format!("{quantile} {} {bound}", millis(found));
    let finding = Finding {
        expected: format!("{quantile} {bound}"),
        observed: format!("{quantile} {}", millis(found)),
        allowed: bound.to_string(),
        ..Finding::pass(summary)
    };
    if bound.accepts(found) {
        return finding;
    }
    Finding {
        verdict: CheckVerdict::Fail,
        message: format!("{quantile} latency on {{edge}} is {}, not {bound}", millis(found)),
        label: format!("got {} over {} requests", millis(found), latencies.len()),
        evidence: hops.into_iter().filter(|hop| !bound.accepts(hop.latency)).collect(),
        ..finding
    }
}

/// What a hop ended with: `200`, `503 NC`, `refused`.
pub(super) fn status_text(hop: &Hop) -> String {
    let end = match hop.failure {
        Some(failure) if hop.status == 0 => failure.to_string(),
        _ => hop.status.to_string(),
    };
    if hop.flags.is_empty() { end } else { format!("{end} {}", hop.flags.join(",")) }
}

fn endpoint_text(hop: &Hop) -> String {
    match hop.endpoint.as_ref().map(|endpoint| endpoint.version.as_deref()) {
        Some(Some(version)) => format!("{}@{version}", hop.destination),
        Some(None) => hop.destination.to_string(),
        None => "nowhere".to_owned(),
    }
}

/// `200 × 1990, 503 UF × 10`, most frequent first.
fn tally(hops: &[&Hop], show: impl Fn(&Hop) -> String) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for hop in hops {
        *counts.entry(show(hop)).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let mut parts: Vec<String> =
        counts.iter().take(LISTED_MAX).map(|(value, count)| format!("{value} × {count}")).collect();
    if counts.len() > LISTED_MAX {
        parts.push(format!("{} more", counts.len() - LISTED_MAX));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::demand::StatusClass;
    use super::super::sample::{hop, hops_to, lost};
    use super::*;
    use crate::observe::Failure;

    fn verdict(demand: &Demand, hops: &[Hop]) -> CheckVerdict {
        judge(demand, hops.iter().collect()).verdict
    }

    #[test]
    fn status_counts_codes_and_classes() {
        let hops = [hop("v1"), hop("v2"), lost("v1")];
        let status = |class: &str, amount: &str| {
            Demand::Status(class.parse::<StatusClass>().unwrap(), amount.parse::<Amount>().unwrap())
        };
        assert_eq!(verdict(&status("200", "all"), &hops), CheckVerdict::Fail);
        assert_eq!(verdict(&status("2xx", "2"), &hops), CheckVerdict::Pass);
        assert_eq!(verdict(&status("5xx", "none"), &hops), CheckVerdict::Fail);
        assert_eq!(verdict(&status("404", "none"), &hops), CheckVerdict::Pass);
        assert_eq!(verdict(&status("404", "none"), &[]), CheckVerdict::Inconclusive);
        let found = judge(&status("200", "all"), hops.iter().collect());
        assert_eq!((found.label.as_str(), found.evidence.len()), ("got 200 × 2, 503 NC × 1", 1));
    }

    #[test]
    fn tls_and_peer_are_read_from_every_connection() {
        let plain = Hop { tls: Some(Tls::Plaintext), ..hop("v1") };
        let peer = |account: &str| Demand::Peer(format!("spiffe://cluster.local/ns/default/sa/{account}").into());
        assert_eq!(verdict(&Demand::Tls(TlsMode::Mtls), &hops_to(&[("v1", 3), ("", 2)])), CheckVerdict::Pass);
        assert_eq!(verdict(&Demand::Tls(TlsMode::Mtls), &[hop("v1"), plain.clone()]), CheckVerdict::Fail);
        assert_eq!(verdict(&Demand::Tls(TlsMode::Plaintext), std::slice::from_ref(&plain)), CheckVerdict::Pass);
        assert_eq!(verdict(&Demand::Tls(TlsMode::Mtls), &[lost("v1")]), CheckVerdict::Inconclusive);
        assert_eq!(verdict(&peer("service-node"), &[hop("v1")]), CheckVerdict::Pass);
        assert_eq!(verdict(&peer("service-go"), &[hop("v1")]), CheckVerdict::Fail);
        assert_eq!(verdict(&peer("service-node"), &[plain]), CheckVerdict::Fail);
    }

    #[test]
    fn attempts_endpoints_and_failures_hold_for_every_hop() {
        let twice = Hop { attempts: 2, ..hop("v1") };
        let at_most_one = Demand::Attempts("<=1".parse().unwrap());
        assert_eq!(verdict(&at_most_one, &[hop("v1")]), CheckVerdict::Pass);
        assert_eq!(verdict(&at_most_one, &[hop("v1"), twice]), CheckVerdict::Fail);
        let only_v1 = Demand::Reaches(vec!["service-go@v1".parse().unwrap()]);
        assert_eq!(verdict(&only_v1, &[hop("v1")]), CheckVerdict::Pass);
        assert_eq!(verdict(&only_v1, &[hop("v1"), hop("v2")]), CheckVerdict::Fail);
        assert_eq!(verdict(&only_v1, &[lost("v1")]), CheckVerdict::Fail);
        let refused = Hop { status: 0, failure: Some(Failure::Refused), ..lost("v1") };
        assert_eq!(verdict(&Demand::Connect(Failure::Refused), &[refused]), CheckVerdict::Pass);
        assert_eq!(verdict(&Demand::Connect(Failure::Refused), &[hop("v1")]), CheckVerdict::Fail);
    }

    #[test]
    fn a_quantile_is_the_nearest_rank() {
        let at = |ms| Hop { latency: Duration::from_millis(ms), ..hop("v1") };
        let hops: Vec<Hop> = (1..=100).map(at).collect();
        let p =
            |percent, below| Demand::Latency(Quantile::Percentile(percent), Bound::Below(Duration::from_micros(below)));
        assert_eq!(verdict(&p(50.0, 50_001), &hops), CheckVerdict::Pass);
        assert_eq!(verdict(&p(50.0, 50_000), &hops), CheckVerdict::Fail);
        assert_eq!(judge(&p(99.0, 100_000), hops.iter().collect()).summary, "p99 99ms < 100ms");
    }
}
