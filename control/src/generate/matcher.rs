//! When a route matches. Istio: `HTTPMatchRequest`; all conditions of one block must hold.

use envoy_types::pb::envoy::config::route::v3::{
    HeaderMatcher, QueryParameterMatcher, RouteMatch, header_matcher, query_parameter_matcher, route_match,
};
use envoy_types::pb::envoy::r#type::matcher::v3::{RegexMatcher, StringMatcher, string_matcher};

use super::shape;
use crate::model::{HttpMatch, StringMatch};

/// Matches every request.
pub fn everything() -> RouteMatch {
    RouteMatch { path_specifier: Some(route_match::PathSpecifier::Prefix("/".to_owned())), ..Default::default() }
}

/// The part of a match block that only a request can decide; headers in the order of their names.
pub fn route_match(block: &HttpMatch) -> RouteMatch {
    let mut headers = Vec::new();
    let mut named: Vec<_> = block.headers.iter().map(|(name, value)| (name, value, false)).collect();
    named.extend(block.without_headers.iter().map(|(name, value)| (name, value, true)));
    named.sort_by(|a, b| (a.0, a.2).cmp(&(b.0, b.2)));
    headers.extend(named.into_iter().map(|(name, value, inverted)| header(name, value, inverted)));
    let pseudo = [(":method", &block.method), (":authority", &block.authority), (":scheme", &block.scheme)];
    headers.extend(pseudo.into_iter().filter_map(|(name, value)| Some(header(name, value.as_ref()?, false))));
    let mut matched = RouteMatch { path_specifier: Some(path(block.uri.as_ref())), headers, ..Default::default() };
    if block.ignore_uri_case {
        matched.case_sensitive = shape::flag(false);
    }
    matched.query_parameters = block.query_params.iter().map(|(name, value)| query(name, value)).collect();
    matched
}

fn path(uri: Option<&StringMatch>) -> route_match::PathSpecifier {
    use route_match::PathSpecifier::{Path, Prefix, SafeRegex};
    match uri {
        Some(StringMatch::Exact(path)) => Path(path.clone()),
        Some(StringMatch::Prefix(prefix)) => Prefix(prefix.clone()),
        Some(StringMatch::Regex(pattern)) => SafeRegex(regex(pattern)),
        None | Some(StringMatch::Present) => Prefix("/".to_owned()),
    }
}

fn header(name: &str, value: &StringMatch, inverted: bool) -> HeaderMatcher {
    use header_matcher::HeaderMatchSpecifier::{PresentMatch, StringMatch as Text};
    let present = is_presence(value);
    HeaderMatcher {
        name: name.to_owned(),
        invert_match: inverted,
        // An inverted comparison also holds for a request without the header.
        treat_missing_header_as_empty: inverted && !present,
        header_match_specifier: Some(if present { PresentMatch(true) } else { Text(string(value)) }),
    }
}

fn query(name: &str, value: &StringMatch) -> QueryParameterMatcher {
    use query_parameter_matcher::QueryParameterMatchSpecifier::{PresentMatch, StringMatch as Text};
    let specifier = if is_presence(value) { PresentMatch(true) } else { Text(string(value)) };
    QueryParameterMatcher { name: name.to_owned(), query_parameter_match_specifier: Some(specifier) }
}

/// `{}`, the regular expression `*`, which Istio reads as presence, and the empty prefix, which Envoy refuses.
fn is_presence(value: &StringMatch) -> bool {
    match value {
        StringMatch::Present => true,
        StringMatch::Regex(pattern) => pattern == "*",
        StringMatch::Prefix(prefix) => prefix.is_empty(),
        StringMatch::Exact(_) => false,
    }
}

fn string(value: &StringMatch) -> StringMatcher {
    use string_matcher::MatchPattern::{Exact, Prefix, SafeRegex};
    let pattern = match value {
        StringMatch::Exact(text) => Exact(text.clone()),
        StringMatch::Prefix(text) => Prefix(text.clone()),
        StringMatch::Regex(pattern) => SafeRegex(regex(pattern)),
        StringMatch::Present => Prefix(String::new()),
    };
    StringMatcher { match_pattern: Some(pattern), ..Default::default() }
}

fn regex(pattern: &str) -> RegexMatcher {
    RegexMatcher { regex: pattern.to_owned(), ..Default::default() }
}
