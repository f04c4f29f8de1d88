//! What the values of the format's keys may be: the schema of each key of each table.
//!
//! The parser has the last word; a value that this refuses, it refuses too. Patterns are plain enough to mean the same
//! in every editor.

use serde_json::{Value, json};

use super::reference;
use crate::scenario::tables::{COUNT_MAX, FLAGS, METHODS};

/// `3s`, `1m30s`, `0.5s`.
const DURATION: &str = r"([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)";
/// A workload or Service, with version and pod or without.
const NAME: &str = r"[^\s<>]+";
/// A status or a hundred of them.
const STATUS: &str = "([1-5]xx|[1-5][0-9][0-9])";
/// `100Mbit/s`.
const BITS: &str = r"^[0-9]+\s*(bit|kbit|Mbit|Gbit)/s$";
/// The keys that say what breaks.
const BREAKS: [&str; 10] =
    ["partition", "delay", "loss", "bandwidth", "kill", "power_off", "delete", "restart", "slow", "fail"];

/// What the key `key` of the table `of` may hold; `None` where a table of its own says it.
pub(super) fn value(of: &str, key: &str) -> Option<Value> {
    Some(match (of, key) {
        ("a scenario", "scenario") | ("a step", "name") => json!({ "type": ["string", "number", "boolean"] }),
        (_, "version") if of == "a scenario" => json!({ "enum": [1] }),
        // Without quotes YAML reads a number.
        (_, "compat") => json!({ "enum": ["1.0", "v1", 1.0] }),
        (_, "config") if of == "an expectation" => name(),
        (_, "config" | "tags") => one_or_many(&json!({ "type": "string" })),
        (_, "control_plane") => object(
            &[("push_delay", any(vec![duration(), object(&[("min", duration()), ("max", duration())], &[])]))],
            &[],
        ),
        (_, "false_failure") => any(vec![json!({ "type": "number", "minimum": 0, "maximum": 0.5 }), text()]),
        ("a scenario", "include") => one_or_many(&json!({ "type": "string" })),
        ("a scenario", "until") => moment(),
        ("a scenario", "seeds") => any(vec![whole(1, i64::MAX as u64), pattern(r"^[0-9]+(\.\.=?[0-9]+)?$")]),
        (_, "detect") => percent(),
        (_, "seed") => json!({ "type": "integer", "minimum": 0, "maximum": i64::MAX }),
        ("app", "use") => app(),
        ("network" | "a link", "loss") => percent(),
        ("network" | "a link", "bandwidth") => pattern(BITS),
        ("a link", "link") => link(),
        ("a link", "jitter") => duration(),
        ("body", "size") => pattern(r"^[0-9]+\s*(KiB|MiB|kB|MB|B)$"),
        ("retry", "method") => one_or_many(&json!({ "enum": METHODS })),
        (_, "edge") => pattern(&format!(r"^\s*{NAME}\s*->\s*{NAME}\s*$")),
        ("traffic", key) => traffic(key)?,
        ("an expectation", key) => expectation(key)?,
        ("never", key) => never(key)?,
        ("a row of routes", key) => row(key)?,
        ("a fault", key) => fault(key)?,
        ("a step" | "each_step" | "abort" | "a patch", key) => step(key)?,
        ("an added service", key) => added(key)?,
        ("latency", _) => duration(),
        _ => return None,
    })
}

/// What a table may be written as instead of a mapping.
pub(super) fn instead(of: &str) -> Option<Value> {
    match of {
        "traffic" => Some(pattern(&format!("^([1-9][0-9]*|auto) {}$", request()))),
        "body" => Some(text()),
        "retry" => Some(json!({ "enum": ["any"] })),
        "app" => Some(app()),
        "latency" => Some(duration()),
        _ => None,
    }
}

/// Keys of which a table needs at least one.
pub(super) fn one_of(of: &str) -> Vec<&'static str> {
    match of {
        // What is included may bring the checks.
        "a scenario" => vec!["expect", "never", "routes", "steps", "each_step", "include"],
        "a row of routes" => vec!["goes_to", "status"],
        "a fault" => BREAKS.to_vec(),
        "app" => vec!["use", "add"],
        _ => Vec::new(),
    }
}

fn traffic(key: &str) -> Option<Value> {
    Some(match key {
        "name" => text(),
        "request" => pattern(&format!("^{}$", request())),
        "from" => name(),
        "headers" => headers(),
        "open" => pattern(r"^[0-9]*\.?[0-9]+\s*/s$"),
        "arrivals" => json!({ "enum": ["poisson", "even"] }),
        "closed" => object(&[("clients", whole(1, 10_000)), ("think", duration())], &["clients"]),
        "count" => any(vec![whole(1, COUNT_MAX), json!({ "enum": ["auto"] })]),
        "for" | "timeout" => duration(),
        "at" => moment(),
        _ => return None,
    })
}

fn expectation(key: &str) -> Option<Value> {
    Some(match key {
        "traffic" | "peer" => text(),
        "between" => json!({ "type": "array", "items": moment(), "minItems": 2, "maxItems": 2 }),
        "after" => after(),
        "split" => any(vec![json!({ "enum": ["as-configured"] }), map(".", &percent())]),
        "status" => map(&format!("^{STATUS}$"), &amount()),
        "tls" => json!({ "enum": ["mtls", "plaintext", "simple"] }),
        "attempts" | "in_flight" => amount(),
        "reaches" => one_or_many(&name()),
        "flags" => map(&format!("^({})$", FLAGS.join("|")), &amount()),
        "count" => json!({ "enum": ["attempts", "requests"] }),
        "ejected" => object(
            &[("endpoint", name()), ("within", duration()), ("after", after()), ("for", duration())],
            &["endpoint"],
        ),
        "connect" => json!({ "enum": ["refused", "reset", "timeout", "unresolved"] }),
        "latency" => map(r"^(max|p[0-9]+(\.[0-9]+)?)$", &pattern(&format!(r"^[<>]\s*({DURATION})+$"))),
        "body" => object(&[("is", text()), ("has", text()), ("lacks", text())], &[]),
        "recovers" => object(&[("by", moment()), ("to", reference("an expectation"))], &["by", "to"]),
        "in_sync" => object(&[("within", duration())], &["within"]),
        "aborted" => object(&[("in", json!({ "type": ["string", "number"] })), ("within", duration())], &[]),
        _ => return None,
    })
}

fn never(key: &str) -> Option<Value> {
    Some(match key {
        "when" => object(&[("body_has", text())], &["body_has"]),
        "status" => any(vec![whole(100, 599), pattern(&format!("^{STATUS}$"))]),
        "reaches" | "ejected" => name(),
        "flags" => json!({ "enum": FLAGS }),
        "traffic" | "between" | "after" | "tls" => expectation(key)?,
        _ => return None,
    })
}

fn row(key: &str) -> Option<Value> {
    Some(match key {
        "host" | "from" | "goes_to" => one_or_many(&text()),
        "headers" => one_or_many(&headers()),
        "status" => whole(100, 599),
        method if METHODS.contains(&method) => one_or_many(&pattern(r"^/\S*$")),
        _ => return None,
    })
}

fn fault(key: &str) -> Option<Value> {
    Some(match key {
        "at" => moment(),
        "for" => duration(),
        "may_miss" => json!({ "type": "boolean" }),
        "partition" => link(),
        "delay" => object(&[("link", link()), ("by", duration()), ("jitter", duration())], &["link", "by"]),
        "loss" => object(&[("link", link()), ("rate", percent())], &["link", "rate"]),
        "bandwidth" => object(&[("link", link()), ("rate", pattern(BITS))], &["link", "rate"]),
        "kill" | "power_off" | "delete" | "restart" => name(),
        "slow" => object(&[("at", name()), ("by", duration())], &["at", "by"]),
        "fail" => object(&[("at", name()), ("status", whole(200, 599)), ("rate", percent())], &["at"]),
        _ => return None,
    })
}

fn step(key: &str) -> Option<Value> {
    let weights = || map(".", &map(".", &whole(0, 100)));
    Some(match key {
        "for" => duration(),
        "weights" => weights(),
        "after" => after(),
        "when" => object(
            &[
                ("edge", value("", "edge")?),
                ("status", map(&format!("^{STATUS}$"), &amount())),
                ("window", duration()),
                ("min_requests", whole(1, 1_000_000)),
            ],
            &["edge", "status"],
        ),
        "do" => {
            let config = value("a step", "config")?;
            one_or_many(&object(
                &[("patch", one_or_many(&reference("a patch"))), ("weights", weights()), ("config", config)],
                &[],
            ))
        }
        "kind" | "name" | "namespace" => text(),
        "set" => json!({ "type": "object" }),
        _ => return None,
    })
}

fn added(key: &str) -> Option<Value> {
    let label = || pattern("^[a-z0-9][a-z0-9-]{0,62}$");
    Some(match key {
        "service" => label(),
        "version" => any(vec![label(), json!({ "type": "integer", "minimum": 0 })]),
        "sidecar" => json!({ "type": "boolean" }),
        "calls" => one_or_many(&pattern(r"^[^\s/:]+(:[0-9]+)?(/\S*)?$")),
        "latency" => duration(),
        "status" => whole(200, 599),
        _ => return None,
    })
}

fn app() -> Value {
    json!({ "enum": ["istio-lab", "none", null] })
}

fn request() -> String {
    format!(r"({}) \s*[^\s/:]+(:[0-9]+)?(/\S*)?", METHODS.join("|"))
}

fn text() -> Value {
    json!({ "type": ["string", "number", "boolean"] })
}

fn headers() -> Value {
    map(".", &text())
}

fn name() -> Value {
    pattern(&format!("^{NAME}$"))
}

/// `a <-> b`, `a -> b`.
fn link() -> Value {
    pattern(&format!(r"^\s*{NAME}\s*<?->\s*{NAME}\s*$"))
}

fn whole(min: u64, max: u64) -> Value {
    json!({ "type": "integer", "minimum": min, "maximum": max })
}

/// A percentage, with its sign or without.
fn percent() -> Value {
    any(vec![
        json!({ "type": "number", "minimum": 0, "maximum": 100 }),
        pattern(r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)\s*%?$"),
    ])
}

fn duration() -> Value {
    any(vec![pattern(&format!(r"^\+?({DURATION})+$")), json!({ "enum": [0, "0"] })])
}

/// A time by the clock or by name.
fn moment() -> Value {
    let named = format!(r"^\s*(start|step/.+|fault/[0-9]+(\.end)?|({DURATION})+)(\s*\+\s*({DURATION})+)?\s*$");
    any(vec![pattern(&named), json!({ "enum": [0, "0"] })])
}

fn after() -> Value {
    let event = pattern(&format!(r"^\s*(converged|aborted)(\s*\+\s*({DURATION})+)?\s*$"));
    any(vec![moment(), event, object(&[("config", name()), ("plus", duration())], &["config"])])
}

/// A count or share.
fn amount() -> Value {
    let quantity = r"([0-9]+|[0-9]+(\.[0-9]*)?\s*%|\.[0-9]+\s*%)";
    let bound = any(vec![whole(0, i64::MAX as u64), pattern(&format!(r"^\s*{quantity}\s*$"))]);
    any(vec![
        whole(0, i64::MAX as u64),
        pattern(&format!(r"^\s*(all|none|(>=|<=|>|<)?\s*{quantity})\s*$")),
        object(&[("min", bound.clone()), ("max", bound)], &[]),
    ])
}

fn pattern(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": pattern })
}

fn any(values: Vec<Value>) -> Value {
    json!({ "anyOf": values })
}

pub(super) fn one_or_many(one: &Value) -> Value {
    any(vec![one.clone(), json!({ "type": "array", "items": one })])
}

fn object(properties: &[(&str, Value)], required: &[&str]) -> Value {
    let properties: serde_json::Map<String, Value> =
        properties.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    json!({ "type": "object", "additionalProperties": false, "required": required, "properties": properties })
}

/// A mapping whose keys have a pattern.
fn map(keys: &str, value: &Value) -> Value {
    json!({ "type": "object", "additionalProperties": false, "minProperties": 1, "patternProperties": { keys: value } })
}
