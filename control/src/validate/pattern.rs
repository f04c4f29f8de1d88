//! Patterns of a match: regular expressions that RE2 takes, prefixes that say something.

use regex::RegexBuilder;

use crate::config::http_match::{HttpMatchSpec, Pattern};
use crate::config::string_match::StringMatch;
use crate::diagnostic::Diagnostic;

use super::codes;

/// Size of a compiled expression, in bytes.
const REGEX_SIZE_MAX: usize = 1 << 20;

/// Checks every pattern of a match.
pub(super) fn check(of: &HttpMatchSpec, found: &mut Vec<Diagnostic>) {
    let named = [&of.scheme, &of.method, &of.authority].into_iter().flatten();
    let in_maps = of.headers.values().chain(of.without_headers.values()).chain(of.query_params.values());
    for pattern in named.chain(in_maps) {
        regex(pattern, found);
        // Envoy takes an empty prefix of a path, and no other.
        if pattern.value == StringMatch::Prefix(String::new()) {
            found.push(Diagnostic::error(codes::EMPTY, &pattern.span, "the prefix is empty"));
        }
    }
    if let Some(uri) = &of.uri {
        regex(uri, found);
    }
    let claims = of.headers.iter().chain(&of.without_headers).filter(|(name, _)| name.starts_with("@request.auth"));
    for (name, pattern) in claims {
        let message = format!("matching the JWT claim `{name}` is not supported yet");
        found.push(Diagnostic::error(crate::config::codes::VALUE_NOT_YET, &pattern.span, message));
    }
}

fn regex(pattern: &Pattern, found: &mut Vec<Diagnostic>) {
    let StringMatch::Regex(text) = &pattern.value else { return };
    if text.is_empty() {
        found.push(Diagnostic::error(codes::REGEX, &pattern.span, "the regular expression is empty"));
        return;
    }
    let anchored = format!("^(?:{text})$");
    if let Err(error) = RegexBuilder::new(&anchored).size_limit(REGEX_SIZE_MAX).build() {
        let finding = Diagnostic::error(codes::REGEX, &pattern.span, format!("`{text}` is no regular expression"));
        found.push(finding.with_help(reason(&error)));
    }
}

/// The last line of what the compiler says; the others draw the expression.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default().trim();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}
