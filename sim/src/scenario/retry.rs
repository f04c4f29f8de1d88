//! Requests that must not be tried more than once: `retry: any`, or `retry: {method: POST}`.

use std::sync::Arc;

use wavetank_control::config::yaml::Node;

use super::fields::{Findings, Keys};
use super::traffic::METHODS;
use crate::check::Retry;

pub(super) const RETRY: Keys = Keys { of: "retry", known: &["method"], later: &["path", "status"] };

/// Reads `retry`.
pub(super) fn read(node: &Node, findings: &mut Findings) -> Option<Retry> {
    if node.as_str() == Some("any") {
        return Some(Retry::Any);
    }
    if node.as_mapping().is_none() {
        findings.wrong(&node.span, "retry is `any`, or a mapping like {method: POST}");
        return None;
    }
    let Some(method) = findings.mapping(node, &RETRY)?.get("method") else {
        findings.missing(&node.span, "retry needs the key `method`");
        return None;
    };
    let known = |text: &str| {
        let wrong = || format!("`{text}` is not a method; methods are {}", METHODS.join(", "));
        METHODS.contains(&text).then(|| Arc::from(text)).ok_or_else(wrong)
    };
    let items = findings.items(method);
    let methods: Vec<_> = items.iter().map(|item| findings.read(item, "method", known)).collect();
    Some(Retry::Methods(methods.into_iter().collect::<Option<_>>()?)).filter(|_| !items.is_empty())
}
