//! Names: what Kubernetes and DNS take.

use crate::config::Metadata;
use crate::diagnostic::{Diagnostic, Span, Spanned};

use super::codes;

/// Checks an object's name and namespace.
pub(super) fn object_name(metadata: &Metadata, found: &mut Vec<Diagnostic>) {
    let name = &metadata.name;
    if !is_subdomain(&name.value) {
        let message = format!("`{}` is no name: {SUBDOMAIN}", name.value);
        found.push(Diagnostic::error(codes::NAME, &name.span, message));
    }
    if !metadata.namespace.is_empty() && !is_label(&metadata.namespace) {
        let message = format!("`{}` is no namespace: {LABEL}", metadata.namespace);
        found.push(Diagnostic::error(codes::NAME, &metadata.span, message));
    }
}

/// Checks a host: a DNS name or an address, and where `wildcard` says so also `*` and `*.` before a name.
pub(super) fn host(written: &Spanned<String>, wildcard: bool, found: &mut Vec<Diagnostic>) {
    host_text(&written.value, &written.span, wildcard, found);
}

/// Checks a host that is a part of what is written.
pub(super) fn host_text(text: &str, span: &Span, wildcard: bool, found: &mut Vec<Diagnostic>) {
    let problem = if text.is_empty() {
        "a host is empty".to_owned()
    } else if text.starts_with('*') && !wildcard {
        format!("`{text}` is a wildcard; a destination is one host")
    } else if !is_host(text) {
        format!("`{text}` is no host name{}", if wildcard { " or wildcard" } else { "" })
    } else {
        return;
    };
    found.push(Diagnostic::error(codes::HOST, span, problem));
}

const SUBDOMAIN: &str = "lower-case letters, digits, `-` and `.`, at most 253";
const LABEL: &str = "lower-case letters, digits and `-`, at most 63";

/// RFC 1123 subdomain, as Kubernetes wants names.
pub(super) fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label)
}

/// RFC 1123 label, as Kubernetes wants namespaces and ports.
pub(super) fn is_label(text: &str) -> bool {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// A label as Kubernetes wants it: `prefix/name` and a value, of letters, digits, `-`, `_` and `.`.
pub(super) fn is_label_pair(key: &str, value: &str) -> bool {
    let inner = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    let edge = |text: &str| {
        let ends = [text.bytes().next(), text.bytes().last()];
        ends.into_iter().flatten().all(|c| c.is_ascii_alphanumeric())
    };
    let word = |text: &str| text.len() <= 63 && text.bytes().all(inner) && edge(text);
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    prefix.is_none_or(is_subdomain) && !name.is_empty() && word(name) && word(value)
}

fn is_host(text: &str) -> bool {
    if text.parse::<std::net::IpAddr>().is_ok() || text == "*" {
        return true;
    }
    let name = text.strip_prefix("*.").or_else(|| text.strip_prefix("*-")).unwrap_or(text);
    let label = |label: &str| {
        let inner = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= 253 && name.strip_suffix('.').unwrap_or(name).split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_wildcards_or_addresses() {
        for good in ["*", "a", "a.b", "*.foo.com", "10.0.0.1", "::1", "Foo.com", "a_b.c", "foo.com."] {
            assert!(is_host(good), "{good}");
        }
        for bad in ["", "a..b", "a b", "*foo", "a*", "http://a", "a:80", "-a", "a/b", &"x".repeat(64)] {
            assert!(!is_host(bad), "{bad}");
        }
    }

    #[test]
    fn labels_have_a_name_and_perhaps_a_value() {
        for (key, value) in [("app", "go"), ("a.io/b_c", ""), ("v", "1.2-x")] {
            assert!(is_label_pair(key, value), "{key}={value}");
        }
        for (key, value) in [("", "x"), ("a b", "x"), ("app", "a b"), ("-a", "x"), ("A/b", "x"), ("a", "x-")] {
            assert!(!is_label_pair(key, value), "{key}={value}");
        }
    }

    #[test]
    fn object_names_are_subdomains() {
        assert!(is_subdomain("service-go") && is_subdomain("a.b-1"));
        for bad in ["", "A", "-a", "a-", "a..b", "a_b"] {
            assert!(!is_subdomain(bad), "{bad}");
        }
    }
}
