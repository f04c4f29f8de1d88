//! What must not happen: judged on every opportunity, and told with the smallest leak it would have seen.

use wavetank_reports::CheckVerdict;

use super::binomial::smallest_leak;
use super::demand::{Pattern, Scope};
use super::exact::status_text;
use super::finding::Finding;
use crate::observe::{Hop, ObservationLog};

/// Judges that nothing in `scope` matches `pattern`. Where it is about retries of some methods, only requests with
/// these are opportunities.
///
/// An empty pattern means that no request crosses the edge; its opportunities are the clients' calls. Any
/// other is looked for on the hops of the edge, or in the bodies the clients got.
pub(super) fn judge<'a>(pattern: &Pattern, scope: &'a Scope, log: &'a ObservationLog) -> Finding<'a> {
    let summary = summary(pattern);
    let (opportunities, matches) = if pattern.body_has.is_some() {
        bodies(pattern, scope, log)
    } else if *pattern == Pattern::default() {
        (scope.calls(log).count() as u64, scope.hops(log).map(Match::of).collect())
    } else {
        let is_asked = |hop: &&Hop| pattern.retry.as_ref().is_none_or(|retry| retry.is_about(hop));
        let hops: Vec<&Hop> = scope.hops(log).filter(is_asked).collect();
        let count = hops.len() as u64;
        (count, hops.into_iter().filter(|hop| matches(pattern, hop)).map(Match::of).collect())
    };
    if opportunities == 0 && matches.is_empty() {
        return Finding::inconclusive(summary, "there was no request that could have done it");
    }
    let count = matches.len();
    let finding = Finding {
        expected: "none".to_owned(),
        observed: format!("{count} of {opportunities}"),
        allowed: "0".to_owned(),
        power: Some(format!("a {:.2}% leak would show", smallest_leak(opportunities) * 100.0)),
        ..Finding::pass(summary.clone())
    };
    let Some(first) = matches.first() else { return finding };
    Finding {
        verdict: CheckVerdict::Fail,
        message: format!("{count} of {opportunities} on {{edge}}: {summary}"),
        label: format!("the first is {}", first.text),
        power: None,
        evidence: matches.into_iter().filter_map(|found| found.hop).collect(),
        ..finding
    }
}

/// One thing that should not have happened.
struct Match<'a> {
    text: String,
    hop: Option<&'a Hop>,
}

impl<'a> Match<'a> {
    fn of(hop: &'a Hop) -> Self {
        let at = hop.at.since_start().as_secs_f64();
        let text =
            format!("request {} at {at:.3}s, {} -> {}, {}", hop.request, hop.source, hop.destination, status_text(hop));
        Self { text, hop: Some(hop) }
    }
}

fn matches(pattern: &Pattern, hop: &Hop) -> bool {
    let reaches = |own: &crate::observe::Selector| own.selects_service(&hop.destination, hop.endpoint.as_ref());
    pattern.status.is_none_or(|own| own.has(hop.status))
        && pattern.tls.is_none_or(|own| hop.tls.as_ref().is_some_and(|tls| own.is(tls)))
        && pattern.reaches.as_ref().is_none_or(reaches)
        && (pattern.retry.is_none() || hop.attempts > 1)
        && pattern.flag.as_ref().is_none_or(|own| hop.has_flag(own))
}

/// Calls whose body has the text. An edge in the scope, or other parts of the pattern, narrow the calls by
/// what the call itself shows: its caller, its destination and its status.
fn bodies<'a>(pattern: &Pattern, scope: &'a Scope, log: &'a ObservationLog) -> (u64, Vec<Match<'a>>) {
    let wanted = pattern.body_has.as_deref().unwrap_or_default();
    let mut opportunities = 0;
    let mut found = Vec::new();
    for call in scope.calls(log) {
        let on_edge = scope.edge.as_ref().is_none_or(|edge| {
            edge.source.selects_party(&call.source) && edge.destination.selects_service(&call.destination, None)
        });
        if !on_edge {
            continue;
        }
        opportunities += 1;
        if pattern.status.is_none_or(|own| own.has(call.status)) && call.body.contains(wanted) {
            let at = call.at.since_start().as_secs_f64();
            let text = format!("request {} at {at:.3}s: {}", call.request, shortened(&call.body));
            found
                .push(Match { text, hop: log.hops().find(|hop| hop.request == call.request && !hop.flags.is_empty()) });
        }
    }
    (opportunities, found)
}

fn shortened(body: &str) -> String {
    const SHOWN_MAX: usize = 120;
    let mut text: String = body.chars().take(SHOWN_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if body.chars().count() > SHOWN_MAX {
        text.push('…');
    }
    text
}

fn summary(pattern: &Pattern) -> String {
    let mut parts = Vec::new();
    parts.extend(pattern.status.map(|own| format!("status {own}")));
    parts.extend(pattern.tls.map(|own| own.to_string()));
    parts.extend(pattern.reaches.as_ref().map(|own| format!("reaches {own}")));
    parts.extend(pattern.flag.as_ref().map(|own| format!("flag {own}")));
    parts.extend(pattern.body_has.as_ref().map(|own| format!("body has {own}")));
    parts.extend(pattern.retry.as_ref().map(ToString::to_string));
    if parts.is_empty() { "never".to_owned() } else { format!("never {}", parts.join(", ")) }
}
