//! Virtual host to route: the first route whose path, header, query and share rules all hold.
//! Envoy: `RouteMatch`, `HeaderMatcher`, `QueryParameterMatcher`.

use std::borrow::Cow;

use http::HeaderName;
use wavetank_platform::RandomStream;

use super::head::RequestHead;
use crate::http::headers::HeaderList;
use crate::snapshot::route::{
    HeaderKey, HeaderMatcher, PathMatcher, QueryMatcher, Route, RouteMatch, ValueMatcher, VirtualHost,
};

/// The first route of `host` that matches, with its position among the host's routes.
///
/// Draws from `random` once at most, and only when a route with a share is reached.
pub fn select_route<'a>(
    host: &'a VirtualHost,
    head: &RequestHead<'_>,
    random: &mut RandomStream,
) -> Option<(u32, &'a Route)> {
    let path = head.path();
    let mut draw = None;
    for position in host.paths().candidates(path) {
        let route = host.routes().get(usize::try_from(position).ok()?)?;
        let share = |millionths| *draw.get_or_insert_with(|| random.below(1_000_000)) < u64::from(millionths);
        if matches(&route.matches, path, head) && route.matches.runtime_fraction.is_none_or(share) {
            return Some((position, route));
        }
    }
    None
}

fn matches(rule: &RouteMatch, path: &str, head: &RequestHead<'_>) -> bool {
    path_matches(&rule.path, rule.case_sensitive, path)
        && rule.headers.iter().all(|header| header_matches(header, head))
        && rule.query.iter().all(|parameter| query_matches(parameter, head.query()))
}

fn path_matches(rule: &PathMatcher, case_sensitive: bool, path: &str) -> bool {
    match rule {
        PathMatcher::Exact(exact) => equals(path, exact, !case_sensitive),
        PathMatcher::Prefix(prefix) => has_prefix(path, prefix, !case_sensitive),
        PathMatcher::PathSeparatedPrefix(prefix) => {
            has_prefix(path, prefix, !case_sensitive) && matches!(path.as_bytes().get(prefix.len()), None | Some(b'/'))
        }
        PathMatcher::Regex(regex) => regex.is_match(path),
    }
}

/// Whether one header rule holds.
pub fn header_matches(rule: &HeaderMatcher, head: &RequestHead<'_>) -> bool {
    let value = match &rule.name {
        HeaderKey::Method => Some(Cow::Borrowed(head.method)),
        HeaderKey::Authority => Some(Cow::Borrowed(head.authority)),
        HeaderKey::Scheme => Some(Cow::Borrowed(head.scheme)),
        HeaderKey::Path => Some(Cow::Borrowed(head.path_and_query)),
        HeaderKey::Header(name) => all_values(head.headers, name),
    };
    if let ValueMatcher::Present(wanted) = rule.value {
        return (value.is_some() == wanted) != rule.invert;
    }
    match value {
        None if !rule.missing_as_empty => false,
        value => value_matches(&rule.value, &value.unwrap_or_default()) != rule.invert,
    }
}

/// All values of a header, joined by `,`; `None` when it is missing. Bytes that are no UTF-8 are replaced.
fn all_values<'a>(headers: &'a HeaderList, name: &HeaderName) -> Option<Cow<'a, str>> {
    let mut values = headers.get_all(name).map(|value| match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(value.as_bytes()),
    });
    let first = values.next()?;
    Some(values.fold(first, |joined, value| Cow::Owned(format!("{joined},{value}"))))
}

fn query_matches(rule: &QueryMatcher, query: Option<&str>) -> bool {
    let mut parameters = query.unwrap_or_default().split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let value = parameters.find(|(name, _)| **name == *rule.name).map(|(_, value)| value);
    match (&rule.value, value) {
        (ValueMatcher::Present(wanted), value) => value.is_some() == *wanted,
        (_, None) => false,
        (matcher, Some(value)) => value_matches(matcher, value),
    }
}

/// Whether a value that is there satisfies `rule`.
pub fn value_matches(rule: &ValueMatcher, actual: &str) -> bool {
    match rule {
        ValueMatcher::Present(wanted) => *wanted,
        ValueMatcher::Exact { value, ignore_case } => equals(actual, value, *ignore_case),
        ValueMatcher::Prefix { value, ignore_case } => has_prefix(actual, value, *ignore_case),
        ValueMatcher::Suffix { value, ignore_case } => has_suffix(actual, value, *ignore_case),
        ValueMatcher::Contains { value, ignore_case: false } => actual.contains(&**value),
        ValueMatcher::Contains { value, ignore_case: true } => {
            actual.to_ascii_lowercase().contains(&value.to_ascii_lowercase())
        }
        ValueMatcher::Regex(regex) => regex.is_match(actual),
        ValueMatcher::Range { start, end } => {
            actual.parse::<i64>().is_ok_and(|number| (*start..*end).contains(&number))
        }
    }
}

fn equals(actual: &str, wanted: &str, ignore_case: bool) -> bool {
    if ignore_case { actual.eq_ignore_ascii_case(wanted) } else { actual == wanted }
}

fn has_prefix(actual: &str, prefix: &str, ignore_case: bool) -> bool {
    let head = actual.as_bytes().get(..prefix.len());
    head.is_some_and(|head| bytes_equal(head, prefix.as_bytes(), ignore_case))
}

fn has_suffix(actual: &str, suffix: &str, ignore_case: bool) -> bool {
    let tail = actual.len().checked_sub(suffix.len()).map(|start| &actual.as_bytes()[start..]);
    tail.is_some_and(|tail| bytes_equal(tail, suffix.as_bytes(), ignore_case))
}

fn bytes_equal(left: &[u8], right: &[u8], ignore_case: bool) -> bool {
    if ignore_case { left.eq_ignore_ascii_case(right) } else { left == right }
}

#[cfg(test)]
mod tests;
