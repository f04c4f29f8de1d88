//! Removing headers without disturbing the order of the others: [`HeaderMap::remove`] moves the last
//! header into the gap.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Keeps the headers whose name satisfies `keep`, in their order.
pub fn retain(headers: &mut HeaderMap, keep: impl Fn(&HeaderName) -> bool) {
    if headers.keys().all(&keep) {
        return;
    }
    let mut kept = HeaderMap::with_capacity(headers.keys_len());
    let mut last: Option<HeaderName> = None;
    for (name, value) in std::mem::take(headers) {
        // A further value of a name comes without the name.
        last = name.or(last);
        let Some(name) = last.as_ref().filter(|name| keep(name)) else { continue };
        kept.append(name.clone(), value);
    }
    *headers = kept;
}

/// Removes all values of `name`.
pub fn remove(headers: &mut HeaderMap, name: &HeaderName) {
    if headers.contains_key(name) {
        retain(headers, |other| other != name);
    }
}

/// Removes `name` and writes it anew, last.
pub fn move_to_end(headers: &mut HeaderMap, name: &HeaderName, value: HeaderValue) {
    remove(headers, name);
    headers.append(name.clone(), value);
}

/// A header value of this text; characters that may not stand in one become `?`.
pub fn text(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).unwrap_or_else(|_| {
        let safe: String = value.chars().map(|char| if matches!(char, ' '..='~') { char } else { '?' }).collect();
        HeaderValue::from_str(&safe).unwrap_or_else(|_| HeaderValue::from_static(""))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removal_keeps_the_order_of_the_others() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("a", "1"), ("b", "2"), ("c", "3"), ("b", "4"), ("d", "5")] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        remove(&mut headers, &HeaderName::from_static("a"));
        let left: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap_or(""))).collect();
        assert_eq!(left, [("b", "2"), ("b", "4"), ("c", "3"), ("d", "5")]);
    }
}
