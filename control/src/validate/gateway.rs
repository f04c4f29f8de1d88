//! What is wrong with a Gateway by itself. Istio: `ValidateGateway`.

use std::collections::BTreeMap;

use crate::config::Metadata;
use crate::config::gateway::GatewaySpec;
use crate::diagnostic::{Diagnostic, Span, Spanned};
use crate::dialect::Dialect;

use super::host::{self, Role};
use super::{codes, names};

pub(super) fn check(metadata: &Metadata, spec: &GatewaySpec, dialect: Dialect, found: &mut Vec<Diagnostic>) {
    let own = &metadata.name;
    if own.value.contains('.') && dialect.namespaces_before_slash() {
        let message = format!("`{}` is no name of a Gateway: it has a dot", own.value);
        found.push(Diagnostic::error(codes::NAME, &own.span, message));
    }
    if spec.servers.is_empty() {
        found.push(Diagnostic::error(codes::EMPTY, &spec.span, "a Gateway needs a server"));
    }
    let mut by_name: BTreeMap<&str, &Span> = BTreeMap::new();
    for server in &spec.servers {
        if server.hosts.is_empty() {
            found.push(Diagnostic::error(codes::EMPTY, &server.span, "a server of a Gateway needs a host"));
        }
        for written in &server.hosts {
            server_host(written, dialect, found);
        }
        let name = server.port_name.value.as_str();
        if name.is_empty() {
            found.push(Diagnostic::error(codes::NAME, &server.port_name.span, "the port of a server needs a name"));
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
fn server_host(written: &Spanned<String>, dialect: Dialect, found: &mut Vec<Diagnostic>) {
    match written.value.split_once('/') {
        Some((namespace, name)) if dialect.namespaces_before_slash() => {
            if !matches!(namespace, "*" | ".") && !names::is_dns_label(namespace) {
                let message = format!("`{namespace}` before the `/` is no namespace");
                found.push(Diagnostic::error(codes::HOST, &written.span, message));
            }
            host::check_text(name, &written.span, Role::Server, dialect, found);
        }
        _ => host::check(written, Role::Server, dialect, found),
    }
}
