//! JSON Schema of the scenario format, for editors: the keys are those that the parser reads, and what is
//! said of each is its line in `docs/scenarios.md`.
//!
//! - [`values`]: what the keys may hold
//! - [`first`](mod@first): a first scenario for a folder of manifests

mod first;
mod values;

pub use first::first;

use serde_json::{Map, Value, json};

use crate::scenario::tables::{Table, tables};

/// The page that explains every key.
const PAGE: &str = include_str!("../../../docs/scenarios.md");

/// The schema, as pretty JSON.
pub fn text() -> String {
    let mut text = serde_json::to_string_pretty(&schema()).unwrap_or_default();
    text.push('\n');
    text
}

/// The schema.
pub fn schema() -> Value {
    let tables = tables();
    let definitions: Map<String, Value> =
        tables.iter().map(|table| (id(table.of), definition(table, &tables))).collect();
    let whole = tables.first().map(|table| id(table.of)).unwrap_or_default();
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Wavetank scenario",
        "$ref": format!("#/definitions/{whole}"),
        "definitions": definitions,
    })
}

fn definition(table: &Table, tables: &[Table]) -> Value {
    let property = |key: &&str| {
        let inner = table.inner.iter().find(|(own, _)| own == key);
        let inner = inner.filter(|(_, of)| tables.iter().any(|own| own.of == *of));
        let own = || values::value(table.of, key).unwrap_or_else(|| json!({}));
        let mut property = inner.map_or_else(own, |(_, of)| nested(of));
        if let (Some(text), Value::Object(property)) = (hover(table.heading, key), &mut property) {
            property.insert("description".to_owned(), text.into());
        }
        ((*key).to_owned(), property)
    };
    let properties: Map<String, Value> = table.keys.iter().map(property).collect();
    let mut definition = json!({
        "type": "object",
        "additionalProperties": false,
        "required": table.needed,
        "properties": properties,
    });
    let any: Vec<Value> = values::one_of(table.of).into_iter().map(|key| json!({ "required": [key] })).collect();
    if !any.is_empty() {
        definition["anyOf"] = any.into();
    }
    definition
}

/// A mapping or a list of them; of some also a terse form.
fn nested(of: &str) -> Value {
    let one = match values::instead(of) {
        Some(terse) => json!({ "anyOf": [reference(of), terse] }),
        None => reference(of),
    };
    values::one_or_many(&one)
}

/// The definition of a table.
fn reference(of: &str) -> Value {
    json!({ "$ref": format!("#/definitions/{}", id(of)) })
}

fn id(of: &str) -> String {
    of.trim_start_matches("an ").trim_start_matches("a ").replace(' ', "-")
}

/// What the documentation says of a key: the second cell of the row that names it in its first, under
/// `heading` or, where it is not there, anywhere.
fn hover(heading: &str, key: &str) -> Option<String> {
    let section = PAGE.split("\n## ").find(|section| section.lines().next() == Some(heading));
    let own = || TOLD_HERE.iter().find(|(own, _)| *own == key).map(|(_, text)| (*text).to_owned());
    section.and_then(|section| row(section, key)).or_else(own).or_else(|| row(PAGE, key))
}

/// Keys that the page explains in its text.
const TOLD_HERE: &[(&str, &str)] = &[
    ("edge", "who calls whom: a -> b, a workload and the Service it asks for"),
    ("between", "only what begins in [from, to); both are times of the scenario, of steps or of faults"),
    ("after", "only what begins after this moment"),
    ("when", "what is looked for"),
    ("weights", "the weights of a service's versions, in percent"),
    ("do", "what is done then: patch, weights or config"),
    ("kind", "the kind of the manifest that is patched"),
    ("namespace", "the namespace of the manifest that is patched"),
    ("set", "fields by their paths, with their new values"),
    ("use", "a built-in app: istio-lab"),
    ("add", "services of your own"),
    ("retry", "requests that must not be tried more than once: any, or those with a method"),
    ("method", "a method, or a list of them"),
    ("size", "so many bytes: 64KiB"),
    ("base", "latency of every packet"),
    ("jitter", "added to it at random, from nothing up to this"),
];

fn row(page: &str, key: &str) -> Option<String> {
    let (word, pair) = (format!("`{key}`"), format!("`{key}: "));
    page.lines().filter(|line| line.starts_with('|')).find_map(|line| {
        // A bar within a cell is written `\|`.
        let line = line.replace("\\|", "\u{1}");
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let first = cells.next()?;
        let named = first.contains(&word) || first.contains(&pair);
        named
            .then(|| cells.next().unwrap_or_default().replace('\u{1}', "|").replace('`', ""))
            .filter(|text| !text.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use wavetank_control::config::SourceFile;

    use super::*;
    use crate::cli::find::find;
    use crate::scenario::{Manifests, parse};

    struct NoManifests;

    impl Manifests for NoManifests {
        fn read(&self, path: &str) -> Result<Vec<SourceFile>, String> {
            Err(format!("no {path} here"))
        }
    }

    /// Whether `value` fits, by the words of the schema language that we write.
    fn fits(value: &Value, schema: &Value, root: &Value) -> bool {
        if let Some(name) = schema["$ref"].as_str() {
            return fits(value, &root["definitions"][name.rsplit('/').next().unwrap()], root);
        }
        let known = [
            "$schema",
            "title",
            "definitions",
            "description",
            "anyOf",
            "enum",
            "type",
            "pattern",
            "minimum",
            "maximum",
            "items",
            "minItems",
            "maxItems",
            "required",
            "properties",
            "patternProperties",
            "additionalProperties",
            "minProperties",
        ];
        let words = schema.as_object().unwrap();
        assert!(words.keys().all(|word| known.contains(&word.as_str())), "{words:?}");
        let any = schema["anyOf"].as_array().is_none_or(|any| any.iter().any(|one| fits(value, one, root)));
        let listed = schema["enum"].as_array().is_none_or(|all| all.iter().any(|one| is_equal(one, value)));
        any && listed && is_of_type(value, &schema["type"]) && is_within(value, schema) && holds(value, schema, root)
    }

    fn is_equal(one: &Value, other: &Value) -> bool {
        one == other || (one.is_number() && one.as_f64() == other.as_f64())
    }

    fn is_of_type(value: &Value, kind: &Value) -> bool {
        match kind {
            Value::Null => true,
            Value::Array(kinds) => kinds.iter().any(|kind| is_of_type(value, kind)),
            kind => match kind.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "boolean" => value.is_boolean(),
                "number" => value.is_number(),
                "integer" => value.is_i64() || value.is_u64(),
                other => panic!("{other}"),
            },
        }
    }

    fn is_within(value: &Value, schema: &Value) -> bool {
        let number = |of: &Value| of.as_f64();
        let text = value.as_str().zip(schema["pattern"].as_str());
        let size = value.as_array().map_or(0, Vec::len) as f64;
        text.is_none_or(|(text, pattern)| regex::Regex::new(pattern).unwrap().is_match(text))
            && number(value).zip(number(&schema["minimum"])).is_none_or(|(own, min)| own >= min)
            && number(value).zip(number(&schema["maximum"])).is_none_or(|(own, max)| own <= max)
            && number(&schema["minItems"]).is_none_or(|min| size >= min)
            && number(&schema["maxItems"]).is_none_or(|max| size <= max)
    }

    fn holds(value: &Value, schema: &Value, root: &Value) -> bool {
        let items = value.as_array().zip(schema.get("items"));
        let items_fit = items.is_none_or(|(own, item)| own.iter().all(|own| fits(own, item, root)));
        let Some(fields) = value.as_object() else { return items_fit };
        let needed = schema["required"].as_array().into_iter().flatten();
        let by_pattern = |key: &str| {
            let patterns = schema["patternProperties"].as_object().into_iter().flatten();
            patterns.into_iter().find(|(own, _)| regex::Regex::new(own).unwrap().is_match(key)).map(|(_, own)| own)
        };
        let fit = |(key, own): (&String, &Value)| match schema["properties"].get(key).or(by_pattern(key)) {
            Some(known) => fits(own, known, root),
            None => schema["additionalProperties"] != Value::Bool(false),
        };
        let mut needed = needed.map(|key| key.as_str().unwrap());
        needed.all(|key| fields.contains_key(key))
            && fields.iter().all(fit)
            && schema["minProperties"].as_u64().is_none_or(|min| fields.len() as u64 >= min)
    }

    #[test]
    fn every_scenario_of_the_repository_fits() {
        let root = schema();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
        let files = find(&[folder]).unwrap();
        assert!(files.len() >= 10);
        let failing = find(&[Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/failing")]).unwrap();
        for file in files.iter().chain(&failing) {
            let text = std::fs::read_to_string(file).unwrap();
            let value: Value = serde_yaml::from_str(&text).unwrap();
            assert!(fits(&value, &root, &root), "{}", file.display());
        }
    }

    #[test]
    fn what_the_parser_refuses_does_not_fit() {
        let root = schema();
        let fits = |text: &str| {
            let text = format!("{{scenario: x, {text}}}");
            let value: Value = serde_yaml::from_str(&text).unwrap();
            let fits = fits(&value, &root, &root);
            let parsed = parse(&SourceFile::new("s.yaml", text.as_str()), &NoManifests);
            assert!(fits || parsed.is_err(), "the parser takes {text}");
            fits
        };
        let expect = |text: &str| fits(&format!("expect: [{{edge: a -> b, {text}}}]"));
        let traffic = |text: &str| fits(&format!("expect: [], traffic: {{request: GET a/b, {text}}}"));
        for right in [
            "split: {v1: 70, v2: 30%}",
            "split: as-configured",
            "status: {200: all, 5xx: '<1.5%', 404: 3, 503: {min: 1, max: 50%}}",
            "latency: {p50: <10ms, p99.9: '< 1m30s', max: '>0.5s'}",
            "between: [0s, step/50%+5s]",
            "after: {config: c, plus: 2s}",
            "after: fault/1.end",
            "flags: {NR: none}",
            "recovers: {by: 90s, to: {status: {200: all}}}",
        ] {
            assert!(expect(right), "{right}");
        }
        for wrong in [
            "splt: {}",
            "split: {v1: 170}",
            "split: 70",
            "status: {700: all}",
            "status: {200: some}",
            "status: 200",
            "tls: mtsl",
            "connect: refuse",
            "latency: {p50: 10ms}",
            "latency: {median: <10ms}",
            "latency: {p50: '<10'}",
            "between: [0s]",
            "between: [0, 5]",
            "flags: {nr: none}",
            "in_sync: {within: 3}",
        ] {
            assert!(!expect(wrong), "{wrong}");
        }
        for right in
            ["count: 5", "for: 1m", "open: 100/s, at: 5s", "closed: {clients: 3, think: 1ms}", "arrivals: even"]
        {
            assert!(traffic(right), "{right}");
        }
        for wrong in ["count: 0", "count: -3", "count: 3.5", "for: 10", "open: 100", "arrivals: evn", "closed: {}"] {
            assert!(!traffic(wrong), "{wrong}");
        }
        for wrong in [
            "trafic: 1",
            "traffic: 1 GET a/b",
            "expect: [{edge: a > b}]",
            "expect: [], traffic: GET a/b",
            "expect: [], compat: v2",
            "expect: [], version: 2",
            "expect: [], seed: -1",
            "expect: [], app: lab",
            "expect: [], faults: [{kill: a, for: 5}]",
            "expect: [], faults: [{at: 5s}]",
            "expect: [], faults: [{loss: {link: a -> b, rate: 200}}]",
            "routes: [{GET: /a, host: b}]",
            "steps: [{weights: {a: {v1: 101}}, for: 5s}]",
        ] {
            assert!(!fits(wrong), "{wrong}");
        }
    }

    #[test]
    fn every_key_says_what_it_may_hold() {
        let root = schema();
        for (name, definition) in root["definitions"].as_object().unwrap() {
            for (key, property) in definition["properties"].as_object().unwrap() {
                assert!(property.as_object().unwrap().keys().any(|word| word != "description"), "{name}: {key}");
            }
        }
    }

    #[test]
    fn keys_are_explained() {
        let silent: Vec<String> = tables()
            .iter()
            .flat_map(|table| {
                table
                    .keys
                    .iter()
                    .filter(|key| hover(table.heading, key).is_none())
                    .map(|key| format!("{}: {key}", table.of))
            })
            .collect();
        assert!(silent.is_empty(), "{silent:#?}");
        assert_eq!(hover("Traffic", "arrivals").as_deref(), Some("of an open loop: poisson or even"));
    }
}
