//! What is wrong with a Service by itself. Kubernetes: `ValidateService`.

use std::collections::BTreeMap;

use crate::config::service::ServiceSpec;
use crate::diagnostic::{Diagnostic, Span};

use super::{codes, names};

pub(super) fn check(spec: &ServiceSpec, found: &mut Vec<Diagnostic>) {
    if spec.ports.is_empty() && !spec.headless {
        found.push(Diagnostic::error(codes::EMPTY, &spec.span, "a Service needs a port"));
    }
    let mut by_name: BTreeMap<&str, &Span> = BTreeMap::new();
    let mut by_number: BTreeMap<(u16, &str), &Span> = BTreeMap::new();
    for port in &spec.ports {
        let name = port.name.value.as_str();
        if name.is_empty() {
            if spec.ports.len() > 1 {
                let message = "a port of a Service with several ports needs a name";
                found.push(Diagnostic::error(codes::NAME, &port.span, message));
            }
        } else if !names::is_label(name) {
            found.push(Diagnostic::error(codes::NAME, &port.name.span, format!("`{name}` is no port name")));
        } else if let Some(first) = by_name.insert(name, &port.name.span) {
            let twice =
                Diagnostic::error(codes::DUPLICATE_NAME, &port.name.span, format!("two ports are named `{name}`"));
            found.push(twice.with_related(first, "the first is here"));
        }
        let number = port.number.value;
        if let Some(first) = by_number.insert((number, &port.transport), &port.number.span) {
            let message = format!("two {} ports have the number {number}", port.transport);
            let twice = Diagnostic::error(codes::DUPLICATE_NAME, &port.number.span, message);
            found.push(twice.with_related(first, "the first is here"));
        }
    }
}
