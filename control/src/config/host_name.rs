//! Host names: the short-name rule and wildcards. Istio: `ResolveShortnameToFQDN`, `host.Name.Matches`.

/// The full name of `written` in `namespace`: the short-name rule on a bare string.
pub fn full_name(written: &str, namespace: &str, domain: &str) -> String {
    let lower = written.to_ascii_lowercase();
    if lower.contains('.') || lower.contains(':') || lower.starts_with('*') || lower.is_empty() {
        lower
    } else {
        format!("{lower}.{namespace}.svc.{domain}")
    }
}

/// Whether `pattern` (a name, `*`, or `*` and a suffix) covers `name`. Names are full and in lower case.
///
/// A wildcard covers what ends in the text behind its `*`, which includes a narrower wildcard.
pub fn covers(pattern: &str, name: &str) -> bool {
    match pattern.strip_prefix('*') {
        None => pattern == name,
        Some(suffix) => {
            let name = name.strip_prefix('*').map_or(name, |rest| rest);
            // `*.foo.com` does not cover `foo.com`, and covers itself.
            name.ends_with(suffix)
        }
    }
}

/// Whether some name is covered by both patterns.
pub fn overlaps(a: &str, b: &str) -> bool {
    covers(a, b) || covers(b, a)
}

/// Orders host patterns from the most specific: full names before wildcards, longer before shorter, then by text.
pub fn specificity(a: &str, b: &str) -> std::cmp::Ordering {
    let key = |host: &str| (host.starts_with('*'), std::cmp::Reverse(host.len()));
    key(a).cmp(&key(b)).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_gets_namespace_and_domain_a_dotted_one_does_not() {
        for (written, full) in [
            ("service-go", "service-go.default.svc.cluster.local"),
            ("Service-Go", "service-go.default.svc.cluster.local"),
            ("service-go.default", "service-go.default"),
            ("httpbin.org", "httpbin.org"),
            ("*", "*"),
            ("*.local", "*.local"),
            ("10.0.0.1", "10.0.0.1"),
            ("::1", "::1"),
        ] {
            assert_eq!(full_name(written, "default", "cluster.local"), full);
        }
    }

    #[test]
    fn a_wildcard_covers_names_behind_it_and_narrower_wildcards() {
        assert!(covers("*", "anything"));
        assert!(covers("*.foo.com", "a.foo.com"));
        assert!(covers("*.foo.com", "*.b.foo.com"));
        assert!(covers("*.foo.com", "*.foo.com"));
        assert!(!covers("*.foo.com", "foo.com"));
        assert!(!covers("*.b.foo.com", "*.foo.com"));
        assert!(!covers("foo.com", "a.foo.com"));
        assert!(overlaps("*.b.foo.com", "*.foo.com"));
    }

    #[test]
    fn the_longest_full_name_is_most_specific() {
        let mut hosts = vec!["*", "*.com", "a.com", "*.foo.com", "b.foo.com"];
        hosts.sort_by(|a, b| specificity(a, b));
        assert_eq!(hosts, ["b.foo.com", "a.com", "*.foo.com", "*.com", "*"]);
    }
}
