//! `StringMatcher`, `RegexMatcher`, `HeaderMatcher`, `QueryParameterMatcher`.

use std::sync::Arc;

use envoy_types::pb::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use envoy_types::pb::envoy::config::route::v3::query_parameter_matcher::QueryParameterMatchSpecifier;
use envoy_types::pb::envoy::config::route::v3::{
    HeaderMatcher as ProtoHeaderMatcher, QueryParameterMatcher as ProtoQueryMatcher,
};
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::pb::envoy::r#type::matcher::v3::{RegexMatcher, StringMatcher};
use http::HeaderName;
use regex::RegexBuilder;

use super::fault::{Fault, Within};
use crate::snapshot::expression::Expression;
use crate::snapshot::route::{HeaderKey, HeaderMatcher, QueryMatcher, ValueMatcher};

/// Largest compiled regex, in bytes.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// A regex that matches a whole text.
pub fn regex(matcher: &RegexMatcher) -> Result<Expression, Fault> {
    // The expression must be right by itself: `a)|(b` is no expression, though it would be one in brackets.
    let build = |expression: &str| {
        RegexBuilder::new(expression)
            .size_limit(REGEX_BYTES_MAX)
            .dfa_size_limit(REGEX_BYTES_MAX)
            .build()
            .map_err(|error| Fault::new("regex", "a regular expression", error))
    };
    let why = |why| Fault::new("regex", "a regular expression of RE2", format_args!("`{}`: {why}", matcher.regex));
    let rewritten = wavetank_re2::rewrite(&matcher.regex).map_err(why)?;
    build(&rewritten)?;
    build(&format!("\\A(?:{rewritten})\\z")).map(Expression::from)
}

/// A rule on a string.
pub fn string(matcher: &StringMatcher) -> Result<ValueMatcher, Fault> {
    let ignore_case = matcher.ignore_case;
    Ok(match &matcher.match_pattern {
        Some(MatchPattern::Exact(value)) => ValueMatcher::Exact { value: Arc::from(value.as_str()), ignore_case },
        Some(MatchPattern::Prefix(value)) => ValueMatcher::Prefix { value: Arc::from(value.as_str()), ignore_case },
        Some(MatchPattern::Suffix(value)) => ValueMatcher::Suffix { value: Arc::from(value.as_str()), ignore_case },
        Some(MatchPattern::Contains(value)) => ValueMatcher::Contains { value: Arc::from(value.as_str()), ignore_case },
        Some(MatchPattern::SafeRegex(of)) => ValueMatcher::Regex(regex(of).within("safe_regex")?),
        Some(MatchPattern::Custom(_)) => return Err(Fault::new("custom", "another pattern", "a custom matcher")),
        None => return Err(Fault::new("match_pattern", "a pattern", "nothing")),
    })
}

/// A rule on a header or pseudo-header.
pub fn header(matcher: &ProtoHeaderMatcher) -> Result<HeaderMatcher, Fault> {
    let exact = |value: &String| Arc::from(value.as_str());
    let value = match &matcher.header_match_specifier {
        None => ValueMatcher::Present(true),
        Some(HeaderMatchSpecifier::PresentMatch(present)) => ValueMatcher::Present(*present),
        Some(HeaderMatchSpecifier::StringMatch(of)) => string(of).within("string_match")?,
        Some(HeaderMatchSpecifier::RangeMatch(range)) => ValueMatcher::Range { start: range.start, end: range.end },
        Some(HeaderMatchSpecifier::SafeRegexMatch(of)) => ValueMatcher::Regex(regex(of).within("safe_regex_match")?),
        Some(HeaderMatchSpecifier::ExactMatch(value)) => {
            ValueMatcher::Exact { value: exact(value), ignore_case: false }
        }
        Some(HeaderMatchSpecifier::PrefixMatch(value)) => {
            ValueMatcher::Prefix { value: exact(value), ignore_case: false }
        }
        Some(HeaderMatchSpecifier::SuffixMatch(value)) => {
            ValueMatcher::Suffix { value: exact(value), ignore_case: false }
        }
        Some(HeaderMatchSpecifier::ContainsMatch(value)) => {
            ValueMatcher::Contains { value: exact(value), ignore_case: false }
        }
    };
    Ok(HeaderMatcher {
        name: header_key(&matcher.name)?,
        value,
        invert: matcher.invert_match,
        missing_as_empty: matcher.treat_missing_header_as_empty,
    })
}

fn header_key(name: &str) -> Result<HeaderKey, Fault> {
    Ok(match name.to_ascii_lowercase().as_str() {
        ":method" => HeaderKey::Method,
        ":authority" | "host" => HeaderKey::Authority,
        ":scheme" => HeaderKey::Scheme,
        ":path" => HeaderKey::Path,
        other => HeaderKey::Header(header_name(other).within("name")?),
    })
}

/// The name of a header; pseudo-headers are none.
pub fn header_name(name: &str) -> Result<HeaderName, Fault> {
    HeaderName::try_from(name).map_err(|_| Fault::new("", "a header name", format_args!("`{name}`")))
}

/// A rule on a query parameter.
pub fn query(matcher: &ProtoQueryMatcher) -> Result<QueryMatcher, Fault> {
    let value = match &matcher.query_parameter_match_specifier {
        None => ValueMatcher::Present(true),
        Some(QueryParameterMatchSpecifier::PresentMatch(present)) => ValueMatcher::Present(*present),
        Some(QueryParameterMatchSpecifier::StringMatch(of)) => string(of).within("string_match")?,
    };
    if matcher.name.is_empty() {
        return Err(Fault::new("name", "a parameter name", "nothing"));
    }
    Ok(QueryMatcher { name: Arc::from(matcher.name.as_str()), value })
}
