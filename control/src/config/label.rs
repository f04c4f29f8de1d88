//! Labels: what Kubernetes takes for a key and a value.
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set>

/// Most characters of a name and of a value.
const WORD_MAX: usize = 63;
/// Most characters of what stands before the `/` of a key.
const PREFIX_MAX: usize = 253;

/// `name` or `prefix/name`.
pub(crate) fn is_key(text: &str) -> bool {
    let (prefix, name) = text.split_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    prefix.is_none_or(is_prefix) && !name.is_empty() && is_value(name)
}

/// Letters, digits, `-`, `_` and `.`, with a letter or digit at both ends; or nothing.
pub(crate) fn is_value(text: &str) -> bool {
    let ends = [text.bytes().next(), text.bytes().last()];
    let inner = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    let edges = ends.into_iter().flatten().all(|c| c.is_ascii_alphanumeric());
    text.len() <= WORD_MAX && text.bytes().all(inner) && edges
}

/// Keys and values alike, as Istio 1.0 validates them.
pub(crate) fn is_word_1_0(text: &str) -> bool {
    text.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.' | b'/'))
}

/// A DNS subdomain in lower case.
fn is_prefix(text: &str) -> bool {
    let label = |label: &str| {
        let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= PREFIX_MAX && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_a_name_and_perhaps_a_value() {
        for (key, value) in [("app", "go"), ("a.io/b_c", ""), ("v", "1.2-x"), ("A", "B")] {
            assert!(is_key(key) && is_value(value), "{key}={value}");
        }
        for key in ["", "a b", "-a", "A/b", "a/", "/a", "a/b/c"] {
            assert!(!is_key(key), "{key}");
        }
        for value in ["a b", "x-", "_x", "a/b"] {
            assert!(!is_value(value), "{value}");
        }
        assert!(!is_value(&"x".repeat(64)) && !is_key(&format!("{}/a", "x".repeat(254))));
    }

    #[test]
    fn in_1_0_the_ends_are_free() {
        assert!(is_word_1_0("x-") && is_word_1_0("a/b") && is_word_1_0("") && !is_word_1_0("a b"));
    }
}
