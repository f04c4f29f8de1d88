//! A rollout: the entries of `steps`, what every step is judged by, and when all of it is aborted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use wavetank_control::config::SourceFile;
use wavetank_control::config::yaml::{Mapping, Node};

use super::config;
use super::expect::{self, Context};
use super::fields::{Findings, Keys};
use super::include::Files;
use super::model::{Abort, Step};
use super::moment::Times;
use super::parse::Manifests;
use super::patch;
use crate::check::{Arm, Check, Scope, StepScope};

pub(super) const STEP: Keys =
    Keys { of: "a step", known: &["name", "for", "patch", "weights", "config", "expect", "never"], later: &["delete"] };
pub(super) const EACH_STEP: Keys = Keys { of: "each_step", known: &["after", "expect", "never"], later: &[] };
pub(super) const ABORT: Keys = Keys { of: "abort", known: &["when", "do"], later: &[] };
const WHEN: Keys =
    Keys { of: "when", known: &["edge", "status", "window", "min_requests"], later: &["latency", "flags"] };
const ACTION: Keys = Keys { of: "an action", known: &["patch", "weights", "config"], later: &[] };
pub(super) const PATCH: Keys = Keys { of: "a patch", known: &["kind", "name", "namespace", "set"], later: &["remove"] };

/// How long an abort looks back, and how many requests it wants to see, when it does not say.
const WINDOW: Duration = Duration::from_secs(5);
const REQUESTS_MIN: u64 = 20;

/// Reads the names and times of the steps, which the rest of a scenario may refer to.
pub(super) fn times(node: Option<&Node>, findings: &mut Findings) -> Times {
    let mut times = Times::default();
    let mut at = Duration::ZERO;
    for (number, item) in node.map(|node| findings.items(node)).unwrap_or_default().iter().enumerate() {
        let Some(mapping) = findings.mapping(item, &STEP) else { continue };
        let name: Arc<str> = match mapping.get("name") {
            Some(name) => findings.text(name, "name").unwrap_or_default().into(),
            None => (number + 1).to_string().into(),
        };
        if times.steps.iter().any(|(own, _, _)| *own == name) {
            findings.wrong(&item.span, format!("there are two steps named `{name}`"));
        }
        let Some(lasts) = mapping.get("for") else {
            findings.missing(&item.span, "a step needs the key `for`, which says how long it lasts");
            continue;
        };
        let lasts = findings.duration(lasts, "for").unwrap_or_default();
        times.steps.push((name, at, at + lasts));
        at += lasts;
    }
    times
}

/// What the steps come to.
#[derive(Debug, Default)]
pub(super) struct Rollout {
    pub(super) steps: Vec<Step>,
    pub(super) abort: Option<Abort>,
    pub(super) checks: Vec<Check>,
}

/// Reads `steps`, `each_step` and `abort`; `files` are the manifests at the start.
pub(super) fn read(
    mapping: &Mapping,
    files: &[SourceFile],
    of: &Files,
    manifests: &dyn Manifests,
    outer: &Context<'_>,
    findings: &mut Findings,
) -> Rollout {
    let mut rollout = Rollout::default();
    let Some(node) = mapping.get("steps") else {
        for key in ["each_step", "abort"] {
            if let Some(entry) = mapping.entry(key) {
                findings.wrong(&entry.key, format!("`{key}` needs `steps`"));
            }
        }
        return rollout;
    };
    let mut changer = Changer { files: files.to_vec(), weights: BTreeMap::new(), of, manifests };
    let each = mapping.get("each_step").and_then(|node| findings.mapping(node, &EACH_STEP));
    let abort = mapping.get("abort").and_then(|node| Some((node, findings.mapping(node, &ABORT)?)));
    let when = abort.and_then(|(node, abort)| when(node, abort, findings));
    let actions = abort.and_then(|(_, abort)| abort.get("do"));
    let mut aborted = Vec::new();
    let items = findings.items(node).iter().filter_map(Node::as_mapping).filter(|step| step.get("for").is_some());
    let times = outer.times;
    for (item, (name, start, end)) in items.zip(&times.steps) {
        let changes = changer.change(item, findings);
        let own = StepScope { name: name.clone(), start: *start, end: *end };
        let context = Context { weights: &changer.weights, step: Some(name), ..*outer };
        let scope = Scope { step: Some(own), ..Scope::default() };
        rollout.checks.extend(expect::entries(item.get("expect"), item.get("never"), &scope, &context, findings));
        if let Some(each) = each {
            let after = each.get("after").and_then(|node| times.after(node, Some(name), findings));
            let scope = Scope { after, ..scope };
            rollout.checks.extend(expect::entries(each.get("expect"), each.get("never"), &scope, &context, findings));
        }
        rollout.steps.push(Step { name: name.clone(), duration: *end - *start, config: changes });
        if let Some(actions) = actions {
            let mut after = Changer { files: changer.files.clone(), weights: changer.weights.clone(), ..changer };
            for action in findings.items(actions) {
                if let Some(action) = findings.mapping(action, &ACTION) {
                    after.change(action, findings);
                }
            }
            aborted.push(after.files);
        }
    }
    rollout.abort = when.map(|when| Abort { config: aborted, ..when });
    findings.once();
    rollout
}

/// The manifests as steps change them.
struct Changer<'a> {
    files: Vec<SourceFile>,
    /// The weights that were set, by service.
    weights: BTreeMap<String, Vec<Arm>>,
    of: &'a Files,
    manifests: &'a dyn Manifests,
}

impl Changer<'_> {
    /// Makes the changes that a step or an action asks for, and returns the manifests when there are any.
    fn change(&mut self, mapping: &Mapping, findings: &mut Findings) -> Option<Vec<SourceFile>> {
        let asks = ["config", "patch", "weights"].iter().any(|key| mapping.get(key).is_some());
        if mapping.get("config").is_some() {
            self.files = config::read(mapping.get("config"), self.of, self.manifests, findings);
            self.weights.clear();
        }
        patches(mapping.get("patch"), &mut self.files, findings);
        if let Some(node) = mapping.get("weights") {
            self.set_weights(node, findings);
        }
        asks.then(|| self.files.clone())
    }

    fn set_weights(&mut self, node: &Node, findings: &mut Findings) {
        let Some(services) = node.as_mapping() else {
            findings.wrong(&node.span, "weights is a mapping, like {service-go: {v1: 90, v2: 10}}");
            return;
        };
        for (service, own) in services.iter() {
            let Some(arms) = own.value.as_mapping() else {
                findings.wrong(&own.value.span, "weights of a service are a mapping, like {v1: 90, v2: 10}");
                continue;
            };
            let read = arms
                .iter()
                .map(|(subset, own)| Some((subset.to_owned(), findings.whole(&own.value, "a weight", 0, 100)?)));
            let Some(weights) = read.collect::<Option<Vec<(String, u64)>>>() else { continue };
            let sum: u64 = weights.iter().map(|(_, weight)| weight).sum();
            if sum != 100 {
                findings.wrong(&own.value.span, format!("the weights add up to {sum}, not to 100"));
                continue;
            }
            match patch::set_weights(&mut self.files, service, &weights) {
                Ok(()) => {
                    let arm =
                        |(version, weight): (String, u64)| Arm { version: version.into(), percent: weight as f64 };
                    self.weights.insert(service.to_owned(), weights.into_iter().map(arm).collect());
                }
                Err(why) => findings.wrong(&own.key, why),
            }
        }
    }
}

/// Makes the changes of `patch` to manifests.
pub(super) fn patches(node: Option<&Node>, files: &mut [SourceFile], findings: &mut Findings) {
    for item in node.map(|node| findings.items(node)).unwrap_or_default() {
        let Some(mapping) = findings.mapping(item, &PATCH) else { continue };
        let mut text = |key: &str| {
            let Some(node) = mapping.get(key) else {
                findings.missing(&item.span, format!("a patch needs the key `{key}`"));
                return None;
            };
            findings.text(node, key)
        };
        let (Some(kind), Some(name)) = (text("kind"), text("name")) else { continue };
        let namespace = mapping.get("namespace").and_then(Node::scalar_text).unwrap_or("default");
        let Some(sets) = mapping.get("set").and_then(Node::as_mapping) else {
            findings.missing(&item.span, "a patch needs the key `set`, like {spec.mtls.mode: STRICT}");
            continue;
        };
        for (path, own) in sets.iter() {
            let parts: Vec<String> = path.split('.').map(str::to_owned).collect();
            let value = serde_json::to_value(own.value.to_value()).map_err(|error| error.to_string());
            let set = value.and_then(|value| patch::set(files, (kind, namespace, name), &parts, &value));
            if let Err(why) = set {
                findings.wrong(&own.key, why);
            }
        }
    }
}

fn when(node: &Node, abort: &Mapping, findings: &mut Findings) -> Option<Abort> {
    let (Some(when), Some(_)) = (abort.get("when"), abort.get("do")) else {
        findings.missing(&node.span, "abort needs the keys `when` and `do`");
        return None;
    };
    let mapping = findings.mapping(when, &WHEN)?;
    let edge = match mapping.get("edge") {
        Some(edge) => findings.edge(edge, "edge")?,
        None => {
            findings.missing(&when.span, "when needs the key `edge`");
            return None;
        }
    };
    let status = mapping.get("status").and_then(Node::as_mapping).and_then(|mapping| mapping.iter().next());
    let Some((class, own)) = status else {
        findings.missing(&when.span, "when needs the key `status`, like {5xx: '>5%'}");
        return None;
    };
    let class = match class.parse() {
        Ok(class) => class,
        Err(why) => {
            let why: String = why;
            findings.wrong(&own.key, why);
            return None;
        }
    };
    let amount = findings.read(&own.value, "status", str::parse)?;
    let window = mapping.get("window").map_or(Some(WINDOW), |node| findings.duration(node, "window"))?;
    let least = mapping.get("min_requests");
    let least = least.map_or(Some(REQUESTS_MIN), |node| findings.whole(node, "min_requests", 1, 1_000_000))?;
    Some(Abort { edge, class, amount, window, requests_min: least, config: Vec::new() })
}
