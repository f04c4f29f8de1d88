//! What is wrong with a Gateway by itself. Istio: `ValidateGateway`.

use std::collections::BTreeMap;

use crate::config::gateway::GatewaySpec;
use crate::diagnostic::{Diagnostic, Span, Spanned};
use crate::dialect::Dialect;

use super::{codes, names};

pub(super) fn check(spec: &GatewaySpec, dialect: Dialect, found: &mut Vec<Diagnostic>) {
    if spec.servers.is_empty() {
        found.push(Diagnostic::error(codes::EMPTY, &spec.span, "a Gateway needs a server"));
    }
    let mut by_name: BTreeMap<&str, &Span> = BTreeMap::new();
    for server in &spec.servers {
        if server.hosts.is_empty() {
            found.push(Diagnostic::error(codes::EMPTY, &server.span, "a server of a Gateway needs a host"));
        }
        for written in &server.hosts {
            host(written, dialect, found);
        }
        let name = server.port_name.value.as_str();
        if name.is_empty() {
            continue;
        }
        if let Some(first) = by_name.insert(name, &server.port_name.span) {
            let message = format!("two servers name their port `{name}`");
            let twice = Diagnostic::error(codes::DUPLICATE_NAME, &server.port_name.span, message);
            found.push(twice.with_related(first, "the first is here"));
        }
    }
}

/// `host` or, today, `namespace/host`.
fn host(written: &Spanned<String>, dialect: Dialect, found: &mut Vec<Diagnostic>) {
    match written.value.split_once('/') {
        Some((namespace, host)) if dialect.namespaces_before_slash() => {
            if !matches!(namespace, "*" | ".") && !names::is_label(namespace) {
                let message = format!("`{namespace}` before the `/` is no namespace");
                found.push(Diagnostic::error(codes::HOST, &written.span, message));
            }
            names::host_text(host, &written.span, true, found);
        }
        _ => names::host(written, true, found),
    }
}
