//! Hosts: what may stand for one in a VirtualService, a DestinationRule, a destination, a Gateway's server.
//! Istio: `ValidateWildcardDomain`, `ValidateNamespaceSlashWildcardHostname`.

use std::net::IpAddr;

use crate::diagnostic::{Diagnostic, Span, Spanned};
use crate::dialect::Dialect;

use super::codes;
use super::names::is_dns_label;

/// What a host stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Hosts of a VirtualService.
    Routed,
    /// The host of a DestinationRule.
    Rule,
    /// Where a route leads.
    Destination,
    /// A host of a Gateway's server.
    Server,
}

/// Checks a host.
pub(super) fn check(written: &Spanned<String>, role: Role, dialect: Dialect, found: &mut Vec<Diagnostic>) {
    check_text(&written.value, &written.span, role, dialect, found);
}

/// Checks a host that is a part of what is written.
pub(super) fn check_text(text: &str, span: &Span, role: Role, dialect: Dialect, found: &mut Vec<Diagnostic>) {
    if let Some(problem) = problem(text, role, dialect) {
        found.push(Diagnostic::error(codes::HOST, span, problem));
    } else if role == Role::Destination && text.starts_with('*') {
        let message =
            format!("`{text}` is a wildcard, and no Service has that name; requests sent there are answered 503");
        found.push(Diagnostic::warning(codes::HOST, span, message));
    } else if !is_address(text) && !is_wildcard_domain(text, Dialect::V1) && dialect == Dialect::V1_0 {
        let message = format!("Istio 1.0 takes `{text}`, and today's does not: it is no DNS name");
        let sendable = text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.*".contains(&c));
        found.push(if sendable {
            Diagnostic::note(codes::HOST, span, message)
        } else {
            Diagnostic::warning(codes::HOST, span, message)
        });
    }
}

/// Why a host is refused.
fn problem(text: &str, role: Role, dialect: Dialect) -> Option<String> {
    if text.is_empty() {
        return Some("a host is empty".to_owned());
    }
    if role == Role::Destination && text == "*" && dialect == Dialect::V1 {
        return Some("`*` is a wildcard; a destination is one host".to_owned());
    }
    if role == Role::Server && text != "*" && !text.contains('.') {
        return Some(format!("`{text}` is a short name; a Gateway serves full names, `*.` and a name, or `*`"));
    }
    let partial = text.contains('*') && text != "*" && !text.starts_with("*.");
    if role == Role::Server && partial && dialect == Dialect::V1 {
        return Some(format!(
            "`{text}` is a wildcard of a part of a label; a Gateway serves `*` and `*.` before a name"
        ));
    }
    let address = is_address(text) && matches!(role, Role::Routed | Role::Server);
    if is_wildcard_domain(text, dialect) || (address && dialect == Dialect::V1) {
        return None;
    }
    Some(if is_address(text) {
        format!("`{text}` is an address, and here stands the name of a host")
    } else {
        format!("`{text}` is no host name{}", if role == Role::Destination { "" } else { " or wildcard" })
    })
}

fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

/// A name whose first label may be `*` or begin with it. Today the last label is no number, and may be empty: `a.com.`
fn is_wildcard_domain(text: &str, dialect: Dialect) -> bool {
    let (first, rest) = text.split_once('.').map_or((text, None), |(first, rest)| (first, Some(rest)));
    let first_fits = match dialect {
        // The expression of 1.0 holds the beginning of one alternative, and the end of the other.
        Dialect::V1_0 => first.starts_with('*') || first.ends_with(|c: char| c.is_ascii_alphanumeric()),
        Dialect::V1 => {
            let name = first.strip_prefix("*-").or_else(|| first.strip_prefix('*')).unwrap_or(first);
            first == "*" || is_dns_label(name)
        }
    };
    let rest_fits = rest.is_none_or(|rest| match dialect {
        Dialect::V1_0 => rest.split('.').all(is_dns_label),
        Dialect::V1 => {
            let last = rest.rsplit('.').next().unwrap_or(rest);
            let names = rest.strip_suffix('.').unwrap_or(rest);
            last.parse::<i64>().is_err() && (rest.is_empty() || names.split('.').all(is_dns_label))
        }
    });
    text.len() <= 255 && first.len() <= 63 && first_fits && rest_fits
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a host is taken in 1.0 and today.
    fn taken(text: &str, role: Role) -> (bool, bool) {
        (problem(text, role, Dialect::V1_0).is_none(), problem(text, role, Dialect::V1).is_none())
    }

    #[test]
    fn hosts_are_names_and_wildcards_and_today_some_are_addresses() {
        use Role::{Destination, Routed, Rule, Server};
        for (text, role, wanted) in [
            ("*", Routed, (true, true)),
            ("a", Routed, (true, true)),
            ("Foo.com", Routed, (true, true)),
            ("*.foo.com", Routed, (true, true)),
            ("*foo.com", Routed, (true, true)),
            ("*-a.foo.com", Routed, (true, true)),
            ("10.0.0.1", Routed, (true, true)),
            ("foo.com.", Routed, (false, true)),
            ("foo.123", Routed, (true, false)),
            ("foo.a_b.com", Routed, (false, false)),
            // What 1.0 takes by an expression that is not held at its beginning.
            ("service_go", Routed, (true, false)),
            ("::1", Routed, (true, true)),
            ("", Routed, (false, false)),
            ("a..b", Routed, (false, false)),
            ("a*", Routed, (false, false)),
            ("a/b/", Routed, (false, false)),
            ("-a-", Routed, (false, false)),
            ("10.0.0.1", Rule, (true, false)),
            ("::1", Rule, (true, false)),
            ("*.local", Rule, (true, true)),
            ("10.0.0.1", Destination, (true, false)),
            ("*.foo.com", Destination, (true, true)),
            ("*", Destination, (true, false)),
            ("*", Server, (true, true)),
            ("*.foo.com", Server, (true, true)),
            ("*-a.foo.com", Server, (true, false)),
            ("*a.foo.com", Server, (true, false)),
            ("a", Server, (false, false)),
            ("::1", Server, (false, false)),
            ("10.0.0.1", Server, (true, true)),
        ] {
            assert_eq!(taken(text, role), wanted, "{text} as {role:?}");
        }
        assert_eq!(taken(&"x".repeat(64), Routed), (false, false));
        assert_eq!(taken(&"x.".repeat(130), Routed), (false, false));
    }
}
