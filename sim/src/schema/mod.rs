//! JSON Schema of the scenario format, for editors: the keys are those that the parser reads, and what is
//! said of each is its line in `docs/scenarios.md`.
//!
//! - [`first`](mod@first): a first scenario for a folder of manifests

mod first;

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
        let mut property = inner.map_or_else(|| json!({}), |(_, of)| nested(of));
        if let (Some(text), Value::Object(property)) = (hover(table.heading, key), &mut property) {
            property.insert("description".to_owned(), text.into());
        }
        ((*key).to_owned(), property)
    };
    let properties: Map<String, Value> = table.keys.iter().map(property).collect();
    json!({ "type": "object", "additionalProperties": false, "required": table.needed, "properties": properties })
}

/// A mapping, a list of them, or a scalar that is a terse form.
fn nested(of: &str) -> Value {
    let reference = json!({ "$ref": format!("#/definitions/{}", id(of)) });
    let scalar = json!({ "type": ["string", "number", "null"] });
    let one = json!({ "anyOf": [reference, scalar] });
    json!({ "anyOf": [reference, scalar, { "type": "array", "items": one }] })
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

    use super::*;
    use crate::cli::find::find;

    /// Whether `value` fits, by the few words of the schema language that we write.
    fn fits(value: &Value, schema: &Value, root: &Value) -> bool {
        if let Some(name) = schema["$ref"].as_str() {
            let name = name.rsplit('/').next().unwrap();
            return fits(value, &root["definitions"][name], root);
        }
        if let Some(any) = schema["anyOf"].as_array() {
            return any.iter().any(|one| fits(value, one, root));
        }
        match (&schema["type"], value) {
            (Value::Null, _) => true,
            (Value::String(kind), Value::Object(fields)) if kind == "object" => {
                let known = &schema["properties"];
                let needed = schema["required"].as_array().unwrap();
                needed.iter().all(|key| fields.contains_key(key.as_str().unwrap()))
                    && fields.iter().all(|(key, own)| known.get(key).is_some_and(|known| fits(own, known, root)))
            }
            (Value::String(kind), Value::Array(items)) if kind == "array" => {
                items.iter().all(|item| fits(item, &schema["items"], root))
            }
            (Value::Array(_), value) => value.is_string() || value.is_number() || value.is_null(),
            _ => false,
        }
    }

    #[test]
    fn every_scenario_of_the_repository_fits() {
        let root = schema();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
        let files = find(&[folder]).unwrap();
        assert!(files.len() >= 10);
        for file in files.iter().filter(|file| !file.to_string_lossy().contains("/failing/")) {
            let text = std::fs::read_to_string(file).unwrap();
            let value: Value = serde_yaml::from_str(&text).unwrap();
            assert!(fits(&value, &root, &root), "{}", file.display());
        }
        assert!(!fits(&json!({"scenario": "x", "trafic": 1}), &root, &root));
        assert!(!fits(&json!({"scenario": "x", "expect": [{"edge": "a -> b", "splt": {}}]}), &root, &root));
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
