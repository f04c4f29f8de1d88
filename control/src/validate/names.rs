//! Names: what Kubernetes and DNS take.

use crate::config::{Kind, Metadata};
use crate::diagnostic::Diagnostic;

use super::codes;

/// Checks an object's name and namespace. A Service's name is a label that begins with a letter (RFC 1035).
pub(super) fn object_name(kind: Kind, metadata: &Metadata, found: &mut Vec<Diagnostic>) {
    let name = &metadata.name;
    let label = is_label(&name.value) && name.value.starts_with(|c: char| c.is_ascii_lowercase());
    if kind == Kind::Service && is_subdomain(&name.value) && !label {
        let message = format!("`{}` is no name of a Service: {LABEL}, and a letter first", name.value);
        found.push(Diagnostic::error(codes::NAME, &name.span, message));
    }
    if !is_subdomain(&name.value) {
        let message = format!("`{}` is no name: {SUBDOMAIN}", name.value);
        found.push(Diagnostic::error(codes::NAME, &name.span, message));
    }
    if !metadata.namespace.is_empty() && !is_label(&metadata.namespace) {
        let message = format!("`{}` is no namespace: {LABEL}", metadata.namespace);
        found.push(Diagnostic::error(codes::NAME, &metadata.namespace_span, message));
    }
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

/// A label as Istio's validation has it: letters of both cases, digits and `-`.
pub(super) fn is_dns_label(text: &str) -> bool {
    let inner = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_istio_have_letters_of_both_cases() {
        assert!(is_dns_label("v1Canary") && is_dns_label("1-a"));
        for bad in ["", "a_b", "-a", "a-", "a.b", &"x".repeat(64)] {
            assert!(!is_dns_label(bad), "{bad}");
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
