//! The keys of a scenario.

use std::time::Duration;

use wavetank_control::config::yaml::{Limits, Mapping, Node, parse as parse_yaml};
use wavetank_control::config::{SourceFile, codes};
use wavetank_control::diagnostic::{Diagnostic, Span, at_most};

use super::fields::{Findings, Keys};
use super::include::{self, Files};
use super::model::{App, Compat, Scenario};
use super::moment::Times;
use super::{added, auto, config, expect, fault, network, over_time, routes, step, traffic};
use crate::check::Sources;
use crate::check::judge::share_of_budget;
use crate::check::power::DETECT_POINTS;
use crate::fault::LinkChange;
use crate::sweep::Seeds;

/// Where the manifests behind a path come from.
pub trait Manifests {
    /// The files that `path`, as the scenario writes it, stands for: itself, or those of a folder in the
    /// order of their names. They are named as seen from the scenario's folder.
    ///
    /// Errs with what is wrong with the path.
    fn read(&self, path: &str) -> Result<Vec<SourceFile>, String>;

    /// The scenario file at `path`, which is seen from the scenario's folder, under the name that messages show.
    ///
    /// Errs with what is wrong with the path.
    fn fragment(&self, path: &str) -> Result<SourceFile, String> {
        match self.read(path)?.as_slice() {
            [one] => Ok(one.clone()),
            _ => Err(format!("{path} is not one file")),
        }
    }
}

/// What came of reading a scenario.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The scenario, as far as it can be read.
    pub scenario: Option<Scenario>,
    /// Everything that is wrong with it.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts of the files it is read from, for the lines that messages show.
    pub sources: Sources,
}

pub(super) const SCENARIO: Keys = Keys {
    of: "a scenario",
    known: &[
        "scenario",
        "version",
        "include",
        "compat",
        "app",
        "config",
        "network",
        "traffic",
        "expect",
        "never",
        "routes",
        "faults",
        "steps",
        "each_step",
        "abort",
        "patch",
        "control_plane",
        "false_failure",
        "detect",
        "tags",
        "seed",
        "seeds",
        "until",
    ],
    later: &[],
};
pub(super) const APP: Keys = Keys { of: "app", known: &["use", "add"], later: &["remove", "zones"] };
const CONTROL_PLANE: Keys = Keys { of: "control_plane", known: &["push_delay"], later: &["debounce"] };
const PUSH_DELAY: Keys = Keys { of: "push_delay", known: &["min", "max"], later: &[] };
/// Rate of false failures of a whole run, where the scenario gives none.
pub const FALSE_FAILURE: f64 = 1e-6;

/// Reads a scenario. All problems are returned, in the order of their places; of its manifests only those
/// that cannot be read are.
///
/// # Errors
/// When there is any problem.
pub fn parse(source: &SourceFile, manifests: &dyn Manifests) -> Result<Scenario, Vec<Diagnostic>> {
    let parsed = parse_all(source, manifests);
    match parsed.scenario {
        Some(scenario) if parsed.diagnostics.is_empty() => Ok(scenario),
        _ => Err(parsed.diagnostics),
    }
}

/// Reads a scenario as far as it can be read, and everything that is wrong with it.
pub fn parse_all(source: &SourceFile, manifests: &dyn Manifests) -> Parsed {
    let mut findings = Findings::default();
    let mut files = Files::new(source);
    let parsed = parse_yaml(source, Limits::default());
    findings.extend(parsed.diagnostics);
    let documents: Vec<&Node> = parsed.documents.iter().filter(|document| !document.is_null()).collect();
    let scenario = match documents.as_slice() {
        [one] => findings.mapping(one, &SCENARIO).and_then(|own| {
            let whole = include::whole(own, manifests, &mut files, &mut findings);
            read(one, &whole, &files, manifests, &mut findings)
        }),
        [] => None,
        [_, second, ..] => {
            findings.wrong(&second.span, "a scenario file holds one scenario; this is a second document");
            None
        }
    };
    let mut found = at_most(findings.into_vec());
    if scenario.is_none() && found.is_empty() {
        let span = Span::at(source.name.clone(), 1, 1);
        found.push(Diagnostic::error(codes::MISSING_FIELD, &span, "there is no scenario in this file"));
    }
    Parsed { scenario, diagnostics: found, sources: files.texts() }
}

/// Reads the scenario of `node` with all its keys, those of fragments among them.
fn read(
    node: &Node,
    mapping: &Mapping,
    of: &Files,
    manifests: &dyn Manifests,
    findings: &mut Findings,
) -> Option<Scenario> {
    let name = match mapping.get("scenario") {
        Some(name) => findings.text(name, "scenario").unwrap_or_default().to_owned(),
        None => {
            let why =
                "a scenario needs the key `scenario`, which says what it shows; a part of others is read with them";
            findings.missing(&node.span, why);
            String::new()
        }
    };
    version(mapping, findings);
    let mut times = step::times(mapping.get("steps"), findings);
    let (mut traffic, open) = traffic::read(mapping.get("traffic"), &times, findings);
    let names: Vec<String> = traffic.iter().map(|traffic| traffic.name.clone()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let faults = fault::read(mapping.get("faults"), &mut times, findings);
    let weights = std::collections::BTreeMap::new();
    let detect = mapping.get("detect").and_then(|node| findings.read(node, "detect", over_time::points));
    let detect = detect.unwrap_or(DETECT_POINTS);
    let context = expect::Context { streams: &names, times: &times, weights: &weights, step: None, detect };
    let outer = crate::check::Scope::default();
    let mut checks = expect::entries(mapping.get("expect"), mapping.get("never"), &outer, &context, findings);
    // A misspelt key may be the one.
    let misspelt = mapping.iter().any(|(key, _)| !SCENARIO.known.contains(&key));
    if !misspelt && !["expect", "never", "routes", "steps", "each_step"].iter().any(|key| mapping.get(key).is_some()) {
        findings.missing(&node.span, "a scenario needs `expect`, `never` or `routes`: without them nothing is judged");
    }
    let mut config = config::read(mapping.get("config"), of, manifests, findings);
    step::patches(mapping.get("patch"), &mut config, findings);
    let rollout = step::read(mapping, &config, of, manifests, &context, findings);
    checks.splice(0..0, rollout.checks);
    let (false_failure, seeds) = (false_failure(mapping, findings), seeds(mapping, findings));
    let runs = seeds.map_or(1, Seeds::count);
    let alpha = share_of_budget(&checks, false_failure) / runs as f64;
    auto::choose(&open, &mut traffic, &checks, alpha, findings);
    let routes = routes::read(mapping.get("routes"), &config, findings);
    traffic.extend(crate::routes::probes(&routes));
    let (network, links) = network::read(mapping.get("network"), findings);
    let mut sources = of.texts();
    for file in config.iter().filter(|file| sources.text(&file.name).is_none()).cloned().collect::<Vec<_>>() {
        sources.insert(file.name.to_string(), file.text.to_string());
    }
    Some(Scenario {
        file: node.span.file.to_string(),
        name,
        compat: compat(mapping, findings),
        app: mapping.get("app").and_then(|node| app(node, findings)),
        add: added::read(mapping.get("app").and_then(|node| node.get("add")), findings),
        config,
        network,
        links,
        traffic,
        checks,
        routes,
        faults,
        steps: rollout.steps,
        abort: rollout.abort,
        push_delay: mapping.get("control_plane").and_then(|node| push_delay(node, findings)),
        false_failure,
        until: mapping.get("until").and_then(|node| until(node, &times, findings)),
        tags: tags(mapping, findings),
        seed: mapping.get("seed").and_then(|node| findings.whole(node, "seed", 0, i64::MAX as u64)),
        seeds,
        mentions: findings.take_mentions(),
        sources,
    })
}

pub(super) fn version(mapping: &Mapping, findings: &mut Findings) {
    if let Some(node) = mapping.get("version")
        && node.as_i64() != Some(1)
    {
        findings.wrong(&node.span, "version is 1: there is no other version of the format");
    }
}

fn compat(mapping: &Mapping, findings: &mut Findings) -> Compat {
    let Some(node) = mapping.get("compat") else { return Compat::default() };
    let read = |text: &str| match text {
        "1.0" => Ok(Compat::V1_0),
        "v1" => Ok(Compat::V1),
        other => Err(format!("`{other}` is neither \"1.0\" nor \"v1\"")),
    };
    findings.read(node, "compat", read).unwrap_or_default()
}

fn app(node: &Node, findings: &mut Findings) -> Option<App> {
    let name = if node.as_mapping().is_some() {
        let mapping = findings.mapping(node, &APP)?;
        match mapping.get("use") {
            Some(name) => name,
            None if mapping.get("add").is_some() => return None,
            None => {
                findings.missing(&node.span, "app needs the key `use` or `add`");
                return None;
            }
        }
    } else {
        node
    };
    if name.is_null() || name.as_str() == Some("none") {
        return None;
    }
    findings.read(name, "app", |text| match text {
        "istio-lab" => Ok(App::IstioLab),
        other => Err(format!("there is no app `{other}`; built in is istio-lab")),
    })
}

/// `{push_delay: {min: 10ms, max: 800ms}}`, or one time for all.
fn push_delay(node: &Node, findings: &mut Findings) -> Option<LinkChange> {
    let delay = findings.mapping(node, &CONTROL_PLANE)?.get("push_delay")?;
    if delay.as_mapping().is_none() {
        return Some(LinkChange::Delay { by: findings.duration(delay, "push_delay")?, jitter: Duration::ZERO });
    }
    let parts = findings.mapping(delay, &PUSH_DELAY)?;
    let min = parts.get("min").map_or(Some(Duration::ZERO), |node| findings.duration(node, "min"))?;
    let max = parts.get("max").map_or(Some(min), |node| findings.duration(node, "max"))?;
    let Some(jitter) = max.checked_sub(min) else {
        findings.wrong(&delay.span, "push_delay ends before it begins");
        return None;
    };
    Some(LinkChange::Delay { by: min, jitter })
}

fn seeds(mapping: &Mapping, findings: &mut Findings) -> Option<Seeds> {
    let entry = mapping.entry("seeds")?;
    if mapping.get("seed").is_some() {
        findings.wrong(&entry.key, "a scenario has a seed or seeds, not both");
    }
    findings.read(&entry.value, "seeds", str::parse)
}

fn until(node: &Node, times: &Times, findings: &mut Findings) -> Option<Duration> {
    let until = times.fixed(node, "until", findings)?;
    if until.is_zero() {
        findings.wrong(&node.span, "until: a run lasts longer than nothing");
    }
    Some(until)
}

/// A percentage, with or without its sign.
pub(super) fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim();
    let share = number.parse().ok().filter(|share| (0.0..=100.0).contains(share));
    share.ok_or_else(|| format!("`{text}` is not a percentage from 0 to 100"))
}

fn false_failure(mapping: &Mapping, findings: &mut Findings) -> f64 {
    let Some(node) = mapping.get("false_failure") else { return FALSE_FAILURE };
    findings.read(node, "false_failure", probability).unwrap_or(FALSE_FAILURE)
}

/// A probability above 0 and below 0.5, as a rate of false failures must be.
///
/// # Errors
/// When the text is no such number.
pub fn probability(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|alpha| *alpha > 0.0 && *alpha < 0.5);
    number.ok_or_else(|| format!("`{text}` is not a probability above 0 and below 0.5"))
}

fn tags(mapping: &Mapping, findings: &mut Findings) -> Vec<String> {
    let Some(node) = mapping.get("tags") else { return Vec::new() };
    let items = findings.items(node);
    items.iter().filter_map(|item| findings.text(item, "a tag").map(str::to_owned)).collect()
}
