//! Patterns of a match: regular expressions that RE2 takes, prefixes that say something, names of headers.

use regex::RegexBuilder;

use crate::config::http_match::{HttpMatchSpec, Pattern};
use crate::config::string_match::StringMatch;
use crate::diagnostic::{Diagnostic, Span, Spanned};
use crate::dialect::Dialect;

use super::codes;
use super::full_match::{self, Subject};

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
    for name in &of.header_names {
        header_name(name, dialect, found);
    }
    for (name, value) in of.headers.iter().chain(&of.without_headers) {
        pattern(value, Subject::Header(name), dialect, false, found);
    }
    for parameter in of.query_params.values() {
        pattern(parameter, Subject::Other, dialect, false, found);
    }
}

fn header_name(name: &Spanned<String>, dialect: Dialect, found: &mut Vec<Diagnostic>) {
    if name.value.to_ascii_lowercase().starts_with("@request.auth") && dialect == Dialect::V1 {
        let message = format!("matching the JWT claim `{}` is not supported yet", name.value);
        found.push(Diagnostic::error(crate::config::codes::VALUE_NOT_YET, &name.span, message));
        return;
    }
    let message = format!("`{}` is no name of a header", name.value);
    match dialect {
        Dialect::V1 if !is_header_name(&name.value) => {
            found.push(Diagnostic::error(codes::HEADER_NAME, &name.span, message));
        }
        // Istio 1.0 takes any name; Envoy takes none that cannot be sent.
        Dialect::V1_0 if name.value.is_empty() || !can_be_sent(&name.value) => {
            found.push(Diagnostic::error(codes::HEADER_NAME, &name.span, message));
        }
        _ => {}
    }
}

/// Letters, digits, `-` and `_`. Istio: `ValidateHTTPHeaderName`.
fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'))
}

/// RFC 9110 token, or a pseudo-header.
fn can_be_sent(name: &str) -> bool {
    let token = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
    let pseudo = matches!(name, ":method" | ":scheme" | ":authority" | ":path" | ":status");
    pseudo || name.bytes().all(token)
}

fn pattern(pattern: &Pattern, on: Subject<'_>, dialect: Dialect, empty: bool, found: &mut Vec<Diagnostic>) {
    match &pattern.value {
        StringMatch::Regex(text) => match refused(text, &pattern.span, dialect) {
            Some(finding) => found.push(finding),
            None => found.extend(full_match::trap(text, &pattern.span, on)),
        },
        StringMatch::Prefix(text) if text.is_empty() && !empty => {
            let message = "the prefix is empty";
            // Every value begins with nothing; Istio 1.0 leaves it at that.
            found.push(match dialect {
                Dialect::V1_0 => Diagnostic::warning(codes::EMPTY, &pattern.span, message),
                Dialect::V1 => Diagnostic::error(codes::EMPTY, &pattern.span, message),
            });
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
    let rewritten = match wavetank_re2::rewrite(text) {
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
    fn header_names_are_fewer_today_than_can_be_sent() {
        for (name, today, sent) in [
            ("user-agent", true, true),
            ("x_Y", true, true),
            (":authority", false, true),
            ("x.y", false, true),
            ("user agent", false, false),
            ("x:", false, false),
            (":host", false, false),
            ("naïve", false, false),
        ] {
            assert_eq!((is_header_name(name), can_be_sent(name)), (today, sent), "{name}");
        }
        assert!(!is_header_name(""));
    }
}
