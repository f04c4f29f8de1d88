//! What must hold over time: shares that steps set, configuration that arrives, aborts, recoveries, bodies.

use std::time::Duration;

use wavetank_control::config::yaml::{Entry, Mapping, Node};

use super::expect::{Context, check, demands};
use super::fields::{Findings, Keys};
use super::moment::Times;
use crate::check::{BodyMode, Check, Demand, Ejected, Scope};

const IN_SYNC: Keys = Keys { of: "in_sync", known: &["within"], later: &[] };
const ABORTED: Keys = Keys { of: "aborted", known: &["in", "within"], later: &[] };
const BODY: Keys = Keys { of: "body", known: &["is", "has", "lacks"], later: &["json"] };
const EJECTED: Keys = Keys { of: "ejected", known: &["endpoint", "within", "after", "for"], later: &[] };
const RECOVERS: Keys = Keys { of: "recovers", known: &["by", "to"], later: &[] };

/// The shares that the steps so far have set.
pub(super) fn as_configured(node: &Node, scope: &Scope, context: &Context<'_>, findings: &mut Findings) -> Vec<Demand> {
    let asked = scope.edge.as_ref().and_then(|edge| edge.destination.name());
    match asked.and_then(|service| context.weights.get(service)) {
        Some(arms) => vec![Demand::Split(arms.clone())],
        None => {
            findings
                .wrong(&node.span, "`as-configured` needs a step, this or one before, with `weights` of the service");
            Vec::new()
        }
    }
}

/// `count` and `detect`: what a decision of the splits of one expectation is, and what they are to see.
pub(super) fn decisions(mapping: &Mapping, checks: &mut [Check], context: &Context<'_>, findings: &mut Findings) {
    let mut detect = context.detect;
    if let Some(node) = mapping.get("detect") {
        detect = findings.read(node, "detect", points).unwrap_or(detect);
    }
    let attempts = mapping.get("count").and_then(|node| {
        findings.read(node, "count", |text| match text {
            "attempts" => Ok(true),
            "requests" => Ok(false),
            other => Err(format!("`{other}` is neither `attempts` nor `requests`")),
        })
    });
    let is_split = |check: &Check| matches!(check.demand, Demand::Split(_));
    if !checks.iter().any(is_split) {
        for entry in ["count", "detect"].into_iter().filter_map(|key| mapping.entry(key)) {
            findings.missing(&entry.key, "this is about the decisions of a `split`, which is not given");
        }
    }
    for check in checks {
        check.detect = detect;
        if let (Some(true), Demand::Split(arms)) = (attempts, &mut check.demand) {
            check.demand = Demand::AttemptSplit(std::mem::take(arms));
        }
    }
}

/// Points of a share, more than 0 and at most 50.
pub(super) fn points(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix("pt").unwrap_or(text).trim().parse().ok();
    let points = number.filter(|points: &f64| *points > 0.0 && *points <= 50.0);
    points.ok_or_else(|| format!("`{text}` is not a number of points above 0, and at most 50"))
}

/// `{config: service-node, in_sync: {within: 3s}}`.
pub(super) fn in_sync(mapping: &Mapping, own: &Entry, findings: &mut Findings) -> Vec<Demand> {
    let Some(of) = mapping.get("config") else {
        findings.missing(&own.key, "in_sync needs the key `config` beside it, which says whose");
        return Vec::new();
    };
    let of = findings.party(of, "config");
    let within = findings.mapping(&own.value, &IN_SYNC).map(|mapping| mapping.get("within"));
    let within = within.and_then(|within| match within {
        Some(node) => findings.duration(node, "within"),
        None => {
            findings.missing(&own.value.span, "in_sync needs the key `within`");
            None
        }
    });
    of.zip(within).map(|(of, within)| Demand::InSync(of, within)).into_iter().collect()
}

/// `{in: 50%, within: 8s}`.
pub(super) fn aborted(node: &Node, times: &Times, findings: &mut Findings) -> Option<Demand> {
    let mapping = findings.mapping(node, &ABORTED)?;
    let step = match mapping.get("in") {
        Some(step) => Some(findings.read(step, "in", |text| times.step(text))?),
        None => None,
    };
    let within = match mapping.get("within") {
        Some(within) => Some(findings.duration(within, "within")?),
        None => None,
    };
    Some(Demand::Aborted { step, within })
}

/// `{has: text}`, `{is: text}`, `{lacks: text}`.
pub(super) fn body(node: &Node, findings: &mut Findings) -> Vec<Demand> {
    let Some(mapping) = findings.mapping(node, &BODY) else { return Vec::new() };
    let mut demands = Vec::new();
    for (name, mode) in [("is", BodyMode::Is), ("has", BodyMode::Has), ("lacks", BodyMode::Lacks)] {
        if let Some(node) = mapping.get(name) {
            demands.extend(findings.text(node, name).map(|text| Demand::Body(mode, text.into())));
        }
    }
    demands
}

/// `{endpoint: service-go@v2#0, within: 1s, after: fault/1, for: 3m}`.
pub(super) fn ejected(
    own: &Entry,
    outer: &Scope,
    context: &Context<'_>,
    checks: &mut Vec<Check>,
    findings: &mut Findings,
) {
    let node = &own.value;
    let Some(mapping) = findings.mapping(node, &EJECTED) else { return };
    let Some(endpoint) = mapping.get("endpoint") else {
        findings.missing(&node.span, "ejected needs the key `endpoint`, like service-go@v2#0");
        return;
    };
    let Some(endpoint) = findings.destination(endpoint, "endpoint") else { return };
    let mut time = |name: &str| match mapping.get(name) {
        None => Some(None),
        Some(node) => findings.duration(node, name).map(Some),
    };
    let (Some(within), Some(lasts)) = (time("within"), time("for")) else { return };
    let mut scope = outer.clone();
    if let Some(node) = mapping.get("after") {
        let Some(after) = context.times.after(node, context.step, findings) else { return };
        scope.after = Some(after);
    }
    checks.push(check(Demand::Ejected(Ejected { endpoint, within, lasts }), &scope, own));
}

/// `{by: 90s, to: {split: …}}`: from then on it is so again.
pub(super) fn recovers(
    node: &Node,
    own: &Entry,
    outer: &Scope,
    context: &Context<'_>,
    checks: &mut Vec<Check>,
    findings: &mut Findings,
) {
    let Some(mapping) = findings.mapping(node, &RECOVERS) else { return };
    let (Some(by), Some(to)) = (mapping.get("by"), mapping.get("to")) else {
        findings.missing(&node.span, "recovers needs the keys `by` and `to`");
        return;
    };
    let Some(by) = context.times.fixed(by, "by", findings) else { return };
    let Some(to) = to.as_mapping() else {
        findings.wrong(&to.span, "`to` is what holds again, like {status: {200: all}}");
        return;
    };
    let end = outer.between.map_or(Duration::MAX, |(_, end)| end);
    let scope = Scope { between: Some((by, end)), ..outer.clone() };
    let before = checks.len();
    for (name, inner) in to.iter() {
        for demand in demands(name, &inner.value, findings) {
            checks.push(check(demand, &scope, own));
        }
    }
    if checks.len() == before {
        findings.missing(&node.span, "`to` asks for nothing; add `split`, `status`, `latency`, …");
    }
}
