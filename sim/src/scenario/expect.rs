//! What must hold: the entries of `expect` and `never`, one check for each thing they ask.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use wavetank_control::config::yaml::{Entry, Mapping, Node};
use wavetank_control::diagnostic::Span;
use wavetank_reports::Place;

use super::fields::{Findings, Keys};
use super::moment::Times;
use super::parse::percent;
use super::{over_time, retry};
use crate::check::power::DETECT_POINTS;
use crate::check::{Amount, Arm, Bound, Check, Demand, Pattern, Quantile, Quantity, Scope, TlsMode};
use crate::observe::Failure;

pub(super) const EXPECT: Keys = Keys {
    of: "an expectation",
    known: &[
        "edge",
        "traffic",
        "between",
        "split",
        "count",
        "detect",
        "status",
        "tls",
        "peer",
        "attempts",
        "reaches",
        "flags",
        "connect",
        "latency",
        "never",
        "after",
        "body",
        "in_flight",
        "recovers",
        "config",
        "in_sync",
        "aborted",
        "ejected",
    ],
    later: &["window"],
};
pub(super) const NEVER: Keys = Keys {
    of: "never",
    known: &["edge", "traffic", "between", "after", "when", "status", "tls", "reaches", "flags", "retry", "ejected"],
    later: &[],
};
const WHEN: Keys = Keys { of: "when", known: &["body_has"], later: &[] };
const LIMITS: Keys = Keys { of: "an amount", known: &["min", "max"], later: &[] };

/// What expectations may refer to.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    /// Names of the traffic.
    pub(super) streams: &'a [&'a str],
    /// Times of steps and faults.
    pub(super) times: &'a Times,
    /// Weights that steps have set so far, by service.
    pub(super) weights: &'a BTreeMap<String, Vec<Arm>>,
    /// The step they stand in.
    pub(super) step: Option<&'a Arc<str>>,
    /// A shift of shares by this many points is to be seen.
    pub(super) detect: f64,
}

/// Reads `expect` and `never` that stand beside each other; `outer` is what all of them are about.
pub(super) fn entries(
    expect: Option<&Node>,
    never: Option<&Node>,
    outer: &Scope,
    context: &Context<'_>,
    findings: &mut Findings,
) -> Vec<Check> {
    let mut checks = Vec::new();
    for item in expect.map(|node| findings.items(node)).unwrap_or_default() {
        entry(item, outer, context, &mut checks, findings);
    }
    for item in never.map(|node| findings.items(node)).unwrap_or_default() {
        never_entry(item, &item.span, outer, context, &mut checks, findings);
    }
    checks
}

fn entry(node: &Node, outer: &Scope, context: &Context<'_>, checks: &mut Vec<Check>, findings: &mut Findings) {
    let Some(mapping) = findings.mapping(node, &EXPECT) else { return };
    // What else is wrong is told as well.
    let scope = scope(mapping, outer, context, findings).unwrap_or_else(|| outer.clone());
    let before = checks.len();
    for (name, own) in mapping.iter() {
        if name == "never" {
            never_entry(&own.value, &own.key, &scope, context, checks, findings);
            continue;
        }
        let made = match name {
            "recovers" => {
                over_time::recovers(&own.value, own, &scope, context, checks, findings);
                continue;
            }
            "ejected" => {
                over_time::ejected(own, &scope, context, checks, findings);
                continue;
            }
            "split" if own.value.as_str() == Some("as-configured") => {
                over_time::as_configured(&own.value, &scope, context, findings)
            }
            "in_sync" => over_time::in_sync(mapping, own, findings),
            "aborted" => over_time::aborted(&own.value, context.times, findings).into_iter().collect(),
            _ => demands(name, &own.value, findings),
        };
        for demand in made {
            checks.push(check(demand, &scope, own));
        }
    }
    over_time::decisions(mapping, &mut checks[before..], context, findings);
    if let (Some(own), None) = (mapping.entry("config"), mapping.get("in_sync")) {
        findings.missing(&own.key, "`config` names whose configuration is to be `in_sync`, which is not given");
    }
    let asks =
        mapping.iter().any(|(name, _)| !matches!(name, "edge" | "traffic" | "between" | "after" | "count" | "detect"));
    if checks.len() == before && !asks {
        findings.missing(&node.span, "this expectation asks for nothing; add `split`, `status`, `tls`, …");
    }
    let needs_edge = |check: &&Check| {
        use Demand::{Aborted, Body, Ejected, Flag, InSync, Never, Status};
        let anywhere = matches!(
            check.demand,
            Flag(..) | Status(..) | Never(_) | Body(..) | InSync(..) | Ejected(_) | Aborted { .. }
        );
        !anywhere
    };
    let has_edge = scope.edge.is_some() || mapping.get("edge").is_some();
    if !has_edge && checks[before..].iter().any(|check| needs_edge(&check)) {
        findings.missing(&node.span, "this expectation needs the key `edge`, like `service-node -> service-go`");
    }
}

pub(super) fn check(demand: Demand, scope: &Scope, own: &Entry) -> Check {
    let (asked_at, width) = place(&own.key, &own.value.span);
    Check { asked_at, width, scope: scope.clone(), demand, detect: DETECT_POINTS }
}

/// From the start of one span to the end of another, cut at the end of the line.
pub(super) fn place(from: &Span, to: &Span) -> (Place, usize) {
    let width = if to.end_line == from.line { to.end_column.saturating_sub(from.column) as usize } else { usize::MAX };
    (Place::new(from.file.to_string(), from.line, from.column), width)
}

fn scope(mapping: &Mapping, outer: &Scope, context: &Context<'_>, findings: &mut Findings) -> Option<Scope> {
    let mut scope = outer.clone();
    if let Some(edge) = mapping.get("edge") {
        scope.edge = Some(findings.edge(edge, "edge")?);
    }
    if let Some(node) = mapping.get("traffic") {
        let known = |text: &str| {
            let wrong = || format!("there is no traffic named `{text}`");
            context.streams.contains(&text).then(|| Arc::from(text)).ok_or_else(wrong)
        };
        scope.traffic = Some(findings.read(node, "traffic", known)?);
    }
    if let Some(node) = mapping.get("between") {
        scope.between = Some(between(node, context.times, findings)?);
    }
    if let Some(node) = mapping.get("after") {
        scope.after = Some(context.times.after(node, context.step, findings)?);
    }
    Some(scope)
}

fn between(node: &Node, times: &Times, findings: &mut Findings) -> Option<(Duration, Duration)> {
    let Some([from, to]) = node.as_sequence() else {
        findings.wrong(&node.span, "between is a list of two times, like [0s, 30s]");
        return None;
    };
    let mut time = |node: &Node| times.fixed(node, "between", findings);
    let found = (time(from)?, time(to)?);
    if found.0 >= found.1 {
        findings.wrong(&node.span, "between ends before it begins");
        return None;
    }
    Some(found)
}

/// The checks that one key asks for; none for a key that is not one.
pub(super) fn demands(name: &str, node: &Node, findings: &mut Findings) -> Vec<Demand> {
    match name {
        "split" => split(node, findings).map(Demand::Split).into_iter().collect(),
        "status" => amounts(node, "status", findings, Demand::Status),
        "flags" => amounts(node, "flags", findings, |flag: Flag, amount| Demand::Flag(flag.0, amount)),
        "tls" => findings.read(node, "tls", tls_mode).map(Demand::Tls).into_iter().collect(),
        "peer" => findings.text(node, "peer").map(|peer| Demand::Peer(peer.into())).into_iter().collect(),
        "attempts" => attempts(node, findings).map(Demand::Attempts).into_iter().collect(),
        "reaches" => {
            let items = findings.items(node);
            let reached: Vec<_> = items.iter().filter_map(|item| findings.destination(item, "reaches")).collect();
            if reached.is_empty() { Vec::new() } else { vec![Demand::Reaches(reached)] }
        }
        "connect" => findings.read(node, "connect", failure).map(Demand::Connect).into_iter().collect(),
        "latency" => latency(node, findings),
        "body" => over_time::body(node, findings),
        "in_flight" => amount(node, "in_flight", findings).map(Demand::InFlight).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn split(node: &Node, findings: &mut Findings) -> Option<Vec<Arm>> {
    let Some(mapping) = node.as_mapping() else {
        findings.wrong(&node.span, "split is a mapping of versions to percentages, like {v1: 70, v2: 30}");
        return None;
    };
    let mut arms = Vec::new();
    for (version, own) in mapping.iter() {
        let percent = findings.read(&own.value, "a share", percent)?;
        arms.push(Arm { version: version.into(), percent });
    }
    let sum: f64 = arms.iter().map(|arm| arm.percent).sum();
    if (sum - 100.0).abs() > 1e-9 {
        findings.wrong(&node.span, format!("the shares of a split add up to {sum}, not to 100"));
        return None;
    }
    Some(arms)
}

/// One check for each field of a mapping from what is counted to how much of it there may be.
fn amounts<K: std::str::FromStr<Err = String>>(
    node: &Node,
    what: &str,
    findings: &mut Findings,
    demand: impl Fn(K, Amount) -> Demand,
) -> Vec<Demand> {
    let Some(mapping) = node.as_mapping() else {
        findings.wrong(&node.span, format!("{what} is a mapping, like {{200: all}}"));
        return Vec::new();
    };
    let mut demands = Vec::new();
    for (name, own) in mapping.iter() {
        let counted = match name.parse() {
            Ok(counted) => Some(counted),
            Err(why) => {
                findings.wrong(&own.key, why);
                None
            }
        };
        let amount = amount(&own.value, what, findings);
        demands.extend(counted.zip(amount).map(|(counted, amount)| demand(counted, amount)));
    }
    demands
}

fn amount(node: &Node, what: &str, findings: &mut Findings) -> Option<Amount> {
    if node.as_mapping().is_none() {
        return findings.read(node, what, str::parse);
    }
    let mapping = findings.mapping(node, &LIMITS)?;
    let mut limit = |name: &str| mapping.get(name).map(|node| findings.read(node, name, str::parse::<Quantity>));
    let (min, max) = (limit("min"), limit("max"));
    if min.is_none() && max.is_none() {
        findings.missing(&node.span, "an amount needs `min` or `max`");
        return None;
    }
    Some(Amount::Within(min.map_or(Some(None), |min| min.map(Some))?, max.map_or(Some(None), |max| max.map(Some))?))
}

fn attempts(node: &Node, findings: &mut Findings) -> Option<Amount> {
    let amount = amount(node, "attempts", findings)?;
    if !amount.is_count() {
        findings.wrong(&node.span, "attempts is a count for each request, like 1 or {max: 2}");
        return None;
    }
    Some(amount)
}

/// Envoy's response flags by their short names.
pub(crate) const FLAGS: [&str; 30] = [
    "DC", "DF", "DI", "DO", "DPE", "DR", "DT", "FI", "IH", "LH", "LR", "NC", "NFCF", "NR", "OM", "RFCF", "RL", "RLSE",
    "SI", "UAEX", "UC", "UDO", "UF", "UH", "UMSDR", "UO", "UPE", "UR", "URX", "UT",
];

struct Flag(Arc<str>);

impl std::str::FromStr for Flag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_flag = FLAGS.contains(&text);
        let wrong = || format!("`{text}` is not a response flag of Envoy's; they are {}", FLAGS.join(", "));
        is_flag.then(|| Self(text.into())).ok_or_else(wrong)
    }
}

fn tls_mode(text: &str) -> Result<TlsMode, String> {
    match text {
        "mtls" => Ok(TlsMode::Mtls),
        "plaintext" => Ok(TlsMode::Plaintext),
        "simple" => Ok(TlsMode::Simple),
        other => Err(format!("`{other}` is not mtls, plaintext or simple")),
    }
}

fn failure(text: &str) -> Result<Failure, String> {
    match text {
        "refused" => Ok(Failure::Refused),
        "reset" => Ok(Failure::Reset),
        "timeout" => Ok(Failure::Timeout),
        "unresolved" => Ok(Failure::Unresolved),
        other => Err(format!("`{other}` is not refused, reset, timeout or unresolved")),
    }
}

fn latency(node: &Node, findings: &mut Findings) -> Vec<Demand> {
    let Some(mapping) = node.as_mapping() else {
        findings.wrong(&node.span, "latency is a mapping, like {p99: <40ms}");
        return Vec::new();
    };
    let mut demands = Vec::new();
    for (name, own) in mapping.iter() {
        let percent = name.strip_prefix('p').and_then(|number| number.parse().ok());
        let quantile = match (name, percent.filter(|percent| *percent > 0.0 && *percent <= 100.0)) {
            ("max", _) => Some(Quantile::Max),
            (_, Some(percent)) => Some(Quantile::Percentile(percent)),
            _ => {
                findings.wrong(&own.key, format!("`{name}` is not a quantile like p50, p99.9 or max"));
                None
            }
        };
        let bound = findings.read(&own.value, "latency", bound);
        demands.extend(quantile.zip(bound).map(|(quantile, bound)| Demand::Latency(quantile, bound)));
    }
    demands
}

fn bound(text: &str) -> Result<Bound, String> {
    let duration = |text: &str| wavetank_control::config::duration::parse(text.trim());
    match (text.strip_prefix('<'), text.strip_prefix('>')) {
        (Some(rest), _) => duration(rest).map(Bound::Below),
        (_, Some(rest)) => duration(rest).map(Bound::Above),
        _ => Err(format!("`{text}` is not a bound like `<40ms`")),
    }
}

fn never_entry(
    node: &Node,
    key: &Span,
    outer: &Scope,
    context: &Context<'_>,
    checks: &mut Vec<Check>,
    findings: &mut Findings,
) {
    let Some(mapping) = findings.mapping(node, &NEVER) else { return };
    let Some(scope) = scope(mapping, outer, context, findings) else { return };
    let Some(pattern) = pattern(mapping, findings) else { return };
    if pattern.ejected.is_some() && pattern != (Pattern { ejected: pattern.ejected.clone(), ..Pattern::default() }) {
        findings.wrong(&node.span, "`ejected` is of proxies, not of requests: it stands in a `never` of its own");
        return;
    }
    if pattern == Pattern::default() && mapping.get("edge").is_none() {
        findings.missing(
            &node.span,
            "never needs `edge`, `when`, `status`, `tls`, `reaches`, `flags`, `retry` or `ejected`",
        );
        return;
    }
    let (asked_at, width) = place(key, &node.span);
    checks.push(Check { asked_at, width, scope, demand: Demand::Never(pattern), detect: context.detect });
}

fn pattern(mapping: &Mapping, findings: &mut Findings) -> Option<Pattern> {
    let mut pattern = Pattern::default();
    if let Some(node) = mapping.get("status") {
        pattern.status = Some(findings.read(node, "status", str::parse)?);
    }
    if let Some(node) = mapping.get("tls") {
        pattern.tls = Some(findings.read(node, "tls", tls_mode)?);
    }
    if let Some(node) = mapping.get("reaches") {
        pattern.reaches = Some(findings.destination(node, "reaches")?);
    }
    if let Some(node) = mapping.get("flags") {
        pattern.flag = Some(findings.read(node, "flags", str::parse::<Flag>)?.0);
    }
    if let Some(node) = mapping.get("retry") {
        pattern.retry = Some(retry::read(node, findings)?);
    }
    if let Some(node) = mapping.get("ejected") {
        pattern.ejected = Some(findings.destination(node, "ejected")?);
    }
    if let Some(node) = mapping.get("when") {
        let when = findings.mapping(node, &WHEN)?;
        let body = when.get("body_has")?;
        pattern.body_has = Some(findings.text(body, "body_has")?.into());
    }
    Some(pattern)
}
