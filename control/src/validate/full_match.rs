//! The trap of whole values: an expression that would be found in a value and does not match all of it.
//!
//! Envoy wants a regular expression to match the whole value: `Firefox` matches no browser.

use regex::RegexBuilder;

use crate::diagnostic::{Diagnostic, Span};

use super::codes;
use super::covering::whole;

/// What an expression is compared with.
#[derive(Clone, Copy)]
pub(super) enum Subject<'n> {
    /// The path of a request.
    Path,
    /// A header, by its name in lower case.
    Header(&'n str),
    /// Something else.
    Other,
}

/// Headers that hold more than a word, with values as clients send them.
const FREE_TEXT: [(&str, &[&str]); 4] = [
    (
        "user-agent",
        &[
            "Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Safari/605.1.15",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
            "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36",
            "curl/8.5.0",
            "Go-http-client/1.1",
            "python-requests/2.31.0",
        ],
    ),
    ("accept-language", &["en-US,en;q=0.9", "zh-CN,zh;q=0.9,en;q=0.8", "de-DE,de;q=0.9,en;q=0.5"]),
    ("cookie", &[]),
    ("referer", &["https://www.example.com/shop?item=1"]),
];

/// What is surprising about a sound expression, where that is sure.
pub(super) fn trap(text: &str, span: &Span, on: Subject<'_>) -> Option<Diagnostic> {
    match on {
        Subject::Path if begins_with_letter(text) => {
            let message = format!("`{text}` matches no path: a path begins with `/`, and all of it has to match");
            Some(Diagnostic::warning(codes::FULL_MATCH, span, message).with_help(wider(text, "/")))
        }
        Subject::Path => {
            let plain = literal(text)?;
            let message = format!("all of the path has to match, so this is the same as `exact: {plain}`");
            let finding = Diagnostic::note(codes::FULL_MATCH, span, message);
            Some(finding.with_help(format!("write `prefix: {plain}` for all paths that begin so")))
        }
        Subject::Header(name) => header(text, span, name),
        Subject::Other => None,
    }
}

fn header(text: &str, span: &Span, name: &str) -> Option<Diagnostic> {
    let (_, typical) = FREE_TEXT.iter().find(|(known, _)| *known == name)?;
    let help = || wider(text, "");
    if literal(text).is_some() {
        let message = format!("all of `{name}` has to match; a value that is longer than this text does not");
        return Some(Diagnostic::note(codes::FULL_MATCH, span, message).with_help(help()));
    }
    let (all, part) =
        (whole(text)?, RegexBuilder::new(&wavetank_re2::rewrite(text).ok()?).size_limit(1 << 20).build().ok()?);
    let found = typical.iter().find(|value| part.is_match(value))?;
    if typical.iter().any(|value| all.is_match(value)) {
        return None;
    }
    let message = format!("all of `{name}` has to match; this is found in `{found}` and does not match all of it");
    Some(Diagnostic::note(codes::FULL_MATCH, span, message).with_help(help()))
}

fn wider(text: &str, before: &str) -> String {
    let core = text.trim_start_matches('^').trim_end_matches('$');
    let tail = if core.ends_with(".*") { "" } else { ".*" };
    let head = if core.starts_with(".*") { "" } else { ".*" };
    format!("write `{before}{head}{core}{tail}` to find it anywhere")
}

/// The text of an expression that is only a text.
fn literal(text: &str) -> Option<&str> {
    let core = text.strip_prefix('^').unwrap_or(text);
    let core = core.strip_suffix('$').unwrap_or(core);
    (!core.is_empty() && !core.contains(['\\', '.', '+', '*', '?', '(', ')', '|', '[', ']', '{', '}', '^', '$']))
        .then_some(core)
}

/// Whether every value that is matched begins with a letter or digit.
fn begins_with_letter(text: &str) -> bool {
    let core = text.strip_prefix('^').unwrap_or(text);
    let mut chars = core.chars();
    let first = chars.next().is_some_and(|c| c.is_ascii_alphanumeric());
    first && !matches!(chars.next(), Some('?' | '*' | '{')) && !core.contains('|')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str, on: Subject<'_>) -> Option<String> {
        trap(text, &Span::at("t", 1, 1), on).and_then(|found| found.help)
    }

    #[test]
    fn an_expression_that_is_only_found_in_a_value_is_told() {
        let agent = Subject::Header("user-agent");
        assert_eq!(told("Firefox", agent).as_deref(), Some("write `.*Firefox.*` to find it anywhere"));
        assert_eq!(
            told("(Firefox|Chrome).*", agent).as_deref(),
            Some("write `.*(Firefox|Chrome).*` to find it anywhere")
        );
        assert!(told("^Mozilla/5.0", agent).is_some());
        assert!(told("user=jason", Subject::Header("cookie")).is_some());
        assert_eq!(told("env", Subject::Path).as_deref(), Some("write `/.*env.*` to find it anywhere"));
        assert_eq!(told("/env", Subject::Path).as_deref(), Some("write `prefix: /env` for all paths that begin so"));
    }

    #[test]
    fn an_expression_that_may_be_meant_is_not() {
        let agent = Subject::Header("user-agent");
        for fine in [".*Firefox.*", "curl.*", "curl/[0-9.]+", "my-bot/.*", "Mozilla.*(Firefox|Chrome).*"] {
            assert_eq!(told(fine, agent), None, "{fine}");
        }
        assert_eq!(told("^(.*?;)?(user=jason)(;.*)?$", Subject::Header("cookie")), None);
        assert_eq!(told("true", Subject::Header("x-canary")), None);
        for fine in ["/v[0-9]+/.*", "(/a|/b)", ".*", "a*/b", "a|/b", "/a.c"] {
            assert_eq!(told(fine, Subject::Path), None, "{fine}");
        }
    }
}
