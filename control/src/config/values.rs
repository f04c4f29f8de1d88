//! Single values: strings, numbers, truth values, durations, labels.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::diagnostic::{Diagnostic, Spanned};
use crate::dialect::Dialect;

use super::codes;
use super::decode::Decoder;
use super::duration;
use super::label;
use super::yaml::{Node, Value, scalar};

/// Text. A number or a boolean without quotes is an error, as Kubernetes has it.
pub(crate) fn string(node: &Node, decoder: &mut Decoder) -> Option<String> {
    match (&node.value, node.plain.as_deref()) {
        (Value::String(text), Some(_)) if scalar::is_boolean_in_yaml_1_1(text) => {
            let message = format!("`{text}` without quotes is a boolean to Kubernetes");
            let finding = Diagnostic::warning(codes::VALUE, &node.span, message);
            decoder.report(finding.with_help(format!("write \"{text}\"")));
            Some(text.clone())
        }
        (Value::String(text), _) => Some(text.clone()),
        (Value::Bool(_) | Value::Integer(_) | Value::Float(_), Some(text)) => {
            let message = format!("expected a string, found {} (`{text}`)", node.kind_name());
            let finding = Diagnostic::error(codes::VALUE, &node.span, message);
            decoder.report(finding.with_help(format!("write \"{text}\"")));
            None
        }
        _ => {
            decoder.wrong_type(node, "a string");
            None
        }
    }
}

/// Text with its place.
pub(crate) fn spanned_string(node: &Node, decoder: &mut Decoder) -> Option<Spanned<String>> {
    string(node, decoder).map(|text| Spanned::new(text, node.span.clone()))
}

/// `true` or `false`.
pub(crate) fn boolean(node: &Node, decoder: &mut Decoder) -> Option<bool> {
    if node.as_bool().is_none() {
        decoder.wrong_type(node, "`true` or `false`");
    }
    node.as_bool()
}

/// A whole number in `range`. Protobuf's JSON also takes it as a string.
pub(crate) fn integer(node: &Node, range: RangeInclusive<i64>, decoder: &mut Decoder) -> Option<i64> {
    let number = node.as_i64().or_else(|| node.as_str().and_then(|text| text.parse().ok()));
    let Some(number) = number else {
        match node.as_f64() {
            Some(_) => {
                let text = node.scalar_text().unwrap_or_default();
                let message = format!("expected a whole number, found `{text}`");
                decoder.error(codes::VALUE, &node.span, message);
            }
            None => decoder.wrong_type(node, "a whole number"),
        }
        return None;
    };
    if range.contains(&number) {
        return Some(number);
    }
    let message = if number < *range.start() {
        format!("{number} is less than {}, the least it may be", range.start())
    } else {
        format!("{number} is more than {}, the most it may be", range.end())
    };
    decoder.error(codes::VALUE, &node.span, message);
    None
}

/// A whole number from 0 to the largest `i32`.
pub(crate) fn count(node: &Node, decoder: &mut Decoder) -> Option<u32> {
    integer(node, 0..=i64::from(i32::MAX), decoder).and_then(|number| u32::try_from(number).ok())
}

/// The same with its place.
pub(crate) fn spanned_count(node: &Node, decoder: &mut Decoder) -> Option<Spanned<u32>> {
    count(node, decoder).map(|number| Spanned::new(number, node.span.clone()))
}

/// A whole number of percent, 0 to 100.
pub(crate) fn percent(node: &Node, decoder: &mut Decoder) -> Option<u32> {
    integer(node, 0..=100, decoder).and_then(|number| u32::try_from(number).ok())
}

/// A port number, or 0 for none.
pub(crate) fn port_or_none(node: &Node, decoder: &mut Decoder) -> Option<u16> {
    let number = integer(node, 0..=65535, decoder).and_then(|number| u16::try_from(number).ok());
    number.filter(|number| *number > 0)
}

/// A port number, 1 to 65535.
pub(crate) fn port(node: &Node, decoder: &mut Decoder) -> Option<u16> {
    integer(node, 1..=65535, decoder).and_then(|number| u16::try_from(number).ok())
}

/// A duration of whole milliseconds with its place; zero is fine.
pub(crate) fn spanned_duration(node: &Node, decoder: &mut Decoder) -> Option<Spanned<Duration>> {
    duration(node, decoder).map(|duration| Spanned::new(duration, node.span.clone()))
}

/// A duration of whole milliseconds; zero is fine.
pub(crate) fn duration(node: &Node, decoder: &mut Decoder) -> Option<Duration> {
    let Some(text) = node.scalar_text() else {
        decoder.wrong_type(node, "a duration like `3s`");
        return None;
    };
    let parsed = duration::parse(text).and_then(|duration| {
        let exact = duration.subsec_nanos() % 1_000_000 == 0;
        if exact { Ok(duration) } else { Err(format!("`{text}` is not a whole number of milliseconds")) }
    });
    parsed.map_err(|why| decoder.error(codes::VALUE, &node.span, why)).ok()
}

/// A port number with its place.
pub(crate) fn spanned_port(node: &Node, decoder: &mut Decoder) -> Option<Spanned<u16>> {
    port(node, decoder).map(|number| Spanned::new(number, node.span.clone()))
}

/// Labels as Kubernetes takes them; those it does not take are reported where they are written.
pub(crate) fn labels(node: &Node, decoder: &mut Decoder) -> Option<BTreeMap<String, String>> {
    labels_that(node, decoder, label::is_key, label::is_value)
}

/// Labels that Istio compares with those of pods. Istio 1.0 takes more than there can be.
pub(crate) fn istio_labels(node: &Node, decoder: &mut Decoder) -> Option<BTreeMap<String, String>> {
    match decoder.dialect {
        Dialect::V1_0 => labels_that(node, decoder, label::is_word_1_0, label::is_word_1_0),
        Dialect::V1 => labels_that(node, decoder, label::is_key, label::is_value),
    }
}

fn labels_that(
    node: &Node,
    decoder: &mut Decoder,
    is_key: fn(&str) -> bool,
    is_value: fn(&str) -> bool,
) -> Option<BTreeMap<String, String>> {
    let labels = texts(node, decoder)?;
    for (key, entry) in node.as_mapping().into_iter().flat_map(|mapping| mapping.iter()) {
        if !is_key(key) {
            decoder.error(codes::VALUE, &entry.key, format!("`{key}` is no key of a label"));
        }
        if labels.get(key).is_some_and(|value| !is_value(value)) {
            let message = format!("`{}` is no value of a label", labels[key]);
            decoder.error(codes::VALUE, &entry.value.span, message);
        }
    }
    Some(labels)
}

/// A mapping of text to text.
pub(crate) fn texts(node: &Node, decoder: &mut Decoder) -> Option<BTreeMap<String, String>> {
    let Some(mapping) = node.as_mapping() else {
        decoder.wrong_type(node, "a mapping of names to strings");
        return None;
    };
    let mut labels = BTreeMap::new();
    for (name, entry) in mapping.iter() {
        let value = if entry.value.is_null() { Some(String::new()) } else { string(&entry.value, decoder) };
        if let Some(value) = value {
            labels.insert(name.to_owned(), value);
        }
    }
    Some(labels)
}
