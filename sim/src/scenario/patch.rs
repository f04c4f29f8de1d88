//! Changes to manifests: fields set by path, and the weights of a service's versions.
//!
//! A changed value takes the place of the old one in the text, on the old one's first line, so that every
//! other line stays where it is and messages point to the right ones.

use std::collections::{BTreeMap, BTreeSet};

use wavetank_control::config::SourceFile;
use wavetank_control::config::yaml::{Limits, Node, parse};
use wavetank_control::diagnostic::Span;

/// Sets the field at `path` of the object of this kind and name to `value`, written as JSON.
///
/// Errs with what is wrong, in words that follow a place.
pub(super) fn set(
    files: &mut [SourceFile],
    object: (&str, &str, &str),
    path: &[String],
    value: &serde_json::Value,
) -> Result<(), String> {
    let (kind, namespace, name) = object;
    let mut found = false;
    for file in files.iter_mut() {
        let parsed = parse(file, Limits::default());
        let Some(document) = parsed.documents.iter().find(|own| is_object(own, kind, namespace, name)) else {
            continue;
        };
        let text = replaced(&file.text, document, path, value)?;
        *file = SourceFile::new(&*file.name, text);
        found = true;
    }
    if found { Ok(()) } else { Err(format!("no manifest has the {kind} {name}")) }
}

/// Sets the weights of `service`'s subsets in every route of every VirtualService that leads to them.
///
/// Errs with what is wrong.
pub(super) fn set_weights(files: &mut [SourceFile], service: &str, weights: &[(String, u64)]) -> Result<(), String> {
    let mut edits = Vec::new();
    let mut known = BTreeSet::new();
    for file in files.iter() {
        for document in &parse(file, Limits::default()).documents {
            if text_at(document, &["kind"]) == Some("VirtualService") {
                edits.extend(weight_edits(document, service, weights)?);
                known.extend(routes(document).iter().flat_map(|route| subsets(route, service)).flatten());
            }
        }
    }
    if known.is_empty() {
        return Err(format!("no VirtualService has a route to subsets of {service}"));
    }
    if let Some((unknown, _)) = weights.iter().find(|(subset, _)| !known.contains(subset)) {
        let known: Vec<_> = known.into_iter().collect();
        return Err(format!("no route leads to subset {unknown} of {service}; its subsets are {}", known.join(", ")));
    }
    for (namespace, name, path, weight) in edits {
        set(files, ("VirtualService", &namespace, &name), &path, &serde_json::json!(weight))?;
    }
    Ok(())
}

/// Namespace and name of a VirtualService, a path in it, and the weight there.
type Edit = (String, String, Vec<String>, u64);

fn weight_edits(document: &Node, service: &str, weights: &[(String, u64)]) -> Result<Vec<Edit>, String> {
    let name = text_at(document, &["metadata", "name"]).unwrap_or_default();
    let namespace = text_at(document, &["metadata", "namespace"]).unwrap_or("default");
    let mut edits = Vec::new();
    for (number, route) in routes(document).iter().enumerate() {
        let subsets = subsets(route, service);
        if !subsets.iter().flatten().any(|own| weights.iter().any(|(subset, _)| subset == own)) {
            continue;
        }
        if let Some((missing, _)) =
            weights.iter().find(|(subset, weight)| *weight > 0 && !subsets.iter().flatten().any(|own| own == subset))
        {
            return Err(format!(
                "route {} of VirtualService {name} has no destination with subset {missing}",
                number + 1
            ));
        }
        for (at, subset) in subsets.iter().enumerate() {
            let Some(subset) = subset else { continue };
            let weight = weights.iter().find(|(own, _)| own == subset).map_or(0, |(_, weight)| *weight);
            let path = ["spec", "http", &number.to_string(), "route", &at.to_string(), "weight"].map(str::to_owned);
            edits.push((namespace.to_owned(), name.to_owned(), path.to_vec(), weight));
        }
    }
    Ok(edits)
}

/// The HTTP routes of a VirtualService.
fn routes(document: &Node) -> &[Node] {
    document.get("spec").and_then(|spec| spec.get("http")).and_then(Node::as_sequence).unwrap_or_default()
}

/// The subset of each destination of a route; `None` for those of other services.
fn subsets(route: &Node, service: &str) -> Vec<Option<String>> {
    let subset = |arm: &Node| {
        let host = text_at(arm, &["destination", "host"])?;
        let is_own = host == service || host.strip_prefix(service).is_some_and(|rest| rest.starts_with('.'));
        is_own.then(|| text_at(arm, &["destination", "subset"]).unwrap_or_default().to_owned())
    };
    route.get("route").and_then(Node::as_sequence).unwrap_or_default().iter().map(subset).collect()
}

fn is_object(document: &Node, kind: &str, namespace: &str, name: &str) -> bool {
    text_at(document, &["kind"]) == Some(kind)
        && text_at(document, &["metadata", "name"]) == Some(name)
        && text_at(document, &["metadata", "namespace"]).unwrap_or("default") == namespace
}

fn text_at<'n>(node: &'n Node, path: &[&str]) -> Option<&'n str> {
    path.iter().try_fold(node, |node, name| node.get(name))?.as_str()
}

/// The text with the value at `path` replaced. Where the path ends early, the last mapping on it is written
/// anew with the field in it.
fn replaced(text: &str, document: &Node, path: &[String], value: &serde_json::Value) -> Result<String, String> {
    let (mut node, mut depth) = (document, 0);
    while let Some(inner) = path.get(depth).and_then(|name| child(node, name)) {
        (node, depth) = (inner, depth + 1);
    }
    if depth == 0 {
        return Err(format!("it has no field {}", path.first().map_or("", String::as_str)));
    }
    let value = match &path[depth..] {
        [] => value.clone(),
        missing => {
            if let Some(items) = node.as_sequence() {
                return Err(format!(
                    "{} has {} items, none of them number {}",
                    path[..depth].join("."),
                    items.len(),
                    missing[0]
                ));
            }
            let mut whole = serde_json::to_value(node.to_value()).map_err(|error| error.to_string())?;
            let mut at = &mut whole;
            for name in missing {
                if !at.is_object() {
                    *at = serde_json::Value::Object(serde_json::Map::new());
                }
                at = at.as_object_mut().ok_or("a mapping was expected")?.entry(name).or_insert(serde_json::Value::Null);
            }
            *at = value.clone();
            whole
        }
    };
    let (start, end) = extent(text, &node.span).ok_or("its place is not in its text")?;
    let old = text[start..end].trim_end();
    let lines = "\n".repeat(old.matches('\n').count());
    Ok(format!("{}{value}{lines}{}", &text[..start], &text[start + old.len()..]))
}

fn child<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    match node.as_sequence() {
        Some(items) => items.get(name.parse::<usize>().ok()?),
        None => node.get(name),
    }
}

/// Where a span begins and ends, in bytes.
fn extent(text: &str, span: &Span) -> Option<(usize, usize)> {
    let starts: BTreeMap<u32, usize> = std::iter::once(0)
        .chain(text.match_indices('\n').map(|(at, _)| at + 1))
        .zip(1..)
        .map(|(at, line)| (line, at))
        .collect();
    let offset = |line: u32, column: u32| {
        let Some(start) = starts.get(&line) else { return Some(text.len()) };
        let rest = text.get(*start..)?;
        let inner = rest.char_indices().nth(column.saturating_sub(1) as usize).map_or(rest.len(), |(at, _)| at);
        Some(start + inner)
    };
    let (start, end) = (offset(span.line, span.column)?, offset(span.end_line, span.end_column)?);
    (start <= end).then_some((start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTE: &str = "kind: VirtualService
metadata: {name: go}
spec:
  hosts: [service-go]
  http:
    - route:
        - destination: {host: service-go, subset: v1}
          weight: 70   # most
        - destination: {host: service-go, subset: v2}
          weight: 30
---
kind: PeerAuthentication
metadata:
  name: default
spec:
  mtls:
    mode: PERMISSIVE
  note: kept
";

    fn patched(object: (&str, &str, &str), path: &str, value: serde_json::Value) -> Result<String, String> {
        let mut files = [SourceFile::new("a.yaml", ROUTE)];
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        set(&mut files, object, &path, &value).map(|()| files[0].text.to_string())
    }

    #[test]
    fn a_value_is_replaced_in_its_place() {
        let text = patched(("PeerAuthentication", "default", "default"), "spec.mtls.mode", "STRICT".into()).unwrap();
        assert_eq!(text, ROUTE.replace("PERMISSIVE", "\"STRICT\""));
    }

    #[test]
    fn a_missing_field_is_written_into_its_mapping_and_no_line_moves() {
        let value = serde_json::json!({"mode": "DISABLE"});
        let text = patched(("PeerAuthentication", "default", "default"), "spec.portLevelMtls.80", value).unwrap();
        assert_eq!(text.lines().count(), ROUTE.lines().count());
        let line = text.lines().nth(15).unwrap();
        let wanted: serde_json::Value = serde_json::json!({"mtls": {"mode": "PERMISSIVE"}, "note": "kept", "portLevelMtls": {"80": {"mode": "DISABLE"}}});
        assert_eq!(serde_json::from_str::<serde_json::Value>(line.trim()).unwrap(), wanted);
    }

    #[test]
    fn weights_are_set_where_routes_lead_to_the_service() {
        let mut files = [SourceFile::new("a.yaml", ROUTE)];
        set_weights(&mut files, "service-go", &[("v1".to_owned(), 5), ("v2".to_owned(), 95)]).unwrap();
        assert_eq!(&*files[0].text, ROUTE.replace("70 ", "5 ").replace("30", "95"));
        let wrong = set_weights(&mut files, "service-go", &[("v3".to_owned(), 5), ("v2".to_owned(), 95)]).unwrap_err();
        assert_eq!(wrong, "route 1 of VirtualService go has no destination with subset v3");
        let unknown =
            set_weights(&mut files, "service-go", &[("v1".to_owned(), 100), ("v3".to_owned(), 0)]).unwrap_err();
        assert_eq!(unknown, "no route leads to subset v3 of service-go; its subsets are v1, v2");
        assert!(set_weights(&mut files, "service-lua", &[("v1".to_owned(), 100)]).is_err());
    }

    #[test]
    fn what_is_not_there_is_told() {
        let set = |object, path| patched(object, path, serde_json::json!(1));
        assert_eq!(set(("Gateway", "default", "g"), "spec.x"), Err("no manifest has the Gateway g".to_owned()));
        let go = ("VirtualService", "default", "go");
        assert_eq!(set(go, "spce.x"), Err("it has no field spce".to_owned()));
        assert_eq!(set(go, "spec.http.3.x"), Err("spec.http has 1 items, none of them number 3".to_owned()));
    }
}
