//! Patterns of a match: regular expressions that RE2 takes, prefixes that say something, names of headers.

use indexmap::IndexMap;
use regex::RegexBuilder;

use crate::config::http_match::{HttpMatchSpec, Pattern};
use crate::config::string_match::StringMatch;
use crate::diagnostic::{Diagnostic, Span};
use crate::dialect::Dialect;

use super::full_match::{self, Subject};
use super::{codes, re2};

/// Size of a compiled expression, in bytes.
const REGEX_SIZE_MAX: usize = 1 << 20;
/// Longest expression that today's Istio takes, in bytes.
const REGEX_LENGTH_MAX: usize = 1024;

/// Checks every pattern of a match.
pub(super) fn check(of: &HttpMatchSpec, dialect: Dialect, found: &mut Vec<Diagnostic>) {
    if let Some(uri) = &of.uri {
        // Every path begins with nothing.
        pattern(uri, Subject::Path, dialect, true, found);
    }
    for named in [&of.scheme, &of.method, &of.authority].into_iter().flatten() {
        pattern(named, Subject::Other, dialect, false, found);
    }
    for headers in [&of.headers, &of.without_headers] {
        header_patterns(headers, dialect, &of.span, found);
    }
    for parameter in of.query_params.values() {
        pattern(parameter, Subject::Other, dialect, false, found);
    }
}

fn header_patterns(headers: &IndexMap<String, Pattern>, dialect: Dialect, span: &Span, found: &mut Vec<Diagnostic>) {
    for (name, value) in headers {
        if name.starts_with("@request.auth") {
            let message = format!("matching the JWT claim `{name}` is not supported yet");
            found.push(Diagnostic::error(crate::config::codes::VALUE_NOT_YET, &value.span, message));
            continue;
        }
        if !is_header_name(name) {
            // An empty match has no place of its own.
            let at = if value.value == StringMatch::Present { span } else { &value.span };
            found.push(Diagnostic::error(codes::HEADER_NAME, at, format!("`{name}` is no name of a header")));
        }
        pattern(value, Subject::Header(name), dialect, false, found);
    }
}

/// RFC 9110 token, or a pseudo-header.
fn is_header_name(name: &str) -> bool {
    let token = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
    let pseudo = matches!(name, ":method" | ":scheme" | ":authority" | ":path" | ":status");
    pseudo || (!name.is_empty() && name.bytes().all(token))
}

fn pattern(pattern: &Pattern, on: Subject<'_>, dialect: Dialect, empty: bool, found: &mut Vec<Diagnostic>) {
    match &pattern.value {
        StringMatch::Regex(text) => match refused(text, &pattern.span, dialect) {
            Some(finding) => found.push(finding),
            None => found.extend(full_match::trap(text, &pattern.span, on)),
        },
        StringMatch::Prefix(text) if text.is_empty() && !empty => {
            found.push(Diagnostic::error(codes::EMPTY, &pattern.span, "the prefix is empty"));
        }
        StringMatch::Exact(_) | StringMatch::Prefix(_) | StringMatch::Present => {}
    }
}

/// Why an expression is none.
fn refused(text: &str, span: &Span, dialect: Dialect) -> Option<Diagnostic> {
    if text.is_empty() {
        return Some(Diagnostic::error(codes::REGEX, span, "the regular expression is empty"));
    }
    if text.len() > REGEX_LENGTH_MAX && dialect == Dialect::V1 {
        let message = format!("a regular expression of {} bytes; at most {REGEX_LENGTH_MAX} are taken", text.len());
        return Some(Diagnostic::error(codes::REGEX, span, message));
    }
    let finding = || Diagnostic::error(codes::REGEX, span, format!("`{}` is no regular expression", cut(text)));
    let rewritten = match re2::rewrite(text) {
        Ok(rewritten) => rewritten,
        Err(why) => return Some(finding().with_help(why)),
    };
    // The expression must be right by itself: `a)|(b` would be one in parentheses.
    let build = |text: &str| RegexBuilder::new(text).size_limit(REGEX_SIZE_MAX).build().err();
    let error = build(&rewritten).or_else(|| build(&format!("^(?:{rewritten})$")))?;
    Some(finding().with_help(reason(&error)))
}

/// A long expression by its beginning.
fn cut(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The last line of what the compiler says; the others draw the expression.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default().trim();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_names_are_tokens_or_pseudo_headers() {
        for good in ["user-agent", "x_y", ":authority", "x.y"] {
            assert!(is_header_name(good), "{good}");
        }
        for bad in ["", "user agent", "x:", ":host", "naïve"] {
            assert!(!is_header_name(bad), "{bad}");
        }
    }
}
