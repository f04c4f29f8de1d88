//! One rule of a route in words, and why it did not hold for a request.

use wavetank_platform::{Entropy, RandomStream};
use wavetank_proxy::route::matching::header_matches;
use wavetank_proxy::route::{RequestHead, select_route};
use wavetank_proxy::snapshot::route::{
    Action, HeaderKey, HeaderMatcher, PathMatcher, QueryMatcher, Route, RouteMatch, ValueMatcher, VirtualHost,
};

use super::asked::Asked;

/// What a route asks of a request: `GET`, `prefix /env`, `header end-user = jason`.
pub fn in_words(rule: &RouteMatch) -> String {
    let mut words: Vec<String> = Vec::new();
    let any = matches!(&rule.path, PathMatcher::Prefix(prefix) if **prefix == *"/");
    if !any {
        words.push(path_in_words(&rule.path));
    }
    words.extend(rule.headers.iter().map(header_in_words));
    words.extend(rule.query.iter().map(|query| format!("query {} {}", query.name, value_in_words(&query.value))));
    if let Some(millionths) = rule.runtime_fraction {
        words.push(format!("{}% of them", f64::from(millionths) / 10_000.0));
    }
    if words.is_empty() { "any request".to_owned() } else { words.join(", ") }
}

/// Why `rule` did not hold for a request that is known not to have matched it.
pub fn why_lost(rule: &RouteMatch, asked: &Asked) -> String {
    let head = asked.head();
    if !path_holds(rule, &head) {
        return format!("path `{}` is not {}", head.path(), path_in_words(&rule.path));
    }
    let mut unknown = None;
    for header in &rule.headers {
        match &header.name {
            HeaderKey::Header(name) if !asked.knows(name) => {
                unknown = unknown.or_else(|| Some(format!("the rule {} did not hold", header_in_words(header))));
            }
            _ if header_matches(header, &head) => {}
            key => return header_lost(header, key, asked),
        }
    }
    for query in &rule.query {
        if !query_holds(query, &head) {
            return format!("the query is not {} {}", query.name, value_in_words(&query.value));
        }
    }
    let share = rule.runtime_fraction.map(|_| "its share did not fall on this request".to_owned());
    unknown.or(share).unwrap_or_else(|| "it did not match".to_owned())
}

fn header_lost(rule: &HeaderMatcher, key: &HeaderKey, asked: &Asked) -> String {
    let wanted = value_in_words(&rule.value);
    let not = if rule.invert { "" } else { "not " };
    match key {
        HeaderKey::Method => format!("method {} is {not}{wanted}", asked.method),
        HeaderKey::Authority => format!("host `{}` is {not}{wanted}", asked.authority),
        HeaderKey::Scheme => format!("the scheme is {not}{wanted}"),
        HeaderKey::Path => format!("path `{}` is {not}{wanted}", asked.path),
        HeaderKey::Header(name) => match asked.header(name) {
            Some(value) => format!("header {name} `{value}` is {not}{wanted}"),
            None => format!("there is no header {name}"),
        },
    }
}

/// Whether the path rule alone holds: the proxy's own function, on a route without the other rules.
fn path_holds(rule: &RouteMatch, head: &RequestHead<'_>) -> bool {
    holds(RouteMatch { case_sensitive: rule.case_sensitive, ..RouteMatch::path(rule.path.clone()) }, head)
}

fn query_holds(query: &QueryMatcher, head: &RequestHead<'_>) -> bool {
    holds(RouteMatch { query: vec![query.clone()], ..RouteMatch::prefix("") }, head)
}

fn holds(rule: RouteMatch, head: &RequestHead<'_>) -> bool {
    let route = Route::new(rule, Action::Direct { status: 200, body: bytes::Bytes::new() });
    select_route(&VirtualHost::new("", &[], vec![route]), head, &mut unused_random()).is_some()
}

/// Rules without a share draw nothing.
fn unused_random() -> RandomStream {
    Entropy::from_seed(0).stream()
}

fn path_in_words(rule: &PathMatcher) -> String {
    match rule {
        PathMatcher::Exact(path) => format!("exactly `{path}`"),
        PathMatcher::Prefix(path) | PathMatcher::PathSeparatedPrefix(path) => format!("prefix `{path}`"),
        PathMatcher::Regex(regex) => format!("regex `{}`", unanchored(regex.as_str())),
    }
}

fn header_in_words(rule: &HeaderMatcher) -> String {
    let name = match &rule.name {
        HeaderKey::Method => "method".to_owned(),
        HeaderKey::Authority => "host".to_owned(),
        HeaderKey::Scheme => "scheme".to_owned(),
        HeaderKey::Path => "path".to_owned(),
        HeaderKey::Header(name) => format!("header {name}"),
    };
    format!("{name} {}{}", if rule.invert { "not " } else { "" }, value_in_words(&rule.value))
}

fn value_in_words(rule: &ValueMatcher) -> String {
    match rule {
        ValueMatcher::Present(true) => "present".to_owned(),
        ValueMatcher::Present(false) => "absent".to_owned(),
        ValueMatcher::Exact { value, .. } => format!("`{value}`"),
        ValueMatcher::Prefix { value, .. } => format!("prefix `{value}`"),
        ValueMatcher::Suffix { value, .. } => format!("suffix `{value}`"),
        ValueMatcher::Contains { value, .. } => format!("with `{value}` in it"),
        ValueMatcher::Regex(regex) => format!("regex `{}`", unanchored(regex.as_str())),
        ValueMatcher::Range { start, end } => format!("from {start} to {}", end.saturating_sub(1)),
    }
}

/// A regex as the user wrote it: the decoder ties it to both ends.
fn unanchored(regex: &str) -> &str {
    regex.strip_prefix("\\A(?:").and_then(|rest| rest.strip_suffix(")\\z")).unwrap_or(regex)
}
